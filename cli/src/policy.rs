//! `portcullis policy`: what an author of policies needs, with the very engine and limits of production, and what an
//! administrator needs to change those of running servers.

mod bench;
mod build;
mod candidate;
mod check;
mod expected;
mod fixture;
mod inspect;
mod junit;
mod live;
mod markdown;
mod new;
mod progress;
mod project;
mod request;
mod run;
mod settings;
mod sign;
mod slim;
mod test;
mod vendored;
mod verdict;
mod watch;
mod ways;

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
    /// Runs every fixture: whole, cut in many ways, and paused where the policy can be.
    Test(Box<test::Arguments>),
    /// Measures a policy beside one that does nothing.
    Bench(Box<bench::Arguments>),
    /// Vouches for components with a key.
    Sign(sign::Arguments),
    /// Checks a policy set, sends it to services as a revision, and has web hosts run it.
    Apply(Box<live::apply::Arguments>),
    /// Lists the revisions that services keep, and what web hosts run.
    Revisions(Box<live::revisions::Arguments>),
    /// Shows one revision: who sent it, why, when it was active, its files.
    Show(Box<live::show::Arguments>),
    /// Shows what another revision, or a folder, changes.
    Diff(Box<live::diff::Arguments>),
    /// Says what policies in the shadow would have done.
    ShadowReport(Box<live::shadow::Arguments>),
    /// Makes a revision the active one.
    Activate(Box<live::activate::ActivateArguments>),
    /// Ends the trial of a revision.
    Drop(Box<live::activate::DropArguments>),
    /// Goes back to the revision that was active before.
    Rollback(Box<live::activate::RollbackArguments>),
    /// Lays down the files of a revision in a folder, to be changed and applied.
    Pull(Box<live::pull::Arguments>),
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("no runtime")?;
    runtime.block_on(async {
        match &arguments.command {
            Command::New(arguments) => new::run(arguments),
            Command::Build(arguments) => build::run(arguments).await,
            Command::Check(arguments) => check::run(arguments).await,
            Command::Inspect(arguments) => inspect::run(arguments).await,
            Command::Run(arguments) => run::run(arguments).await,
            Command::Test(arguments) => test::run(arguments).await,
            Command::Bench(arguments) => bench::run(arguments).await,
            Command::Sign(arguments) => sign::run(arguments),
            Command::Apply(arguments) => live::apply::run(arguments).await,
            Command::Revisions(arguments) => live::revisions::run(arguments).await,
            Command::Show(arguments) => live::show::run(arguments).await,
            Command::Diff(arguments) => live::diff::run(arguments).await,
            Command::ShadowReport(arguments) => live::shadow::run(arguments).await,
            Command::Activate(arguments) => live::activate::run(arguments).await,
            Command::Drop(arguments) => live::activate::drop_trial(arguments).await,
            Command::Rollback(arguments) => live::activate::roll_back(arguments).await,
            Command::Pull(arguments) => live::pull::run(arguments).await,
        }
    })
}
