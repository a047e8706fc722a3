//! `cargo xtask lint`: what every change must pass before its tests count.

use anyhow::Result;

use crate::side;
use crate::workspace::{WHOLE, Workspace, run as run_command};

pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    format(workspace)?;
    let mut clippy = workspace.cargo(["clippy"]);
    clippy.args(WHOLE).arg("--all-targets");
    run_command(clippy.args(["--", "-D", "warnings"]))
}

/// Checks the format of everything.
pub(crate) fn format(workspace: &Workspace) -> Result<()> {
    run_command(&mut workspace.cargo(["fmt", "--all", "--check"]))?;
    side::format(workspace)
}
