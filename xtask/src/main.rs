//! Build tasks behind `cargo xtask`. They say what is missing and how to get it, and write only into the
//! target folder and beside the sources that something is made from.
#![forbid(unsafe_code)]
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "tasks talk to the person who runs them: results on standard output, progress on standard error"
)]

mod bench;
mod clients;
mod dev;
mod dist;
mod documentation;
mod guests;
mod lint;
mod npm;
mod reproducible;
mod sample;
mod test;
mod toolchain;
mod ui;
mod viewer;
mod workspace;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::workspace::Workspace;

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
    Sample(sample::Arguments),
    /// Measures what is promised, and prints one table.
    Bench(bench::Arguments),
    /// Makes the archives that are installed, one for each server.
    Dist(dist::Arguments),
    /// Checks, tests and builds the front end.
    Ui(ui::Arguments),
    /// Drives the page in a real browser.
    Browser,
    /// Runs programs that others made against the real servers.
    Clients,
    /// Checks the format and the lints of the whole workspace.
    Lint,
    /// Builds everything and runs every test.
    Test,
}

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
        Task::Dev(arguments) => dev::run(&workspace, &arguments),
        Task::Policies { docs } => {
            guests::build(&workspace)?;
            if docs {
                documentation::write(&workspace)?;
            }
            Ok(())
        }
        Task::Sample(arguments) => sample::run(&workspace, &arguments),
        Task::Bench(arguments) => bench::run(&workspace, &arguments),
        Task::Dist(arguments) => dist::run(&workspace, &arguments),
        Task::Ui(arguments) => ui::run(&workspace, &arguments),
        Task::Browser => ui::browser(&workspace),
        Task::Clients => clients::run(&workspace),
        Task::Lint => lint::run(&workspace),
        Task::Test => test::run(&workspace),
    }
}
