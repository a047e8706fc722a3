use portcullis_hop::StoreError;
use portcullis_storage::DiskError;

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
        tracing::error!(%error, "the catalog failed");
        Self(StoreError::StorageFailed)
    }
}

impl Fault {
    /// A task of ours panicked or was not run.
    pub(crate) fn lost<T>(_: T) -> Self {
        tracing::error!("a task ended without an outcome");
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
                    tracing::error!(disk = %disk.name, %error, "bytes that were durable are gone");
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
