//! One line on standard error that says how far a step is: rewritten in a terminal, else written anew
//! every few seconds.

use std::cell::Cell;
use std::io::{IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

const TERMINAL: Duration = Duration::from_millis(200);
const LOG: Duration = Duration::from_secs(5);

pub struct Progress {
    what: String,
    terminal: bool,
    begun: Instant,
    told: Cell<Instant>,
    steps: Cell<usize>,
}

impl Progress {
    pub fn new(what: &str) -> Self {
        let now = Instant::now();
        Self {
            what: what.to_owned(),
            terminal: std::io::stderr().is_terminal(),
            begun: now,
            told: Cell::new(now),
            steps: Cell::new(0),
        }
    }

    /// One of `all` is done.
    pub fn step(&self, all: usize) {
        let steps = self.steps.get() + 1;
        self.steps.set(steps);
        self.tell(|| format!("{steps} of {all}"));
    }

    /// Says how it is, unless it was said just now.
    pub fn tell(&self, how: impl FnOnce() -> String) {
        let pause = if self.terminal { TERMINAL } else { LOG };
        if self.told.get().elapsed() >= pause {
            self.told.set(Instant::now());
            self.line(&how(), false);
        }
    }

    /// Says how it has ended.
    pub fn done(&self, how: &str) {
        let seconds = self.begun.elapsed().as_secs_f64();
        self.line(&format!("{how} in {seconds:.1} s"), true);
    }

    fn line(&self, how: &str, last: bool) {
        let mut out = std::io::stderr().lock();
        let what = &self.what;
        // progress that cannot be shown is no reason to end
        let _ = if !self.terminal {
            writeln!(out, "{what}: {how}")
        } else if last {
            writeln!(out, "\r\x1b[2K{what}: {how}")
        } else {
            write!(out, "\r\x1b[2K{what}: {how}").and_then(|()| out.flush())
        };
    }
}
