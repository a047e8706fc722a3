//! What both servers do alike: read their configuration, listen within limits, stop gracefully.
//!
//! It knows neither uploads nor disks, and of policies only whose components may run.
#![forbid(unsafe_code)]

pub mod body_headers;
mod config;
pub mod content_disposition;
mod detach;
pub mod doctor;
mod framing;
mod keys;
mod listener;
pub mod multipart;
mod opening;
mod requests;
mod role;
mod scrape;
mod stop;
pub mod supervisor;
mod trace_headers;
mod trust;

pub use config::{ConfigError, Environment, Resolved, Source, read_toml};
pub use keys::internal_keys;
pub use listener::{Cut, Limits, Listener, Peer};
pub use role::Role;
pub use scrape::Scrape;
pub use stop::stop_signal;
pub use trace_headers::{SERVER_TIMING, join_trace};
pub use trust::trust;
