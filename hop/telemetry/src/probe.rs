use std::sync::mpsc;
use std::time::Duration;

use crate::exporter;

/// What became of an export without a span.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Collected {
    /// The environment names no collector.
    NotConfigured,
    /// The collector took it.
    Taken,
    /// It did not answer in time.
    TooSlow,
    /// It refused, or cannot be reached. The text may hold an address: it is for the operator alone.
    Failed(String),
}

/// Exports nothing, as spans are exported: whether a collector takes what the environment sends to it. Blocks, for at most
/// so long; call it outside of asynchronous code.
pub fn probe(deadline: Duration) -> Collected {
    let (done, outcome) = mpsc::channel();
    let export = move || {
        // Nobody listens any more when the deadline has passed.
        let _ = done.send(export());
    };
    // On a thread of its own, which is left behind when the collector hangs.
    let thread = std::thread::Builder::new().name("telemetry-probe".to_owned());
    match thread.spawn(export) {
        Ok(_) => outcome.recv_timeout(deadline).unwrap_or(Collected::TooSlow),
        Err(error) => Collected::Failed(error.kind().to_string()),
    }
}

fn export() -> Collected {
    let exporter = match exporter::spans() {
        Ok(Some(exporter)) => exporter,
        Ok(None) => return Collected::NotConfigured,
        Err(error) => return Collected::Failed(error.to_string()),
    };
    match exporter.send(Vec::new()) {
        Ok(()) => Collected::Taken,
        Err(error) => Collected::Failed(error.to_string()),
    }
}
