//! Uploads on their way: created, filled, judged elsewhere, and ended. The other side of the hop.

mod active;
mod append;
mod links;
pub(crate) mod publish;
mod suspend;
mod sweep;

use std::io::Read;
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use portcullis_hop::{
    AppendMode, ByteStream, Commit, Conclusion, Ending, Epoch, NewUpload, Receipt, StoreError,
    UploadRecord, UploadState, UploadStatus, UploadStore,
};
use portcullis_server::Cut;
use portcullis_storage::{CrashPoint, crash_point};
use portcullis_telemetry::{
    Detail, Direction, Label, Line, Metric, Span, SpanName, carry, log, metrics,
};
use portcullis_types::{Clock, Offset, Sha256Digest, UploadId};
use tokio::sync::Semaphore;

use self::active::Active;
use self::links::FreshLinks;
use crate::blocking::blocking;
use crate::catalog::{Action, Actor, AuditEntry, Catalog, CatalogError, ChunkRow, Rows, UploadRow};
use crate::disks::{Disks, NamedDisk};
use crate::fault::Fault;
use crate::idempotency::Answering;

/// Blocks of a body that is read back, and how many of them wait.
const READ_BLOCK_BYTES: usize = 256 << 10;
const READ_BLOCKS: usize = 2;

/// What uploads may take at once, and how often they become durable.
#[derive(Clone, Copy, Debug)]
pub struct UploadLimits {
    /// Appends at once; each has a thread and up to 1 MiB of blocks.
    pub appends: usize,
    /// How long the web host may pause within an append. Default 2 min: longer than the web host lets its
    /// own clients pause, so that the one who knows the client decides.
    pub stall: Duration,
    /// An append becomes durable after so many bytes. Default 64 MiB.
    pub checkpoint_bytes: u64,
    /// An append becomes durable after this time. Default 2 s.
    pub checkpoint_time: Duration,
    /// Bytes that stay free on every disk.
    pub reserve_bytes: u64,
    /// Uploads that one sender may have open at once. Default 1,000.
    pub open_per_sender: u32,
}

impl Default for UploadLimits {
    fn default() -> Self {
        Self {
            appends: 128,
            stall: Duration::from_mins(2),
            checkpoint_bytes: 64 << 20,
            checkpoint_time: Duration::from_secs(2),
            reserve_bytes: 256 << 20,
            open_per_sender: 1_000,
        }
    }
}

/// All uploads of services. Clones share them.
#[derive(Clone, Debug)]
pub struct Uploads(Arc<Inner>);

/// Uploads, if they are still there.
pub(crate) struct WeakUploads(Weak<Inner>);

impl WeakUploads {
    pub(crate) fn upgrade(&self) -> Option<Uploads> {
        self.0.upgrade().map(Uploads)
    }
}

#[derive(Debug)]
struct Inner {
    catalog: Catalog,
    disks: Disks,
    clock: Clock,
    limits: UploadLimits,
    appends: Arc<Semaphore>,
    active: Active,
    publishing: publish::PathLocks,
    fresh_links: FreshLinks,
    /// When appends under way have to end.
    cut: Cut,
}

/// Counts bytes that arrived here.
fn staged(bytes: u64) {
    let staged = [Label::Direction(Direction::Staged)];
    metrics::count(Metric::Bytes, bytes, staged);
}

impl Uploads {
    /// Uploads in this catalog and on these disks.
    pub fn new(catalog: Catalog, disks: Disks, clock: Clock, limits: UploadLimits) -> Self {
        Self(Arc::new(Inner {
            catalog,
            disks,
            clock,
            appends: Arc::new(Semaphore::new(limits.appends)),
            limits,
            active: Active::default(),
            publishing: publish::PathLocks::default(),
            fresh_links: FreshLinks::default(),
            cut: Cut::default(),
        }))
    }

    /// The catalog.
    pub fn catalog(&self) -> &Catalog {
        &self.0.catalog
    }

    /// The same for whoever must not keep them: the catalog ends with the last of its users.
    pub(crate) fn downgrade(&self) -> WeakUploads {
        WeakUploads(Arc::downgrade(&self.0))
    }

    /// How many appends are under way.
    pub(crate) fn appends(&self) -> usize {
        self.0.limits.appends - self.0.appends.available_permits()
    }

    /// The disks.
    pub fn disks(&self) -> &Disks {
        &self.0.disks
    }

    /// What ends appends under way: what they received until then is durable and acknowledged.
    pub fn cut(&self) -> &Cut {
        &self.0.cut
    }

    /// Creates an upload as [`UploadStore::create`] does, and does more in the same transaction.
    pub(crate) async fn create_with(
        &self,
        upload: NewUpload,
        also: impl FnOnce(&Rows) -> Result<(), CatalogError> + Send + 'static,
    ) -> Result<UploadStatus, Fault> {
        self.0.create(upload, also).await
    }

    /// Commits an upload as [`UploadStore::commit`] does, and records in the same transaction what its call was answered.
    pub(crate) async fn commit_answering(
        &self,
        id: UploadId,
        commit: Commit,
        answering: Option<Answering>,
        span: &Span,
    ) -> Result<Receipt, StoreError> {
        let receipt = self.0.commit(id, commit, answering, span).await;
        receipt.map_err(|fault| fault.0)
    }

    /// Stores an upload as [`UploadStore::store`] does, and records in the same transaction what its call was answered.
    /// Length and digest in the commit are those of the bytes.
    pub(crate) async fn store_answering(
        &self,
        upload: NewUpload,
        commit: Commit,
        bytes: Bytes,
        answering: Option<Answering>,
        span: &Span,
    ) -> Result<Receipt, StoreError> {
        let stored = self.0.store(upload, commit, bytes, answering, span).await;
        stored.map_err(|fault| fault.0)
    }

    /// Acknowledges what was appended provisionally as a chunk.
    pub(crate) async fn checkpoint_chunk(
        &self,
        id: UploadId,
        epoch: Epoch,
        offset: Offset,
        chunk: ChunkRow,
        span: &Span,
    ) -> Result<UploadStatus, Fault> {
        self.0
            .checkpoint(id, epoch, offset, Some(chunk), span)
            .await
    }

    /// The clock.
    pub fn clock(&self) -> &Clock {
        &self.0.clock
    }
}

impl Inner {
    fn disk(&self, row: &UploadRow) -> Result<&NamedDisk, Fault> {
        let Some(name) = &row.record.upload.disk else {
            return Err(no_disk());
        };
        self.disks.holding(name)
    }

    async fn row(&self, id: UploadId) -> Result<UploadRow, Fault> {
        let find = move |rows: &Rows| UploadRow::find(rows, id).map_err(Fault::from);
        let row = self.catalog.read(find).await?;
        row.ok_or(Fault(StoreError::NotFound))
    }

    /// The row of an upload that takes bytes and belongs to this epoch.
    async fn open_row(&self, id: UploadId, epoch: Epoch) -> Result<UploadRow, Fault> {
        let row = self.row(id).await?;
        check_takes_bytes(&row, epoch)?;
        Ok(row)
    }

    /// The disk that an upload names. Absent when it names none.
    fn disk_of(&self, upload: &NewUpload) -> Result<Option<&NamedDisk>, Fault> {
        let Some(name) = &upload.disk else {
            return Ok(None);
        };
        let disk = self.disks.get(name).ok_or_else(|| {
            let detail = format!(
                "Services have no disk `{name}`; tell the operator to compare the routing policy with the disks of services."
            );
            StoreError::Invalid(detail)
        })?;
        Ok(Some(disk))
    }

    fn check_room(&self, upload: &NewUpload) -> Result<(), Fault> {
        let Some(disk) = self.disk_of(upload)? else {
            return Ok(());
        };
        disk.check_writable()?;
        let space = disk.disk().space().map_err(Fault::of_disk(disk))?;
        let wanted = upload.length.unwrap_or(0);
        if space.free_bytes < wanted.saturating_add(disk.limits().reserve_bytes) {
            return Err(StoreError::DiskFull.into());
        }
        Ok(())
    }

    /// A part lies on some disk, whatever becomes of the whole.
    fn with_disk(&self, mut upload: NewUpload) -> NewUpload {
        if upload.is_part() && upload.disk.is_none() {
            let disk = self.disks.default_disk();
            upload.disk = disk.map(|disk| disk.name.clone());
        }
        upload
    }

    /// Whether its disk has room for an upload. Asking a network file system may take a while.
    async fn room_for(self: &Arc<Self>, upload: NewUpload) -> Result<(), Fault> {
        let inner = Arc::clone(self);
        blocking(move || inner.check_room(&upload)).await?
    }

    async fn create(
        self: &Arc<Self>,
        upload: NewUpload,
        also: impl FnOnce(&Rows) -> Result<(), CatalogError> + Send + 'static,
    ) -> Result<UploadStatus, Fault> {
        let upload = self.with_disk(upload);
        self.room_for(upload.clone()).await?;
        let disk = upload.disk.as_ref().and_then(|name| self.disks.get(name));
        let quota = disk.map(|disk| disk.limits().quota.clone());
        let most = self.limits.open_per_sender;
        let created = self
            .catalog
            .run(move |rows| {
                // A call that came before changes nothing and needs no room.
                let is_new = UploadRow::find(rows, upload.id)?.is_none();
                let limited = quota.as_ref().zip(upload.disk.as_ref());
                if let Some((quota, disk)) = limited.filter(|_| is_new) {
                    let wanted = upload.length.unwrap_or(0);
                    quota.check_new(rows, disk, &upload.attributes, wanted, upload.id)?;
                }
                // One without a disk is only recorded to be concluded; one without a revision came by the file API.
                let is_sent =
                    upload.disk.is_some() && (upload.revision.is_some() || upload.is_part());
                if is_new && is_sent {
                    let open = UploadRow::open_of(rows, upload.principal.subject())?;
                    if open >= u64::from(most) {
                        return Err(StoreError::TooManyOpen(most).into());
                    }
                }
                let row = UploadRow::create(rows, &upload)?;
                if row.record.upload != upload {
                    return Err(another_upload());
                }
                also(rows)?;
                Ok(row.status())
            })
            .await;
        crash_point(CrashPoint::UploadCreated);
        created
    }

    async fn take_over(&self, id: UploadId) -> Result<UploadStatus, Fault> {
        let raise = move |rows: &Rows| {
            let raised = UploadRow::raise_epoch(rows, id)?;
            let row = UploadRow::find(rows, id)?.ok_or(Fault(StoreError::NotFound))?;
            Ok::<_, Fault>((raised, row.status()))
        };
        let (raised, status) = self.catalog.run(raise).await?;
        if raised {
            self.active.fence(id, status.epoch).await;
        }
        // What the older request had acknowledged before it noticed counts.
        Ok(self.row(id).await?.status())
    }

    async fn declare_length(
        self: &Arc<Self>,
        id: UploadId,
        epoch: Epoch,
        length: u64,
    ) -> Result<UploadStatus, Fault> {
        let row = self.open_row(id, epoch).await?;
        let status = row.status();
        if row.record.length == Some(length) {
            return Ok(status);
        }
        if let Some(known) = row.record.length {
            let detail =
                format!("The length of this upload is {known} bytes; it cannot be changed.");
            return Err(StoreError::Invalid(detail).into());
        }
        let Some(wanted) = length.checked_sub(status.offset.bytes()) else {
            let detail = format!(
                "{} bytes of this upload have come; it cannot be shorter than that.",
                status.offset
            );
            return Err(StoreError::Invalid(detail).into());
        };
        let upload = NewUpload {
            length: Some(wanted),
            ..row.record.upload
        };
        self.room_for(upload).await?;
        let declare = move |rows: &Rows| {
            UploadRow::declare_length(rows, id, epoch, length).map_err(Fault::from)
        };
        if self.catalog.run(declare).await? {
            return Ok(status);
        }
        // Another call of this upload came in between.
        let row = self.open_row(id, epoch).await?;
        if row.record.length == Some(length) {
            Ok(row.status())
        } else {
            Err(StoreError::Fenced.into())
        }
    }

    async fn conclude(
        self: &Arc<Self>,
        id: UploadId,
        conclusion: Conclusion,
        span: &Span,
    ) -> Result<UploadStatus, Fault> {
        let state = match conclusion.ending {
            Ending::Rejected => UploadState::Rejected,
            Ending::Cancelled => UploadState::Cancelled,
        };
        let catalog = span.child(SpanName::Catalog);
        let now = self.clock.now();
        let row = self
            .catalog
            .run(move |rows: &Rows| {
                let row = UploadRow::find(rows, id)?.ok_or(Fault(StoreError::NotFound))?;
                // The same call came before.
                if row.status().state != state {
                    check_takes_bytes(&row, conclusion.epoch)?;
                    UploadRow::conclude(rows, id, state, Some(&conclusion))?;
                    ended(&row, &conclusion, now).write(rows)?;
                }
                Ok::<_, Fault>(row)
            })
            .await?;
        drop(catalog);
        crash_point(CrashPoint::UploadConcluded);
        self.forget_stage(&row).await?;
        Ok(self.row(id).await?.status())
    }

    /// Lets go of what an ended upload still holds. What is left after a crash, recovery removes.
    async fn forget_stage(self: &Arc<Self>, row: &UploadRow) -> Result<(), Fault> {
        let id = row.status().id;
        self.active.forget(id).await;
        if row.record.upload.disk.is_none() {
            return Ok(());
        }
        let disk = self.disk(row)?.clone();
        let discard = move || {
            let discarded = disk.disk().discard_stage(id);
            discarded.map_err(Fault::of_disk(&disk))
        };
        blocking(discard).await?
    }

    async fn read(&self, id: UploadId, from: Offset) -> Result<ByteStream, Fault> {
        let row = self.row(id).await?;
        let status = row.status();
        if !status.state.takes_bytes() {
            return Err(StoreError::Ended(status.state).into());
        }
        if from > status.offset {
            let expected = status.offset;
            return Err(StoreError::OffsetMismatch { expected }.into());
        }
        if status.offset == Offset::ZERO {
            return Ok(Box::pin(futures_util::stream::empty()));
        }
        let disk = self.disk(&row)?.clone();
        let open = move || {
            let stage = disk.disk().read_stage(id, from, status.offset);
            stage.map_err(Fault::of_disk(&disk))
        };
        let file = blocking(open).await??;
        Ok(stream(file))
    }
}

fn no_disk() -> Fault {
    let detail = "This upload was created without a disk and takes no bytes.";
    StoreError::Invalid(detail.to_owned()).into()
}

fn another_upload() -> Fault {
    let detail = "There is another upload with this id; choose a new one.";
    StoreError::Invalid(detail.to_owned()).into()
}

/// Whether an upload can be committed and belongs to this epoch. A part cannot, ever.
fn check_open(row: &UploadRow, epoch: Epoch) -> Result<(), Fault> {
    let state = row.status().state;
    if state == UploadState::Held {
        return Err(StoreError::Ended(state).into());
    }
    check_takes_bytes(row, epoch)
}

/// Whether an upload takes bytes and belongs to this epoch.
fn check_takes_bytes(row: &UploadRow, epoch: Epoch) -> Result<(), Fault> {
    let status = row.status();
    if !status.state.takes_bytes() {
        return Err(StoreError::Ended(status.state).into());
    }
    if status.epoch != epoch {
        return Err(StoreError::Fenced.into());
    }
    Ok(())
}

/// A file as a stream: read by a thread that is at most two blocks ahead.
pub(crate) fn stream(mut file: Box<dyn Read + Send>) -> ByteStream {
    let (blocks, mut waiting) = tokio::sync::mpsc::channel(READ_BLOCKS);
    tokio::task::spawn_blocking(carry(move || {
        loop {
            let mut block = vec![0; READ_BLOCK_BYTES];
            let read = match file.read(&mut block) {
                Ok(0) => return,
                Ok(read) => read,
                Err(error) => {
                    log(Line::FileCutOff, [Detail::Io(error.kind())]);
                    let _ = blocks.blocking_send(Err(portcullis_hop::BodyAborted));
                    return;
                }
            };
            block.truncate(read);
            if blocks.blocking_send(Ok(Bytes::from(block))).is_err() {
                return;
            }
        }
    }));
    Box::pin(futures_util::stream::poll_fn(move |cx| {
        waiting.poll_recv(cx)
    }))
}

/// The audit row of an upload that is not stored.
fn ended(row: &UploadRow, conclusion: &Conclusion, now: portcullis_types::Timestamp) -> AuditEntry {
    let upload = &row.record.upload;
    let action = match conclusion.ending {
        Ending::Rejected => Action::Rejected,
        Ending::Cancelled => Action::Cancelled,
    };
    let rule = conclusion.refusal.as_ref().map(|refusal| &refusal.rule);
    let mut entry = AuditEntry::new(now, action, Actor::of_upload(upload)).of_upload(upload.id);
    entry.disk.clone_from(&upload.disk);
    entry.with(serde_json::json!({
        "rule": rule,
        "revision": upload.revision,
        "policies": conclusion.policies,
    }))
}

impl UploadStore for Uploads {
    async fn create(&self, upload: &NewUpload, _span: &Span) -> Result<UploadStatus, StoreError> {
        let created = self.0.create(upload.clone(), |_| Ok(())).await;
        created.map_err(|fault| fault.0)
    }

    async fn record(&self, id: UploadId, _span: &Span) -> Result<UploadRecord, StoreError> {
        let row = self.0.row(id).await.map_err(|fault| fault.0)?;
        Ok(row.record)
    }

    async fn take_over(&self, id: UploadId, _span: &Span) -> Result<UploadStatus, StoreError> {
        self.0.take_over(id).await.map_err(|fault| fault.0)
    }

    async fn declare_length(
        &self,
        id: UploadId,
        epoch: Epoch,
        length: u64,
        _span: &Span,
    ) -> Result<UploadStatus, StoreError> {
        let declared = self.0.declare_length(id, epoch, length).await;
        declared.map_err(|fault| fault.0)
    }

    async fn append(
        &self,
        id: UploadId,
        epoch: Epoch,
        from: Offset,
        mode: AppendMode,
        bytes: ByteStream,
        span: &Span,
    ) -> Result<UploadStatus, StoreError> {
        let appended = self.0.append(id, epoch, from, mode, bytes, span).await;
        appended.map_err(|fault| fault.0)
    }

    async fn checkpoint(
        &self,
        id: UploadId,
        epoch: Epoch,
        offset: Offset,
        span: &Span,
    ) -> Result<UploadStatus, StoreError> {
        let checkpoint = self.0.checkpoint(id, epoch, offset, None, span).await;
        checkpoint.map_err(|fault| fault.0)
    }

    async fn read(
        &self,
        id: UploadId,
        from: Offset,
        _span: &Span,
    ) -> Result<ByteStream, StoreError> {
        self.0.read(id, from).await.map_err(|fault| fault.0)
    }

    async fn suspend(
        &self,
        id: UploadId,
        epoch: Epoch,
        offset: Offset,
        state: Bytes,
        _span: &Span,
    ) -> Result<UploadStatus, StoreError> {
        let kept = self.0.suspend(id, epoch, offset, &state).await;
        kept.map_err(|fault| fault.0)
    }

    async fn suspended(&self, id: UploadId, _span: &Span) -> Result<Option<Bytes>, StoreError> {
        self.0.suspended(id).await.map_err(|fault| fault.0)
    }

    async fn commit(
        &self,
        id: UploadId,
        commit: &Commit,
        span: &Span,
    ) -> Result<Receipt, StoreError> {
        let receipt = self.0.commit(id, commit.clone(), None, span).await;
        receipt.map_err(|fault| fault.0)
    }

    async fn store(
        &self,
        upload: &NewUpload,
        commit: &Commit,
        bytes: Bytes,
        span: &Span,
    ) -> Result<Receipt, StoreError> {
        let found = (Offset::new(bytes.len() as u64), Sha256Digest::of(&bytes));
        if (commit.length, commit.sha256) != found {
            return Err(StoreError::DigestMismatch);
        }
        self.store_answering(upload.clone(), commit.clone(), bytes, None, span)
            .await
    }

    async fn conclude(
        &self,
        id: UploadId,
        conclusion: &Conclusion,
        span: &Span,
    ) -> Result<UploadStatus, StoreError> {
        let concluded = self.0.conclude(id, conclusion.clone(), span).await;
        concluded.map_err(|fault| fault.0)
    }
}
