//! `portcullis policy`: what an author of policies needs, with the very engine and limits of production.

mod build;
mod candidate;
mod check;
mod inspect;
mod new;
mod project;
mod request;
mod run;
mod screen;
mod settings;
mod slim;
mod vendored;
mod verdict;

use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Subcommand;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Makes a project that builds and passes its own tests at once.
    New(new::Arguments),
    /// Compiles the project in this folder to a component.
    Build(build::Arguments),
    /// Says everything that would keep a component from being loaded.
    Check(check::Arguments),
    /// Shows what a component says of itself, and what its file shows.
    Inspect(inspect::Arguments),
    /// Lets a policy judge one upload: its verdict, findings, CPU time and memory.
    Run(Box<run::Arguments>),
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .context("no runtime")?;
    runtime.block_on(async {
        match &arguments.command {
            Command::New(arguments) => new::run(arguments),
            Command::Build(arguments) => build::run(arguments).await,
            Command::Check(arguments) => check::run(arguments).await,
            Command::Inspect(arguments) => inspect::run(arguments).await,
            Command::Run(arguments) => run::run(arguments).await,
        }
    })
}
