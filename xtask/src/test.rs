//! `cargo xtask test`: everything up to date, then every test there is.

use anyhow::Result;

use crate::guests;
use crate::workspace::{Workspace, run as run_command};

pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    guests::build(workspace)?;
    run_command(&mut workspace.cargo(["test", "--locked", "--workspace"]))
}
