//! One upload, whatever protocol brings it: created, appended to, and finished or cancelled. Whatever ends it early is
//! concluded on services, so that its record says so and no byte stays.

mod atomic;
mod chunks;
mod forward;
mod judge;
mod life;
mod open_upload;
mod resume;

use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::{Stream, StreamExt, stream};
use portcullis_engine::{
    Admission, End, FindingListener, Passed, PolicyRecord, RefusalCause, Refused, Shadow, Upload,
};
use portcullis_hop::{
    AppendMode, Commit, Composition, Disposition, Epoch, Gathered, NewUpload, Receipt, StoreError,
    UploadStatus, UploadStore, gather,
};
use portcullis_telemetry::{Attribute, Span};
use portcullis_types::{Offset, Sha256Digest, UploadId};
use tokio::sync::OwnedSemaphorePermit;

pub(crate) use self::atomic::{Checked, NotKept};
use self::chunks::Chunks;
use self::forward::{ForwardError, forward, forwarded};
use self::judge::{Judge, Stopped};
use self::open_upload::{OpenUpload, new_upload, not_recorded};
pub(crate) use self::open_upload::{cancellation, conclusion};
pub(crate) use self::resume::read_back;
use crate::gateway::{Failure, Gateway};
use crate::linger::BodyError;
use crate::record;
use crate::shadow::Decision;

/// Where an upload comes from, and its span.
#[derive(Clone)]
pub(crate) struct Source {
    pub(crate) client: Option<IpAddr>,
    pub(crate) span: Arc<Span>,
    /// What its client said of it, as it came.
    pub(crate) metadata: Option<String>,
    /// Whether it is put together from others.
    pub(crate) composition: Option<Composition>,
    /// The SHA-256 that it is to have.
    pub(crate) sha256: Option<Sha256Digest>,
}

/// An upload under way: it has been admitted, and neither has every policy passed all of it nor any refused it.
pub(crate) struct UploadSession {
    gateway: Arc<Gateway>,
    upload: Upload,
    new: Box<NewUpload>,
    judge: Judge,
    place: Place,
    /// Its length in bytes, which may have been told later than policies were shown the headers.
    length: Option<u64>,
    /// The SHA-256 that its client says it has.
    sha256: Option<Sha256Digest>,
    permit: OwnedSemaphorePermit,
}

/// Where the bytes are that every policy has let pass.
enum Place {
    /// There are none, and services do not know the upload.
    Nowhere,
    /// Here, because they are few and all of the upload; services do not know it yet.
    Here(Bytes),
    /// On services.
    Services(OpenUpload),
}

/// An upload to which was appended, and why the body ended before its end, if it did. Until there it is kept.
pub(crate) struct Appended {
    pub(crate) session: UploadSession,
    pub(crate) broken: Option<BodyError>,
}

/// An upload that every policy has let pass; not yet visible.
pub(crate) struct Staged {
    gateway: Arc<Gateway>,
    upload: Upload,
    new: Box<NewUpload>,
    place: Place,
    commit: Commit,
    /// Once it is committed, what they would have said is reported.
    beside: Option<(Shadow, Decision)>,
    _permit: OwnedSemaphorePermit,
}

impl UploadSession {
    /// Shows the headers of an upload to the policies. Findings are told at once. Services hear of it with its first byte.
    pub(crate) async fn create(
        gateway: &Arc<Gateway>,
        upload: Upload,
        source: &Source,
        listener: Option<FindingListener>,
    ) -> Result<Self, Failure> {
        gateway.may_begin(&upload.principal)?;
        let permit = gateway.permit().await?;
        let limit = gateway.limits().upload_bytes;
        if upload.length.is_some_and(|length| length > limit) {
            return Err(Failure::TooLarge { limit });
        }
        let revision = gateway.engine().revision();
        let revision = revision.map(|revision| revision.digest());
        // Its memory is not to be held for as long as the bytes come.
        let (admission, shadow) = Box::pin(gateway.admit(&upload, listener)).await;
        let inspection = match admission {
            Admission::Inspect(inspection) => *inspection,
            Admission::Refused(refused) => {
                let new = new_upload(&upload, source, gateway.limits().expiry, None, revision);
                keep_refusal(gateway, &new, &refused, &source.span).await;
                if let Some(revision) = revision {
                    report_refusal(gateway, upload, shadow, revision, &refused, &source.span);
                }
                return Err(refusal(refused, &new));
            }
        };
        let (disk, revision) = (Some(inspection.disk().clone()), Some(inspection.revision()));
        let new = new_upload(&upload, source, gateway.limits().expiry, disk, revision);
        Ok(Self {
            gateway: Arc::clone(gateway),
            new: Box::new(new),
            length: upload.length,
            sha256: source.sha256,
            upload,
            judge: Judge::new(inspection, shadow),
            place: Place::Nowhere,
            permit,
        })
    }

    /// Appends a body that is all of the upload: a small one stays here until it is stored in one call.
    pub(crate) async fn append_whole<B>(
        mut self,
        mut body: B,
        span: &Arc<Span>,
    ) -> Result<Appended, Failure>
    where
        B: Stream<Item = Result<Bytes, BodyError>> + Unpin,
    {
        match gather(&mut body).await {
            Ok(Gathered::Whole(bytes)) => {
                if bytes.len() as u64 > self.gateway.limits().upload_bytes {
                    return Err(self.stop(Stopped::TooLarge, span).await);
                }
                self.judge.show_whole(&bytes);
                self.place = Place::Here(bytes);
                Ok(Appended {
                    session: self,
                    broken: None,
                })
            }
            Ok(Gathered::Beginning(frames)) => {
                let body = stream::iter(frames.into_iter().map(Ok)).chain(body);
                self.open(span).await?.append(body, span).await
            }
            Err(error) => {
                let (session, broken) = (self, Some(error));
                Ok(Appended { session, broken })
            }
        }
    }

    /// Tells services of it.
    pub(crate) async fn open(mut self, span: &Arc<Span>) -> Result<Self, Failure> {
        let (store, tasks) = (self.gateway.store(), self.gateway.tasks());
        match OpenUpload::create(store, &self.new, tasks, span).await {
            Ok(open) => {
                self.place = Place::Services(open);
                Ok(self)
            }
            Err(error) => {
                self.cancel().await;
                Err(Failure::Store(error))
            }
        }
    }

    /// Lets it outlive the request that created it: it ends only when that is asked for, or by itself when nothing comes.
    pub(crate) fn outlive(&mut self) {
        if let Place::Services(open) = &mut self.place {
            open.outlive();
        }
    }

    /// Says how long it will be, in bytes.
    pub(crate) async fn declare_length(
        &mut self,
        length: u64,
        span: &Span,
    ) -> Result<(), StoreError> {
        if let Place::Services(open) = &self.place {
            let store = self.gateway.store();
            store
                .declare_length(open.id, open.epoch, length, span)
                .await?;
            self.length = Some(length);
        }
        Ok(())
    }

    /// Appends a body to an upload that services know. When this succeeds, what came of it is durable.
    pub(crate) async fn append<B>(mut self, body: B, span: &Arc<Span>) -> Result<Appended, Failure>
    where
        B: Stream<Item = Result<Bytes, BodyError>> + Unpin,
    {
        match self.send(body, AppendMode::Acknowledged, span).await {
            Ok(broken) => {
                let session = self;
                Ok(Appended { session, broken })
            }
            Err(stopped) => Err(self.stop(stopped, span).await),
        }
    }

    /// Has a body judged while what has passed goes to services.
    async fn send<B>(
        &mut self,
        body: B,
        mode: AppendMode,
        span: &Span,
    ) -> Result<Option<BodyError>, Stopped>
    where
        B: Stream<Item = Result<Bytes, BodyError>> + Unpin,
    {
        let Place::Services(open) = &self.place else {
            unreachable!("services know it");
        };
        let (forward, bytes) = forward(self.gateway.limits().stall);
        let limit = self.gateway.limits().upload_bytes;
        let store = Arc::clone(self.gateway.store());
        let from = Offset::new(self.judge.offset());
        let append = store.append(open.id, open.epoch, from, mode, bytes, span);
        tokio::pin!(append);
        let sent = forward.sent();
        // The two ends of the forward side by side: judging and sending here, the append there.
        let shown = tokio::select! {
            appended = &mut append => return Err(Stopped::Store(ended_error(appended))),
            shown = self.judge.show(Chunks::new(body), Some(forward), limit) => shown,
            never = life::show(span, &sent) => match never {},
        };
        let broken = match shown {
            Err(Stopped::Forward(ForwardError::Ended)) => {
                return Err(Stopped::Store(ended_error(append.await)));
            }
            shown => shown?,
        };
        let status = append.await.map_err(Stopped::Store)?;
        let arrived = match mode {
            AppendMode::Acknowledged => self.judge.offset(),
            AppendMode::Provisional => from.bytes(),
        };
        if status.offset.bytes() == arrived {
            Ok(broken)
        } else {
            Err(Stopped::Store(StoreError::DigestMismatch))
        }
    }

    /// Makes what was appended provisionally count.
    async fn acknowledge(self, span: &Span) -> Result<Self, Failure> {
        let Place::Services(open) = &self.place else {
            unreachable!("services know it");
        };
        let offset = Offset::new(self.judge.offset());
        let store = self.gateway.store();
        match store.checkpoint(open.id, open.epoch, offset, span).await {
            Ok(_) => Ok(self),
            Err(error) => {
                self.cancel().await;
                Err(Failure::Store(error))
            }
        }
    }

    /// Says that all of it has come, and asks the policies for their last word.
    pub(crate) async fn finish(self, span: &Arc<Span>) -> Result<Staged, Failure> {
        let arrived = self.judge.offset();
        if let Some(declared) = self.length.filter(|declared| *declared != arrived) {
            self.cancel().await;
            return Err(Failure::Length { declared, arrived });
        }
        let revision = self.judge.inspection().revision();
        let (finished, end, shadow) = self.judge.finish().await;
        let passed = match finished {
            Ok(passed) => passed,
            Err(refused) => {
                keep(&self.gateway, self.place, &self.new, &refused, span).await;
                report_refusal(&self.gateway, self.upload, shadow, revision, &refused, span);
                return Err(refusal(refused, &self.new));
            }
        };
        record::policies(&passed.records, &self.new.traceparent);
        span.set(Attribute::Bytes(end.length));
        if self.sha256.is_some_and(|announced| announced != end.sha256) {
            // Further bytes cannot fix it, so the upload ends here.
            if let Place::Services(open) = self.place
                && let Err(error) = open.cancel(span).await
            {
                not_recorded(self.new.id, &error);
            }
            return Err(Failure::Changed);
        }
        let decision = Decision::passed(revision, &passed);
        Ok(Staged {
            commit: commit(self.place.epoch(), passed, &end),
            gateway: self.gateway,
            upload: self.upload,
            new: self.new,
            place: self.place,
            beside: Some((shadow, decision)),
            _permit: self.permit,
        })
    }

    /// Says that all of it has come, however much that is.
    pub(crate) fn complete(&mut self) {
        self.length.get_or_insert(self.judge.offset());
    }

    /// Gives it up: nothing of it stays.
    pub(crate) async fn cancel(self) {
        self.judge.abandon(&self.new.traceparent).await;
    }

    /// Whose it is on services.
    pub(crate) fn epoch(&self) -> Epoch {
        self.place.epoch()
    }

    /// Which revision of the policies judges it.
    pub(crate) fn revision(&self) -> Sha256Digest {
        self.judge.inspection().revision()
    }

    /// What it was created as.
    pub(crate) fn created_as(&self) -> &NewUpload {
        &self.new
    }

    /// How far it has come, in bytes.
    pub(crate) fn offset(&self) -> u64 {
        self.judge.offset()
    }

    /// How long it will be in bytes, as soon as that is known.
    pub(crate) fn length(&self) -> Option<u64> {
        self.length
    }

    /// Whether all of it has come.
    pub(crate) fn is_complete(&self) -> bool {
        self.length == Some(self.judge.offset())
    }

    /// The last byte that has come.
    pub(crate) fn last_byte(&self) -> Option<u8> {
        self.judge.last()
    }

    /// Ends it because judging ended. It is rare, and what it needs is not to be held by everybody who waits for bytes.
    fn stop(self, stopped: Stopped, span: &Arc<Span>) -> BoxFuture<'_, Failure> {
        Box::pin(self.stop_now(stopped, span))
    }

    async fn stop_now(self, stopped: Stopped, span: &Arc<Span>) -> Failure {
        let failure = match stopped {
            Stopped::Refused(cause) => {
                let revision = self.revision();
                let (refused, shadow) = self.judge.refuse(cause).await;
                keep(&self.gateway, self.place, &self.new, &refused, span).await;
                report_refusal(&self.gateway, self.upload, shadow, revision, &refused, span);
                return refusal(refused, &self.new);
            }
            Stopped::TooLarge => Failure::TooLarge {
                limit: self.gateway.limits().upload_bytes,
            },
            // Services are asked why by whoever sends.
            Stopped::Forward(_) => Failure::Store(StoreError::Timeout),
            Stopped::Store(error) => Failure::Store(error),
        };
        self.cancel().await;
        failure
    }
}

impl Place {
    fn epoch(&self) -> Epoch {
        match self {
            Self::Services(open) => open.epoch,
            Self::Nowhere | Self::Here(_) => Epoch::FIRST,
        }
    }
}

impl Staged {
    /// The upload.
    pub(crate) fn id(&self) -> UploadId {
        self.upload.id
    }

    /// Whose it is on services.
    pub(crate) fn epoch(&self) -> Epoch {
        self.commit.epoch
    }

    /// How many findings and tallies its policies reported.
    pub(crate) fn details(&self) -> usize {
        let findings = &self.commit.findings;
        findings.listed.len() + findings.tallies.len()
    }

    /// Its length in bytes.
    pub(crate) fn length(&self) -> u64 {
        self.commit.length.bytes()
    }

    /// Makes the upload durable and visible. Where that fails it may be tried again.
    pub(crate) async fn commit(&mut self, span: &Span) -> Result<Receipt, Failure> {
        let (store, commit) = (self.gateway.store(), &self.commit);
        let receipt = match &mut self.place {
            Place::Services(open) => open.commit(commit, span).await,
            Place::Here(bytes) => {
                forwarded(bytes.len() as u64);
                store.store(&self.new, commit, bytes.clone(), span).await
            }
            Place::Nowhere => store.store(&self.new, commit, Bytes::new(), span).await,
        };
        let receipt = receipt.map_err(Failure::Store)?;
        if let Some((shadow, decision)) = self.beside.take() {
            report(&self.gateway, self.upload.clone(), shadow, decision, span);
        }
        Ok(receipt)
    }
}

/// Records on services that an upload was refused.
async fn keep(
    gateway: &Gateway,
    place: Place,
    new: &NewUpload,
    refused: &Refused,
    span: &Arc<Span>,
) {
    match place {
        Place::Services(open) => open.reject(refused, span).await,
        Place::Nowhere | Place::Here(_) => keep_refusal(gateway, new, refused, span).await,
    }
}

/// The same of one that services do not know.
async fn keep_refusal(gateway: &Gateway, new: &NewUpload, refused: &Refused, span: &Arc<Span>) {
    if !is_verdict(&refused.cause) {
        return;
    }
    let new = NewUpload {
        disk: None,
        ..new.clone()
    };
    match OpenUpload::create(gateway.store(), &new, gateway.tasks(), span).await {
        Ok(open) => open.reject(refused, span).await,
        Err(error) => not_recorded(new.id, &error),
    }
}

/// Has reported what shadow policies would have said about an upload of which this became.
fn report(gateway: &Gateway, upload: Upload, shadow: Shadow, decision: Decision, span: &Span) {
    if !shadow.is_empty() {
        let report = gateway.shadows().clone().report(upload, shadow, decision);
        gateway.tasks().spawn(span.within(report));
    }
}

fn report_refusal(
    gateway: &Gateway,
    upload: Upload,
    shadow: Shadow,
    revision: Sha256Digest,
    refused: &Refused,
    span: &Span,
) {
    if let Some(decision) = Decision::refused(revision, refused) {
        report(gateway, upload, shadow, decision, span);
    }
}

fn refusal(refused: Box<Refused>, new: &NewUpload) -> Failure {
    record::policies(&refused.records, &new.traceparent);
    Failure::Refused(refused)
}

/// Whether the refusal is about the upload: one for want of room or policies is not.
fn is_verdict(cause: &RefusalCause) -> bool {
    match cause {
        RefusalCause::Rejected { .. } | RefusalCause::Failed(_) | RefusalCause::NoRoute => true,
        RefusalCause::NoPolicies | RefusalCause::Overloaded => false,
    }
}

/// An append that ends well before its body does has lost bytes.
fn ended_error(appended: Result<UploadStatus, StoreError>) -> StoreError {
    appended.err().unwrap_or(StoreError::DigestMismatch)
}

fn commit(epoch: Epoch, passed: Passed, end: &End) -> Commit {
    Commit {
        epoch,
        length: Offset::new(end.length),
        sha256: end.sha256,
        path: passed.path,
        disposition: match passed.disposition {
            portcullis_engine::Disposition::Publish => Disposition::Publish,
            portcullis_engine::Disposition::Quarantine(refusal) => {
                Disposition::Quarantine(portcullis_hop::Refusal {
                    rule: refusal.rule,
                    message: refusal.message,
                })
            }
        },
        policies: passed.records.iter().map(PolicyRecord::verdict).collect(),
        findings: passed.findings,
    }
}
