//! Whether services could take an upload now.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use portcullis_storage::Space;
use portcullis_types::DiskName;

use crate::catalog::Rows;
use crate::disks::NamedDisk;
use crate::fault::Fault;
use crate::uploads::Uploads;

/// How long a look at a disk may take. A NAS that takes longer could not take an upload either.
const DEADLINE: Duration = Duration::from_secs(5);

/// How catalog and disks are.
#[derive(Clone, Debug)]
pub struct Health {
    /// Whether the catalog takes transactions.
    pub catalog: bool,
    /// Each disk.
    pub disks: BTreeMap<DiskName, DiskHealth>,
}

/// How a disk is.
#[derive(Clone, Copy, Debug, Default)]
pub struct DiskHealth {
    /// Whether it answers, has not failed since this process began, and takes a file, where that was tried.
    pub fit: bool,
    /// How much room it has, where that is known.
    pub space: Option<Space>,
    /// How long it took to write a few bytes and make them durable. Absent when that was not tried or failed, and of a read-only disk.
    pub write_latency: Option<Duration>,
}

impl Health {
    /// Whether all is well.
    pub fn is_well(&self) -> bool {
        self.catalog && self.disks.values().all(|disk| disk.fit)
    }
}

/// How long what was found out counts: whoever asks more often costs the disks nothing.
const FRESH: Duration = Duration::from_secs(5);

/// Whether an upload would really be taken now: found out by having every disk take a file, and remembered for a moment.
#[derive(Debug, Default)]
pub(crate) struct Readiness(tokio::sync::Mutex<Option<(Instant, Health)>>);

impl Readiness {
    /// How things are, or were a moment ago. Those who ask at once are told the same.
    pub(crate) async fn of(&self, uploads: &Uploads) -> Result<Health, Fault> {
        let mut known = self.0.lock().await;
        if let Some((at, health)) = &*known
            && at.elapsed() < FRESH
        {
            return Ok(health.clone());
        }
        let health = uploads.examine().await?;
        *known = Some((Instant::now(), health.clone()));
        Ok(health)
    }
}

impl Uploads {
    /// Looks at the catalog and every disk.
    pub async fn health(&self) -> Result<Health, Fault> {
        self.look(|disk| {
            let space = disk.disk().space().ok();
            DiskHealth {
                fit: space.is_some() && !disk.has_failed(),
                space,
                write_latency: None,
            }
        })
        .await
    }

    /// The same, and has every disk take a small file.
    pub async fn examine(&self) -> Result<Health, Fault> {
        self.look(|disk| {
            let space = disk.disk().space().ok();
            let begun = Instant::now();
            let probed = disk.disk().probe();
            let took = begun.elapsed();
            let written = probed.is_ok() && !disk.limits().read_only;
            DiskHealth {
                fit: space.is_some() && probed.is_ok() && !disk.has_failed(),
                space,
                write_latency: written.then_some(took),
            }
        })
        .await
    }

    async fn look(&self, look: fn(&NamedDisk) -> DiskHealth) -> Result<Health, Fault> {
        let disks = self.disks().iter().map(async |disk| {
            let health = disk.look(DEADLINE, look).await;
            (disk.name.clone(), health.unwrap_or_default())
        });
        let disks = futures_util::future::join_all(disks).await;
        let catalog = self.catalog().run(|_: &Rows| Ok::<_, Fault>(())).await;
        Ok(Health {
            catalog: catalog.is_ok(),
            disks: disks.into_iter().collect(),
        })
    }
}
