//! An upload that pauses, and is gone on with by somebody who may not have seen its beginning: what the policies know of it
//! lies on services, or they are shown again what services have of it.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use portcullis_engine::{Admission, RefusalCause, Refused, Resumed, Shadow, Upload};
use portcullis_hop::{
    HopClient, MAX_STATE_BYTES, NewUpload, StoreError, UploadRecord, UploadState, UploadStatus,
    UploadStore,
};
use portcullis_telemetry::{Span, SpanName};
use portcullis_types::{Offset, UploadId};

use super::chunks::Chunks;
use super::judge::{Judge, Paused};
use super::open_upload::OpenUpload;
use super::{Place, UploadSession, is_verdict, refusal, report_refusal};
use crate::found::Found;
use crate::gateway::{Failure, Gateway};
use crate::linger::BodyError;
use crate::tus;

impl UploadSession {
    /// Ends it here, for now: what the policies know goes to services. Where that fails, or where they cannot say, they
    /// are shown the upload again.
    pub(crate) async fn pause(self) {
        let Place::Services(open) = &self.place else {
            return;
        };
        let span = Span::child_of(SpanName::Pause, Some(&self.new.traceparent));
        let (id, epoch, offset) = (open.id, open.epoch, Offset::new(self.judge.offset()));
        if offset == Offset::ZERO {
            return;
        }
        let Some(paused) = self.judge.suspend().await else {
            return;
        };
        let state = serde_json::to_vec(&paused).unwrap_or_default();
        if state.len() > MAX_STATE_BYTES {
            return;
        }
        let kept = self
            .gateway
            .store()
            .suspend(id, epoch, offset, state.into(), &span);
        if let Err(error) = kept.await {
            span.fail(error.error_type());
        }
    }

    /// Goes on with an upload that was just taken over, under the policies in force: from what they knew, if these are the
    /// same, and otherwise from its first byte. What they say follows from its bytes and its headers alone, so that it is
    /// what they said before.
    pub(crate) async fn resume(
        gateway: &Arc<Gateway>,
        record: UploadRecord,
        found: &Found,
        span: &Arc<Span>,
    ) -> Result<Self, Failure> {
        let UploadRecord {
            status,
            upload: mut new,
            length,
            ..
        } = record;
        let permit = gateway.permit().await?;
        let open = OpenUpload::taken_over(gateway.store(), &status);
        let upload = shown_before(&new);
        let begun = match paused(gateway, &status, span).await {
            Some(paused) => go_on(gateway, &upload, paused, found).await,
            None => None,
        };
        let (admission, is_behind) = match begun {
            Some(begun) => (begun, false),
            None => (begin(gateway, &upload, found).await, true),
        };
        let judge = match admission {
            Ok(judge) => *judge,
            Err((refused, shadow)) => {
                if is_verdict(&refused.cause) {
                    open.reject(&refused, span).await;
                }
                if let Some(revision) = gateway.engine().revision() {
                    report_refusal(gateway, upload, shadow, revision.digest(), &refused, span);
                }
                return Err(refusal(refused, &new));
            }
        };
        if new.disk.as_ref() != Some(judge.inspection().disk()) {
            // The policies of today keep it on another disk than those that admitted it, and its bytes lie there.
            open.cancel(span).await.map_err(Failure::Store)?;
            return Err(Failure::Store(StoreError::Ended(UploadState::Cancelled)));
        }
        let sha256 = new.metadata.as_deref().and_then(tus::kept_digest);
        new.revision = Some(judge.inspection().revision());
        let session = Self {
            gateway: Arc::clone(gateway),
            upload,
            new: Box::new(new),
            judge,
            place: Place::Services(open),
            length,
            sha256,
            permit,
        };
        if is_behind {
            session.replay(status.offset, span).await
        } else {
            Ok(session)
        }
    }

    /// Shows the policies what services have, up to here.
    async fn replay(mut self, until: Offset, span: &Arc<Span>) -> Result<Self, Failure> {
        let replay = Arc::new(span.child(SpanName::Replay));
        let bytes = read_back(self.gateway.store(), self.upload.id, &replay).await;
        let bytes = bytes.map_err(Failure::Store)?;
        match self
            .judge
            .show(Chunks::new(bytes), None, until.bytes())
            .await
        {
            Ok(None) if self.judge.offset() == until.bytes() => Ok(self),
            Ok(_) => {
                self.cancel().await;
                Err(Failure::Store(StoreError::Unavailable))
            }
            Err(stopped) => Err(self.stop(stopped, span).await),
        }
    }
}

/// What services have of an upload, as a body: it breaks off where a client's would.
pub(crate) async fn read_back(
    store: &HopClient,
    id: UploadId,
    span: &Span,
) -> Result<impl Stream<Item = Result<Bytes, BodyError>> + Send + Unpin + use<>, StoreError> {
    let bytes = store.read(id, Offset::ZERO, span).await?;
    Ok(bytes.map(|bytes| bytes.map_err(|_| BodyError::ClientGone)))
}

/// An upload before its policies, or why it may not pass.
type Begun = Result<Box<Judge>, (Box<Refused>, Shadow)>;

/// What the policies knew of an upload when it paused, if those in force can go on from there.
async fn paused(gateway: &Gateway, status: &UploadStatus, span: &Span) -> Option<Paused> {
    if status.offset == Offset::ZERO {
        return None;
    }
    // Without it the upload is shown again: nothing is lost but time.
    let state = gateway.store().suspended(status.id, span).await.ok()??;
    let paused: Paused = serde_json::from_slice(&state).ok()?;
    let revision = gateway.engine().revision()?;
    let is_of_it = paused.policies.offset() == status.offset.bytes()
        && paused.policies.revision() == revision.digest();
    is_of_it.then_some(paused)
}

/// Lets the policies go on from what they knew; absent where they cannot.
async fn go_on(gateway: &Gateway, upload: &Upload, paused: Paused, found: &Found) -> Option<Begun> {
    let (policies, digest) = paused.into_parts();
    loop {
        found.go_on_from(policies.findings());
        let listener = Some(found.listener());
        let resumed = gateway.engine().resume(upload, policies.clone(), listener);
        match resumed.await {
            Resumed::Inspect(inspection) => {
                let judge = Judge::resumed(*inspection, &digest)?;
                return Some(Ok(Box::new(judge)));
            }
            Resumed::Refused(refused)
                if refused.cause == RefusalCause::Overloaded && gateway.make_room().await => {}
            Resumed::Refused(refused) => return Some(Err((refused, Shadow::default()))),
            Resumed::Impossible => return None,
        }
    }
}

/// Shows the policies the headers.
async fn begin(gateway: &Gateway, upload: &Upload, found: &Found) -> Begun {
    found.go_on_from(std::iter::empty());
    let (admission, shadow) = gateway.admit(upload, Some(found.listener())).await;
    match admission {
        Admission::Inspect(inspection) => Ok(Box::new(Judge::new(*inspection, shadow))),
        Admission::Refused(refused) => Err((refused, shadow)),
    }
}

/// An upload as policies were shown it before.
fn shown_before(new: &NewUpload) -> Upload {
    Upload {
        id: new.id,
        filename: new.filename.clone(),
        folder: new.folder.clone(),
        media_type: new.media_type.clone(),
        length: new.length,
        attributes: new.attributes.clone(),
        principal: new.principal.clone(),
        received_at: new.received_at,
    }
}
