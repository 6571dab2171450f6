//! What came of a measurement.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;

use crate::check::Faults;
use crate::process::Usage;

/// Latencies, in microseconds.
pub type Times = Histogram<u64>;

/// Three significant digits, however long it takes.
pub fn times() -> Times {
    Histogram::new(3).unwrap_or_else(|error| unreachable!("three digits are allowed: {error}"))
}

/// Takes note of a time.
pub fn note(times: &mut Times, micros: u64) {
    // it grows by itself, and fails only when there is no memory for it
    let _ = times.record(micros);
}

/// The figures of one run.
#[derive(Debug)]
pub struct Figures {
    /// Messages that were stored in the time that is measured.
    pub sends: u64,
    /// Messages that reached somebody in that time.
    pub deliveries: u64,
    /// Typing and read marks that reached somebody in that time.
    pub chatter: u64,
    /// How long that was.
    pub seconds: f64,
    /// From when a message was to be sent until it was acknowledged.
    pub acknowledged: Times,
    /// From when a message was to be sent until somebody had it, for each receiver.
    pub delivered: Times,
    /// What went wrong, in the whole run.
    pub faults: Faults,
    /// The first of what the server said went wrong.
    pub reason: Option<String>,
    /// Messages stored in the whole run.
    pub stored: u64,
    /// What the server used, at the beginning and at the end of the time that is measured.
    pub server: Option<(Usage, Usage)>,
    /// The server's resident memory.
    pub memory: Option<Memory>,
    /// What became of those who stopped reading, when there were any.
    pub stopped: Option<Stopped>,
}

/// Resident memory in KiB.
#[derive(Debug, Clone, Copy)]
pub struct Memory {
    /// When everybody was connected, and nothing had been sent.
    pub before: u64,
    /// The most that was seen from then on, several times a second, until the end of what is measured.
    pub most: u64,
}

/// Readers that stopped reading, and what they have after they came back.
#[derive(Debug, Default)]
pub struct Stopped {
    pub readers: u64,
    /// How their sockets had ended, and how many of them so.
    pub endings: BTreeMap<String, u64>,
    /// Messages that were still to be read from those sockets, together.
    pub left: u64,
    /// Messages that came with `sync`, together.
    pub synced: u64,
    /// Readers who were too far behind for that, and read the history instead.
    pub reset: u64,
    /// From reconnecting until a reader had everything.
    pub back: Option<Times>,
    pub missing: u64,
    pub doubled: u64,
}

impl Figures {
    /// Processor time of the server, in microseconds for each message that reached somebody; for each
    /// message that was stored when there is nobody to reach.
    pub fn server_cost(&self) -> Option<f64> {
        let done = if self.deliveries > 0 {
            self.deliveries
        } else {
            self.sends
        };
        cost_of_each(self.server, done)
    }
}

/// Processor time between the two, in microseconds for each of what was done.
pub fn cost_of_each(server: Option<(Usage, Usage)>, done: u64) -> Option<f64> {
    let (before, after) = server?;
    let spent = after.cpu_centis.saturating_sub(before.cpu_centis);
    (done > 0).then(|| rate(spent * 10_000, float(done)))
}

pub fn rate(count: u64, seconds: f64) -> f64 {
    float(count) / seconds
}

/// A latency in milliseconds.
pub fn millis(times: &Times, quantile: f64) -> f64 {
    float(times.value_at_quantile(quantile)) / 1_000.0
}

#[expect(
    clippy::cast_precision_loss,
    reason = "counts and microseconds of one run are far below 2^52"
)]
pub fn float(count: u64) -> f64 {
    count as f64
}
