//! What the tests of uploads and of their quarantine both need.

use std::path::Path;
use std::sync::Arc;

use portcullis_services::catalog::Catalog;
use portcullis_services::config::DiskLimits;
use portcullis_services::{Disks, UploadLimits, Uploads};
use portcullis_storage::{Disk, LocalDisk};
use portcullis_types::Clock;

/// Uploads whose catalog and one disk, `local`, lie in a folder: as a process finds them when it starts.
pub(crate) fn open(folder: &Path, clock: Clock) -> Uploads {
    open_limited(folder, clock, DiskLimits::default())
}

/// The same with a disk that does not take everything.
pub(crate) fn open_limited(folder: &Path, clock: Clock, disk_limits: DiskLimits) -> Uploads {
    let root = folder.join("local");
    std::fs::create_dir_all(&root).expect("is made");
    let disk = LocalDisk::open(&root).expect("opens");
    let name = "local".parse().expect("is valid");
    let disks = Disks::new([(name, Arc::new(disk) as Arc<dyn Disk>, disk_limits)]);
    let (catalog, _thread) = Catalog::open(&folder.join("catalog.sqlite")).expect("opens");
    let limits = UploadLimits {
        reserve_bytes: 0,
        ..UploadLimits::default()
    };
    Uploads::new(catalog, disks, clock, limits)
}
