//! What makes a build's bytes the same on every machine: paths of this one do not get into them.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::workspace::Workspace;

/// Has a cargo command compile without paths of this machine in what it makes.
///
/// Flags in `RUSTFLAGS` would do the same and be in the names of folders that build scripts write to, which get into
/// what is made: so a wrapper adds them, of which cargo knows nothing.
pub(crate) fn without_paths(command: &mut Command, workspace: &Workspace) -> Result<()> {
    let places = places(workspace)?;
    let flags = |flag: &str| {
        let each = places
            .iter()
            .map(|(from, to)| format!("{flag}={}={to}", from.display()));
        each.collect::<Vec<_>>()
    };
    let wrapper = workspace.target.join("rustc-without-paths");
    let quoted = flags("--remap-path-prefix");
    let quoted = quoted
        .iter()
        .map(|flag| format!("'{}'", flag.replace('\'', r"'\''")));
    let quoted = quoted.collect::<Vec<_>>().join(" ");
    place(&wrapper, &format!("#!/bin/sh\nexec \"$@\" {quoted}\n"))
        .with_context(|| format!("{} cannot be written", wrapper.display()))?;
    command
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env("RUSTC_WRAPPER", wrapper)
        .env("CFLAGS", flags("-ffile-prefix-map").join(" "));
    Ok(())
}

/// The folders whose names differ between machines, and what stands for them. Of those that fit a path the last counts.
fn places(workspace: &Workspace) -> Result<Vec<(PathBuf, &'static str)>> {
    let mut places = vec![(workspace.root.clone(), "/portcullis")];
    places.push((workspace.target.clone(), "/target"));
    // A registry's folder is called after its address, which may be that of a mirror.
    let sources = cargo_home()?.join("registry/src");
    let found =
        fs::read_dir(&sources).with_context(|| format!("{} cannot be read", sources.display()))?;
    for registry in found {
        places.push((registry?.path(), "/crates"));
    }
    Ok(places)
}

fn cargo_home() -> Result<PathBuf> {
    let set = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let usual = || std::env::var_os("HOME").map(|home| Path::new(&home).join(".cargo"));
    set.or_else(usual)
        .context("neither CARGO_HOME nor HOME is set, so it is not known where crates lie")
}

/// Writes a program, unless it is there already: another build may be running it.
fn place(path: &Path, text: &str) -> std::io::Result<()> {
    if fs::read_to_string(path).is_ok_and(|present| present == text) {
        return Ok(());
    }
    let new = path.with_extension("new");
    fs::write(&new, text)?;
    fs::set_permissions(&new, Permissions::from_mode(0o755))?;
    fs::rename(&new, path)
}
