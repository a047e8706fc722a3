//! How long an author waits: a new policy's project from nothing to tested, and how large its component is. Crates
//! have been fetched; everything else is built anew.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result};

use crate::bench::figures::Figure;
use crate::workspace::{Workspace, run, say};

/// What is promised: seconds, and bytes.
const SECONDS: f64 = 60.0;
const BYTES: f64 = 80_000.0;
const NAME: &str = "from-nothing";

pub(crate) fn measure(workspace: &Workspace) -> Result<Vec<Figure>> {
    say("a policy's project from nothing");
    let folder = workspace.target.join("bench-project");
    if folder.exists() {
        fs::remove_dir_all(&folder).with_context(|| folder.display().to_string())?;
    }
    fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    let tool = workspace.release_binary("portcullis");
    let project = folder.join(NAME);
    let policy = |at: &Path, arguments: &[&str]| {
        let mut command = Command::new(&tool);
        command
            .current_dir(at)
            .arg("policy")
            .args(arguments)
            .env("CARGO_TARGET_DIR", folder.join("target"));
        run(&mut command)
    };
    let began = Instant::now();
    policy(&folder, &["new", NAME])?;
    policy(&project, &["build"])?;
    policy(&project, &["test"])?;
    let seconds = began.elapsed().as_secs_f64();
    let component = project.join(format!("{NAME}.wasm"));
    let size = fs::metadata(&component)
        .with_context(|| component.display().to_string())?
        .len();
    #[expect(clippy::cast_precision_loss, reason = "a component is small")]
    let bytes = size as f64;
    fs::remove_dir_all(&folder).with_context(|| folder.display().to_string())?;
    Ok(vec![
        Figure {
            what: "policy new, build and test from nothing, to 60 s".to_owned(),
            measured: format!("{seconds:.1} s"),
            beside: format!("{SECONDS:.0} s"),
            ratio: Some(seconds / SECONDS),
            wanted: "<= 1.00".to_owned(),
        },
        Figure {
            what: "size of that component, to 80 KB".to_owned(),
            measured: format!("{:.1} KB", bytes / 1e3),
            beside: format!("{:.0} KB", BYTES / 1e3),
            ratio: Some(bytes / BYTES),
            wanted: "<= 1.00".to_owned(),
        },
    ])
}
