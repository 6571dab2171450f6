//! What must not stand in a file.

use std::io::ErrorKind;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use super::Violation;

/// Longest Rust file, in lines: what is longer does more than one thing.
const LONGEST: usize = 500;

/// Folders of build machines. Each text is put together here, so that it does not find itself.
const MACHINE_PATHS: [&str; 2] = [concat!("/wo", "rk/"), concat!("/ro", "ot/")];

/// Where packages come from is for each machine's configuration to say.
const REGISTRIES: [&str; 4] = [
    concat!("crates", ".io"),
    concat!("registry.", "npmjs.org"),
    concat!("pypi", ".org"),
    concat!("deb.", "debian.org"),
];

/// Rust that is not finished, or not run.
const UNFINISHED: [&str; 4] = [
    concat!("todo", "!"),
    concat!("unimplemented", "!"),
    concat!("dbg", "!"),
    concat!("#[", "ignore"),
];

/// Folders that hold nothing of ours, for a copy without its git history.
const SKIPPED: [&str; 3] = [".git", "data", "node_modules"];

/// The repository's files, relative to its root.
pub fn list(root: &Path) -> Result<Vec<String>> {
    let listed = Command::new("git")
        .args(["ls-files", "-z"])
        .current_dir(root)
        .output();
    match listed {
        Ok(listed) if listed.status.success() => Ok(String::from_utf8_lossy(&listed.stdout)
            .split_terminator('\0')
            .map(str::to_owned)
            .collect()),
        // a copy of the sources, or a checkout of somebody else's
        _ => {
            let mut files = Vec::new();
            walk(root, "", &mut files)?;
            Ok(files)
        }
    }
}

fn walk(folder: &Path, prefix: &str, files: &mut Vec<String>) -> Result<()> {
    let context = || folder.to_string_lossy().into_owned();
    for entry in std::fs::read_dir(folder).with_context(context)? {
        let entry = entry.with_context(context)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let kind = entry.file_type().with_context(context)?;
        if kind.is_dir() {
            // Cargo marks its target directory, wherever it is
            let built = entry.path().join("CACHEDIR.TAG").exists();
            if !built && !SKIPPED.contains(&name.as_str()) {
                walk(&entry.path(), &format!("{prefix}{name}/"), files)?;
            }
        } else if kind.is_file() {
            files.push(format!("{prefix}{name}"));
        }
    }
    Ok(())
}

/// `None` when it is gone, is no file, or is no text.
pub fn read(path: &Path) -> Result<Option<String>> {
    if path.is_dir() {
        return Ok(None);
    }
    match std::fs::read(path) {
        Ok(bytes) => Ok(String::from_utf8(bytes).ok()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| path.to_string_lossy().into_owned()),
    }
}

pub fn check(file: &str, text: &str) -> Vec<Violation> {
    let mut found = Vec::new();
    // Cargo writes its registry into it
    if file != "Cargo.lock" {
        found.extend(present(file, text, &MACHINE_PATHS, "a machine's path"));
        found.extend(present(file, text, &REGISTRIES, "a registry's host"));
    }
    if Path::new(file).extension().is_some_and(|ext| ext == "rs") {
        found.extend(present(file, text, &UNFINISHED, "unfinished"));
        let lines = text.lines().count();
        if lines > LONGEST {
            let what = format!("{lines} lines, more than {LONGEST}");
            found.push(Violation::new(file, what));
        }
    }
    found
}

/// One violation for each line and text.
fn present<'a>(
    file: &'a str,
    text: &'a str,
    patterns: &'a [&str],
    what: &'a str,
) -> impl Iterator<Item = Violation> + 'a {
    patterns.iter().flat_map(move |pattern| {
        text.lines()
            .enumerate()
            .filter(|(_, line)| contains_word(line, pattern))
            .map(move |(at, _)| Violation::new(file, format!("line {}: {what}: {pattern}", at + 1)))
    })
}

/// Whether the pattern stands in the line and is not a part of a longer word.
fn contains_word(line: &str, pattern: &str) -> bool {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(pattern).any(|(at, _)| {
        let starts = !pattern.starts_with(is_word) || !line[..at].ends_with(is_word);
        let ends = !pattern.ends_with(is_word) || !line[at + pattern.len()..].starts_with(is_word);
        starts && ends
    })
}

/// A package that does not take the workspace's lints has none.
pub fn check_manifest(file: &str, text: &str) -> Option<Violation> {
    let manifest: toml::Table = match toml::from_str(text) {
        Ok(manifest) => manifest,
        Err(error) => return Some(Violation::new(file, error.message())),
    };
    let inherits = manifest
        .get("lints")
        .and_then(|lints| lints.get("workspace"))
        .and_then(toml::Value::as_bool);
    (inherits != Some(true)).then(|| Violation::new(file, "`[lints] workspace = true` is missing"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(file: &str, text: &str) -> Vec<String> {
        check(file, text).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_machines_path_is_found_in_any_file() {
        for path in MACHINE_PATHS {
            let text = format!("fine\ncd {path}main\n");
            assert_eq!(
                found("docs/a.md", &text),
                [format!("docs/a.md: line 2: a machine's path: {path}")]
            );
        }
    }

    #[test]
    fn a_registrys_host_is_found_anywhere_but_in_the_lock_file() {
        for host in REGISTRIES {
            let text = format!("see https://{host}/x");
            assert_eq!(
                found("Dockerfile", &text),
                [format!("Dockerfile: line 1: a registry's host: {host}")]
            );
            assert_eq!(found("Cargo.lock", &text), [""; 0]);
        }
    }

    #[test]
    fn unfinished_rust_is_found_in_rust() {
        for mark in UNFINISHED {
            let text = format!("    {mark}(\"x\")]");
            assert_eq!(
                found("src/a.rs", &text),
                [format!("src/a.rs: line 1: unfinished: {mark}")]
            );
            assert_eq!(found("docs/a.md", &text), [""; 0]);
            assert_eq!(found("src/a.rs", &format!("my_{mark}d")).len(), 0);
        }
    }

    #[test]
    fn a_rust_file_ends_somewhere() {
        let long = "\n".repeat(LONGEST);
        assert_eq!(found("a.rs", &long), [""; 0]);
        let longer = long + "\n";
        assert_eq!(found("a.rs", &longer), ["a.rs: 501 lines, more than 500"]);
        assert_eq!(found("a.md", &longer), [""; 0]);
    }

    #[test]
    fn lints_are_inherited() {
        let missing = Some(Violation::new(
            "a/Cargo.toml",
            "`[lints] workspace = true` is missing",
        ));
        let check = |text| check_manifest("a/Cargo.toml", text);
        assert_eq!(check("[lints]\nworkspace = true\n"), None);
        assert_eq!(check("[package]\nname = 'a'\n"), missing);
        assert_eq!(check("[lints]\nworkspace = false\n"), missing);
        assert_eq!(check("[lints.rust]\nunsafe_code = 'allow'\n"), missing);
        assert!(check("[lints").is_some());
    }

    #[test]
    fn a_copy_without_git_is_walked() {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut files = Vec::new();
        walk(here, "", &mut files).unwrap();
        assert!(files.contains(&"src/tidy/files.rs".to_owned()));
        assert!(files.contains(&"Cargo.toml".to_owned()));
    }
}
