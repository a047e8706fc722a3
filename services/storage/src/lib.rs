//! Disks: where uploads lie while they arrive, and where they stay.
//!
//! A file is visible only when it is whole and durable, and nothing that is visible is ever overwritten.
//! This crate knows no HTTP and no catalog: what lies where, and since when, its caller remembers. Every
//! call blocks; call it from threads that may.
#![forbid(unsafe_code)]

#[cfg(feature = "contract")]
pub mod contract;
mod crash;
mod disk;
mod disk_id;
mod error;
mod local;
mod looks;
mod stage;

pub use crash::{CrashPoint, crash_point};
pub use disk::{Disk, Entry, EntryKind, Facts, Identity, Readable, Shown, Space};
pub use disk_id::{DiskId, Known};
pub use error::{DiskError, Step};
pub use local::{LocalDisk, Settings};
pub use looks::Looks;
pub use stage::{Checkpoint, OpenStage, SealedStage, hash_of};
