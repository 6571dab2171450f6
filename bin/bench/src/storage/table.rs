//! The figures of all backends, side by side.

use std::path::Path;

use anyhow::ensure;
use serde_json::{Value, json};

use crate::figures::{Figures, Times, millis, rate};

#[derive(Default)]
pub struct Table {
    rows: Vec<Row>,
}

pub struct Row {
    storage: String,
    in_flight: usize,
    sends_per_s: f64,
    acknowledged: Times,
    plain_clients: usize,
    plain_per_s: f64,
}

impl Row {
    pub fn new(
        storage: &str,
        in_flight: usize,
        figures: Figures,
        plain_clients: usize,
        plain_per_s: f64,
    ) -> Self {
        Self {
            storage: storage.to_owned(),
            in_flight,
            sends_per_s: rate(figures.sends, figures.seconds),
            acknowledged: figures.acknowledged,
            plain_clients,
            plain_per_s,
        }
    }

    fn ratio(&self) -> f64 {
        self.sends_per_s / self.plain_per_s
    }

    fn json(&self) -> Value {
        let ack = |quantile| millis(&self.acknowledged, quantile);
        json!({
            "storage": self.storage,
            "in_flight": self.in_flight,
            "sends_per_s": self.sends_per_s,
            "ack_ms": {"p50": ack(0.5), "p90": ack(0.9), "p99": ack(0.99), "max": ack(1.0)},
            "plain_clients": self.plain_clients,
            "plain_inserts_per_s": self.plain_per_s,
            "ratio": self.ratio(),
        })
    }
}

impl Table {
    pub fn add(&mut self, row: Row) {
        self.rows.push(row);
    }

    pub fn print(&self) {
        println!(
            "| storage | in flight | durable sends/s | ack p50 ms | ack p99 ms | plain clients | plain inserts/s | ratio |"
        );
        println!("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |");
        for row in &self.rows {
            println!(
                "| {} | {} | {:.0} | {:.2} | {:.2} | {} | {:.0} | {:.1} |",
                row.storage,
                row.in_flight,
                row.sends_per_s,
                millis(&row.acknowledged, 0.5),
                millis(&row.acknowledged, 0.99),
                row.plain_clients,
                row.plain_per_s,
                row.ratio()
            );
        }
    }

    pub fn write(&self, path: &Path) -> anyhow::Result<()> {
        let rows: Vec<Value> = self.rows.iter().map(Row::json).collect();
        crate::report::write(path, &json!({ "results": rows }))
    }

    /// A measurement in which nothing happened says nothing.
    pub fn check(&self) -> anyhow::Result<()> {
        for row in &self.rows {
            ensure!(
                row.sends_per_s > 0.0 && row.plain_per_s > 0.0,
                "{}: nothing was written with {} in flight",
                row.storage,
                row.in_flight
            );
        }
        Ok(())
    }
}
