//! Commands that work on the catalog and the disks, whether services run or not.

pub(crate) mod audit;
pub(crate) mod backup;
pub(crate) mod disk;
pub(crate) mod fsck;
pub(crate) mod import;
pub(crate) mod purge;
pub(crate) mod quarantine;
pub(crate) mod token;
