//! Build tasks behind `cargo xtask`. They say what is missing and how to get it, and write only into the
//! target folder and beside the sources that something is made from.
#![forbid(unsafe_code)]
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "tasks talk to the person who runs them: results on standard output, progress on standard error"
)]

#[cfg(feature = "full")]
mod bench;
mod ci;
mod clients;
mod dev;
#[cfg(feature = "full")]
mod dist;
mod documentation;
mod full;
mod guests;
mod lint;
mod npm;
mod reproducible;
#[cfg(feature = "full")]
mod sample;
mod side;
mod test;
mod timing;
mod toolchain;
mod ui;
mod viewer;
mod workspace;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::workspace::{Workspace, show};

/// Build tasks of Portcullis.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Builds everything and starts both servers (`portcullis dev`, which gets all further arguments).
    Dev(dev::Arguments),
    /// Builds the policies that ship, and those that tests need, to WebAssembly.
    Policies {
        /// Also write what they say of themselves into their pages in docs/policies.
        #[arg(long)]
        docs: bool,
    },
    /// Makes a table of any size from a data definition, valid or with planted errors.
    Sample(SampleArguments),
    /// Measures what is promised, and prints one table.
    Bench(BenchArguments),
    /// Makes the archives that are installed, one for each server.
    Dist(DistArguments),
    /// Checks, tests and builds the front end.
    Ui(ui::Arguments),
    /// Drives the page in a real browser.
    Browser,
    /// Builds the trace viewer of `portcullis dev`.
    #[command(hide = true)]
    Viewer,
    /// Runs programs that others made against the real servers.
    Clients,
    /// Checks the format and the lints of the whole workspace.
    Lint,
    /// Builds everything and runs every test.
    Test,
    /// Runs the long tests in full; `test` and `ci` run a sample of them.
    Soak,
    /// Checks what has a workspace of its own, and notes that it passes.
    Side,
    /// Runs all that every commit on main passes.
    Ci,
}

#[cfg(feature = "full")]
use {
    bench::Arguments as BenchArguments, dist::Arguments as DistArguments,
    sample::Arguments as SampleArguments,
};
#[cfg(not(feature = "full"))]
use {
    full::Arguments as BenchArguments, full::Arguments as DistArguments,
    full::Arguments as SampleArguments,
};

fn main() -> ExitCode {
    match run(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(Arguments { task }: Arguments) -> Result<()> {
    let workspace = Workspace::find()?;
    match task {
        Task::Dev(arguments) => dev::run(&workspace.showing_progress(), &arguments),
        Task::Policies { docs } => {
            guests::build(&workspace)?;
            if docs {
                documentation::write(&workspace)?;
            }
            Ok(())
        }
        #[cfg(feature = "full")]
        Task::Sample(arguments) => sample::run(&workspace, &arguments),
        #[cfg(feature = "full")]
        Task::Bench(arguments) => bench::run(&workspace, &arguments),
        #[cfg(feature = "full")]
        Task::Dist(arguments) => dist::run(&workspace, &arguments),
        #[cfg(not(feature = "full"))]
        Task::Sample(arguments) => full::run(&workspace, "sample", &arguments),
        #[cfg(not(feature = "full"))]
        Task::Bench(arguments) => full::run(&workspace, "bench", &arguments),
        #[cfg(not(feature = "full"))]
        Task::Dist(arguments) => full::run(&workspace, "dist", &arguments),
        Task::Ui(arguments) => ui::run(&workspace, &arguments),
        Task::Browser => ui::browser_with_viewer(&workspace),
        Task::Viewer => viewer::build(&workspace),
        Task::Clients => clients::run(&workspace),
        Task::Lint => lint::run(&workspace),
        Task::Side => side::run(&workspace),
        Task::Test => timed(&workspace, test::run),
        Task::Soak => timed(&workspace, test::soak),
        Task::Ci => timed(&workspace.linting()?, ci::run),
    }
}

/// Does a task, and shows where its time went, also if it fails.
fn timed(workspace: &Workspace, task: impl FnOnce(&Workspace) -> Result<()>) -> Result<()> {
    let outcome = task(workspace);
    show(workspace.timing.table());
    outcome
}
