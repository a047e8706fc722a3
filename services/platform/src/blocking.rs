use portcullis_telemetry::carry;

use crate::Fault;

/// Does something that waits for a disk, on a thread where it may; what it writes into the log has the trace of whoever asked.
///
/// # Errors
/// It panicked, or this process ends.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Fault> {
    let done = tokio::task::spawn_blocking(carry(work)).await;
    done.map_err(Fault::lost)
}
