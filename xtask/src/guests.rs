//! Policies, compiled to components: those that ship go where the policy set names them, those that tests
//! need beside the other artefacts.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::reproducible::without_paths;
use crate::toolchain::{self, GUEST_TARGET};
use crate::workspace::{Workspace, run, say};

/// Where the crates of the policies that ship lie, and where their components go.
const STANDARD: &str = "plugins/standard";
pub(crate) const STANDARD_FOLDER: &str = "policies/components";

/// Where crates of guests lie, and where their components go.
const KINDS: [(&str, Destination); 2] = [
    (STANDARD, Destination::Root(STANDARD_FOLDER)),
    ("tests/guests", Destination::Target("guests")),
];

/// The package whose examples are policies of the cookbook, and where their components go.
const EXAMPLES: &str = "portcullis-examples";
const EXAMPLES_FOLDER: &str = "examples";

#[derive(Clone, Copy)]
enum Destination {
    Root(&'static str),
    Target(&'static str),
}

/// Builds all of them with the profile `policy`, and replaces the components that changed.
pub(crate) fn build(workspace: &Workspace) -> Result<()> {
    let built = compile(workspace, &KINDS, true)?;
    place_all(workspace, &built, &KINDS)?;
    let built = built.join("examples");
    let destination = workspace.target.join(EXAMPLES_FOLDER);
    fs::create_dir_all(&destination).with_context(|| destination.display().to_string())?;
    for name in workspace.examples_of(EXAMPLES) {
        let artefact = built.join(format!("{}.wasm", name.replace('-', "_")));
        place(&artefact, &destination.join(format!("{name}.wasm")))?;
    }
    Ok(())
}

/// Builds those that ship alone.
pub(crate) fn build_standard(workspace: &Workspace) -> Result<()> {
    let built = compile(workspace, &KINDS[..1], false)?;
    place_all(workspace, &built, &KINDS[..1])
}

/// Compiles kinds of guests, and the examples. Returns the folder with what was made.
fn compile(
    workspace: &Workspace,
    kinds: &[(&str, Destination)],
    with_examples: bool,
) -> Result<PathBuf> {
    toolchain::guest_target(workspace)?;
    let mut command = workspace.cargo([
        "build",
        "--locked",
        "--profile",
        "policy",
        "--target",
        GUEST_TARGET,
    ]);
    for (folder, _) in kinds {
        for package in workspace.packages_in(folder) {
            command.args(["-p", &package]);
        }
    }
    command.arg("--lib");
    if with_examples {
        command.args(["-p", EXAMPLES, "--examples"]);
    }
    let target = without_paths(&mut command, workspace)?;
    command.env(
        "CARGO_TARGET_WASM32_WASIP2_RUSTFLAGS",
        // Small numbers take few bytes, and what made a component stays in it when everything else about its
        // making is stripped. As in cli/template/config.toml.
        "-C target-feature=+simd128 -C link-arg=--compress-relocations -C link-arg=--keep-section=producers",
    );
    run(&mut command)?;
    Ok(target.join(GUEST_TARGET).join("policy"))
}

fn place_all(workspace: &Workspace, built: &Path, kinds: &[(&str, Destination)]) -> Result<()> {
    for (folder, destination) in kinds {
        let destination = match *destination {
            Destination::Root(path) => workspace.root.join(path),
            Destination::Target(path) => workspace.target.join(path),
        };
        fs::create_dir_all(&destination).with_context(|| destination.display().to_string())?;
        for package in workspace.packages_in(folder) {
            let artefact = format!("{}.wasm", package.replace('-', "_"));
            place(
                &built.join(artefact),
                &destination.join(component(&package)),
            )?;
        }
    }
    Ok(())
}

/// The components of the policies that ship, by file name.
#[cfg(feature = "full")]
pub(crate) fn standard(workspace: &Workspace) -> Vec<String> {
    let packages = workspace.packages_in(STANDARD);
    packages.iter().map(|package| component(package)).collect()
}

/// What the component of a package is called.
fn component(package: &str) -> String {
    let name = package.strip_prefix("portcullis-").unwrap_or(package);
    format!("{name}.wasm")
}

/// Copies a component if it changed, so that a host that reads it at this moment sees the old one or the
/// new one, never a part.
fn place(artefact: &Path, component: &Path) -> Result<()> {
    let bytes =
        fs::read(artefact).with_context(|| format!("{} was not built", artefact.display()))?;
    if fs::read(component).is_ok_and(|present| present == bytes) {
        return Ok(());
    }
    let new = component.with_extension(format!("wasm.{}", std::process::id()));
    fs::write(&new, &bytes).with_context(|| new.display().to_string())?;
    fs::rename(&new, component).with_context(|| component.display().to_string())?;
    say(format!(
        "{} ({} KiB)",
        component.display(),
        bytes.len() / 1024
    ));
    Ok(())
}
