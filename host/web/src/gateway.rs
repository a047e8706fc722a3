//! The way of one upload through the web host: admit, create, judge each chunk before it is passed on,
//! commit. Whatever ends it early is concluded on services, so that its record says so and no byte stays.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use portcullis_engine::{
    Admission, End, Engine, Inspection, Passed, RefusalCause, Refused, Shadow, Upload,
};
use portcullis_hop::{
    AppendMode, Commit, Disposition, Epoch, Gathered, HopClient, Receipt, StoreError, UploadStatus,
    UploadStore, gather,
};
use portcullis_telemetry::{Attribute, Span};
use portcullis_types::{Clock, Offset, Principal, Sha256Digest, Sha256Hasher, UploadId};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::task::TaskTracker;

use crate::chunks::Chunks;
use crate::forward::{Forward, ForwardError, forward};
use crate::held::{Held, OpenUpload, new_upload, not_recorded};
use crate::lines::Live;
use crate::linger::BodyError;
use crate::raw::Headers;
use crate::record;
use crate::shadow::{Decision, ShadowDesk};

/// How many blocks of an upload may be shown to the policies before they have passed.
const BLOCKS_IN_FLIGHT: usize = 2;

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

/// An upload that every policy has let pass; not yet visible.
pub(crate) struct Staged {
    held: Held,
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
        mut body: B,
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
        let new = new_upload(upload, client, disk, Some(revision), span);
        let gathered = match gather(&mut body).await {
            Ok(gathered) => gathered,
            Err(error) => {
                record::policies(&inspection.abandon().await, span);
                return Err(Failure::Body(error));
            }
        };
        let (held, judged) = match gathered {
            Gathered::Whole(bytes) => {
                let judged = self.judge_whole(&beside, *inspection, bytes.clone(), span);
                let judged = judged.await;
                let (upload, store) = (Box::new(new), Arc::clone(&self.store));
                let held = Held::Whole {
                    upload,
                    bytes,
                    store,
                };
                (held, judged)
            }
            Gathered::Beginning(frames) => {
                let body = stream::iter(frames.into_iter().map(Ok)).chain(body);
                let open = OpenUpload::create(&self.store, &new, &self.tasks, span)
                    .await
                    .map_err(Failure::Store)?;
                let judged = self.pass(&beside, *inspection, body, &open).await;
                (Held::Open(open), judged)
            }
        };
        match judged {
            Ok((passed, end)) => {
                record::policies(&passed.records, span);
                span.set(Attribute::Bytes(end.length));
                let decision = Decision::passed(revision, &passed);
                Ok(Staged {
                    commit: commit(held.epoch(), passed, &end),
                    held,
                    span: Arc::clone(span),
                    beside,
                    decision,
                    _permit: permit,
                })
            }
            Err(Failure::Refused(refused)) => {
                match held {
                    Held::Open(open) => open.reject(&refused).await,
                    Held::Whole { .. } => {
                        self.keep_refusal(upload, client, Some(revision), &refused, span)
                            .await;
                    }
                }
                beside.report(Decision::refused(revision, &refused));
                Err(refusal(refused, span))
            }
            Err(failure) => Err(failure),
        }
    }

    /// Keeps the record of an upload that was refused before services knew it.
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
        let new = new_upload(upload, client, None, revision, span);
        match OpenUpload::create(&self.store, &new, &self.tasks, span).await {
            Ok(open) => open.reject(refused).await,
            Err(error) => not_recorded(upload.id, &error),
        }
    }

    /// Shows the policies an upload that is all here.
    async fn judge_whole(
        &self,
        beside: &Beside,
        mut inspection: Inspection,
        bytes: Bytes,
        span: &Span,
    ) -> Result<(Passed, End), Failure> {
        let chunks = Chunks::new(stream::iter([Ok(bytes)]));
        match self.judge(beside, &mut inspection, chunks, None).await {
            Ok(end) => {
                let passed = inspection.finish(end).await.map_err(Failure::Refused)?;
                Ok((passed, end))
            }
            Err(Ended::Refused(cause)) => Err(Failure::Refused(inspection.refuse(cause).await)),
            Err(Ended::Failure(failure)) => {
                record::policies(&inspection.abandon().await, span);
                Err(failure)
            }
            Err(Ended::Forward(_)) => unreachable!("nothing is forwarded"),
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
            judged = self.judge(beside, &mut inspection, Chunks::new(body), Some(forward)) => judged,
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

    /// Shows every chunk to the policies and only then passes it on, if it is to be.
    async fn judge<B>(
        &self,
        beside: &Beside,
        inspection: &mut Inspection,
        mut chunks: Chunks<B>,
        forward: Option<Forward>,
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
                        if let Some(forward) = &forward {
                            forward.send(block).await?;
                        }
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
        if let Some(forward) = forward {
            forward.end().await?;
        }
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
    pub(crate) async fn commit(self) -> Result<Receipt, Failure> {
        let receipt = self.held.commit(&self.commit, &self.span).await;
        let receipt = receipt.map_err(Failure::Store)?;
        self.beside.report(Some(self.decision));
        Ok(receipt)
    }
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
