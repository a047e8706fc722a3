//! An upload that is gone on with by somebody who did not see its beginning: the policies are shown again what services
//! have of it.

use std::sync::Arc;

use futures_util::StreamExt;
use portcullis_engine::{Admission, Upload};
use portcullis_hop::{NewUpload, StoreError, UploadRecord, UploadState, UploadStatus, UploadStore};
use portcullis_telemetry::{Span, SpanName};
use portcullis_types::Offset;

use super::chunks::Chunks;
use super::judge::Judge;
use super::open_upload::OpenUpload;
use super::{Place, UploadSession, is_verdict, refusal, report_refusal};
use crate::gateway::{Failure, Gateway};
use crate::linger::BodyError;

impl UploadSession {
    /// Goes on with an upload that was just taken over. The policies in force judge it from its first byte: what they
    /// say follows from its bytes and its headers alone, so that it is what they said before.
    pub(crate) async fn resume(
        gateway: &Arc<Gateway>,
        record: &UploadRecord,
        status: &UploadStatus,
        span: &Arc<Span>,
    ) -> Result<Self, Failure> {
        let permit = gateway.permit()?;
        let open = OpenUpload::taken_over(gateway.store(), status);
        let upload = shown_before(&record.upload);
        let (admission, shadow) = gateway.engine().begin(&upload, None).await;
        let inspection = match admission {
            Admission::Inspect(inspection) => *inspection,
            Admission::Refused(refused) => {
                if is_verdict(&refused.cause) {
                    open.reject(&refused, span).await;
                }
                if let Some(revision) = gateway.engine().revision() {
                    report_refusal(gateway, upload, shadow, revision.digest(), &refused);
                }
                return Err(refusal(refused, span));
            }
        };
        if record.upload.disk.as_ref() != Some(inspection.disk()) {
            // The policies of today keep it on another disk than those that admitted it, and its bytes lie there.
            open.cancel(span).await.map_err(Failure::Store)?;
            return Err(Failure::Store(StoreError::Ended(UploadState::Cancelled)));
        }
        let mut new = record.upload.clone();
        new.revision = Some(inspection.revision());
        let session = Self {
            gateway: Arc::clone(gateway),
            upload,
            new: Box::new(new),
            judge: Judge::new(inspection, shadow),
            place: Place::Services(open),
            length: record.length,
            permit,
        };
        session.replay(status.offset, span).await
    }

    /// Shows the policies what services have, up to here.
    async fn replay(mut self, until: Offset, span: &Arc<Span>) -> Result<Self, Failure> {
        let replay = Arc::new(span.child(SpanName::Replay));
        let store = Arc::clone(self.gateway.store());
        let bytes = store.read(self.upload.id, Offset::ZERO, &replay).await;
        let bytes = bytes.map_err(Failure::Store)?;
        // What is read back breaks off where a client's body would.
        let bytes = bytes.map(|bytes| bytes.map_err(|_| BodyError::ClientGone));
        match self
            .judge
            .show(Chunks::new(bytes), None, until.bytes())
            .await
        {
            Ok(None) if self.judge.offset() == until.bytes() => Ok(self),
            Ok(_) => {
                self.judge.abandon(span).await;
                Err(Failure::Store(StoreError::Unavailable))
            }
            Err(stopped) => Err(self.stop(stopped, span).await),
        }
    }
}

/// An upload as policies were shown it before.
fn shown_before(new: &NewUpload) -> Upload {
    Upload {
        id: new.id,
        filename: new.filename.clone(),
        media_type: new.media_type.clone(),
        length: new.length,
        attributes: new.attributes.clone(),
        principal: new.principal.clone(),
        received_at: new.received_at,
    }
}
