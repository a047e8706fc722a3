//! One folder, made durable for many files at once: an fsync that begins after a name was made covers it, whoever
//! called it.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use crate::DiskError;

/// The fsyncs of a folder in which many files get their names at the same time.
#[derive(Debug, Default)]
pub(super) struct SharedSync {
    runs: Mutex<Runs>,
    ended: Condvar,
}

/// Each fsync has a number, from 1.
#[derive(Debug, Default)]
struct Runs {
    begun: u64,
    ended: u64,
    failed: Option<(u64, DiskError)>,
}

/// A moment: an fsync that begins later makes durable what was done before it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment(u64);

impl SharedSync {
    /// Now.
    pub(super) fn moment(&self) -> Moment {
        Moment(self.runs().begun)
    }

    /// Makes durable what was done in the folder before a moment: by an fsync of somebody else that has begun since, or
    /// by this one.
    ///
    /// # Errors
    /// An fsync has failed since then, whosever it was: the kernel tells a failure once.
    pub(super) fn cover(
        &self,
        since: Moment,
        fsync: impl Fn() -> Result<(), DiskError>,
    ) -> Result<(), DiskError> {
        let mut runs = self.runs();
        loop {
            if let Some((_, error)) = runs.failed.as_ref().filter(|(run, _)| *run > since.0) {
                return Err(error.clone());
            }
            if runs.ended > since.0 {
                return Ok(());
            }
            if runs.begun > runs.ended {
                let waited = self.ended.wait(runs);
                runs = waited.unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            runs.begun += 1;
            drop(runs);
            let synced = fsync();
            runs = self.runs();
            runs.ended += 1;
            if let Err(error) = synced {
                runs.failed = Some((runs.ended, error));
            }
            self.ended.notify_all();
        }
    }

    fn runs(&self) -> MutexGuard<'_, Runs> {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;
    use crate::Step;

    #[test]
    fn an_fsync_covers_what_was_done_before_it_began() {
        let (syncs, ran) = (SharedSync::default(), Cell::new(0));
        let fsync = || {
            ran.set(ran.get() + 1);
            Ok(())
        };
        let (first, second) = (syncs.moment(), syncs.moment());
        syncs.cover(first, fsync).expect("is durable");
        syncs.cover(second, fsync).expect("is durable");
        assert_eq!(ran.get(), 1);
        syncs.cover(syncs.moment(), fsync).expect("is durable");
        assert_eq!(ran.get(), 2);
    }

    #[test]
    fn a_failure_is_told_to_all_whom_the_fsync_would_have_covered() {
        let syncs = SharedSync::default();
        let (first, second) = (syncs.moment(), syncs.moment());
        let failed = || Err(Step::Fsync.failed(rustix::io::Errno::IO));
        assert!(syncs.cover(first, failed).is_err());
        // Whoever comes later has an fsync that is well, and the others still have lost theirs.
        syncs.cover(syncs.moment(), || Ok(())).expect("is durable");
        assert!(syncs.cover(second, || Ok(())).is_err());
    }

    #[test]
    fn nobody_is_covered_by_an_fsync_that_began_before() {
        const THREADS: usize = 16;
        let (syncs, start) = (SharedSync::default(), Barrier::new(THREADS));
        // What has been done, and how much of that is durable.
        let (done, durable) = (AtomicU64::new(0), AtomicU64::new(0));
        let fsync = || {
            let seen = done.load(Ordering::SeqCst);
            std::thread::yield_now();
            durable.store(seen, Ordering::SeqCst);
            Ok(())
        };
        std::thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    start.wait();
                    for _ in 0..200 {
                        let mine = done.fetch_add(1, Ordering::SeqCst) + 1;
                        syncs.cover(syncs.moment(), fsync).expect("is durable");
                        assert!(durable.load(Ordering::SeqCst) >= mine);
                    }
                });
            }
        });
    }
}
