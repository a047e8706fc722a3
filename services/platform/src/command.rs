//! Commands that work on the catalog and the disks, whether services run or not.

pub(crate) mod backup;
pub(crate) mod disk;
pub(crate) mod purge;
pub(crate) mod quarantine;
pub(crate) mod token;

/// Who the audit names for what is done on the services host itself.
pub(crate) const OPERATOR: &str = "(operator)";
