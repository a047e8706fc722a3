//! `cargo xtask test`: everything up to date, then every test there is.

use anyhow::Result;

use crate::workspace::{Workspace, run as run_command};

pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    run_command(&mut workspace.cargo(["test", "--locked", "--workspace"]))
}
