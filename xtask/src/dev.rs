//! `cargo xtask dev`: what this machine needs, everything built, then `portcullis dev` in place of this
//! process.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::Command;

use anyhow::{Context, Result};

use crate::workspace::{Workspace, run as run_command, say};
use crate::{guests, toolchain, viewer};

/// What goes to `portcullis dev` as it is.
#[derive(clap::Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Arguments {
    /// For `portcullis dev`, such as `--web-port 8000` or `--help`.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<OsString>,
}

/// What a first build takes, as measured on two cores.
const FIRST_BUILD: &str = "this is the first build: it takes about 9 minutes on two cores and 4 GB in the target folder, most of it for the sandbox; later ones take seconds";
/// What a build needs on the disk, in bytes.
const BUILD_BYTES: u64 = 6 << 30;

pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> Result<()> {
    toolchain::c_compiler()?;
    let servers = ["portcullis", "portcullis-web", "portcullis-services"];
    if !servers.iter().all(|name| workspace.binary(name).is_file()) {
        toolchain::disk_space(&workspace.root, BUILD_BYTES)?;
        say(FIRST_BUILD);
    }
    guests::build(workspace)?;
    // The whole workspace: a selection would give dependencies other features, and build the sandbox twice.
    run_command(&mut workspace.cargo(["build", "--locked", "--workspace", "--bins"]))?;
    viewer::build(workspace)?;
    let mut portcullis = Command::new(workspace.binary("portcullis"));
    let storage = workspace.target.join("dev");
    portcullis
        .current_dir(&workspace.root)
        .args(["dev", "--storage"])
        .arg(storage)
        .args(&arguments.arguments);
    become_process(&mut portcullis)
}

/// Goes on as another program with the same process id: signals reach it, and its exit status is ours.
fn become_process(command: &mut Command) -> Result<()> {
    let error = command.exec();
    Err(error).with_context(|| format!("{} cannot be started", command.get_program().display()))
}
