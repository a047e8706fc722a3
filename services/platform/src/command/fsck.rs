//! `portcullis-services fsck`: whether catalog and disks agree.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use portcullis_services::config::DiskConfig;
use portcullis_services::fsck::{Checked, Found, Fsck};
use portcullis_services::{Fault, NamedDisk, Uploads, server};
use portcullis_types::{Clock, DiskName};

use super::{decision, progress};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Only this disk.
    #[arg(long)]
    disk: Option<DiskName>,
    /// Mends what can be mended, each in a row of the audit. Otherwise nothing is changed.
    #[arg(long, requires = "reason")]
    mend: bool,
    /// Why it is mended: one sentence for the audit.
    #[arg(long, requires = "mend")]
    reason: Option<String>,
    /// Reads every byte and compares it with what was stored.
    #[arg(long)]
    digests: bool,
    /// What was read within so many days is not read again, so that a run that was interrupted goes on.
    #[arg(long, default_value_t = 30, value_name = "DAYS")]
    read_again_after: u64,
    /// What the catalog does not know is left alone for so many minutes: beside running services it may just be arriving.
    #[arg(long, default_value_t = 60, value_name = "MINUTES")]
    settled_for: u64,
}

pub(crate) async fn run(
    arguments: Arguments,
    catalog: PathBuf,
    disks: BTreeMap<DiskName, DiskConfig>,
) -> Result<ExitCode> {
    let reason = arguments.reason.as_deref().filter(|_| arguments.mend);
    let mend = reason.map(decision);
    let within = Duration::from_hours(24 * arguments.read_again_after);
    let how = Fsck {
        mend: mend.transpose()?,
        digests: arguments
            .digests
            .then(|| Clock::system().now().minus(within)),
        settled: Duration::from_mins(arguments.settled_for),
    };
    let (uploads, thread) = server::open_uploads(catalog, disks).await?;
    let only = arguments.disk.clone();
    let checked =
        tokio::task::spawn_blocking(move || check_all(&uploads, only.as_ref(), &how)).await;
    thread.join();
    let agree = checked.context("it ended without an outcome")??;
    Ok(if agree {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Says whether all disks agree now.
fn check_all(uploads: &Uploads, only: Option<&DiskName>, how: &Fsck) -> Result<bool> {
    if only.is_some() {
        uploads.disk_or_default(only)?;
    }
    let mut agree = true;
    let wanted = |disk: &&NamedDisk| only.is_none_or(|only| *only == disk.name);
    for disk in uploads.disks().iter().filter(wanted) {
        let mut progress = progress(&disk.name, so_far);
        let checked = uploads.fsck(disk, how, &mut progress);
        let checked = checked.map_err(|fault: Fault| fault.0)?;
        tell(&disk.name, &checked)?;
        agree &= checked.faults == checked.mended;
    }
    Ok(agree)
}

fn tell(disk: &DiskName, checked: &Checked) -> Result<()> {
    let mut out = std::io::stdout().lock();
    for found in &checked.found {
        writeln!(out, "{}", line(disk, found))?;
    }
    let verdict = match (checked.faults, checked.mended) {
        (0, _) => "catalog and disk agree".to_owned(),
        (faults, mended) if faults == mended => format!("{mended} disagreement(s), mended"),
        (faults, mended) => format!("{faults} disagreement(s), {mended} of them mended"),
    };
    writeln!(out, "{disk}: {}: {verdict}", so_far(checked))?;
    Ok(())
}

fn so_far(checked: &Checked) -> String {
    let Checked {
        versions,
        paths,
        bytes,
        ..
    } = checked;
    format!("{versions} version(s) at {paths} path(s), {bytes} bytes read")
}

fn line(disk: &DiskName, found: &Found) -> String {
    let path = found.path.as_ref().map(|(path, version)| match version {
        Some(version) => format!("{disk}:{path} version {version}"),
        None => format!("{disk}:{path}"),
    });
    let upload = found.upload.map(|upload| format!("upload {upload}"));
    let whose: Vec<String> = path.into_iter().chain(upload).collect();
    let mended = if found.mended { " (mended)" } else { "" };
    format!("{}: {}{mended}", whose.join(", "), found.what.says())
}
