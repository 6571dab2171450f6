//! `cargo xtask tidy`: the rules that no compiler and no linter looks at.

mod files;
mod layers;

use std::fmt;

use anyhow::{Context, Result, ensure};

use crate::workspace::Workspace;

/// A broken rule.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Violation {
    /// Relative to the root.
    file: String,
    what: String,
}

impl Violation {
    fn new(file: impl Into<String>, what: impl Into<String>) -> Self {
        Self {
            file: file.into(),
            what: what.into(),
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.file, self.what)
    }
}

pub fn run() -> Result<()> {
    check(&Workspace::load()?)
}

/// Prints each broken rule on a line; fails when there is one.
pub fn check(workspace: &Workspace) -> Result<()> {
    let mut found = layers::check(workspace);
    for package in &workspace.packages {
        let manifest = &package.manifest_path;
        let text = std::fs::read_to_string(manifest)
            .with_context(|| manifest.to_string_lossy().into_owned())?;
        found.extend(files::check_manifest(&workspace.relative(manifest), &text));
    }
    for file in files::list(&workspace.root)? {
        if let Some(text) = files::read(&workspace.root.join(&file))? {
            found.extend(files::check(&file, &text));
        }
    }
    found.sort();
    for violation in &found {
        println!("{violation}");
    }
    ensure!(found.is_empty(), "tidy: {} broken rules", found.len());
    Ok(())
}
