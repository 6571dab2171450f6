//! The table of figures.

use std::path::Path;

use anyhow::{Context as _, bail};
use hdrhistogram::Histogram;
use serde_json::{Value, json};

use crate::room::{Figures, Load};

pub struct Report {
    storage: String,
    rows: Vec<Row>,
}

struct Row {
    members: usize,
    in_flight: usize,
    payload: usize,
    figures: Figures,
}

impl Report {
    pub fn new(storage: &str) -> Self {
        Self {
            storage: storage.to_owned(),
            rows: Vec::new(),
        }
    }

    pub fn add(&mut self, load: &Load, figures: Figures) {
        self.rows.push(Row {
            members: load.members,
            in_flight: load.in_flight,
            payload: load.payload,
            figures,
        });
    }

    pub fn print(&self) {
        println!("storage: {}", self.storage);
        println!(
            "| members | in flight | durable sends/s | deliveries/s | ack p50 ms | ack p99 ms | lost | doubled | disordered |"
        );
        println!("| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |");
        for row in &self.rows {
            let f = &row.figures;
            println!(
                "| {} | {} | {:.0} | {:.0} | {:.2} | {:.2} | {} | {} | {} |",
                row.members,
                row.in_flight,
                rate(f.sends, f.seconds),
                rate(f.deliveries, f.seconds),
                millis(&f.acknowledged, 0.5),
                millis(&f.acknowledged, 0.99),
                f.lost,
                f.doubled,
                f.disordered
            );
        }
    }

    pub fn write(&self, path: &Path) -> anyhow::Result<()> {
        let rows: Vec<Value> = self.rows.iter().map(Row::json).collect();
        let text =
            serde_json::to_string_pretty(&json!({"storage": self.storage, "results": rows}))?;
        std::fs::write(path, text).with_context(|| format!("writing {}", path.display()))
    }

    /// A figure of a server that loses messages is worth nothing.
    pub fn check(&self) -> anyhow::Result<()> {
        let faulty =
            |row: &&Row| row.figures.lost + row.figures.doubled + row.figures.disordered > 0;
        match self.rows.iter().find(faulty) {
            Some(row) => bail!(
                "messages were lost, doubled or disordered with {} members",
                row.members
            ),
            None => Ok(()),
        }
    }
}

impl Row {
    fn json(&self) -> Value {
        let f = &self.figures;
        json!({
            "members": self.members,
            "in_flight": self.in_flight,
            "payload_bytes": self.payload,
            "seconds": f.seconds,
            "sends_per_s": rate(f.sends, f.seconds),
            "deliveries_per_s": rate(f.deliveries, f.seconds),
            "ack_ms": {"p50": millis(&f.acknowledged, 0.5), "p90": millis(&f.acknowledged, 0.9), "p99": millis(&f.acknowledged, 0.99), "max": millis(&f.acknowledged, 1.0)},
            "lost": f.lost,
            "doubled": f.doubled,
            "disordered": f.disordered,
        })
    }
}

#[allow(
    clippy::cast_precision_loss,
    reason = "counts of one run are far below 2^52"
)]
pub fn rate(count: u64, seconds: f64) -> f64 {
    count as f64 / seconds
}

#[allow(
    clippy::cast_precision_loss,
    reason = "latencies in microseconds are far below 2^52"
)]
pub fn millis(times: &Histogram<u64>, quantile: f64) -> f64 {
    times.value_at_quantile(quantile) as f64 / 1_000.0
}
