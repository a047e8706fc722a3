//! The real pair of servers for tests that see them as their users do: over HTTP, on the disk, in the log,
//! by signals. It links neither server.
#![forbid(unsafe_code)]

mod effort;
pub mod gateway;
mod tls;
mod wait;

pub use effort::{sample, sample_seed, soaks};
pub use tls::TlsFront;
pub use wait::{LIMIT, until};

/// A client of the servers under test.
///
/// # Errors
/// It cannot be made.
pub fn http_client() -> reqwest::Result<reqwest::Client> {
    let client = reqwest::Client::builder().no_proxy();
    client.tls_certs_only([]).build()
}
