use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use portcullis_hop::StoreError;
use portcullis_storage::{Disk, DiskError, Step, hash_of};
use portcullis_telemetry::{Detail, Label, Line, log};
use portcullis_types::{DiskName, Sha256Digest, UploadId};

use crate::blocking::blocking;
use crate::config::DiskLimits;
use crate::fault::Fault;

/// The disks of services, by the names in the configuration; at least one.
#[derive(Clone, Debug)]
pub struct Disks {
    named: Arc<BTreeMap<DiskName, NamedDisk>>,
    /// The one that is meant when none is named.
    usual: Option<DiskName>,
}

/// A disk with its name, and whether it failed since this process began.
#[derive(Clone, Debug)]
pub struct NamedDisk {
    /// Its name.
    pub name: DiskName,
    disk: Arc<dyn Disk>,
    limits: Arc<DiskLimits>,
    failed: Arc<AtomicBool>,
    /// One look at a time: one that does not come back, as on a NAS that is away, takes no second thread.
    looking: Arc<tokio::sync::Mutex<()>>,
}

impl Disks {
    /// These disks, of which the first by name is meant when none is named.
    pub fn new(disks: impl IntoIterator<Item = (DiskName, Arc<dyn Disk>, DiskLimits)>) -> Self {
        let named = |(name, disk, limits): (DiskName, _, _)| {
            let disk = NamedDisk {
                name: name.clone(),
                disk,
                limits: Arc::new(limits),
                failed: Arc::default(),
                looking: Arc::default(),
            };
            (name, disk)
        };
        Self {
            named: Arc::new(disks.into_iter().map(named).collect()),
            usual: None,
        }
    }

    /// The same, where another one is meant when none is named.
    #[must_use]
    pub fn with_default(mut self, name: Option<DiskName>) -> Self {
        self.usual = name;
        self
    }

    /// The disk with a name.
    pub fn get(&self, name: &DiskName) -> Option<&NamedDisk> {
        self.named.get(name)
    }

    /// The disk that bytes were stored on.
    ///
    /// # Errors
    /// It is no longer configured, which the operator is told.
    pub(crate) fn holding(&self, name: &DiskName) -> Result<&NamedDisk, Fault> {
        self.get(name).ok_or_else(|| {
            log(Line::DiskUnknown, [Label::Disk(name.clone()).into()]);
            Fault(StoreError::StorageFailed)
        })
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = &NamedDisk> {
        self.named.values()
    }

    /// The one that is meant when none is named.
    pub fn default_disk(&self) -> Option<&NamedDisk> {
        match &self.usual {
            Some(name) => self.get(name),
            None => self.iter().next(),
        }
    }
}

impl NamedDisk {
    /// Looks at the disk on a thread that may wait.
    ///
    /// # Errors
    /// It did not come back within `deadline`, or the look before it has not.
    pub(crate) async fn look<T: Send + 'static>(
        &self,
        deadline: std::time::Duration,
        look: impl FnOnce(&Self) -> T + Send + 'static,
    ) -> Result<T, Fault> {
        let disk = self.clone();
        let looking = async {
            let turn = Arc::clone(&disk.looking).lock_owned().await;
            let look = move || {
                let _turn = turn;
                look(&disk)
            };
            blocking(look).await
        };
        let looked = tokio::time::timeout(deadline, looking).await;
        looked.map_err(|_| Fault(StoreError::Timeout))?
    }

    /// What it takes.
    pub fn limits(&self) -> &DiskLimits {
        &self.limits
    }

    /// Whether files may be stored and deleted.
    pub(crate) fn check_writable(&self) -> Result<(), Fault> {
        if self.limits.read_only {
            return Err(StoreError::ReadOnly(self.name.clone()).into());
        }
        Ok(())
    }

    /// The disk.
    pub fn disk(&self) -> &dyn Disk {
        &*self.disk
    }

    /// The digest of a version's bytes as they are now. Absent when they cannot be read to their end.
    pub(crate) fn digest(&self, version: UploadId) -> Result<Option<Sha256Digest>, Fault> {
        let file = self.disk.open_version(version);
        match hash_of(file.map_err(Fault::of_disk(self))?) {
            Ok(hasher) => Ok(Some(hasher.finish())),
            Err(error) => {
                let (step, kind) = (Step::Read, error.kind());
                self.note(&DiskError::Failed { step, kind });
                Ok(None)
            }
        }
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
            let disk = Label::Disk(self.name.clone());
            log(
                Line::DiskFailed,
                [
                    disk.into(),
                    Detail::DiskStep(step.as_str()),
                    Detail::Io(*kind),
                ],
            );
        }
    }
}
