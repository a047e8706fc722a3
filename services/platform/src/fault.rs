use portcullis_hop::StoreError;
use portcullis_storage::DiskError;
use portcullis_telemetry::{Detail, Label, Line, log};

use crate::catalog::CatalogError;
use crate::disks::NamedDisk;

/// Why something was not done, as the hop says it: the one place where the errors of disks and catalog
/// become answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault(pub StoreError);

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self(error)
    }
}

impl From<CatalogError> for Fault {
    fn from(error: CatalogError) -> Self {
        log(Line::CatalogFailed, [Detail::reason(&error)]);
        Self(StoreError::StorageFailed)
    }
}

impl Fault {
    /// A task of ours panicked or was not run.
    pub(crate) fn lost<T>(_: T) -> Self {
        log(Line::TaskLost, []);
        Self(StoreError::StorageFailed)
    }

    /// What a disk said.
    pub(crate) fn of_disk(disk: &NamedDisk) -> impl Fn(DiskError) -> Self + '_ {
        |error| {
            disk.note(&error);
            Self(match error {
                DiskError::Full(_) => StoreError::DiskFull,
                DiskError::Occupied => StoreError::PathTaken,
                DiskError::Symlink => StoreError::UnsafePath(error.to_string()),
                DiskError::Missing | DiskError::Shortened { .. } => {
                    log(Line::BytesGone, [Label::Disk(disk.name.clone()).into()]);
                    StoreError::NotFound
                }
                DiskError::ReadOnly => StoreError::ReadOnly(disk.name.clone()),
                DiskError::Mismatch => StoreError::DigestMismatch,
                DiskError::Poisoned
                | DiskError::Failed { .. }
                | DiskError::NotMounted
                | DiskError::AnotherDisk => StoreError::StorageFailed,
            })
        }
    }
}
