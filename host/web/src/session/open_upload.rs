//! An upload that services know, as the web host holds it.

use std::sync::Arc;
use std::time::Duration;

use portcullis_engine::{PolicyRecord, RefusalCause, Refused, Upload};
use portcullis_hop::{
    Commit, Conclusion, Ending, Epoch, HopClient, NewUpload, Receipt, StoreError, UploadStatus,
    UploadStore,
};
use portcullis_telemetry::{Attribute, Detail, Line, Span, log};
use portcullis_types::{DiskName, Findings, Sha256Digest, UploadId};
use tokio_util::task::TaskTracker;

use super::Source;

/// An upload that services know. One that its request brings whole is cancelled when this is dropped before it has
/// ended: whatever ends it early, a client that goes away included, nothing of it stays.
pub(super) struct OpenUpload {
    pub(super) id: UploadId,
    pub(super) epoch: Epoch,
    store: Arc<HopClient>,
    /// What cancels it.
    armed: Option<(Arc<Span>, TaskTracker)>,
}

/// What services are to know of an upload before its bytes.
pub(super) fn new_upload(
    upload: &Upload,
    source: &Source,
    expiry: Duration,
    disk: Option<DiskName>,
    revision: Option<Sha256Digest>,
) -> NewUpload {
    NewUpload {
        id: upload.id,
        principal: upload.principal.clone(),
        client: source.client,
        filename: upload.filename.clone(),
        folder: upload.folder.clone(),
        media_type: upload.media_type.clone(),
        attributes: upload.attributes.clone(),
        composition: source.composition.clone(),
        metadata: source.metadata.clone(),
        length: upload.length,
        disk,
        revision,
        traceparent: source.span.context(),
        received_at: upload.received_at,
        expires_at: upload.received_at.plus(expiry),
    }
}

impl OpenUpload {
    /// Creates an upload that its request brings whole.
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
            armed: Some((Arc::clone(span), tasks.clone())),
        };
        match store.create(new, span).await {
            Ok(status) => {
                open.epoch = status.epoch;
                Ok(open)
            }
            Err(error) => {
                // What was refused does not exist; what got no answer may.
                if !matches!(error, StoreError::Timeout | StoreError::Aborted) {
                    open.armed = None;
                }
                Err(error)
            }
        }
    }

    /// An upload that was taken over: it outlives its requests.
    pub(super) fn taken_over(store: &Arc<HopClient>, status: &UploadStatus) -> Self {
        Self {
            id: status.id,
            epoch: status.epoch,
            store: Arc::clone(store),
            armed: None,
        }
    }

    /// Lets it outlive its request.
    pub(super) fn outlive(&mut self) {
        self.armed = None;
    }

    /// Ends the upload well.
    pub(super) async fn commit(
        &mut self,
        commit: &Commit,
        span: &Span,
    ) -> Result<Receipt, StoreError> {
        // A commit without an answer may have happened: cancelling an upload that has ended does nothing,
        // so it stays armed and clears up what is left of a failed one.
        let receipt = self.store.commit(self.id, commit, span).await?;
        self.armed = None;
        Ok(receipt)
    }

    /// Ends the upload with what the policies said; its bytes go, its record stays.
    pub(super) async fn reject(mut self, refused: &Refused, span: &Span) {
        let conclusion = conclusion(refused, self.epoch);
        match self.store.conclude(self.id, &conclusion, span).await {
            Ok(_) => self.armed = None,
            Err(error) => not_recorded(self.id, &error),
        }
    }

    /// Ends the upload because its owner gave it up.
    pub(super) async fn cancel(mut self, span: &Span) -> Result<(), StoreError> {
        let cancelled = cancellation(self.epoch);
        self.store.conclude(self.id, &cancelled, span).await?;
        self.armed = None;
        Ok(())
    }
}

/// What services are told of an upload that policies refused.
pub(crate) fn conclusion(refused: &Refused, epoch: Epoch) -> Conclusion {
    let refusal = match &refused.cause {
        RefusalCause::Rejected { refusal, .. } => Some(portcullis_hop::Refusal {
            rule: refusal.rule.clone(),
            message: refusal.message.clone(),
        }),
        _ => None,
    };
    Conclusion {
        epoch,
        ending: Ending::Rejected,
        refusal,
        policies: refused.records.iter().map(PolicyRecord::verdict).collect(),
        findings: refused.findings.clone(),
    }
}

/// What services are told of an upload that is given up.
pub(crate) fn cancellation(epoch: Epoch) -> Conclusion {
    Conclusion {
        epoch,
        ending: Ending::Cancelled,
        refusal: None,
        policies: Vec::new(),
        findings: Findings::default(),
    }
}

impl Drop for OpenUpload {
    fn drop(&mut self) {
        let Some((span, tasks)) = self.armed.take() else {
            return;
        };
        let (id, store) = (self.id, Arc::clone(&self.store));
        let cancelled = cancellation(self.epoch);
        tasks.spawn(async move {
            match store.conclude(id, &cancelled, &span).await {
                Ok(_) | Err(StoreError::Ended(_) | StoreError::NotFound) => {}
                Err(error) => not_recorded(id, &error),
            }
        });
    }
}

/// Services give up what nothing comes to; this only says that it takes until then.
pub(super) fn not_recorded(id: UploadId, error: &StoreError) {
    let upload = Attribute::UploadId(id);
    log(
        Line::EndNotRecorded,
        [upload.into(), Detail::Problem(error.kind().slug())],
    );
}
