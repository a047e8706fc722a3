//! `cargo xtask test`: everything up to date, then every test there is.

use anyhow::Result;

use crate::guests;
use crate::workspace::{Workspace, run as run_command};

pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    guests::build(workspace)?;
    // The tests that start the servers use the binaries that lie in the target folder.
    run_command(&mut workspace.cargo(["build", "--locked", "--workspace", "--bins", "--tests"]))?;
    run_command(&mut workspace.cargo(["test", "--locked", "--workspace"]))
}
