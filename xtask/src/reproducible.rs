//! What makes a build's bytes the same on every machine: paths of this one do not get into them.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::workspace::Workspace;

/// What separates flags in `CARGO_ENCODED_RUSTFLAGS`.
const SEPARATOR: &str = "\x1f";

/// Has a cargo command compile with these flags, and without paths of this machine in what it makes.
pub(crate) fn without_paths(
    command: &mut Command,
    workspace: &Workspace,
    flags: &[&str],
) -> Result<()> {
    let places = places(workspace)?;
    let remap = |(from, to): &(PathBuf, &str)| format!("{}={to}", from.display());
    let mut all: Vec<String> = flags.iter().map(|&flag| flag.to_owned()).collect();
    all.extend(
        places
            .iter()
            .map(|place| format!("--remap-path-prefix={}", remap(place))),
    );
    let c_flags = places
        .iter()
        .map(|place| format!("-ffile-prefix-map={}", remap(place)));
    let c_flags = c_flags.collect::<Vec<_>>().join(" ");
    command
        .env_remove("RUSTFLAGS")
        .env("CARGO_ENCODED_RUSTFLAGS", all.join(SEPARATOR))
        .env("CFLAGS", c_flags);
    Ok(())
}

/// The folders whose names differ between machines, and what stands for them. Of those that fit a path the last counts.
fn places(workspace: &Workspace) -> Result<Vec<(PathBuf, &'static str)>> {
    let mut places = vec![(workspace.root.clone(), "/portcullis")];
    places.push((workspace.target.clone(), "/target"));
    // A registry's folder is called after its address, which may be that of a mirror.
    let sources = cargo_home()?.join("registry/src");
    let found = std::fs::read_dir(&sources)
        .with_context(|| format!("{} cannot be read", sources.display()))?;
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
