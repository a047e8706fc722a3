//! `cargo xtask lint`: what every change must pass before its tests count.

use anyhow::Result;

use crate::viewer;
use crate::workspace::{AGREEMENT, Workspace, run as run_command};

pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    run_command(&mut workspace.cargo(["fmt", "--all", "--check"]))?;
    let agreement = ["fmt", "--manifest-path", AGREEMENT, "--check"];
    run_command(&mut workspace.cargo(agreement))?;
    run_command(&mut workspace.cargo([
        "clippy",
        "--locked",
        "--workspace",
        "--all-targets",
        "--",
        "-D",
        "warnings",
    ]))?;
    viewer::lint(workspace)
}
