//! What a process uses, where the system tells (Linux).

/// Memory and processor time of a process.
#[derive(Debug, Clone, Copy)]
pub struct Usage {
    /// Resident memory, in KiB.
    pub resident_kib: u64,
    /// User and system time, in hundredths of a second.
    pub cpu_centis: u64,
}

/// `None` when there is no such process, or the system does not tell.
pub fn usage(pid: u32) -> Option<Usage> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    Some(Usage {
        resident_kib: resident(&status)?,
        cpu_centis: cpu(&stat)?,
    })
}

fn resident(status: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

/// Fields 14 and 15, in ticks, of which the kernel shows a hundred a second. The second field, in
/// parentheses, may have spaces.
fn cpu(stat: &str) -> Option<u64> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut ticks = rest.split_whitespace().skip(11);
    let user: u64 = ticks.next()?.parse().ok()?;
    let system: u64 = ticks.next()?.parse().ok()?;
    Some(user + system)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_linux_tells() {
        assert_eq!(
            resident("Name:\tx\nVmRSS:\t   1234 kB\nVmData:\t9 kB\n"),
            Some(1_234)
        );
        let stat = "7 (a (b) c) S 1 7 7 0 -1 4194560 1 2 3 4 250 50 0 0 20 0 4 0 9 1 1";
        assert_eq!(cpu(stat), Some(300));
    }
}
