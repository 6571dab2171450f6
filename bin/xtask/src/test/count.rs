//! How many tests of which binary passed, read from what the test runner writes.

use std::collections::{BTreeMap, HashMap};

/// Tests that passed, by binary: `package` for its unit tests, `package::target` for another target.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts(BTreeMap<String, usize>);

impl Counts {
    /// Of one target of a package.
    pub fn of(&self, package: &str, target: &str) -> usize {
        let binary = format!("{package}::{target}");
        self.0.get(&binary).copied().unwrap_or_default()
    }

    /// Of all targets of a package but its library, whose unit tests are about its helpers.
    pub fn of_targets(&self, package: &str) -> usize {
        let prefix = format!("{package}::");
        self.0
            .iter()
            .filter(|(binary, _)| binary.starts_with(&prefix))
            .map(|(_, count)| count)
            .sum()
    }

    fn add(&mut self, binary: &str, passed: usize) {
        *self.0.entry(binary.to_owned()).or_default() += passed;
    }
}

/// Reads a runner's output line by line.
pub trait Reader {
    /// Takes a line without its line break and without colours.
    fn line(&mut self, line: &str);

    /// What was counted.
    fn counts(self: Box<Self>) -> Counts;
}

/// Reads the lines `PASS [ 0.010s] ( 1/26) package::target module::test` of cargo-nextest.
#[derive(Default)]
pub struct Nextest {
    counts: Counts,
    over: bool,
}

impl Reader for Nextest {
    fn line(&mut self, line: &str) {
        let line = line.trim_start();
        // after the summary some tests are named a second time
        self.over |= line.starts_with("Summary [");
        if self.over {
            return;
        }
        let Some((status, rest)) = line.split_once(' ') else {
            return;
        };
        // LEAK: passed, but left a process behind that kept its output open
        if !matches!(status, "PASS" | "LEAK" | "FLAKY") {
            return;
        }
        let Some((_, rest)) = rest.split_once("] ") else {
            return;
        };
        let rest = match rest
            .strip_prefix('(')
            .and_then(|rest| rest.split_once(") "))
        {
            Some((_progress, rest)) => rest,
            None => rest,
        };
        if let Some((binary, _test)) = rest.trim_start().split_once(' ') {
            self.counts.add(binary, 1);
        }
    }

    fn counts(self: Box<Self>) -> Counts {
        self.counts
    }
}

/// Reads `Running … (path of an executable)` of `cargo test` and the `test result:` that follows it.
pub struct Libtest {
    /// The name of each executable's file, and its binary as in [`Counts`].
    binaries: HashMap<String, String>,
    running: Option<String>,
    counts: Counts,
}

impl Libtest {
    pub fn new(binaries: HashMap<String, String>) -> Self {
        Self {
            binaries,
            running: None,
            counts: Counts::default(),
        }
    }
}

impl Reader for Libtest {
    fn line(&mut self, line: &str) {
        let line = line.trim_start();
        if let Some(what) = line.strip_prefix("Running ") {
            self.running = what
                .strip_suffix(')')
                .and_then(|what| what.rsplit_once(['/', '\\']))
                .and_then(|(_, file)| self.binaries.get(file))
                .cloned();
        } else if line.starts_with("Doc-tests ") {
            self.running = None;
        } else if let Some(result) = line.strip_prefix("test result: ok. ")
            && let Some((passed, _)) = result.split_once(" passed")
            && let Ok(passed) = passed.parse()
            && let Some(binary) = &self.running
        {
            self.counts.add(binary, passed);
        }
    }

    fn counts(self: Box<Self>) -> Counts {
        self.counts
    }
}

/// A line without the escape sequences that colour it (ECMA-48 "CSI … final byte").
pub fn without_colours(line: &str) -> String {
    let mut plain = String::with_capacity(line.len());
    let mut rest = line;
    while let Some((before, after)) = rest.split_once("\u{1b}[") {
        plain.push_str(before);
        rest = after.trim_start_matches(|c: char| ('\u{20}'..='\u{3f}').contains(&c));
        let mut chars = rest.chars();
        chars.next();
        rest = chars.as_str();
    }
    plain + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(mut reader: Box<dyn Reader>, text: &str) -> Counts {
        for line in text.lines() {
            reader.line(&without_colours(line));
        }
        reader.counts()
    }

    #[test]
    fn nextest_names_the_binary_of_each_test() {
        let text = "\
    Starting 7 tests across 4 binaries
        PASS [   0.009s] ( 1/7) connexus-sqlite rows::tests::a_bad_row
        PASS [   0.109s] ( 2/7) connexus-sqlite::contract user::unique_names
\u{1b}[32;1m        PASS\u{1b}[0m [   0.009s] ( 3/7) \u{1b}[35;1mconnexus-sqlite::contract\u{1b}[0m user::search
        SLOW [> 60.000s] ( ---) connexus-e2e::e2e sends
        PASS [  61.009s] ( 4/7) connexus-e2e::e2e sends
        LEAK [   0.009s] ( 5/7) connexus-e2e::e2e receives
        PASS [   0.009s] connexus-e2e::other is_found
        FAIL [   0.109s] ( 7/7) connexus-e2e::e2e breaks
        SKIP [         ] ( 8/7) connexus-e2e::e2e skipped
────────────
     Summary [   0.365s] 7 tests run: 6 passed, 1 failed, 0 skipped
        PASS [   0.109s] ( 2/7) connexus-sqlite::contract user::unique_names
";
        let counts = read(Box::<Nextest>::default(), text);
        assert_eq!(counts.of("connexus-sqlite", "contract"), 2);
        assert_eq!(counts.of_targets("connexus-e2e"), 3);
        assert_eq!(counts.of("connexus-sqlite", "other"), 0);
    }

    #[test]
    fn libtest_gives_a_sum_for_each_executable() {
        let text = "\
     Running unittests src/lib.rs (target/debug/deps/connexus_e2e-01)
test result: ok. 5 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s
     Running tests/e2e/main.rs (target/debug/deps/e2e-02)
test result: ok. 40 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s
     Running tests/contract.rs (target/debug/deps/contract-03)
test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s
     Running tests/contract.rs (target/debug/deps/contract-04)
test result: FAILED. 1 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s
   Doc-tests connexus_domain
test result: ok. 9 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s
";
        let binaries = [
            ("connexus_e2e-01", "connexus-e2e"),
            ("e2e-02", "connexus-e2e::e2e"),
            ("contract-03", "connexus-sqlite::contract"),
            ("contract-04", "connexus-postgres::contract"),
        ]
        .map(|(file, binary)| (file.to_owned(), binary.to_owned()));
        let counts = read(Box::new(Libtest::new(binaries.into())), text);
        assert_eq!(counts.of("connexus-sqlite", "contract"), 12);
        assert_eq!(counts.of("connexus-postgres", "contract"), 0);
        assert_eq!(counts.of_targets("connexus-e2e"), 40);
    }
}
