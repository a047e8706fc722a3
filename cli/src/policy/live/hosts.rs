//! Waiting until web hosts run what they are to run.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use portcullis_hop::AdminClient;
use portcullis_hop::policies::{KnownHost, RevisionNumber};

use crate::screen::{BAD, DIM, DOUBTFUL, GOOD, styled};

/// How often they are looked at.
const LOOK: Duration = Duration::from_millis(100);

/// How one web host stands to the revision that it is to run.
enum Standing<'a> {
    Runs,
    Refuses(&'a str),
    NotYet,
}

/// What web hosts are to do with a revision.
#[derive(Clone, Copy)]
pub(crate) enum Part {
    /// It decides.
    Active,
    /// It judges in the shadow.
    OnTrial,
}

fn standing(host: &KnownHost, wanted: RevisionNumber, part: Part) -> Standing<'_> {
    let status = &host.status;
    if let Some(refused) = status.refused.as_ref().filter(|it| it.number == wanted) {
        return Standing::Refuses(&refused.error);
    }
    let running = match part {
        Part::Active => status.running,
        Part::OnTrial => status.trial,
    };
    match running {
        Some(running) if running.number == wanted => Standing::Runs,
        _ => Standing::NotYet,
    }
}

/// Waits until every web host that services know runs a revision or says why not, and tells.
///
/// # Errors
/// One of them refuses it, or does not say anything in time.
pub(crate) async fn converge(
    client: &AdminClient,
    number: RevisionNumber,
    part: Part,
    longest: Duration,
) -> Result<()> {
    let began = Instant::now();
    let hosts = loop {
        let hosts = client.revisions().await?.hosts;
        let waits = |host: &KnownHost| matches!(standing(host, number, part), Standing::NotYet);
        if !hosts.iter().any(waits) || began.elapsed() >= longest {
            break hosts;
        }
        tokio::time::sleep(LOOK).await;
    };
    if hosts.is_empty() {
        anstream::println!(
            "{}",
            styled(
                DIM,
                "no web host follows these services yet; the next one that asks runs it"
            )
        );
    }
    let mut lacking = 0;
    for host in &hosts {
        let name = &host.status.name;
        let said = match standing(host, number, part) {
            Standing::Runs => match part {
                Part::Active => styled(GOOD, "runs it"),
                Part::OnTrial => styled(GOOD, "runs it in the shadow"),
            },
            Standing::Refuses(error) => {
                lacking += 1;
                format!("{}: {error}", styled(BAD, "refuses it"))
            }
            Standing::NotYet => {
                lacking += 1;
                let seen = host.seen_at;
                let silent = format!("does not run it yet; last heard of at {seen}");
                styled(DOUBTFUL, silent)
            }
        };
        anstream::println!("  {name}  {said}");
    }
    if lacking > 0 {
        bail!(
            "{lacking} of {} web hosts do not run revision {number}; they go on with what they had",
            hosts.len()
        );
    }
    Ok(())
}
