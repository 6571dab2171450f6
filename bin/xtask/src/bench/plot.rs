//! Lines over logarithmic axes, as SVG.

use std::ops::Range;
use std::path::Path;

use anyhow::{Context as _, Result, anyhow, ensure};
use plotters::backend::SVGBackend;
use plotters::chart::{ChartBuilder, SeriesLabelPosition};
use plotters::coord::Shift;
use plotters::coord::combinators::IntoLogRange as _;
use plotters::drawing::{DrawingArea, IntoDrawingArea as _};
use plotters::element::{Circle, PathElement};
use plotters::series::LineSeries;
use plotters::style::{BLACK, Color as _, RGBColor, WHITE};

/// Of one panel, in pixels.
const SIZE: (u32, u32) = (460, 320);

/// Told apart by those who cannot tell red from green, too (Okabe and Ito).
const COLOURS: [RGBColor; 4] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
];

/// One pair of axes.
pub struct Panel {
    pub title: String,
    pub across: String,
    pub lines: Vec<Line>,
}

pub struct Line {
    pub name: String,
    pub points: Vec<(f64, f64)>,
}

/// Draws panels beside each other.
pub fn draw(path: &Path, panels: &[Panel]) -> Result<()> {
    let count = u32::try_from(panels.len()).context("that many panels")?;
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, (SIZE.0 * count, SIZE.1)).into_drawing_area();
        root.fill(&WHITE).map_err(failed)?;
        for (area, panel) in root.split_evenly((1, panels.len())).iter().zip(panels) {
            draw_panel(area, panel).with_context(|| panel.title.clone())?;
        }
        root.present().map_err(failed)?;
    }
    std::fs::write(path, svg).with_context(|| path.to_string_lossy().into_owned())
}

fn draw_panel(area: &DrawingArea<SVGBackend<'_>, Shift>, panel: &Panel) -> Result<()> {
    let points = || panel.lines.iter().flat_map(|line| &line.points);
    let across = decades(points().map(|point| point.0));
    let up = decades(points().map(|point| point.1));
    let (Some(across), Some(up)) = (across, up) else {
        ensure!(
            points().next().is_none(),
            "figures above 0 alone have a logarithm"
        );
        return Ok(());
    };
    let mut chart = ChartBuilder::on(area)
        .caption(&panel.title, ("sans-serif", 16))
        .margin(12)
        .x_label_area_size(40)
        .y_label_area_size(56)
        .build_cartesian_2d(across.log_scale(), up.log_scale())
        .map_err(failed)?;
    chart
        .configure_mesh()
        .x_desc(&panel.across)
        .x_label_formatter(&|number: &f64| short(*number))
        .y_label_formatter(&|number: &f64| short(*number))
        .light_line_style(WHITE)
        .draw()
        .map_err(failed)?;
    for (line, colour) in panel.lines.iter().zip(COLOURS.iter().cycle()) {
        let colour = *colour;
        let drawn = LineSeries::new(line.points.iter().copied(), colour.stroke_width(2));
        chart
            .draw_series(drawn)
            .map_err(failed)?
            .label(&line.name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 14, y)], colour.stroke_width(2)));
        let dots = line.points.iter();
        chart
            .draw_series(dots.map(|point| Circle::new(*point, 3, colour.filled())))
            .map_err(failed)?;
    }
    if panel.lines.len() > 1 {
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::UpperLeft)
            .background_style(WHITE)
            .border_style(BLACK)
            .draw()
            .map_err(failed)?;
    }
    Ok(())
}

fn failed(error: impl std::fmt::Display) -> anyhow::Error {
    anyhow!("drawing: {error}")
}

/// From the power of ten below all numbers to the one above; `None` when there is no number above 0.
fn decades(numbers: impl Iterator<Item = f64>) -> Option<Range<f64>> {
    let (low, high) = numbers
        .filter(|number| *number > 0.0 && number.is_finite())
        .fold(None, |range, number| match range {
            None => Some((number, number)),
            Some((low, high)) => Some((number.min(low), number.max(high))),
        })?;
    let (low, mut high) = (low.log10().floor(), high.log10().ceil());
    if high <= low {
        high = low + 1.0;
    }
    Some(10_f64.powf(low)..10_f64.powf(high))
}

/// `10k`, `1M`, `0.1`.
fn short(number: f64) -> String {
    for (unit, name) in [(1e6, "M"), (1e3, "k")] {
        if number >= unit {
            return format!("{}{name}", number / unit);
        }
    }
    // what a power of ten lacks of a round number is far behind the point
    format!("{}", (number * 1e6).round() / 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_go_from_power_to_power() {
        let range = |numbers: &[f64]| decades(numbers.iter().copied());
        assert_eq!(range(&[10.0, 1_000.0]), Some(10.0..1_000.0));
        assert_eq!(range(&[20.0, 1_001.0]), Some(10.0..10_000.0));
        assert_eq!(range(&[100.0]), Some(100.0..1_000.0));
        assert_eq!(range(&[0.0, f64::NAN]), None);
    }

    #[test]
    fn numbers_are_short() {
        let shown: Vec<String> = [0.1, 7.0, 1_000.0, 20_000.0, 1e7].map(short).into();
        assert_eq!(shown, ["0.1", "7", "1k", "20k", "10M"]);
    }

    #[test]
    fn a_plot_is_small_and_has_its_words() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("plot.svg");
        let line = |name: &str| Line {
            name: name.to_owned(),
            points: vec![(10.0, 0.2), (100.0, 3.0), (10_000.0, 700.0)],
        };
        let panel = |title: &str| Panel {
            title: title.to_owned(),
            across: "members".to_owned(),
            lines: vec![line("p50"), line("p99")],
        };
        draw(&path, &[panel("left"), panel("right")]).unwrap();
        let svg = std::fs::read_to_string(&path).unwrap();
        assert!(svg.len() < 30_000, "{}", svg.len());
        for word in ["left", "right", "members", "p99", "10k"] {
            assert!(svg.contains(word), "{word}");
        }
    }
}
