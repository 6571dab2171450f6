//! Processes of servers: whether they live, how they start and end.

use std::fs::{self, File};
use std::net::TcpListener;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use super::state::Owner;

/// How often something is looked at that will change soon.
const LOOK: Duration = Duration::from_millis(50);
/// How long a server may take to start.
const START: Duration = Duration::from_secs(90);
/// How long it may take to end before it is killed.
const END: Duration = Duration::from_secs(10);

/// Whether this process lives and has `word` in its command line: numbers of processes come again.
pub fn is(pid: u32, word: &str) -> bool {
    if Path::new("/proc/self/cmdline").exists() {
        // that of a process which has ended, and was not yet waited for, is empty
        return fs::read(format!("/proc/{pid}/cmdline"))
            .is_ok_and(|line| String::from_utf8_lossy(&line).contains(word));
    }
    let shown = Command::new("ps")
        .args(["-o", "command=", "-p", &pid.to_string()])
        .output();
    shown.is_ok_and(|shown| String::from_utf8_lossy(&shown.stdout).contains(word))
}

/// Ends the process if it is the one with `word` in its command line; tells whether it was.
pub fn stop(pid: u32, word: &str, signal: &str) -> Result<bool> {
    if !is(pid, word) {
        return Ok(false);
    }
    for signal in [signal, "KILL"] {
        send(pid, signal)?;
        let begun = Instant::now();
        while begun.elapsed() < END {
            if !is(pid, word) {
                return Ok(true);
            }
            sleep(LOOK);
        }
    }
    bail!("process {pid} does not end")
}

fn send(pid: u32, signal: &str) -> Result<()> {
    // it may have ended by itself, which is seen by looking for it
    Command::new("sh")
        .args(["-c", &format!("kill -{signal} {pid}")])
        .stderr(Stdio::null())
        .status()
        .context("sh")?;
    Ok(())
}

/// A port of loopback that nobody has at the moment.
pub fn free_port() -> Result<u16> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).context("a free port")?;
    Ok(listener.local_addr().context("a free port")?.port())
}

/// Starts a server that writes to `log`. One that is shared outlives the terminal's Ctrl-C; one of a run
/// ends by it as the run does.
pub fn spawn(mut command: Command, log: &Path, owner: Owner) -> Result<Child> {
    let program = program(&command);
    let output = File::create(log).with_context(|| log.display().to_string())?;
    let errors = output.try_clone().context("the server's log")?;
    if owner == Owner::Shared {
        command.process_group(0);
    }
    command
        .stdin(Stdio::null())
        .stdout(output)
        .stderr(errors)
        .spawn()
        .with_context(|| format!("cannot start {program}"))
}

/// Waits until `ready` is true of a process that was just started; it is killed when that fails.
pub fn wait(child: &mut Child, log: &Path, mut ready: impl FnMut() -> Result<bool>) -> Result<()> {
    let begun = Instant::now();
    let failed = loop {
        if let Some(status) = child.try_wait().context("the server")? {
            bail!("it ended instead of starting ({status}): {}", last(log));
        }
        match ready() {
            Ok(true) => return Ok(()),
            Ok(false) if begun.elapsed() < START => sleep(LOOK),
            Ok(false) => {
                let seconds = START.as_secs();
                break anyhow::anyhow!("it is not ready after {seconds} s: {}", last(log));
            }
            Err(error) => break error,
        }
    };
    child.kill().context("the server")?;
    child.wait().context("the server")?;
    Err(failed)
}

/// Runs a command to its end; when it fails, its last words are the error.
pub fn run(command: &mut Command) -> Result<String> {
    let program = program(command);
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| program.clone())?;
    ensure!(
        output.status.success(),
        "{program} failed ({}): {}",
        output.status,
        last_line(&String::from_utf8_lossy(&output.stderr))
    );
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Whether a command succeeds within the time.
pub fn succeeds(command: &mut Command, within: Duration) -> bool {
    let quiet = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let Ok(mut child) = quiet.spawn() else {
        return false;
    };
    let begun = Instant::now();
    while begun.elapsed() < within {
        match child.try_wait() {
            Ok(Some(status)) => return status.success(),
            Ok(None) => sleep(LOOK),
            Err(_) => break,
        }
    }
    // it may have ended this very moment
    let _ = child.kill();
    let _ = child.wait();
    false
}

/// Whether we are root, which some servers refuse to be.
pub fn is_root() -> Result<bool> {
    Ok(run(Command::new("id").arg("-u"))? == "0")
}

fn program(command: &Command) -> String {
    command.get_program().to_string_lossy().into_owned()
}

fn last(log: &Path) -> String {
    last_line(&fs::read_to_string(log).unwrap_or_default())
}

fn last_line(text: &str) -> String {
    let line = text.lines().rev().find(|line| !line.trim().is_empty());
    line.unwrap_or("it said nothing").trim().to_owned()
}

/// Waits until a child of a test has its command line, which it gets a moment after it was started.
#[cfg(test)]
pub fn until_it_is(child: &mut Child, word: &str) {
    let begun = Instant::now();
    while !is(child.id(), word) {
        if begun.elapsed() > END {
            child.kill().unwrap();
            panic!("the child has not become {word}");
        }
        sleep(LOOK);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn last_words_are_the_error() {
        assert_eq!(run(&mut sh("echo 4242")).unwrap(), "4242");
        let error = run(&mut sh("echo one >&2; echo two >&2; exit 3")).unwrap_err();
        let error = error.to_string();
        assert!(error.starts_with("sh failed ("), "{error}");
        assert!(error.ends_with("): two"), "{error}");
    }

    #[test]
    fn patience_has_an_end() {
        let long = Duration::from_mins(1);
        assert!(succeeds(&mut sh("exit 0"), long));
        assert!(!succeeds(&mut sh("exit 1"), long));
        assert!(!succeeds(&mut sh("sleep 60"), LOOK));
        assert!(!succeeds(&mut Command::new("no-such-program"), long));
    }

    #[test]
    fn a_server_that_ends_at_once_is_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let mut child = spawn(sh("echo no room; exit 1"), &log, Owner::Shared).unwrap();
        let error = wait(&mut child, &log, || Ok(false)).unwrap_err();
        assert!(error.to_string().ends_with(": no room"), "{error}");
    }

    #[test]
    fn who_does_not_listen_is_killed() {
        let script = "trap '' TERM; while :; do sleep 1; done # unheard";
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let mut child = spawn(sh(script), &log, Owner::this_run()).unwrap();
        let pid = child.id();
        until_it_is(&mut child, "unheard");
        assert!(!stop(pid, "another", "TERM").unwrap());
        assert!(is(pid, "unheard"));
        assert!(stop(pid, "unheard", "KILL").unwrap());
        child.wait().unwrap();
        assert!(!stop(pid, "unheard", "KILL").unwrap());
    }
}
