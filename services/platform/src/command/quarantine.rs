//! `portcullis-services quarantine`: what policies set apart.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;

use anyhow::Result;
use portcullis_hop::{StoreError, UploadState};
use portcullis_services::catalog::Actor;
use portcullis_services::config::DiskConfig;
use portcullis_services::{Fault, Uploads, server};
use portcullis_types::{DiskName, UploadId};

use super::decision;

#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Lists what is in quarantine, oldest first: id, when, who, where a release would show it, which rule.
    List,
    /// Shows a file at its path, like any other.
    Release(Named),
    /// Removes a file. Its record stays, and says that it was refused.
    Discard(Named),
}

#[derive(clap::Args)]
pub(crate) struct Named {
    /// As `quarantine list` shows it.
    id: UploadId,
    /// Why: one sentence for the audit.
    #[arg(long)]
    reason: String,
}

pub(crate) async fn run(
    command: Command,
    catalog: PathBuf,
    disks: BTreeMap<DiskName, DiskConfig>,
) -> Result<()> {
    let (uploads, thread) = server::open_uploads(catalog, disks).await?;
    let done = carry_out(command, &uploads).await;
    drop(uploads);
    thread.join();
    done
}

async fn carry_out(command: Command, uploads: &Uploads) -> Result<()> {
    let mut out = std::io::stdout();
    match command {
        Command::List => {
            let listed = uploads.quarantined(Actor::operator()).await;
            for file in listed.map_err(|fault| fault.0)? {
                let receipt = &file.receipt;
                let rule = receipt.refusal.as_ref();
                let rule = rule.map_or("-", |refusal| refusal.rule.as_str());
                writeln!(
                    out,
                    "{}\t{}\t{}\t{}:{}\t{rule}",
                    receipt.id, receipt.stored_at, file.subject, receipt.disk, receipt.path
                )?;
            }
        }
        Command::Release(Named { id, reason }) => {
            let decision = decision(&reason)?;
            let released = uploads.release(id, decision).await;
            let released = released.map_err(|fault| explained(id, fault))?;
            let (disk, path) = (&released.receipt.disk, &released.receipt.path);
            if released.shown {
                writeln!(out, "{id} is released and stands at {disk}:{path}")?;
            } else {
                writeln!(
                    out,
                    "{id} is released; {disk}:{path} has a newer version, which stays"
                )?;
            }
        }
        Command::Discard(Named { id, reason }) => {
            let decision = decision(&reason)?;
            let discarded = uploads.discard(id, decision).await;
            discarded.map_err(|fault| explained(id, fault))?;
            writeln!(out, "{id} is discarded")?;
        }
    }
    Ok(())
}

fn explained(id: UploadId, fault: Fault) -> anyhow::Error {
    match fault.0 {
        StoreError::NotFound => anyhow::anyhow!("there is no upload {id}; see `quarantine list`"),
        StoreError::Ended(UploadState::Committed) => {
            anyhow::anyhow!("{id} is not in quarantine: it is stored, or was released already")
        }
        StoreError::Ended(state) => {
            anyhow::anyhow!("{id} is not in quarantine: it is {}", state.as_str())
        }
        StoreError::PathTaken => anyhow::anyhow!(
            "{id} stays in quarantine: a file that Portcullis did not store stands at its path; move that away"
        ),
        other => other.into(),
    }
}
