//! Lines for finding faults in the policy: `portcullis policy run` shows them.
//!
//! Never for the data: no file name and no value from the upload may be in a message. A server shows how many lines, warnings
//! and errors there were, under the policy's name, and no word of them. A line is cut at 512 bytes, and of one upload 64 lines
//! are shown. In native tests nothing is written.

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
