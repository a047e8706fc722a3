//! `portcullis policy show`: one revision, with who sent it, when it was active, and its files.

use std::process::ExitCode;

use anyhow::Result;
use portcullis_hop::policies::{Activation, Change, PolicyRevision, RevisionNumber};
use serde::Serialize;

use super::Connection;
use crate::screen::{self, HEAD, styled};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The revision.
    number: u64,
    #[command(flatten)]
    connection: Connection,
    /// The report as JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Report<'a> {
    #[serde(flatten)]
    revision: &'a PolicyRevision,
    activations: Vec<&'a Activation>,
}

pub(crate) async fn run(arguments: &Arguments) -> Result<ExitCode> {
    let client = arguments.connection.open()?;
    let number = RevisionNumber(arguments.number);
    let revision = client.revision(number).await?;
    let known = client.revisions().await?;
    let activations = known.activations.iter().rev();
    let report = Report {
        revision: &revision,
        activations: activations.filter(|it| it.number == number).collect(),
    };
    if arguments.json {
        screen::json(&report)?;
    } else {
        print(&report);
    }
    Ok(ExitCode::SUCCESS)
}

fn print(report: &Report<'_>) {
    let revision = report.revision;
    let active = if revision.active { ", active" } else { "" };
    anstream::println!(
        "{}{active}",
        styled(HEAD, format!("revision {}", revision.number))
    );
    anstream::println!("  digest   {}", revision.digest);
    let base = revision
        .base
        .map_or("-".to_owned(), |base| base.to_string());
    anstream::println!("  after    {base}");
    anstream::println!("  sent     {}", said(&revision.sent));
    for activation in &report.activations {
        anstream::println!("  active   {}", said(&activation.change));
    }
    for (heading, files) in [
        ("file", &revision.manifest.files),
        ("fixture", &revision.manifest.fixtures),
    ] {
        let rows = files.iter();
        let rows: Vec<_> = rows
            .map(|(name, digest)| vec![name.clone(), digest.to_string()])
            .collect();
        anstream::println!();
        anstream::print!("{}", screen::table(&[heading, "sha256"], &rows));
    }
}

fn said(change: &Change) -> String {
    format!(
        "{} by {} ({}): {}",
        change.at, change.author, change.subject, change.note
    )
}
