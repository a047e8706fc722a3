//! `cargo xtask clients`: programs that others made, against the real servers.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::workspace::{Workspace, run as run_command};
use crate::{guests, npm, toolchain};

/// Where they are.
const FOLDER: &str = "tests/clients";
/// The one that is written in JavaScript.
const NODE_FOLDER: &str = "tus-js";
/// What they need from the Python registry, pinned.
const REQUIREMENTS: &str = "requirements.txt";

pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    toolchain::node()?;
    guests::build(workspace)?;
    workspace.build(&["--bins"])?;
    let folder = workspace.root.join(FOLDER);
    let python = workspace.target.join("clients");
    install(&python, &folder.join(REQUIREMENTS))?;
    npm::install(&folder.join(NODE_FOLDER))?;
    let mut pytest = Command::new(python.join("bin/python"));
    pytest
        .current_dir(&folder)
        .args(["-m", "pytest", "-q", "-p", "no:cacheprovider"])
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("PORTCULLIS_BIN_DIR", workspace.target.join("debug"));
    run_command(&mut pytest)
}

/// A Python of its own with what is required, made anew when that changes.
fn install(python: &Path, requirements: &Path) -> Result<()> {
    let wanted = fs::read_to_string(requirements)
        .with_context(|| format!("{} cannot be read", requirements.display()))?;
    let installed = python.join(REQUIREMENTS);
    if fs::read_to_string(&installed).is_ok_and(|installed| installed == wanted) {
        return Ok(());
    }
    let mut venv = Command::new("python3");
    run_command(venv.args(["-m", "venv", "--clear"]).arg(python))?;
    let mut pip = Command::new(python.join("bin/python"));
    pip.args(["-m", "pip", "install", "--quiet", "--requirement"])
        .arg(requirements);
    run_command(&mut pip)?;
    fs::write(&installed, wanted).with_context(|| installed.display().to_string())
}
