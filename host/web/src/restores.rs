//! Uploads that are shown to the policies again: so many at once, and fewer of one sender.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use portcullis_types::Principal;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How many at once on this web host.
const AT_ONCE: usize = 4;
/// How many of them one sender may have: whoever comes back with a hundred uploads leaves room for others.
const OF_ONE_SENDER: usize = 2;

/// Room for them.
pub(crate) struct Restores {
    all: Arc<Semaphore>,
    /// By subject; only of those that have one, or wait for one.
    own: Mutex<HashMap<String, Arc<Semaphore>>>,
}

/// One of them.
pub(crate) struct Restoring {
    _own: OwnedSemaphorePermit,
    _all: OwnedSemaphorePermit,
}

impl Restores {
    pub(crate) fn new() -> Self {
        Self {
            all: Arc::new(Semaphore::new(AT_ONCE)),
            own: Mutex::default(),
        }
    }

    /// Waits until one more upload of this sender may be shown again; absent when the server ends.
    pub(crate) async fn begin(&self, sender: &Principal) -> Option<Restoring> {
        // First the own one: whoever waits for that takes no room from others.
        let own = self.own(sender.subject()).acquire_owned().await.ok()?;
        let all = Arc::clone(&self.all).acquire_owned().await.ok()?;
        Some(Restoring {
            _own: own,
            _all: all,
        })
    }

    fn own(&self, subject: &str) -> Arc<Semaphore> {
        let mut own = self.lock();
        // A permit keeps its semaphore, and so does whoever waits for one.
        own.retain(|_, semaphore| Arc::strong_count(semaphore) > 1);
        let fresh = || Arc::new(Semaphore::new(OF_ONE_SENDER));
        Arc::clone(own.entry(subject.to_owned()).or_insert_with(fresh))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Arc<Semaphore>>> {
        self.own.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn sender(subject: &str) -> Principal {
        Principal::new::<&str>(subject, []).expect("a subject")
    }

    #[tokio::test]
    async fn one_sender_leaves_room_for_others() {
        let restores = Restores::new();
        let (one, other) = (sender("site-7"), sender("site-8"));
        let mut begun = Vec::new();
        for _ in 0..OF_ONE_SENDER {
            begun.push(restores.begin(&one).now_or_never().expect("there is room"));
        }
        let mut waits = Box::pin(restores.begin(&one));
        assert!((&mut waits).now_or_never().is_none());
        for _ in 0..OF_ONE_SENDER {
            begun.push(
                restores
                    .begin(&other)
                    .now_or_never()
                    .expect("there is room"),
            );
        }
        // Now the web host has as many as it may.
        assert!(restores.begin(&sender("site-9")).now_or_never().is_none());
        begun.remove(0);
        assert!(waits.await.is_some());
        drop(begun);
        // Nobody is remembered who has none.
        drop(restores.begin(&sender("site-9")).await);
        assert_eq!(restores.lock().len(), 1);
    }
}
