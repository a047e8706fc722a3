//! Tasks that this program lacks: it is built again with the feature `full`, and does them then.

#[cfg(not(feature = "full"))]
use std::ffi::OsString;
use std::process::Command;

use anyhow::Result;

use crate::workspace::Workspace;
#[cfg(not(feature = "full"))]
use crate::workspace::become_process;

/// What goes to the task as it is.
#[cfg(not(feature = "full"))]
#[derive(clap::Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Arguments {
    /// For the task; `--help` lists them.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<OsString>,
}

/// Has the full program do a task, in place of this process.
#[cfg(not(feature = "full"))]
pub(crate) fn run(workspace: &Workspace, task: &str, arguments: &Arguments) -> Result<()> {
    become_process(command(workspace)?.arg(task).args(&arguments.arguments))
}

/// The full program, built. What it builds is built as here.
pub(crate) fn command(workspace: &Workspace) -> Result<Command> {
    workspace.build(&["--bin", "xtask"])?;
    let mut full = Command::new(workspace.binary("xtask"));
    workspace.lint(&mut full);
    Ok(full)
}
