//! Figures as a table, a histogram and JSON.

use std::path::Path;

use anyhow::{Context as _, bail};
use serde_json::{Value, json};

use crate::figures::{Figures, Memory, Stopped, Times, float, millis, rate};

/// The quantiles that are told, with their names.
const QUANTILES: [(&str, f64); 5] = [
    ("p50", 0.5),
    ("p90", 0.9),
    ("p99", 0.99),
    ("p99.9", 0.999),
    ("max", 1.0),
];

/// Width of the longest bar of a histogram, in characters.
const BAR: usize = 50;

/// The figures of one workload, in one or more sizes.
pub struct Report {
    workload: &'static str,
    /// Of the whole: protocol, storage, payload and such.
    about: Value,
    rows: Vec<Row>,
}

/// The size of a workload, and what came of it.
pub struct Row {
    pub rooms: usize,
    pub members: usize,
    pub senders: usize,
    /// `4 each` or `25/s`.
    pub pace: String,
    pub figures: Figures,
}

impl Report {
    pub fn new(workload: &'static str, about: Value) -> Self {
        Self {
            workload,
            about,
            rows: Vec::new(),
        }
    }

    pub fn add(&mut self, row: Row) {
        self.rows.push(row);
    }

    pub fn print(&self) {
        println!("\n{}: {}\n", self.workload, about(&self.about));
        let head = [
            "rooms",
            "members",
            "senders",
            "pace",
            "sends/s",
            "deliveries/s",
            "chatter/s",
            "server µs each",
            "faults",
        ];
        table(&head, self.rows.iter().map(Row::cells));
        for row in &self.rows {
            let size = format!("{} × {} members, {}", row.rooms, row.members, row.pace);
            latencies(&format!("{size}: until stored"), &row.figures.acknowledged);
            latencies(&format!("{size}: until received"), &row.figures.delivered);
            if let Some(stopped) = &row.figures.stopped {
                println!("\n{size}, of whom {} stopped reading:\n", stopped.readers);
                for line in backpressure(stopped, row.figures.memory) {
                    println!("- {line}");
                }
            }
        }
    }

    pub fn write(&self, path: &Path) -> anyhow::Result<()> {
        let rows: Vec<Value> = self.rows.iter().map(Row::json).collect();
        write(
            path,
            &json!({"workload": self.workload, "about": self.about, "results": rows}),
        )
    }

    /// A figure of a server that loses messages is worth nothing.
    pub fn check(&self) -> anyhow::Result<()> {
        for row in &self.rows {
            let figures = &row.figures;
            if figures.faults.total() > 0 {
                let reason = figures.reason.as_deref().unwrap_or("nothing was said");
                bail!("{}: {} ({reason})", self.workload, row.faults());
            }
            if figures.sends == 0 {
                bail!(
                    "{}: nothing was stored in the time that is measured",
                    self.workload
                );
            }
        }
        Ok(())
    }
}

impl Row {
    fn cells(&self) -> Vec<String> {
        let f = &self.figures;
        let per_second = |count| count_of(rate(count, f.seconds));
        vec![
            self.rooms.to_string(),
            self.members.to_string(),
            self.senders.to_string(),
            self.pace.clone(),
            per_second(f.sends),
            per_second(f.deliveries),
            per_second(f.chatter),
            f.server_cost()
                .map_or_else(|| "–".to_owned(), |cost| format!("{cost:.2}")),
            self.faults(),
        ]
    }

    /// `0`, or what is wrong.
    fn faults(&self) -> String {
        let named = self.figures.faults.named();
        let wrong: Vec<String> = named
            .iter()
            .filter(|(_, count)| *count > 0)
            .map(|(name, count)| format!("{count} {name}"))
            .collect();
        if wrong.is_empty() {
            "0".to_owned()
        } else {
            wrong.join(", ")
        }
    }

    fn json(&self) -> Value {
        let f = &self.figures;
        let faults: serde_json::Map<String, Value> = f
            .faults
            .named()
            .iter()
            .map(|(name, count)| ((*name).to_owned(), json!(count)))
            .collect();
        json!({
            "rooms": self.rooms,
            "members": self.members,
            "senders_per_room": self.senders,
            "pace": self.pace,
            "seconds": f.seconds,
            "sends_per_s": rate(f.sends, f.seconds),
            "deliveries_per_s": rate(f.deliveries, f.seconds),
            "chatter_per_s": rate(f.chatter, f.seconds),
            "acknowledged_ms": quantiles(&f.acknowledged),
            "delivered_ms": quantiles(&f.delivered),
            "server_cpu_us_each": f.server_cost(),
            "server_resident_kib": f.server.map(|(_, after)| after.resident_kib),
            "server_memory_kib": f.memory.map(|memory| json!({"before": memory.before, "most": memory.most})),
            "stopped_readers": f.stopped.as_ref().map(stopped_json),
            "stored_in_all": f.stored,
            "faults": faults,
            "reason": f.reason,
        })
    }
}

/// What a server does about readers that stopped reading, and what they have in the end.
fn backpressure(stopped: &Stopped, memory: Option<Memory>) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(Memory { before, most }) = memory {
        let mib = |kib| float(kib) / 1_024.0;
        let (before, most) = (mib(before), mib(most));
        lines.push(format!(
            "the server's resident memory: {before:.1} MiB before, {most:.1} MiB at most"
        ));
    }
    let endings = stopped.endings.iter();
    lines.extend(endings.map(|(how, count)| format!("{count} of their sockets: {how}")));
    let Stopped {
        left,
        synced,
        reset,
        missing,
        doubled,
        ..
    } = stopped;
    lines.push(format!(
        "{left} messages were left to be read there, {synced} came with sync; {reset} were too far behind for it, and read the history"
    ));
    lines.push(format!(
        "after that {missing} were missing, {doubled} doubled"
    ));
    if let Some(back) = &stopped.back {
        let (p50, most) = (millis(back, 0.5), millis(back, 1.0));
        lines.push(format!(
            "from reconnecting until everything was there: {p50:.1} ms (half of them), {most:.1} ms (all)"
        ));
    }
    lines
}

fn stopped_json(stopped: &Stopped) -> Value {
    json!({
        "readers": stopped.readers,
        "endings": stopped.endings,
        "left": stopped.left,
        "synced": stopped.synced,
        "reset": stopped.reset,
        "missing": stopped.missing,
        "doubled": stopped.doubled,
        "back_ms": stopped.back.as_ref().map(quantiles),
    })
}

/// `name: value, …` of an object.
fn about(about: &Value) -> String {
    let pairs = about.as_object().into_iter().flatten();
    let told: Vec<String> = pairs
        .map(|(name, value)| match value {
            Value::String(text) => format!("{name} {text}"),
            other => format!("{name} {other}"),
        })
        .collect();
    told.join(", ")
}

/// Milliseconds at each quantile; null when nothing was timed.
pub fn quantiles(times: &Times) -> Value {
    if times.is_empty() {
        return Value::Null;
    }
    let named = QUANTILES.iter().map(|(name, quantile)| {
        let value = json!(millis(times, *quantile));
        ((*name).to_owned(), value)
    });
    Value::Object(named.collect())
}

/// Prints quantiles and a histogram, when anything was timed.
pub fn latencies(title: &str, times: &Times) {
    if times.is_empty() {
        return;
    }
    println!("\n{title} ({} times), in ms\n", times.len());
    let head: Vec<&str> = QUANTILES.iter().map(|(name, _)| *name).collect();
    let cells = QUANTILES
        .iter()
        .map(|(_, quantile)| format!("{:.2}", millis(times, *quantile)))
        .collect();
    table(&head, std::iter::once(cells));
    println!();
    for line in histogram(times) {
        println!("{line}");
    }
}

/// A line for each step of 1, 2, 5, 10 … between the shortest and the longest.
fn histogram(times: &Times) -> Vec<String> {
    let mut steps = Vec::new();
    let mut below = 0_u64;
    'steps: for decade in 0..12 {
        for first in [1, 2, 5] {
            let end = first * 10_u64.pow(decade);
            steps.push((end, times.count_between(below, end - 1)));
            below = end;
            if below > times.max() {
                break 'steps;
            }
        }
    }
    let most = steps.iter().map(|(_, count)| *count).max().unwrap_or(0);
    steps
        .iter()
        .skip_while(|(_, count)| *count == 0)
        .map(|(end, count)| {
            let share = 100.0 * rate(*count, float(times.len()));
            let bar = "█".repeat(scaled(*count, most));
            format!("< {:>9.3} │{bar} {share:.1} %", float(*end) / 1_000.0)
        })
        .collect()
}

fn scaled(count: u64, most: u64) -> usize {
    let bars = count.saturating_mul(BAR as u64).div_ceil(most.max(1));
    usize::try_from(bars).unwrap_or(BAR)
}

/// A number with its thousands set apart.
pub fn count_of(number: f64) -> String {
    let plain = format!("{number:.0}");
    let mut out = String::with_capacity(plain.len() + plain.len() / 3);
    for (at, digit) in plain.chars().enumerate() {
        if at > 0 && (plain.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Prints a table that is Markdown, too.
pub fn table(head: &[&str], rows: impl Iterator<Item = Vec<String>>) {
    let rows: Vec<Vec<String>> = rows.collect();
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        let longest = cells.map(|cell| cell.chars().count()).max().unwrap_or(0);
        longest.max(head[column].chars().count()).max(2)
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let line = |cells: Vec<&str>| {
        let padded: Vec<String> = cells
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:>width$}"))
            .collect();
        println!("| {} |", padded.join(" | "));
    };
    line(head.to_vec());
    let rule: Vec<String> = widths
        .iter()
        .map(|width| format!("{}:", "-".repeat(width - 1)))
        .collect();
    line(rule.iter().map(String::as_str).collect());
    for row in &rows {
        line(row.iter().map(String::as_str).collect());
    }
}

pub fn write(path: &Path, value: &Value) -> anyhow::Result<()> {
    let text = serde_json::to_string_pretty(value)?;
    std::fs::write(path, text).with_context(|| format!("writing {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::times;

    #[test]
    fn thousands_are_set_apart() {
        assert_eq!(count_of(999.4), "999");
        assert_eq!(count_of(1_000.0), "1,000");
        assert_eq!(count_of(1_234_567.0), "1,234,567");
    }

    #[test]
    fn a_histogram_has_a_line_for_each_step() {
        let mut times = times();
        for micros in [1_500, 1_600, 3_000, 40_000] {
            times.record(micros).unwrap();
        }
        let lines = histogram(&times);
        assert_eq!(lines.len(), 5, "{lines:?}");
        assert!(lines[0].starts_with("<     2.000 │█"), "{lines:?}");
        assert!(lines[0].ends_with(" 50.0 %"), "{lines:?}");
        assert!(lines[2].ends_with("│ 0.0 %"), "{lines:?}");
        assert!(lines[4].starts_with("<    50.000 │"), "{lines:?}");
    }
}
