//! Whether services could take an upload now.

use std::collections::BTreeMap;

use portcullis_storage::Space;
use portcullis_types::DiskName;

use crate::catalog::Rows;
use crate::fault::Fault;
use crate::uploads::Uploads;

/// How catalog and disks are.
#[derive(Clone, Debug)]
pub struct Health {
    /// Whether the catalog takes transactions.
    pub catalog: bool,
    /// Each disk.
    pub disks: BTreeMap<DiskName, DiskHealth>,
}

/// How a disk is.
#[derive(Clone, Copy, Debug)]
pub struct DiskHealth {
    /// Whether it can be asked and has not failed since this process began.
    pub fit: bool,
    /// How much room it has, where that is known.
    pub space: Option<Space>,
}

impl Health {
    /// Whether all is well.
    pub fn is_well(&self) -> bool {
        self.catalog && self.disks.values().all(|disk| disk.fit)
    }
}

impl Uploads {
    /// Looks at the catalog and every disk.
    pub async fn health(&self) -> Result<Health, Fault> {
        let disks = self.disks().clone();
        let look = move || {
            let look = |disk: &crate::NamedDisk| {
                let space = disk.disk().space().ok();
                let fit = space.is_some() && !disk.has_failed();
                (disk.name.clone(), DiskHealth { fit, space })
            };
            disks.iter().map(look).collect()
        };
        let disks = tokio::task::spawn_blocking(look).await;
        let catalog = self.catalog().run(|_: &Rows| Ok::<_, Fault>(())).await;
        Ok(Health {
            catalog: catalog.is_ok(),
            disks: disks.map_err(Fault::lost)?,
        })
    }
}
