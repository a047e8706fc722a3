//! The uploads that somebody works on: whose turn it is, and the stage that is open.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use portcullis_hop::Epoch;
use portcullis_storage::OpenStage;
use portcullis_types::UploadId;
use tokio::sync::{OwnedMutexGuard, watch};

/// All of them. A slot that nobody holds and that has no open stage is dropped by the sweep.
#[derive(Debug, Default)]
pub(super) struct Active(Mutex<HashMap<UploadId, Slot>>);

/// The turn on one upload: whoever holds the stage may write, and `fence` tells it when it no longer may.
#[derive(Clone, Debug)]
pub(super) struct Slot {
    stage: Arc<tokio::sync::Mutex<Option<OpenStage>>>,
    fence: watch::Sender<Epoch>,
    /// Set by each sweep and cleared by each turn.
    idle: Arc<AtomicBool>,
}

/// The turn itself. The stage is absent until it is opened.
pub(super) type Turn = OwnedMutexGuard<Option<OpenStage>>;

impl Active {
    /// The slot of an upload.
    pub(super) fn slot(&self, id: UploadId) -> Slot {
        let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = || Slot {
            stage: Arc::default(),
            fence: watch::Sender::new(Epoch::default()),
            idle: Arc::default(),
        };
        slots.entry(id).or_insert_with(fresh).clone()
    }

    /// Stops whoever works on an upload in an older epoch, waits until it has stopped, and drops what it
    /// had not made durable.
    pub(super) async fn fence(&self, id: UploadId, epoch: Epoch) {
        let slot = self.slot(id);
        slot.fence.send_replace(epoch);
        *slot.stage.lock_owned().await = None;
    }

    /// Lets go of an upload that has ended, once nobody works on it.
    pub(super) async fn forget(&self, id: UploadId) {
        let slot = self.slot(id);
        slot.fence.send_replace(Epoch::new(u64::MAX));
        *slot.stage.lock_owned().await = None;
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&id);
    }

    /// Closes the stages that nobody worked on since the last time this was called. They are opened again
    /// when they are needed; provisional bytes in them are dropped.
    pub(super) fn close_idle(&self) {
        let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        slots.retain(|_, slot| {
            let in_use = Arc::strong_count(&slot.stage) > 1;
            in_use || !slot.idle.swap(true, Ordering::Relaxed)
        });
    }
}

impl Slot {
    /// Waits for the turn.
    pub(super) async fn turn(&self) -> Turn {
        self.idle.store(false, Ordering::Relaxed);
        Arc::clone(&self.stage).lock_owned().await
    }

    /// Becomes ready when a newer epoch than this one has the upload.
    pub(super) async fn fenced(&self, epoch: Epoch) {
        let mut fence = self.fence.subscribe();
        // The sender lives in the slot, which lives as long as this.
        let _ = fence.wait_for(|newest| *newest > epoch).await;
    }
}
