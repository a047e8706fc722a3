//! Where things are in this workspace, and how its commands are run.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use cargo_metadata::{MetadataCommand, Package};

/// A workspace of its own, for what is compared with other implementations.
pub(crate) const AGREEMENT: &str = "tests/agreement/Cargo.toml";

/// The checkout that this task was called in.
pub(crate) struct Workspace {
    /// Its root.
    pub(crate) root: PathBuf,
    /// Where cargo builds.
    pub(crate) target: PathBuf,
    packages: Vec<Package>,
}

impl Workspace {
    /// Asks cargo.
    pub(crate) fn find() -> Result<Self> {
        // As cargo says now, not as it said when this was built: two checkouts may share a target folder.
        let own = std::env::var_os("CARGO_MANIFEST_DIR");
        let own = own.unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
        let manifest = Path::new(&own).join("../Cargo.toml");
        let metadata = MetadataCommand::new()
            .manifest_path(manifest)
            .no_deps()
            .exec()
            .context("cargo cannot describe the workspace")?;
        Ok(Self {
            root: metadata.workspace_root.into(),
            target: metadata.target_directory.into(),
            packages: metadata.packages,
        })
    }

    /// The names of the packages whose folders lie directly in `folder`, sorted.
    pub(crate) fn packages_in(&self, folder: &str) -> Vec<String> {
        let folder = self.root.join(folder);
        let lies_there = |package: &&Package| {
            let own = package.manifest_path.parent().and_then(|own| own.parent());
            own.is_some_and(|parent| parent == folder)
        };
        let mut names: Vec<String> = self
            .packages
            .iter()
            .filter(lies_there)
            .map(|package| package.name.to_string())
            .collect();
        names.sort();
        names
    }

    /// The names of a package's examples.
    pub(crate) fn examples_of(&self, package: &str) -> Vec<String> {
        let of_package = self.packages.iter().filter(|known| known.name == package);
        let targets = of_package.flat_map(|package| &package.targets);
        let examples = targets.filter(|target| target.is_example());
        examples.map(|target| target.name.clone()).collect()
    }

    /// A cargo command in the root of the workspace.
    pub(crate) fn cargo<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Command {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = Command::new(cargo);
        command.current_dir(&self.root).args(arguments);
        command
    }

    /// A binary of ours as built for use.
    pub(crate) fn release_binary(&self, name: &str) -> PathBuf {
        self.target.join("release").join(name)
    }

    /// A binary of ours as built for development.
    pub(crate) fn binary(&self, name: &str) -> PathBuf {
        self.target.join("debug").join(name)
    }
}

/// Shows a result, on standard output.
pub(crate) fn show(result: impl std::fmt::Display) {
    println!("{result}");
}

/// Says what is being done, on standard error.
pub(crate) fn say(what: impl AsRef<str>) {
    eprintln!("xtask: {}", what.as_ref());
}

/// Runs a command to its end; an exit code other than 0 is an error that names the command.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let shown = shown(command);
    say(&shown);
    let status = command
        .status()
        .with_context(|| format!("`{shown}` cannot be started"))?;
    ensure!(
        status.success(),
        "`{shown}` failed ({status}); what it said stands above"
    );
    Ok(())
}

/// What a command says on standard output; absent when it cannot be started or fails.
pub(crate) fn answer(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok()?;
    output
        .status
        .success()
        .then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program())
        .file_name()
        .unwrap_or_default();
    let words = std::iter::once(program).chain(command.get_args());
    words
        .map(|word| word.to_string_lossy().into_owned())
        .collect::<Vec<_>>()
        .join(" ")
}
