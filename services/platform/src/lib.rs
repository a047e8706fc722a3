//! The protected side: it stores what the web host has judged, remembers it in a catalog, and writes down
//! who did what. It never judges an upload and is never reached by the public.
#![forbid(unsafe_code)]

mod blocking;
pub mod catalog;
pub mod config;
mod disks;
pub mod doctor;
mod fault;
mod files;
pub mod fsck;
mod gauges;
mod health;
pub mod http;
pub mod idempotency;
pub mod import;
pub mod keys;
pub mod policies;
pub mod quarantine;
pub mod quota;
pub mod server;
mod uploads;

pub use disks::{Disks, NamedDisk};
pub use fault::Fault;
pub use files::{ChunkError, CleanedUp, DeletedMany, NewFile, Prefix};
pub use health::{DiskHealth, Health};
pub use uploads::{UploadLimits, Uploads};
