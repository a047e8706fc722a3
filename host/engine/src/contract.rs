//! Versions of the policy contract, one adapter each.

pub(crate) mod v0_1;
