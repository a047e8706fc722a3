use std::future::Future;

use crate::supervisor;
use portcullis_telemetry::{Line, log};
use tokio::signal::unix::{SignalKind, signal};

/// Ready when the process is asked to end, by `SIGTERM` or Ctrl-C. From this call on neither ends it by
/// itself.
pub fn stop_signal() -> std::io::Result<impl Future<Output = ()> + Send> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        log(Line::Stopping, []);
        supervisor::stopping();
    })
}
