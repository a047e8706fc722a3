//! The trace viewer of `portcullis dev`, in a workspace of its own: what brings the Jaeger UI needs `protoc` when it is built, and a
//! machine may have none.

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use crate::workspace::{Workspace, run as run_command, say};

/// Its workspace.
pub(crate) const MANIFEST: &str = "cli/trace-viewer/Cargo.toml";
pub(crate) const PROGRAM: &str = "portcullis-trace-viewer";

/// Builds it, and puts it beside the other programs.
pub(crate) fn build(workspace: &Workspace) -> Result<()> {
    with_protoc(workspace, &["build", "--package", PROGRAM])?;
    let program = workspace.binary(PROGRAM);
    let built = workspace.target.join("trace-viewer/debug").join(PROGRAM);
    replace(&built, &program).with_context(|| format!("{} cannot be written", program.display()))
}

/// Has it built in the background, by a process that outlives this one: everything else can be used meanwhile.
pub(crate) fn build_beside(workspace: &Workspace) -> Result<()> {
    let path = workspace.target.join("trace-viewer.log");
    let log =
        File::create(&path).with_context(|| format!("{} cannot be written", path.display()))?;
    let own = std::env::current_exe().context("this program does not know its own path")?;
    Command::new(own)
        .arg("viewer")
        .current_dir(&workspace.root)
        // A Ctrl-C ends the servers, and not what will be there for the next start.
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()
        .context("the trace viewer cannot be built")?;
    say(format!(
        "the trace viewer is built in the background; what it says is in {}",
        path.display()
    ));
    Ok(())
}

/// Checks its lints.
pub(crate) fn lint(workspace: &Workspace) -> Result<()> {
    let clippy = ["clippy", "--workspace", "--all-targets"];
    with_protoc(
        workspace,
        &[&clippy[..], &["--", "-D", "warnings"]].concat(),
    )
}

/// A command of cargo in its workspace, once the `protoc` that a crate brings along is there.
fn with_protoc(workspace: &Workspace, arguments: &[&str]) -> Result<()> {
    let target = workspace.target.join("trace-viewer");
    let cargo = |arguments: &[&str]| {
        let (command, more) = arguments.split_at(1);
        let mut cargo = workspace.cargo(command);
        cargo
            .args(["--locked", "--manifest-path", MANIFEST, "--target-dir"])
            .arg(&target)
            .args(more);
        cargo
    };
    run_command(&mut cargo(&["build", "--package", "protoc"]))?;
    run_command(cargo(arguments).env("PROTOC", target.join("debug/protoc")))
}

/// Puts a copy of a program in the place of another, which may be running.
fn replace(from: &Path, to: &Path) -> std::io::Result<()> {
    let new = to.with_extension("new");
    fs::copy(from, &new)?;
    fs::rename(new, to)
}
