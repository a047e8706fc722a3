//! `portcullis-services import`: files that were there before.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use portcullis_services::config::DiskConfig;
use portcullis_services::import::Imported;
use portcullis_services::quarantine::Decision;
use portcullis_services::{Fault, Uploads, server};
use portcullis_types::{DiskName, DiskPath};

use super::{decision, progress};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The folder: the root of a disk, or one beneath it.
    folder: PathBuf,
    /// Why: one sentence for the audit.
    #[arg(long, required_unless_present = "dry_run")]
    reason: Option<String>,
    /// Says what would be taken in, and changes nothing.
    #[arg(long, conflicts_with = "reason")]
    dry_run: bool,
}

pub(crate) async fn run(
    arguments: Arguments,
    catalog: PathBuf,
    disks: BTreeMap<DiskName, DiskConfig>,
) -> Result<()> {
    let reason = arguments.reason.as_deref();
    let decision = reason.map(decision).transpose()?;
    let (disk, folder) = on_disk(&arguments.folder, &disks)?;
    let (uploads, thread) = server::open_uploads(catalog, disks).await?;
    let import = move || import(&uploads, &disk, folder.as_ref(), decision.as_ref());
    let imported = tokio::task::spawn_blocking(import).await;
    thread.join();
    imported.context("it ended without an outcome")?
}

/// Which disk a folder is on, and where there.
fn on_disk(
    folder: &Path,
    disks: &BTreeMap<DiskName, DiskConfig>,
) -> Result<(DiskName, Option<DiskPath>)> {
    let unusable = || format!("{} cannot be used", folder.display());
    let folder = folder.canonicalize().with_context(unusable)?;
    for (name, DiskConfig::Local(local)) in disks {
        let Ok(root) = local.root.canonicalize() else {
            continue;
        };
        let Ok(beneath) = folder.strip_prefix(&root) else {
            continue;
        };
        let beneath = beneath.to_str().with_context(unusable)?;
        let path = (!beneath.is_empty()).then(|| beneath.parse::<DiskPath>());
        return Ok((name.clone(), path.transpose().with_context(unusable)?));
    }
    bail!(
        "{} is on no disk of the configuration (see `disk list`); files are taken in where they stand, so move it beneath the root of one",
        folder.display()
    )
}

fn import(
    uploads: &Uploads,
    disk: &DiskName,
    folder: Option<&DiskPath>,
    decision: Option<&Decision>,
) -> Result<()> {
    let disk = uploads.disk_or_default(Some(disk))?;
    let mut progress = progress(&disk.name, so_far);
    let imported = uploads.import(disk, folder, decision, &mut progress);
    let imported = imported.map_err(|fault: Fault| fault.0)?;
    let mut out = std::io::stdout().lock();
    for (name, why) in &imported.named {
        writeln!(out, "{}:{}: {}", disk.name, name.escape_debug(), why.says())?;
    }
    let done = if decision.is_some() {
        "taken in"
    } else {
        "would be taken in; nothing was changed"
    };
    writeln!(out, "{}: {} {done}", disk.name, so_far(&imported))?;
    Ok(())
}

fn so_far(imported: &Imported) -> String {
    let Imported {
        files,
        bytes,
        known,
        left,
        ..
    } = imported;
    format!("{known} file(s) known, {left} left as they are, {files} file(s) with {bytes} bytes")
}
