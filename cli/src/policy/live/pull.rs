//! `portcullis policy pull`: the files of a revision, laid down in a folder to be changed and applied.

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use portcullis_hop::policies::RevisionNumber;
use portcullis_types::Sha256Digest;

use super::{Connection, active, base};
use crate::screen::{GOOD, styled};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The folder. Files of the revision replace those that lie there; others stay.
    folder: PathBuf,
    /// The revision. Default: the active one.
    #[arg(long, value_name = "NUMBER")]
    revision: Option<u64>,
    #[command(flatten)]
    connection: Connection,
    /// Replace files that lie there and are other ones.
    #[arg(long)]
    force: bool,
}

pub(crate) async fn run(arguments: &Arguments) -> Result<ExitCode> {
    let client = arguments.connection.open()?;
    let number = if let Some(number) = arguments.revision {
        RevisionNumber(number)
    } else {
        let known = client.revisions().await?;
        let active = active(&known).context("no revision is active yet")?;
        active.number
    };
    let revision = client.revision(number).await?;
    // Names lead nowhere but beneath the folder: services are not trusted with that.
    revision.manifest.check()?;
    let folder = &arguments.folder;
    for (name, digest) in revision.manifest.all() {
        let path = folder.join(name);
        let known = fs::read(&path).ok().map(|bytes| Sha256Digest::of(&bytes));
        if known == Some(digest) {
            continue;
        }
        ensure!(
            known.is_none() || arguments.force,
            "{} lies there already and is another file than that of revision {number}; move it away, or replace it with --force",
            path.display()
        );
        let bytes = client.file(digest).await?;
        let written = fs::create_dir_all(path.parent().unwrap_or(folder))
            .and_then(|()| fs::write(&path, &bytes));
        written.with_context(|| format!("{} cannot be written", path.display()))?;
    }
    base::write(folder, number)?;
    anstream::println!(
        "{} lies in {}",
        styled(GOOD, format!("revision {number}")),
        folder.display()
    );
    Ok(ExitCode::SUCCESS)
}
