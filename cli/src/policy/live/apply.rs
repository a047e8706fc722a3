//! `portcullis policy apply`: a set is checked here, kept by services, and run by every web host.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use portcullis_hop::policies::NewRevision;
use portcullis_hop::policies::trial::TrialTerms;

use super::hosts::{Part, converge};
use super::period::{Percent, Period};
use super::set::CheckedSet;
use super::{Connection, Reason, base, install};
use crate::screen::{DIM, GOOD, styled};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The folder with `policies.toml`.
    #[arg(value_name = "FOLDER", default_value = "policies")]
    folder: PathBuf,
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    reason: Reason,
    /// The revision that is active as far as you know. Default: the one that the folder began from.
    #[arg(long, value_name = "NUMBER")]
    base: Option<u64>,
    /// Let it judge live uploads in the shadow for so long first, such as 30m or 2d; then it becomes active by itself if
    /// the numbers hold, and is dropped if they do not.
    #[arg(long, value_name = "TIME", conflicts_with = "into")]
    after: Option<Period>,
    /// With --after: of the uploads that it has judged, how many it may newly refuse.
    #[arg(long, value_name = "PERCENT", default_value = "0%", requires = "after")]
    max_new_rejections: Percent,
    /// With --after: how many uploads it must have judged.
    #[arg(long, value_name = "NUMBER", default_value_t = 10, requires = "after")]
    min_uploads: u64,
    /// Only check the set, and say whether it could be applied.
    #[arg(long)]
    dry_run: bool,
    /// Lay it down in this folder, from which a web host reads its policies (`policies.source = "file"`), instead of
    /// sending it to services.
    #[arg(long, value_name = "FOLDER", conflicts_with = "base")]
    into: Option<PathBuf>,
    /// With --into: wait until the web host at this address runs it.
    #[arg(long, value_name = "URL", requires = "into")]
    web: Option<String>,
    /// How many seconds web hosts may take.
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    wait: u64,
}

impl Arguments {
    fn terms(&self) -> Option<TrialTerms> {
        let length: Duration = self.after?.into();
        Some(TrialTerms {
            seconds: length.as_secs(),
            max_new_rejections_percent: self.max_new_rejections.number(),
            min_uploads: self.min_uploads,
        })
    }

    fn longest(&self) -> Duration {
        Duration::from_secs(self.wait)
    }
}

pub(crate) async fn run(arguments: &Arguments) -> Result<ExitCode> {
    let set = CheckedSet::read(&arguments.folder).await?;
    let (digest, policies) = (set.revision.digest(), set.revision.policies().len());
    anstream::println!(
        "{}  {policies} policies, {}",
        styled(GOOD, "good"),
        styled(DIM, digest)
    );
    if let Some(into) = &arguments.into {
        if !arguments.dry_run {
            install::install(&set, &arguments.folder, into)?;
            anstream::println!("it lies in {}", into.display());
            if let Some(web) = &arguments.web {
                install::wait(web, digest, arguments.longest()).await?;
            }
        }
        return Ok(ExitCode::SUCCESS);
    }
    send(arguments, &set).await
}

/// Sends it to services as the next revision.
async fn send(arguments: &Arguments, set: &CheckedSet) -> Result<ExitCode> {
    let folder = &arguments.folder;
    let client = arguments.connection.open()?;
    let known = client.revisions().await?;
    let base = base::of(folder, arguments.base, &known)?;
    if arguments.dry_run {
        return Ok(ExitCode::SUCCESS);
    }
    let (author, note) = arguments.reason.given()?;
    let digests = set.contents.keys().copied().collect();
    for digest in client.missing(digests).await? {
        let bytes = set.contents.get(&digest);
        let bytes = bytes.context("services miss a file that they were not asked about")?;
        client.put_file(digest, bytes.clone()).await?;
    }
    let new = NewRevision {
        manifest: set.revision.manifest().clone(),
        base,
        author,
        note,
        trial: arguments.terms(),
    };
    let sent = client.send(&new).await?;
    base::write(folder, sent.number)?;
    let shown = styled(GOOD, format!("revision {}", sent.number));
    let part = match sent.on_trial_until {
        None => {
            anstream::println!("{shown} is active");
            Part::Active
        }
        Some(until) => {
            anstream::println!(
                "{shown} is on trial until {until}; `portcullis policy revisions` says how it goes"
            );
            Part::OnTrial
        }
    };
    converge(&client, sent.number, part, arguments.longest()).await?;
    Ok(ExitCode::SUCCESS)
}
