//! The public side: takes uploads, has them judged by policies while their bytes pass, and hands what passed
//! to services. It keeps none of them: it opens no file for writing, and bodies live only in bounded
//! buffers.
#![forbid(unsafe_code)]

mod announced_digest;
mod answer;
mod client_address;
pub mod config;
mod cors;
pub mod doctor;
mod found;
mod gateway;
mod gauges;
mod lines;
mod linger;
mod media_type;
mod metadata;
mod multipart;
pub mod page;
mod policies;
mod raw;
mod record;
mod restores;
mod routes;
mod senders;
pub mod server;
mod services;
mod session;
mod sessions;
mod shadow;
mod traced;
mod tus;
mod unread;

pub use answer::{Answer, StoredAnswer};
