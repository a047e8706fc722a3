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

/// How long a client keeps a connection without requests.
const POOL_IDLE: std::time::Duration = std::time::Duration::from_secs(2);

/// A client of the servers under test.
///
/// # Errors
/// It cannot be made.
pub fn http_client() -> reqwest::Result<reqwest::Client> {
    let client = reqwest::Client::builder().no_proxy();
    // Servers close a connection that is idle for 15 s. On a busy machine a request could be sent into one that is just being
    // closed.
    let client = client.pool_idle_timeout(POOL_IDLE);
    client.tls_certs_only([]).build()
}
