//! What comes from the registry of Node.js, pinned by a lock file.

use std::path::Path;
use std::process::Command;

use anyhow::Result;

use crate::workspace::run;

/// Installs what the lock file of a folder names, and nothing else.
pub(crate) fn install(folder: &Path) -> Result<()> {
    run(in_folder(folder).args(["ci", "--no-audit", "--no-fund"]))
}

/// `npm` in a folder.
pub(crate) fn in_folder(folder: &Path) -> Command {
    let mut command = Command::new("npm");
    command.current_dir(folder);
    command
}
