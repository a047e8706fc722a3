//! What both servers do alike: read their configuration, listen within limits, stop gracefully.
//!
//! It knows neither uploads nor policies nor disks.
#![forbid(unsafe_code)]

mod config;
mod framing;
mod keys;
mod listener;
mod role;
mod stop;

pub use config::{ConfigError, Environment, Resolved, Source, read_toml};
pub use keys::internal_keys;
pub use listener::{Limits, Listener};
pub use role::Role;
pub use stop::stop_signal;
