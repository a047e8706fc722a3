//! Time for guests: an epoch that moves on while they run, and a clock that tells them nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use portcullis_types::Timestamp;
use wasmtime_wasi::HostWallClock;

/// How often a running guest gives way to other uploads, and its limits in time are looked at.
pub(crate) const TICK: Duration = Duration::from_millis(2);

/// A thread that moves the engine's epoch on with every tick, for as long as this value lives.
pub(crate) struct Ticker {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Ticker {
    pub(crate) fn start(engine: wasmtime::Engine) -> std::io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::Builder::new()
            .name("policy-epoch".to_owned())
            .spawn(move || {
                while !stopped.load(Ordering::Relaxed) {
                    std::thread::sleep(TICK);
                    engine.increment_epoch();
                }
            })?;
        Ok(Self {
            stop,
            thread: Some(thread),
        })
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // It ends within a tick; it cannot panic.
            let _ = thread.join();
        }
    }
}

/// The wall clock of a guest: it stands at the moment in which the upload was received, so that an upload is
/// judged the same whenever it is judged.
pub(crate) struct Standing(pub(crate) Timestamp);

impl HostWallClock for Standing {
    fn resolution(&self) -> Duration {
        Duration::from_millis(1)
    }

    fn now(&self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.as_ms()).unwrap_or(0))
    }
}
