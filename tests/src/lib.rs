//! The real pair of servers for tests that see them as their users do: over HTTP, on the disk, in the log,
//! by signals. It links neither server.
#![forbid(unsafe_code)]

pub mod gateway;
mod wait;

pub use wait::{LIMIT, until};
