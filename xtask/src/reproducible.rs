//! What makes a build's bytes the same on every machine: paths of this one do not get into them.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::workspace::Workspace;

/// Has a cargo command compile without paths of this machine in what it makes. Says where that will be.
///
/// Flags in `RUSTFLAGS` would do the same and be in the names of folders that build scripts write to, which get into
/// what is made: so a wrapper adds them, of which cargo knows nothing. What it made lies in a folder of its own, which
/// is emptied when the wrapper changes: cargo would take what another one made for fresh.
pub(crate) fn without_paths(command: &mut Command, workspace: &Workspace) -> Result<PathBuf> {
    let target = workspace.target.join("reproducible");
    let places = places(workspace)?;
    let flags = |flag: &str| {
        let each = places
            .iter()
            .map(|(from, to)| format!("{flag}={}={to}", from.display()));
        each.collect::<Vec<_>>()
    };
    let wrapper = target.join("rustc");
    place(&wrapper, &script(&flags("--remap-path-prefix")))
        .with_context(|| format!("{} cannot be written", wrapper.display()))?;
    command
        .arg("--target-dir")
        .arg(&target)
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        // A build that lints what it compiles would be another one.
        .env_remove("RUSTC_WORKSPACE_WRAPPER")
        .env("RUSTC_WRAPPER", wrapper)
        .env("CFLAGS", flags("-ffile-prefix-map").join(" "));
    Ok(target)
}

/// The wrapper. Macros that make bindings of a WIT keep the name of a folder that they could write to
/// (`DEBUG_OUTPUT_DIR`, from their build scripts), which is in the hash of what uses them. The folder of a package is
/// given relative to the one that the compiler runs in; where macros resolve it all the same, only names of symbols
/// depend on it, which `dist.rs` takes out.
fn script(flags: &[String]) -> String {
    let quoted = flags
        .iter()
        .map(|flag| format!("'{}'", flag.replace('\'', r"'\''")));
    let quoted = quoted.collect::<Vec<_>>().join(" ");
    [
        "#!/bin/sh",
        r#"case "$CARGO_MANIFEST_DIR" in"#,
        r#""$PWD"*) export CARGO_MANIFEST_DIR="/proc/self/cwd${CARGO_MANIFEST_DIR#"$PWD"}" ;;"#,
        "esac",
        r#"[ -z "$DEBUG_OUTPUT_DIR" ] || export DEBUG_OUTPUT_DIR=/target"#,
        &format!("exec \"$@\" {quoted}\n"),
    ]
    .join("\n")
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

/// Writes the wrapper, unless it is there already: another build may be running it. What another one made goes.
fn place(path: &Path, text: &str) -> std::io::Result<()> {
    if fs::read_to_string(path).is_ok_and(|present| present == text) {
        return Ok(());
    }
    let folder = path.parent().unwrap_or(Path::new("."));
    if folder.exists() {
        fs::remove_dir_all(folder)?;
    }
    fs::create_dir_all(folder)?;
    let new = path.with_extension("new");
    fs::write(&new, text)?;
    fs::set_permissions(&new, Permissions::from_mode(0o755))?;
    fs::rename(&new, path)
}
