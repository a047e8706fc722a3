//! `cargo xtask dev`: what this machine needs, everything built, then `portcullis dev` in place of this
//! process.

use std::ffi::OsString;
use std::process::Command;

use anyhow::Result;

use crate::workspace::{Workspace, become_process, say};
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
const FIRST_BUILD: &str = "this is the first build: 5 min 31 s on two idle cores when it was measured, downloads not counted, and 4 GB in the target folder; later ones take seconds";
/// What a build needs on the disk, in bytes.
const BUILD_BYTES: u64 = 6 << 30;

pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> Result<()> {
    toolchain::c_compiler()?;
    let servers = ["portcullis", "portcullis-web", "portcullis-services"];
    if !servers.iter().all(|name| workspace.binary(name).is_file()) {
        toolchain::disk_space(&workspace.root, BUILD_BYTES)?;
        say(FIRST_BUILD);
    }
    guests::build_standard(workspace)?;
    workspace.build(&servers.map(|name| ["--bin", name]).concat())?;
    let follows = !workspace.binary(viewer::PROGRAM).is_file();
    if follows {
        viewer::build_beside(workspace)?;
    } else {
        viewer::build(workspace)?;
    }
    let mut portcullis = Command::new(workspace.binary("portcullis"));
    let storage = workspace.target.join("dev");
    portcullis
        .current_dir(&workspace.root)
        .args(["dev", "--storage"])
        .arg(storage)
        .args(follows.then_some("--viewer-follows"))
        .args(&arguments.arguments);
    become_process(&mut portcullis)
}
