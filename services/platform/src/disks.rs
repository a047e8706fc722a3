use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use portcullis_hop::StoreError;
use portcullis_storage::{Disk, DiskError};
use portcullis_types::DiskName;

use crate::fault::Fault;

/// The disks of services, by the names in the configuration; at least one.
#[derive(Clone, Debug)]
pub struct Disks(Arc<BTreeMap<DiskName, NamedDisk>>);

/// A disk with its name, and whether it failed since this process began.
#[derive(Clone, Debug)]
pub struct NamedDisk {
    /// Its name.
    pub name: DiskName,
    disk: Arc<dyn Disk>,
    failed: Arc<AtomicBool>,
}

impl Disks {
    /// These disks.
    pub fn new(disks: impl IntoIterator<Item = (DiskName, Arc<dyn Disk>)>) -> Self {
        let named = |(name, disk): (DiskName, _)| {
            let failed = Arc::default();
            (name.clone(), NamedDisk { name, disk, failed })
        };
        Self(Arc::new(disks.into_iter().map(named).collect()))
    }

    /// The disk with a name.
    pub fn get(&self, name: &DiskName) -> Option<&NamedDisk> {
        self.0.get(name)
    }

    /// The disk that bytes were stored on.
    ///
    /// # Errors
    /// It is no longer configured, which the operator is told.
    pub(crate) fn holding(&self, name: &DiskName) -> Result<&NamedDisk, Fault> {
        self.get(name).ok_or_else(|| {
            tracing::error!(disk = %name, "an upload lies on a disk that is no longer configured");
            Fault(StoreError::StorageFailed)
        })
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = &NamedDisk> {
        self.0.values()
    }

    /// The one that is meant when none is named: the first.
    pub fn default_disk(&self) -> Option<&NamedDisk> {
        self.iter().next()
    }
}

impl NamedDisk {
    /// The disk.
    pub fn disk(&self) -> &dyn Disk {
        &*self.disk
    }

    /// Whether the operating system reported a failure since this process began. Pages that could not be
    /// written are marked clean, so that nothing but a look at the disk and a restart says that it is well.
    pub fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Relaxed)
    }

    /// Takes note of what an error says about the disk, and tells the operator.
    pub fn note(&self, error: &DiskError) {
        if let DiskError::Failed { step, kind } = error {
            self.failed.store(true, Ordering::Relaxed);
            tracing::error!(disk = %self.name, %step, %kind, "a disk failed");
        }
    }
}
