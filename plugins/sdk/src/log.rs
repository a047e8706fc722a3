//! Lines for the operator's log, for finding faults in the policy.
//!
//! Never for the data: no file name and no value from the upload may be in a message. The host cuts a
//! line at 512 bytes and keeps at most 64 lines for an upload. In native tests nothing is written.

use crate::bindings::validation::portcullis::policy::log::Level;

/// For whoever writes the policy.
pub fn debug(message: &str) {
    write(Level::Debug, message);
}

/// For the operator, when all is well.
pub fn info(message: &str) {
    write(Level::Info, message);
}

/// Something that should be looked at.
pub fn warn(message: &str) {
    write(Level::Warn, message);
}

/// Something that is broken.
pub fn error(message: &str) {
    write(Level::Error, message);
}

#[cfg(target_arch = "wasm32")]
fn write(level: Level, message: &str) {
    crate::bindings::validation::portcullis::policy::log::write(level, message);
}

#[cfg(not(target_arch = "wasm32"))]
fn write(_: Level, _: &str) {}
