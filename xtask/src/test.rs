//! `cargo xtask test`: everything up to date, then every test there is.

use anyhow::Result;

use crate::guests;
use crate::workspace::{AGREEMENT, Workspace, run as run_command};

pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    guests::build(workspace)?;
    // The tests that start the servers use the binaries that lie in the target folder.
    run_command(&mut workspace.cargo(["build", "--locked", "--workspace", "--bins", "--tests"]))?;
    run_command(&mut workspace.cargo(["test", "--locked", "--workspace"]))?;
    agreement(workspace)
}

/// What needs other implementations, in a workspace of its own.
fn agreement(workspace: &Workspace) -> Result<()> {
    let mut test = workspace.cargo(["test", "--locked", "--manifest-path", AGREEMENT]);
    run_command(
        test.arg("--target-dir")
            .arg(workspace.target.join("agreement")),
    )
}
