//! Versions of the policy contract, one adapter each.

pub(crate) mod v0_1;

/// The newest version of the policy contract that this engine speaks.
pub const CONTRACT_VERSION: &str = "0.1";
