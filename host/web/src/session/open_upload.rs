//! An upload that services know, as the web host holds it.

use std::sync::Arc;
use std::time::Duration;

use portcullis_engine::{RefusalCause, Refused, Upload};
use portcullis_hop::{
    Commit, Conclusion, Ending, Epoch, HopClient, NewUpload, Receipt, StoreError, UploadStore,
};
use portcullis_telemetry::Span;
use portcullis_types::{DiskName, Findings, Sha256Digest, UploadId};
use tokio_util::task::TaskTracker;

use super::Source;

/// How long services keep an upload that has not ended, and its record.
const EXPIRY: Duration = Duration::from_hours(24);

/// An upload that services know. Dropped before it has ended, it is cancelled: whatever ends it early, a
/// client that goes away included, nothing of it stays.
pub(super) struct OpenUpload {
    pub(super) id: UploadId,
    pub(super) epoch: Epoch,
    store: Arc<HopClient>,
    span: Arc<Span>,
    tasks: TaskTracker,
    ended: bool,
}

/// What services are to know of an upload before its bytes.
pub(super) fn new_upload(
    upload: &Upload,
    source: &Source,
    disk: Option<DiskName>,
    revision: Option<Sha256Digest>,
) -> NewUpload {
    NewUpload {
        id: upload.id,
        principal: upload.principal.clone(),
        client: source.client,
        filename: upload.filename.clone(),
        media_type: upload.media_type.clone(),
        attributes: upload.attributes.clone(),
        length: upload.length,
        disk,
        revision,
        traceparent: source.span.context(),
        received_at: upload.received_at,
        expires_at: upload.received_at.plus(EXPIRY),
    }
}

impl OpenUpload {
    pub(super) async fn create(
        store: &Arc<HopClient>,
        new: &NewUpload,
        tasks: &TaskTracker,
        span: &Arc<Span>,
    ) -> Result<Self, StoreError> {
        // Armed before the call: when its outcome is unknown, the upload may exist.
        let mut open = Self {
            id: new.id,
            epoch: Epoch::FIRST,
            store: Arc::clone(store),
            span: Arc::clone(span),
            tasks: tasks.clone(),
            ended: false,
        };
        match store.create(new, span).await {
            Ok(status) => {
                open.epoch = status.epoch;
                Ok(open)
            }
            Err(error) => {
                // What was refused does not exist; what got no answer may.
                open.ended = !matches!(error, StoreError::Timeout | StoreError::Aborted);
                Err(error)
            }
        }
    }

    /// Ends the upload well.
    pub(super) async fn commit(mut self, commit: &Commit) -> Result<Receipt, StoreError> {
        let store = Arc::clone(&self.store);
        // A commit without an answer may have happened: cancelling an upload that has ended does nothing,
        // so it stays armed and clears up what is left of a failed one.
        let receipt = store.commit(self.id, commit, &self.span).await?;
        self.ended = true;
        Ok(receipt)
    }

    /// Ends the upload with what the policies said; its bytes go, its record stays.
    pub(super) async fn reject(mut self, refused: &Refused) {
        let refusal = match &refused.cause {
            RefusalCause::Rejected { refusal, .. } => Some(portcullis_hop::Refusal {
                rule: refusal.rule.clone(),
                message: refusal.message.clone(),
            }),
            _ => None,
        };
        let conclusion = Conclusion {
            epoch: self.epoch,
            ending: Ending::Rejected,
            refusal,
            policies: refused
                .records
                .iter()
                .map(portcullis_engine::PolicyRecord::verdict)
                .collect(),
            findings: refused.findings.clone(),
        };
        match self.store.conclude(self.id, &conclusion, &self.span).await {
            Ok(_) => self.ended = true,
            Err(error) => not_recorded(self.id, &error),
        }
    }
}

impl Drop for OpenUpload {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        let (id, store, span) = (self.id, Arc::clone(&self.store), Arc::clone(&self.span));
        let cancelled = Conclusion {
            epoch: self.epoch,
            ending: Ending::Cancelled,
            refusal: None,
            policies: Vec::new(),
            findings: Findings::default(),
        };
        self.tasks.spawn(async move {
            match store.conclude(id, &cancelled, &span).await {
                Ok(_) | Err(StoreError::Ended(_) | StoreError::NotFound) => {}
                Err(error) => not_recorded(id, &error),
            }
        });
    }
}

/// Services give up what nothing comes to; this only says that it takes until then.
pub(super) fn not_recorded(id: UploadId, error: &StoreError) {
    tracing::warn!(upload = %id, kind = ?error.kind(), "the end of an upload could not be recorded; it expires");
}
