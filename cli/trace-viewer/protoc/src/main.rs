//! `protoc`, as a crate brings it along: the build of the trace viewer needs one, and a machine may have none.
#![forbid(unsafe_code)]

use std::os::unix::process::CommandExt;
use std::process::Command;

use anyhow::{Context, Result};

fn main() -> Result<()> {
    let protoc = protoc_bin_vendored::protoc_bin_path().context(
        "no protoc is brought along for this kind of machine; install one, and name it in PROTOC",
    )?;
    let error = Command::new(&protoc)
        .args(std::env::args_os().skip(1))
        .exec();
    Err(error).with_context(|| format!("{} cannot be started", protoc.display()))
}
