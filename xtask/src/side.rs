//! What is checked in workspaces of its own, because its dependencies are nothing that the servers are built from: the
//! agreement of policies with other implementations, and the trace viewer of `portcullis dev`.
//!
//! Building them takes minutes, and their sources rarely change. `cargo xtask side` runs the checks and records a digest of the
//! sources with which each passed, in a committed file. CI repeats a check only if the digest differs.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use crate::viewer;
use crate::workspace::{Workspace, answer, run as run_command, say};

const AGREEMENT: &str = "tests/agreement/Cargo.toml";
/// What passed: a line for each check, its name and the digest of its sources.
const PASSED: &str = "xtask/side.txt";
/// Sources on which all checks depend.
const COMMON: [&str; 3] = ["Cargo.toml", "rust-toolchain.toml", "xtask/src/side.rs"];

/// A check with the folders and files that it depends on.
struct Check {
    name: &'static str,
    sources: &'static [&'static str],
}

const POLICIES: Check = Check {
    name: "agreement",
    sources: &[
        "tests/agreement",
        "plugins/sdk",
        "plugins/standard/json-schema",
        "wit",
    ],
};

const VIEWER: Check = Check {
    name: "trace-viewer",
    sources: &[
        "cli/trace-viewer",
        "cli/src/dev.rs",
        "cli/src/dev",
        "hop/telemetry",
        "tests/browser",
        "xtask/src/viewer.rs",
    ],
};

/// Checks all of it, and notes that it passed.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    test_agreement(workspace)?;
    note(workspace, &POLICIES)?;
    viewer::lint(workspace)?;
    crate::ui::browser_with_viewer(workspace)?;
    note(workspace, &VIEWER)
}

/// Checks the format of what is here.
pub(crate) fn format(workspace: &Workspace) -> Result<()> {
    for manifest in [AGREEMENT, viewer::MANIFEST] {
        let arguments = ["fmt", "--all", "--manifest-path", manifest, "--check"];
        run_command(&mut workspace.cargo(arguments))?;
    }
    Ok(())
}

/// Policies beside other implementations, unless that passed before with the same sources.
pub(crate) fn agreement(workspace: &Workspace) -> Result<()> {
    if has_passed(workspace, &POLICIES) {
        return Ok(());
    }
    test_agreement(workspace)
}

/// Whether the lints of the viewer and its test in a browser passed before with the same sources.
pub(crate) fn viewer_has_passed(workspace: &Workspace) -> bool {
    has_passed(workspace, &VIEWER)
}

fn test_agreement(workspace: &Workspace) -> Result<()> {
    let mut test = workspace.cargo(["test", "--locked", "--manifest-path", AGREEMENT]);
    run_command(
        test.arg("--target-dir")
            .arg(workspace.target.join("agreement")),
    )
}

fn has_passed(workspace: &Workspace, check: &Check) -> bool {
    let passed = passed(workspace);
    let digest = digest(workspace, check);
    let is_same = digest.is_some() && passed.get(check.name) == digest.as_ref();
    if is_same {
        say(format!(
            "{}: passed before with the same sources",
            check.name
        ));
    } else {
        say(format!(
            "{}: its sources have changed; `cargo xtask side` notes in {PASSED} that it passes",
            check.name
        ));
    }
    is_same
}

fn note(workspace: &Workspace, check: &Check) -> Result<()> {
    let digest = digest(workspace, check).with_context(|| {
        format!(
            "{} passed, which cannot be noted: commit its sources, and run this again",
            check.name
        )
    })?;
    let mut passed = passed(workspace);
    passed.insert(check.name.to_owned(), digest);
    let lines = passed
        .iter()
        .map(|(name, digest)| format!("{name} {digest}\n"));
    let path = file(workspace);
    fs::write(&path, lines.collect::<String>()).with_context(|| path.display().to_string())
}

fn passed(workspace: &Workspace) -> BTreeMap<String, String> {
    let text = fs::read_to_string(file(workspace)).unwrap_or_default();
    let lines = text.lines().filter_map(|line| line.split_once(' '));
    lines
        .map(|(name, digest)| (name.to_owned(), digest.to_owned()))
        .collect()
}

fn file(workspace: &Workspace) -> PathBuf {
    workspace.root.join(PASSED)
}

/// The digest of the sources of a check as git has them. Absent where there are others in the work tree, or no git.
fn digest(workspace: &Workspace, check: &Check) -> Option<String> {
    let root = workspace.root.to_string_lossy();
    let git = |arguments: &[&str]| {
        let sources = COMMON.iter().chain(check.sources);
        let all = ["-C", &root].into_iter().chain(arguments.iter().copied());
        let all: Vec<&str> = all.chain(["--"]).chain(sources.copied()).collect();
        answer("git", &all)
    };
    if !git(&["status", "--porcelain"])?.is_empty() {
        return None;
    }
    let listed = git(&["ls-files", "--stage"])?;
    let mut hash = Command::new("git")
        .args(["hash-object", "--stdin"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .ok()?;
    hash.stdin.take()?.write_all(listed.as_bytes()).ok()?;
    let output = hash.wait_with_output().ok()?;
    Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
