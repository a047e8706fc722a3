//! How much CPU time a guest uses: that of its thread while it is polled. Time in which it waits for others
//! is not its own, so that a busy neighbour never makes an innocent policy time out.

use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// What one instance has used, in nanoseconds. One thread polls it at a time.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    /// All finished turns.
    total: AtomicU64,
    /// Those of the call under way.
    call: AtomicU64,
    /// When the turn under way began, by the clock of its thread.
    turn_began: AtomicU64,
}

impl Meter {
    /// Measures a call.
    pub(crate) async fn measure<F: Future>(&self, call: F) -> F::Output {
        self.call.store(0, Ordering::Relaxed);
        let mut call = pin!(call);
        std::future::poll_fn(|cx| {
            self.turn_began.store(thread_time(), Ordering::Relaxed);
            let polled = call.as_mut().poll(cx);
            let used = self.turn();
            self.call.fetch_add(used, Ordering::Relaxed);
            self.total.fetch_add(used, Ordering::Relaxed);
            match polled {
                Poll::Ready(output) => Poll::Ready(output),
                Poll::Pending => Poll::Pending,
            }
        })
        .await
    }

    fn turn(&self) -> u64 {
        thread_time().saturating_sub(self.turn_began.load(Ordering::Relaxed))
    }

    /// What the call under way has used so far, and all calls together: to be asked from within it.
    pub(crate) fn so_far(&self) -> (Duration, Duration) {
        let turn = self.turn();
        let used = |before: &AtomicU64| Duration::from_nanos(before.load(Ordering::Relaxed) + turn);
        (used(&self.call), used(&self.total))
    }

    /// Counts what another instance used for the same upload.
    pub(crate) fn charge(&self, used: Duration) {
        let used = u64::try_from(used.as_nanos()).unwrap_or(u64::MAX);
        self.total.fetch_add(used, Ordering::Relaxed);
    }

    /// What all finished calls have used.
    pub(crate) fn total(&self) -> Duration {
        Duration::from_nanos(self.total.load(Ordering::Relaxed))
    }
}

/// CPU time of this thread in nanoseconds.
pub(crate) fn thread_time() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let (seconds, nanoseconds) = (time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs());
    seconds * 1_000_000_000 + nanoseconds
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn time_spent_waiting_is_not_counted_and_time_spent_computing_is() {
        let meter = Meter::default();
        meter
            .measure(tokio::time::sleep(Duration::from_millis(100)))
            .await;
        assert!(meter.total() < Duration::from_millis(50), "{meter:?}");
        let before = meter.total();
        meter
            .measure(async {
                while meter.so_far().0 < Duration::from_millis(20) {
                    std::hint::spin_loop();
                }
            })
            .await;
        assert!(
            meter.total() >= before + Duration::from_millis(20),
            "{meter:?}"
        );
    }
}
