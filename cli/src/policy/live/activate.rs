//! `portcullis policy activate` and `rollback`: another revision that services keep becomes the active one.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use portcullis_hop::AdminClient;
use portcullis_hop::policies::trial::DropTrial;
use portcullis_hop::policies::{Activate, RevisionNumber, Revisions};

use super::hosts::{Part, converge};
use super::{Connection, Reason, active};
use crate::screen::{GOOD, styled};

#[derive(clap::Args)]
pub(crate) struct ActivateArguments {
    /// The revision.
    number: u64,
    /// The revision that is active as far as you know. Default: the one that is.
    #[arg(long, value_name = "NUMBER")]
    base: Option<u64>,
    #[command(flatten)]
    change: ChangeArguments,
}

#[derive(clap::Args)]
pub(crate) struct RollbackArguments {
    #[command(flatten)]
    change: ChangeArguments,
}

#[derive(clap::Args)]
struct ChangeArguments {
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    reason: Reason,
    /// How many seconds web hosts may take.
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    wait: u64,
}

pub(crate) async fn run(arguments: &ActivateArguments) -> Result<ExitCode> {
    let client = arguments.change.connection.open()?;
    let base = match arguments.base {
        Some(base) => Some(RevisionNumber(base)),
        None => active(&client.revisions().await?).map(|active| active.number),
    };
    let number = RevisionNumber(arguments.number);
    change(&client, &arguments.change, number, base).await
}

pub(crate) async fn roll_back(arguments: &RollbackArguments) -> Result<ExitCode> {
    let client = arguments.change.connection.open()?;
    let known = client.revisions().await?;
    let active = active(&known).context("no revision is active yet")?.number;
    let before = before(&known, active)?;
    change(&client, &arguments.change, before, Some(active)).await
}

/// What was active before the revision that is. Going back is no step forward: after 1, 2, 3 and a rollback to 2, the
/// next rollback leads to 1.
fn before(known: &Revisions, active: RevisionNumber) -> Result<RevisionNumber> {
    let mut steps: Vec<RevisionNumber> = Vec::new();
    for activation in known.activations.iter().rev() {
        let is_back = steps.len() > 1 && steps[steps.len() - 2] == activation.number;
        if is_back {
            steps.pop();
        } else if steps.last() != Some(&activation.number) {
            steps.push(activation.number);
        }
    }
    steps.pop();
    match steps.last() {
        Some(before) => Ok(*before),
        None => bail!("revision {active} is the first one; there is nothing to go back to"),
    }
}

async fn change(
    client: &AdminClient,
    arguments: &ChangeArguments,
    number: RevisionNumber,
    base: Option<RevisionNumber>,
) -> Result<ExitCode> {
    let (author, note) = arguments.reason.given()?;
    let wanted = Activate {
        number,
        base,
        author,
        note,
    };
    let activation = client.activate(&wanted).await?;
    let number = activation.number;
    anstream::println!("{} is active", styled(GOOD, format!("revision {number}")));
    let longest = Duration::from_secs(arguments.wait);
    converge(client, number, Part::Active, longest).await?;
    Ok(ExitCode::SUCCESS)
}

#[derive(clap::Args)]
pub(crate) struct DropArguments {
    /// The revision that is on trial.
    number: u64,
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    reason: Reason,
}

/// Ends the trial of a revision.
pub(crate) async fn drop_trial(arguments: &DropArguments) -> Result<ExitCode> {
    let (author, note) = arguments.reason.given()?;
    let number = RevisionNumber(arguments.number);
    let wanted = DropTrial {
        number,
        author,
        note,
    };
    arguments.connection.open()?.drop_trial(&wanted).await?;
    anstream::println!("revision {number} is no longer on trial");
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use portcullis_hop::policies::{Activation, Change};

    use super::*;

    #[test]
    fn a_rollback_leads_to_what_was_active_before() {
        let known = |numbers: &[u64]| {
            let activation = |number: &u64| Activation {
                sequence: 1,
                number: RevisionNumber(*number),
                change: Change {
                    at: "2026-01-31T12:00:00.000Z".parse().expect("is a time"),
                    subject: String::new(),
                    author: String::new(),
                    note: String::new(),
                },
            };
            Revisions {
                activations: numbers.iter().rev().map(activation).collect(),
                ..Revisions::default()
            }
        };
        for (numbers, leads_to) in [
            (&[1][..], None),
            (&[1, 2], Some(1)),
            (&[1, 2, 3], Some(2)),
            (&[1, 2, 3, 2], Some(1)),
            (&[1, 2, 3, 2, 1], None),
            (&[1, 2, 3, 1], Some(3)),
            (&[1, 2, 1, 3], Some(1)),
        ] {
            let active = RevisionNumber(*numbers.last().expect("has one"));
            let before = before(&known(numbers), active).ok().map(|before| before.0);
            assert_eq!(before, leads_to, "{numbers:?}");
        }
    }
}
