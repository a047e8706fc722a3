//! Commands that work on the catalog and the disks, whether services run or not.

pub(crate) mod audit;
pub(crate) mod backup;
pub(crate) mod disk;
pub(crate) mod fsck;
pub(crate) mod import;
pub(crate) mod purge;
pub(crate) mod quarantine;
pub(crate) mod token;

use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use portcullis_services::catalog::{Actor, Catalog};
use portcullis_services::quarantine::Decision;
use portcullis_types::DiskName;

/// How often the progress of a long command is told.
const PROGRESS: Duration = Duration::from_secs(2);

/// What the operator decides, with what `--reason` says.
fn decision(reason: &str) -> Result<Decision> {
    Decision::new(Actor::operator(), reason).context("--reason")
}

/// Works on the catalog as services do, beside them or not.
async fn with_catalog<T>(path: &Path, work: impl AsyncFnOnce(&Catalog) -> Result<T>) -> Result<T> {
    let (catalog, thread) = Catalog::open(path)
        .with_context(|| format!("the catalog at {} cannot be used", path.display()))?;
    let done = work(&catalog).await;
    drop(catalog);
    thread.join();
    done
}

/// Tells from time to time how far something on a disk has come.
fn progress<'a, T>(disk: &'a DiskName, so_far: impl Fn(&T) -> String + 'a) -> impl FnMut(&T) + 'a {
    let mut told = Instant::now();
    move |state| {
        if told.elapsed() >= PROGRESS {
            told = Instant::now();
            // Whoever does not want to hear it closes standard error.
            let _ = writeln!(std::io::stderr(), "{disk}: {}", so_far(state));
        }
    }
}
