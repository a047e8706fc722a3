//! `portcullis policy revisions`: what there is, what is active, and what web hosts run.

use std::process::ExitCode;

use anyhow::Result;
use portcullis_hop::policies::trial::{Trial, TrialState};
use portcullis_hop::policies::{KnownHost, RevisionSummary};

use super::Connection;
use crate::screen::{self, BAD, DOUBTFUL, GOOD, HEAD, styled};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    connection: Connection,
    /// The report as JSON, with every activation.
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(arguments: &Arguments) -> Result<ExitCode> {
    let known = arguments.connection.open()?.revisions().await?;
    if arguments.json {
        screen::json(&known)?;
        return Ok(ExitCode::SUCCESS);
    }
    let rows: Vec<_> = known.revisions.iter().map(revision).collect();
    if rows.is_empty() {
        anstream::println!("there is no revision yet; `portcullis policy apply` sends the first");
    }
    let heads = ["revision", "digest", "sent", "by", "note", ""];
    anstream::print!("{}", screen::table(&heads, &rows));
    let rows: Vec<_> = known.hosts.iter().map(host).collect();
    if !rows.is_empty() {
        anstream::println!("\n{}", styled(HEAD, "web hosts"));
        let heads = ["host", "runs", "digest", "heard of", "refuses"];
        anstream::print!("{}", screen::table(&heads, &rows));
    }
    Ok(ExitCode::SUCCESS)
}

fn revision(revision: &RevisionSummary) -> Vec<String> {
    let mark = match (&revision.trial, revision.active) {
        (_, true) => styled(GOOD, "active"),
        (Some(trial), false) => on_trial(trial),
        (None, false) => String::new(),
    };
    vec![
        revision.number.to_string(),
        short(&revision.digest.to_string()),
        revision.sent.at.to_string(),
        revision.sent.author.clone(),
        revision.sent.note.clone(),
        mark,
    ]
}

fn on_trial(trial: &Trial) -> String {
    let Trial {
        judged,
        newly_refused,
        ..
    } = trial;
    let reason = trial.reason.as_deref().unwrap_or_default();
    match trial.state {
        TrialState::Running => styled(
            DOUBTFUL,
            format!(
                "on trial until {}: {newly_refused} of {judged} newly refused",
                trial.ends_at
            ),
        ),
        TrialState::Enforced => format!("held its trial: {reason}"),
        TrialState::Dropped => styled(BAD, format!("dropped: {reason}")),
    }
}

fn host(host: &KnownHost) -> Vec<String> {
    let status = &host.status;
    let runs = status
        .running
        .map_or("-".to_owned(), |it| it.number.to_string());
    let digest = status.running.map(|it| short(&it.digest.to_string()));
    let refuses = status.refused.as_ref();
    vec![
        status.name.clone(),
        runs,
        digest.unwrap_or_default(),
        host.seen_at.to_string(),
        refuses.map_or(String::new(), |it| {
            styled(BAD, format!("{}: {}", it.number, it.error))
        }),
    ]
}

/// Enough of a digest to tell it apart.
fn short(digest: &str) -> String {
    digest.chars().take(12).collect()
}
