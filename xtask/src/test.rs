//! `cargo xtask test`: everything up to date, then every test there is. `cargo xtask soak`: the long ones in full.

use std::fs::{self, File};
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::timing::junit;
use crate::workspace::{WHOLE, Workspace, answer, run as run_command, say};
use crate::{guests, side};

/// The tests that do more with time on their hands. The others run a sample.
const LONG: [&str; 5] = [
    "tus::property",
    "faults::crash_points",
    "faults::disks::power_that_is_lost",
    "memory::an_upload",
    "revisions::services_killed_at_any_moment",
];
/// Has those tests do all that they can.
const SOAK: &str = "PORTCULLIS_SOAK";
/// From which number samples are drawn.
const SEED: &str = "PORTCULLIS_SAMPLE_SEED";
/// How many tests run side by side where cargo runs them: most of them wait. `.config/nextest.toml` says the same.
const THREADS: &str = "8";

pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let timing = &workspace.timing;
    timing.step("components", || guests::build(workspace))?;
    // The tests that start the servers use the binaries in the target folder.
    let targets = ["--bins", "--tests"];
    timing.step("build", || workspace.build(&targets))?;
    timing.step("tests", || tests(workspace))?;
    timing.step("examples in documentation", || documentation(workspace))?;
    timing.step("agreement", || side::agreement(workspace))
}

/// Runs the tests of the workspace, which are built.
pub(crate) fn tests(workspace: &Workspace) -> Result<()> {
    let seed = sample_seed(workspace);
    say(format!("samples are drawn with {SEED}={seed}"));
    if answer("cargo", &["nextest", "--version"]).is_none() {
        say(
            "cargo-nextest would run the tests side by side and show how long each takes: `cargo install --locked cargo-nextest`",
        );
        let mut test = workspace.cargo(["test"]);
        test.args(WHOLE)
            .args(["--bins", "--lib", "--tests", "--no-fail-fast"])
            .env(SEED, seed);
        if std::env::var_os("RUST_TEST_THREADS").is_none() {
            test.env("RUST_TEST_THREADS", THREADS);
        }
        return run_command(&mut test);
    }
    let mut nextest = nextest(workspace)?;
    let outcome = run_command(nextest.arg("--no-fail-fast").env(SEED, seed));
    let report = workspace.target.join("nextest/default/junit.xml");
    if let Ok(report) = fs::read_to_string(report) {
        workspace.timing.tests(junit(&report));
    }
    outcome
}

/// The long tests in full: what CI runs a sample of.
pub(crate) fn soak(workspace: &Workspace) -> Result<()> {
    let timing = &workspace.timing;
    timing.step("components", || guests::build(workspace))?;
    timing.step("build", || workspace.build(&["--bins", "--tests"]))?;
    timing.step("soak", || {
        let mut test = workspace.cargo(["test"]);
        test.args(WHOLE).args(["--test", "end_to_end", "--"]);
        // One after the other, so that each has the machine to itself.
        test.args(["--test-threads", "1"]).args(LONG).env(SOAK, "1");
        run_command(&mut test)
    })
}

/// A run of cargo-nextest over what is built: it compiles nothing itself, so that no setting of the build reaches the tests.
fn nextest(workspace: &Workspace) -> Result<Command> {
    let folder = workspace.target.join("nextest");
    fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    let (binaries, metadata) = (folder.join("binaries.json"), folder.join("metadata.json"));
    let mut list = workspace.cargo(["nextest", "list"]);
    list.args(WHOLE).args(["--list-type", "binaries-only"]);
    into(list.args(["--message-format", "json"]), &binaries)?;
    let mut describe = workspace.cargo(["metadata", "--locked"]);
    into(describe.args(["--format-version", "1"]), &metadata)?;
    let mut nextest = Command::new("cargo");
    nextest
        .current_dir(&workspace.root)
        .args(["nextest", "run", "--binaries-metadata"])
        .arg(binaries)
        .arg("--cargo-metadata")
        .arg(metadata);
    Ok(nextest)
}

/// Runs a command whose standard output becomes a file.
fn into(command: &mut Command, path: &Path) -> Result<()> {
    let file = File::create(path).with_context(|| path.display().to_string())?;
    run_command(command.stdout(file))
}

/// Runs the examples in the documentation of our crates.
pub(crate) fn documentation(workspace: &Workspace) -> Result<()> {
    run_command(
        workspace
            .cargo(["test"])
            .args(WHOLE)
            .args(["--quiet", "--doc"]),
    )
}

/// Another number for each commit, so that samples come to cover everything; the one that is set, to see one again.
fn sample_seed(workspace: &Workspace) -> String {
    let root = workspace.root.to_string_lossy();
    std::env::var(SEED).unwrap_or_else(|_| {
        let commit = answer("git", &["-C", &root, "rev-parse", "HEAD"]).unwrap_or_default();
        let number = u64::from_str_radix(commit.get(..8).unwrap_or_default(), 16);
        number.unwrap_or(1).to_string()
    })
}
