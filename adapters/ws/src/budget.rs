//! How fast one socket may talk.

use std::time::Duration;

use tokio::time::Instant;

/// A bucket of frames and one of bytes, each filled evenly and holding two seconds' worth.
pub struct Budget {
    frames_per_second: f64,
    bytes_per_second: f64,
    frames: f64,
    bytes: f64,
    at: Instant,
}

impl Budget {
    pub fn new(frames_per_second: u32, bytes_per_second: u32, now: Instant) -> Self {
        let (frames_per_second, bytes_per_second) =
            (f64::from(frames_per_second), f64::from(bytes_per_second));
        let (frames, bytes) = (2.0 * frames_per_second, 2.0 * bytes_per_second);
        Self {
            frames_per_second,
            bytes_per_second,
            frames,
            bytes,
            at: now,
        }
    }

    /// Takes one frame of `bytes`; `false` when that is too much.
    pub fn take(&mut self, bytes: usize, now: Instant) -> bool {
        let passed = now
            .saturating_duration_since(self.at)
            .min(Duration::from_secs(2))
            .as_secs_f64();
        self.at = now;
        let refill = |left: f64, rate: f64| (left + passed * rate).min(2.0 * rate);
        self.frames = refill(self.frames, self.frames_per_second) - 1.0;
        self.bytes = refill(self.bytes, self.bytes_per_second)
            - f64::from(u32::try_from(bytes).unwrap_or(u32::MAX));
        self.frames >= 0.0 && self.bytes >= 0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_seconds_at_once_then_the_rate() {
        let start = Instant::now();
        let mut budget = Budget::new(10, 1_000, start);
        assert!((0..20).all(|_| budget.take(10, start)));
        assert!(!budget.take(10, start));
        let later = start + Duration::from_secs(1);
        let mut budget = Budget::new(10, 1_000, start);
        assert!(budget.take(2_000, start));
        assert!(!budget.take(1, start));
        assert!(budget.take(900, later));
    }
}
