//! `portcullis policy apply`: a set is checked here, kept by services, and run by every web host.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use portcullis_hop::policies::NewRevision;

use super::set::CheckedSet;
use super::{Connection, Reason, active, base, hosts};
use crate::policy::screen::{DIM, GOOD, styled};

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
    /// Only check the set, and say whether it could be applied.
    #[arg(long)]
    dry_run: bool,
    /// How many seconds web hosts may take.
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    wait: u64,
}

pub(crate) async fn run(arguments: &Arguments) -> Result<ExitCode> {
    let folder = &arguments.folder;
    let set = CheckedSet::read(folder).await?;
    let manifest = set.revision.manifest();
    let client = arguments.connection.open()?;
    let known = client.revisions().await?;
    let base = base::of(folder, arguments.base, active(&known))?;
    let digest = set.revision.digest();
    let policies = set.revision.policies().len();
    if arguments.dry_run {
        anstream::println!("{} {digest}, {policies} policies", styled(GOOD, "good"));
        return Ok(ExitCode::SUCCESS);
    }
    let digests = set.contents.keys().copied().collect();
    for digest in client.missing(digests).await? {
        let bytes = set.contents.get(&digest);
        let bytes = bytes.context("services miss a file that they were not asked about")?;
        client.put_file(digest, bytes.clone()).await?;
    }
    let new = NewRevision {
        manifest: manifest.clone(),
        base,
        author: arguments.reason.author.clone(),
        note: arguments.reason.note.clone(),
    };
    let activation = client.send(&new).await?;
    let number = activation.number;
    base::write(folder, number)?;
    let shown = styled(GOOD, format!("revision {number}"));
    anstream::println!("{shown} is active  {}", styled(DIM, digest));
    hosts::converge(&client, number, Duration::from_secs(arguments.wait)).await?;
    Ok(ExitCode::SUCCESS)
}
