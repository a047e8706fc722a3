//! The way of one upload through the web host: admit, create, judge each chunk before it is passed on,
//! commit. Whatever ends it early is concluded on services, so that its record says so and no byte stays.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::Stream;
use portcullis_engine::{
    Admission, End, Engine, Inspection, Passed, RefusalCause, Refused, Shadow, Upload,
};
use portcullis_hop::{
    AppendMode, Commit, Conclusion, Disposition, Ending, Epoch, HopClient, NewUpload, Receipt,
    StoreError, UploadStatus, UploadStore,
};
use portcullis_telemetry::{Attribute, Span};
use portcullis_types::{
    Clock, DiskName, Findings, Offset, Principal, Sha256Digest, Sha256Hasher, UploadId,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::task::TaskTracker;

use crate::chunks::Chunks;
use crate::forward::{Forward, ForwardError, forward};
use crate::lines::Live;
use crate::linger::BodyError;
use crate::raw::Headers;
use crate::record;
use crate::shadow::{Decision, ShadowDesk};

/// How many blocks of an upload may be shown to the policies before they have passed.
const BLOCKS_IN_FLIGHT: usize = 2;
/// How long services keep an upload that has not ended, and its record.
const EXPIRY: Duration = Duration::from_hours(24);

/// The gate: policies before it, services behind it.
pub(crate) struct Gateway {
    engine: Arc<Engine>,
    store: Arc<HopClient>,
    clock: Clock,
    limits: GateLimits,
    permits: Arc<Semaphore>,
    tasks: TaskTracker,
    shadows: ShadowDesk,
}

/// What one gate takes at once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct GateLimits {
    /// Uploads under way at once. Each needs about 2 MiB and one instance of every policy.
    pub(crate) uploads: usize,
    /// The largest upload in bytes.
    pub(crate) upload_bytes: u64,
    /// How long services may take for the next chunk.
    pub(crate) stall: Duration,
}

/// Why an upload was not stored.
pub(crate) enum Failure {
    /// The policies refuse it.
    Refused(Box<Refused>),
    /// Services did not take it.
    Store(StoreError),
    /// The client did not send it.
    Body(BodyError),
    /// The client sent another length than it declared.
    Length {
        /// What it declared, in bytes.
        declared: u64,
        /// What came.
        arrived: u64,
    },
    /// It is larger than this gate takes.
    TooLarge {
        /// The limit in bytes.
        limit: u64,
    },
    /// Too many uploads are under way.
    Overloaded,
}

/// An upload whose bytes are on services and that every policy has let pass; not yet visible.
pub(crate) struct Staged {
    open: OpenUpload,
    commit: Commit,
    span: Arc<Span>,
    /// Once it is committed: what shadow policies would have said is reported.
    beside: Beside,
    decision: Decision,
    _permit: OwnedSemaphorePermit,
}

/// An upload before its shadow policies.
struct Beside {
    upload: Upload,
    shadow: Shadow,
    desk: ShadowDesk,
    tasks: TaskTracker,
}

impl Beside {
    /// Has it reported what they would have said about an upload of which this became.
    fn report(self, decision: Option<Decision>) {
        let Self {
            upload,
            shadow,
            desk,
            tasks,
        } = self;
        if let Some(decision) = decision.filter(|_| !shadow.is_empty()) {
            tasks.spawn(desk.report(upload, shadow, decision));
        }
    }
}

/// An upload that services know. Dropped before it has ended, it is cancelled: whatever ends it early, a
/// client that goes away included, nothing of it stays.
struct OpenUpload {
    id: UploadId,
    epoch: Epoch,
    store: Arc<HopClient>,
    span: Arc<Span>,
    tasks: TaskTracker,
    ended: bool,
}

impl Gateway {
    pub(crate) fn new(
        engine: Arc<Engine>,
        store: Arc<HopClient>,
        limits: GateLimits,
        tasks: TaskTracker,
        shadows: ShadowDesk,
    ) -> Self {
        Self {
            engine,
            store,
            clock: Clock::system(),
            permits: Arc::new(Semaphore::new(limits.uploads)),
            limits,
            tasks,
            shadows,
        }
    }

    /// The policies.
    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Services.
    pub(crate) fn store(&self) -> &HopClient {
        &self.store
    }

    /// Tasks that outlive the request that began them: what is concluded, and what is left of refused
    /// bodies.
    pub(crate) fn tasks(&self) -> &TaskTracker {
        &self.tasks
    }

    /// A new upload of somebody, received now.
    pub(crate) fn receive(&self, headers: Headers, principal: Principal) -> Upload {
        Upload {
            id: UploadId::generate(),
            filename: headers.filename,
            media_type: headers.media_type,
            length: headers.length,
            attributes: headers.attributes,
            principal,
            received_at: self.clock.now(),
        }
    }

    /// Judges an upload while its bytes go to services; findings are told at once.
    pub(crate) async fn stage<B>(
        &self,
        upload: &Upload,
        client: Option<IpAddr>,
        body: B,
        live: &Live,
        span: &Arc<Span>,
    ) -> Result<Staged, Failure>
    where
        B: Stream<Item = Result<Bytes, BodyError>> + Unpin,
    {
        let permit = Arc::clone(&self.permits).try_acquire_owned();
        let permit = permit.map_err(|_| Failure::Overloaded)?;
        let limit = self.limits.upload_bytes;
        if upload.length.is_some_and(|length| length > limit) {
            return Err(Failure::TooLarge { limit });
        }
        let revision = self.engine.revision().map(|revision| revision.digest());
        let (admission, shadow) = self.engine.begin(upload, live.listener(upload.id)).await;
        let beside = Beside {
            upload: upload.clone(),
            shadow,
            desk: self.shadows.clone(),
            tasks: self.tasks.clone(),
        };
        let inspection = match admission {
            Admission::Inspect(inspection) => inspection,
            Admission::Refused(refused) => {
                self.keep_refusal(upload, client, revision, &refused, span)
                    .await;
                beside.report(revision.and_then(|revision| Decision::refused(revision, &refused)));
                return Err(refusal(refused, span));
            }
        };
        let revision = inspection.revision();
        let disk = Some(inspection.disk().clone());
        let open = self.create(upload, client, disk, Some(revision), span);
        let open = open.await.map_err(Failure::Store)?;
        match self.pass(&beside, *inspection, body, &open).await {
            Ok((passed, end)) => {
                record::policies(&passed.records, span);
                span.set(Attribute::Bytes(end.length));
                let decision = Decision::passed(revision, &passed);
                Ok(Staged {
                    commit: commit(open.epoch, passed, &end),
                    open,
                    span: Arc::clone(span),
                    beside,
                    decision,
                    _permit: permit,
                })
            }
            Err(Failure::Refused(refused)) => {
                open.reject(&refused).await;
                beside.report(Decision::refused(revision, &refused));
                Err(refusal(refused, span))
            }
            Err(failure) => Err(failure),
        }
    }

    async fn create(
        &self,
        upload: &Upload,
        client: Option<IpAddr>,
        disk: Option<DiskName>,
        revision: Option<Sha256Digest>,
        span: &Arc<Span>,
    ) -> Result<OpenUpload, StoreError> {
        let new = NewUpload {
            id: upload.id,
            principal: upload.principal.clone(),
            client,
            filename: upload.filename.clone(),
            media_type: upload.media_type.clone(),
            attributes: upload.attributes.clone(),
            length: upload.length,
            disk,
            revision,
            traceparent: span.context(),
            received_at: upload.received_at,
            expires_at: upload.received_at.plus(EXPIRY),
        };
        // Armed before the call: when its outcome is unknown, the upload may exist.
        let mut open = OpenUpload {
            id: upload.id,
            epoch: Epoch::FIRST,
            store: Arc::clone(&self.store),
            span: Arc::clone(span),
            tasks: self.tasks.clone(),
            ended: false,
        };
        match self.store.create(&new, span).await {
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

    /// Keeps the record of an upload that was refused by its headers. No byte of it was read.
    async fn keep_refusal(
        &self,
        upload: &Upload,
        client: Option<IpAddr>,
        revision: Option<Sha256Digest>,
        refused: &Refused,
        span: &Arc<Span>,
    ) {
        if !is_verdict(&refused.cause) {
            return;
        }
        match self.create(upload, client, None, revision, span).await {
            Ok(open) => open.reject(refused).await,
            Err(error) => not_recorded(upload.id, &error),
        }
    }

    /// Runs the two ends of the forward side by side: judging and sending here, the append there.
    async fn pass<B>(
        &self,
        beside: &Beside,
        mut inspection: Inspection,
        body: B,
        open: &OpenUpload,
    ) -> Result<(Passed, End), Failure>
    where
        B: Stream<Item = Result<Bytes, BodyError>> + Unpin,
    {
        let (forward, bytes) = forward(self.limits.stall);
        let mode = AppendMode::Acknowledged;
        let (id, epoch) = (open.id, open.epoch);
        let append = self
            .store
            .append(id, epoch, Offset::ZERO, mode, bytes, &open.span);
        tokio::pin!(append);
        let judged = tokio::select! {
            appended = &mut append => Err(Ended::Failure(Failure::Store(ended_error(appended)))),
            judged = self.judge(beside, &mut inspection, Chunks::new(body), forward) => judged,
        };
        let end = match judged {
            Ok(end) => end,
            Err(Ended::Refused(cause)) => {
                return Err(Failure::Refused(inspection.refuse(cause).await));
            }
            Err(ended) => {
                record::policies(&inspection.abandon().await, &open.span);
                return Err(match ended {
                    Ended::Forward(ForwardError::Stalled) => Failure::Store(StoreError::Timeout),
                    Ended::Forward(ForwardError::Ended) => {
                        Failure::Store(ended_error(append.await))
                    }
                    Ended::Failure(failure) => failure,
                    Ended::Refused(_) => unreachable!("it was matched before"),
                });
            }
        };
        let passed = inspection.finish(end).await.map_err(Failure::Refused)?;
        let status = append.await.map_err(Failure::Store)?;
        if status.offset.bytes() != end.length {
            return Err(Failure::Store(StoreError::DigestMismatch));
        }
        Ok((passed, end))
    }

    /// Shows every chunk to the policies and only then passes it on.
    async fn judge<B>(
        &self,
        beside: &Beside,
        inspection: &mut Inspection,
        mut chunks: Chunks<B>,
        forward: Forward,
    ) -> Result<End, Ended>
    where
        B: Stream<Item = Result<Bytes, BodyError>> + Unpin,
    {
        let mut hasher = Sha256Hasher::default();
        let mut length = 0u64;
        let limit = self.limits.upload_bytes;
        // Shown to the policies, and not passed yet.
        let mut shown: VecDeque<Bytes> = VecDeque::with_capacity(BLOCKS_IN_FLIGHT);
        let mut is_over = false;
        loop {
            tokio::select! {
                passed = inspection.judged(), if !shown.is_empty() => {
                    for block in shown.drain(..passed?) {
                        forward.send(block).await?;
                    }
                }
                next = chunks.next(), if !is_over && shown.len() < BLOCKS_IN_FLIGHT => {
                    let Some(block) = next? else {
                        is_over = true;
                        continue;
                    };
                    length += block.len() as u64;
                    if length > limit {
                        return Err(Failure::TooLarge { limit }.into());
                    }
                    // Judged there, hashed here, and the next one received meanwhile.
                    inspection.show(block.clone());
                    beside.shadow.show(&block);
                    hasher.update(&block);
                    shown.push_back(block);
                }
                else => break,
            }
        }
        if let Some(declared) = beside.upload.length.filter(|declared| *declared != length) {
            let arrived = length;
            return Err(Failure::Length { declared, arrived }.into());
        }
        forward.end().await?;
        let end = End {
            length,
            sha256: hasher.finish(),
        };
        beside.shadow.end(&end);
        Ok(end)
    }
}

impl Staged {
    /// Makes the upload durable and visible.
    pub(crate) async fn commit(mut self) -> Result<Receipt, Failure> {
        let store = Arc::clone(&self.open.store);
        let receipt = store.commit(self.open.id, &self.commit, &self.span).await;
        // A commit without an answer may have happened: cancelling an upload that has ended does nothing,
        // so it stays armed and clears up what is left of a failed one.
        let receipt = receipt.map_err(Failure::Store)?;
        self.open.ended = true;
        self.beside.report(Some(self.decision));
        Ok(receipt)
    }
}

impl OpenUpload {
    /// Ends the upload with what the policies said; its bytes go, its record stays.
    async fn reject(mut self, refused: &Refused) {
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
fn not_recorded(id: UploadId, error: &StoreError) {
    tracing::warn!(upload = %id, kind = ?error.kind(), "the end of an upload could not be recorded; it expires");
}

fn refusal(refused: Box<Refused>, span: &Span) -> Failure {
    record::policies(&refused.records, span);
    Failure::Refused(refused)
}

/// Whether the refusal is about the upload: one for want of room or policies is not.
fn is_verdict(cause: &RefusalCause) -> bool {
    match cause {
        RefusalCause::Rejected { .. } | RefusalCause::Failed(_) | RefusalCause::NoRoute => true,
        RefusalCause::NoPolicies | RefusalCause::Overloaded => false,
    }
}

/// Why judging ended early.
enum Ended {
    Refused(RefusalCause),
    Forward(ForwardError),
    Failure(Failure),
}

impl From<RefusalCause> for Ended {
    fn from(cause: RefusalCause) -> Self {
        Self::Refused(cause)
    }
}

impl From<ForwardError> for Ended {
    fn from(error: ForwardError) -> Self {
        Self::Forward(error)
    }
}

impl From<BodyError> for Ended {
    fn from(error: BodyError) -> Self {
        Self::Failure(Failure::Body(error))
    }
}

impl From<Failure> for Ended {
    fn from(failure: Failure) -> Self {
        Self::Failure(failure)
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
        policies: passed
            .records
            .iter()
            .map(portcullis_engine::PolicyRecord::verdict)
            .collect(),
        findings: passed.findings,
    }
}
