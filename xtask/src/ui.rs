//! The front end, and the page in a real browser. What Vite builds is committed, so that building the web
//! host needs no Node.js; this builds it anew, tests it, and says whether what is committed is what was
//! built.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use crate::workspace::{Workspace, run as run_command, say};
use crate::{guests, npm, toolchain, viewer};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Fail when what is committed is not what was built.
    #[arg(long)]
    pub(crate) check: bool,
}

/// Checks, tests and builds the front end.
pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> Result<()> {
    toolchain::node()?;
    let folder = workspace.root.join("host/ui");
    let dist = folder.join("dist");
    let before = files(&dist)?;
    npm::install(&folder)?;
    for task in ["check", "test", "build"] {
        run_command(npm::in_folder(&folder).args(["run", "--silent", task]))?;
    }
    let same = files(&dist)? == before;
    ensure!(
        same || !arguments.check,
        "host/ui/dist is not what its sources build to; commit what `cargo xtask ui` makes of them"
    );
    if !same {
        say("host/ui/dist has changed; commit it with its sources");
    }
    Ok(())
}

/// Tests of the page in a browser, and the one that also needs the trace viewer.
const PAGE_TESTS: [&str; 2] = ["upload.test.mjs", "interrupted.test.mjs"];
const VIEWER_TEST: &str = "traces.test.mjs";

/// Drives the page in a browser, against the pair that `portcullis dev` starts.
pub(crate) fn browser(workspace: &Workspace) -> Result<()> {
    drive(workspace, &PAGE_TESTS)
}

/// The same, and the way from a receipt to its trace.
pub(crate) fn browser_with_viewer(workspace: &Workspace) -> Result<()> {
    viewer::build(workspace)?;
    drive(workspace, &[&PAGE_TESTS[..], &[VIEWER_TEST]].concat())
}

fn drive(workspace: &Workspace, tests: &[&str]) -> Result<()> {
    toolchain::node()?;
    let chromium = toolchain::chromium()?;
    guests::build(workspace)?;
    workspace.build(&["--bins"])?;
    let folder = workspace.root.join("tests/browser");
    npm::install(&folder)?;
    run_command(
        npm::in_folder(&folder)
            .args(["run", "--silent", "test", "--"])
            .args(tests)
            .env("CHROMIUM", chromium)
            .env("PORTCULLIS_BIN_DIR", workspace.target.join("debug"))
            .env("PORTCULLIS_GUEST_DIR", workspace.target.join("guests")),
    )
}

/// All files beneath a folder with their contents.
fn files(folder: &Path) -> Result<BTreeMap<PathBuf, Vec<u8>>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        if !folder.is_dir() {
            continue;
        }
        for entry in fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let bytes = fs::read(&path).with_context(|| path.display().to_string())?;
                found.insert(path, bytes);
            }
        }
    }
    Ok(found)
}
