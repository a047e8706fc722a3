//! `portcullis-services purge`: all of a file, for good.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;

use anyhow::{Result, anyhow};
use portcullis_hop::StoreError;
use portcullis_services::config::DiskConfig;
use portcullis_services::server;
use portcullis_types::{DiskName, DiskPath};

use super::decision;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The disk.
    disk: DiskName,
    /// The path of the file on it.
    path: DiskPath,
    /// Why: one sentence for the audit.
    #[arg(long)]
    reason: String,
}

pub(crate) async fn run(
    arguments: Arguments,
    catalog: PathBuf,
    disks: BTreeMap<DiskName, DiskConfig>,
) -> Result<()> {
    let Arguments { disk, path, reason } = arguments;
    let decision = decision(&reason)?;
    let (uploads, thread) = server::open_uploads(catalog, disks).await?;
    let purged = match uploads.disk_or_default(Some(&disk)) {
        Ok(disk) => uploads.purge(disk, &path, decision, None).await,
        Err(error) => Err(error.into()),
    };
    drop(uploads);
    thread.join();
    let purged = purged.map_err(|fault| match fault.0 {
        StoreError::NotFound => anyhow!("there is no file {disk}:{path}, or it was purged before"),
        other => other.into(),
    })?;
    writeln!(
        std::io::stdout(),
        "{disk}:{path} is gone for good, all {} version(s) of it",
        purged["purged_versions"]
    )?;
    Ok(())
}
