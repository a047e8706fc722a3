//! `portcullis policy run`: one upload before one policy.

use std::io::{self, IsTerminal};
use std::process::ExitCode;

use anyhow::{Context, Result};
use portcullis_engine::{Attempt, Cuts, Word, Workbench};

use crate::policy::candidate::{self, CandidateArguments};
use crate::policy::request::RequestArguments;
use crate::policy::verdict;
use crate::screen;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    candidate: CandidateArguments,
    #[command(flatten)]
    request: RequestArguments,
    /// Cut the body into blocks of so many bytes, at most 65536.
    #[arg(long, value_name = "BYTES", default_value_t = 65_536)]
    block_bytes: usize,
    /// The report as JSON.
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(arguments: &Arguments) -> Result<ExitCode> {
    show_log_lines();
    let candidate = arguments.candidate.candidate()?;
    let request = arguments.request.request()?;
    let (upload, facts) = (request.upload()?, request.facts());
    let mut body = arguments.request.body()?;
    let workbench = Workbench::start()?;
    let policy = candidate::load(&workbench, &candidate).await?;
    let attempt = Attempt {
        upload: &upload,
        facts: &facts,
        cuts: &Cuts::Every(arguments.block_bytes),
        pauses: false,
    };
    let trial = workbench.attempt(&policy, &attempt, &mut *body).await;
    let trial = trial.context("the input cannot be read to its end")?;
    // The line with the progress is gone.
    drop(body);
    if arguments.json {
        screen::json(&verdict::Report::of(&trial))?;
    } else {
        verdict::print(&trial, policy.limits().memory_bytes);
    }
    Ok(if Word::of(&trial).passes() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Lines that policies write go where people read, under the policy's name.
fn show_log_lines() {
    let lines = tracing_subscriber::fmt()
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .without_time()
        .with_max_level(tracing::Level::DEBUG)
        .with_env_filter("policy=debug");
    // Whoever has set another one wants that one.
    let _ = lines.try_init();
}
