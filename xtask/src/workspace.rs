//! Where things are in this workspace, and how its commands are run.

use std::ffi::OsStr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use cargo_metadata::{MetadataCommand, Package};

use crate::timing::Timing;

/// What every build selects. Whatever it builds of the selection, the features of all dependencies are the same, so that
/// the sandbox is compiled once; a test of the dependency rule looks.
pub(crate) const WHOLE: [&str; 4] = ["--locked", "--workspace", "--features", "xtask/full"];

/// What `clippy-driver` splits its arguments at.
const CLIPPY_SEPARATOR: &str = "__CLIPPY_HACKERY__";

/// The checkout that this task was called in.
pub(crate) struct Workspace {
    /// Its root.
    pub(crate) root: PathBuf,
    /// Where cargo builds.
    pub(crate) target: PathBuf,
    /// Where the time goes.
    pub(crate) timing: Timing,
    packages: Vec<Package>,
    /// The compiler that also lints, if builds use it.
    linter: Option<PathBuf>,
    /// Whether builds say how many crates they have built of how many.
    shows_progress: bool,
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
            timing: Timing::default(),
            packages: metadata.packages,
            linter: None,
            shows_progress: false,
        })
    }

    /// The same, but each build says how many crates it has built of how many, also where its output is no terminal.
    pub(crate) fn showing_progress(mut self) -> Self {
        self.shows_progress = true;
        self
    }

    /// The same, but each build lints what it compiles of ours, and fails at a warning. A pass of clippy by itself would
    /// check all dependencies once more.
    pub(crate) fn linting(mut self) -> Result<Self> {
        // Beside the cargo that runs this, of whose toolchain it must be.
        let cargo = std::env::var_os("CARGO").context("this task is for `cargo xtask`")?;
        let linter = Path::new(&cargo).with_file_name("clippy-driver");
        ensure!(
            linter.is_file(),
            "clippy is missing; install it with `rustup component add clippy` and run this again"
        );
        self.linter = Some(linter);
        Ok(self)
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
        self.lint(&mut command);
        if self.shows_progress {
            command
                .env("CARGO_TERM_PROGRESS_WHEN", "always")
                .env("CARGO_TERM_PROGRESS_WIDTH", "80");
        }
        command
    }

    /// Has a command, and whatever it runs, build as [`Workspace::cargo`] does.
    pub(crate) fn lint(&self, command: &mut Command) {
        if let Some(linter) = &self.linter {
            command
                .env("RUSTC_WORKSPACE_WRAPPER", linter)
                // As `cargo clippy -- -D warnings` hands it on.
                .env("CLIPPY_ARGS", ["-D", "warnings", ""].join(CLIPPY_SEPARATOR))
                // Nothing is built twice here, and what it would take to be is a tenth of the time.
                .env("CARGO_INCREMENTAL", "0");
        }
    }

    /// Builds targets of the workspace, such as `--bins`.
    pub(crate) fn build(&self, targets: &[&str]) -> Result<()> {
        run(self.cargo(["build"]).args(WHOLE).args(targets))
    }

    /// A binary of ours as built for use.
    #[cfg(feature = "full")]
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

/// Goes on as another program with the same process id: signals reach it, and its exit status is ours.
pub(crate) fn become_process(command: &mut Command) -> Result<()> {
    let error = command.exec();
    Err(error).with_context(|| format!("{} cannot be started", command.get_program().display()))
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
