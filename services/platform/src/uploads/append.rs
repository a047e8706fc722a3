//! Bytes become durable: the body is read here, written and hashed by a thread of its own, and recorded as
//! it becomes durable.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::StreamExt;
use portcullis_hop::{AppendMode, ByteStream, Epoch, StoreError, UploadStatus};
use portcullis_server::Cut;
use portcullis_storage::{CrashPoint, OpenStage, crash_point};
use portcullis_telemetry::{
    Attribute, Label, Metric, Span, SpanName, Step, TraceContext, carry, metrics,
};
use portcullis_types::{Clock, Offset, UploadId};
use tokio::sync::mpsc;

use super::active::{Slot, Turn};
use super::{Inner, UploadLimits};
use crate::blocking::blocking;
use crate::catalog::{Catalog, ChunkRow, Rows, UploadRow};
use crate::disks::NamedDisk;
use crate::fault::Fault;

/// Blocks that wait to be written: with 64 to 256 KiB each, up to 1 MiB for an append.
const MAX_WAITING_BLOCKS: usize = 4;
/// How long an append waits for the one before it on the same upload to notice that it is over.
const TURN_WAIT: Duration = Duration::from_secs(10);

/// How long a body is read on that nobody wants any more: less than the listener gives for last words.
const LINGER: Duration = Duration::from_secs(1);

/// How the body ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fed {
    Whole,
    Aborted,
    Stalled,
    Fenced,
    /// Services are being stopped.
    Cut,
    /// The writer wants no more, and knows why.
    Refused,
}

impl Inner {
    pub(super) async fn append(
        &self,
        id: UploadId,
        epoch: Epoch,
        from: Offset,
        mode: AppendMode,
        mut bytes: ByteStream,
        span: &Span,
    ) -> Result<UploadStatus, Fault> {
        let permit = Arc::clone(&self.appends).try_acquire_owned();
        let permit = permit.map_err(|_| Fault(StoreError::Unavailable))?;
        self.open_row(id, epoch).await?;
        let slot = self.active.slot(id);
        let turn = tokio::time::timeout(TURN_WAIT, slot.turn()).await;
        let turn = turn.map_err(|_| Fault(StoreError::Unavailable))?;
        // Again: whoever had the turn may have moved the offset, or ended the upload.
        let row = self.open_row(id, epoch).await?;
        let writer = self.writer(row, epoch, mode, span)?;
        let (blocks, waiting) = mpsc::channel(MAX_WAITING_BLOCKS);
        // It goes on to the end of what was sent when nobody waits for it any more.
        let written = tokio::task::spawn_blocking(carry(move || {
            let written = writer.run(turn, from, waiting);
            drop(permit);
            written
        }));
        let stall = self.limits.stall;
        let fed = feed(&mut bytes, blocks, &slot, epoch, stall, &self.cut).await;
        if !matches!(fed, Fed::Whole | Fed::Aborted) {
            tokio::spawn(linger(bytes));
        }
        let written = written.await.map_err(Fault::lost)?;
        match (fed, written) {
            (_, Err(fault)) => Err(fault),
            (Fed::Fenced, Ok(_)) => Err(StoreError::Fenced.into()),
            (Fed::Aborted, Ok(_)) => Err(StoreError::Aborted.into()),
            (Fed::Cut, Ok(status)) => Err(StoreError::Stopping {
                acknowledged: status.offset,
            }
            .into()),
            (Fed::Stalled, Ok(_)) => Err(StoreError::Timeout.into()),
            (Fed::Whole | Fed::Refused, Ok(status)) => Ok(status),
        }
    }

    fn writer(
        &self,
        row: UploadRow,
        epoch: Epoch,
        mode: AppendMode,
        span: &Span,
    ) -> Result<Writer, Fault> {
        Ok(Writer {
            disk: self.disk(&row)?.clone(),
            catalog: self.catalog.clone(),
            limits: self.limits,
            row,
            epoch,
            mode,
            chunk: None,
            parent: span.context(),
            clock: self.clock.clone(),
        })
    }

    pub(super) async fn checkpoint(
        &self,
        id: UploadId,
        epoch: Epoch,
        offset: Offset,
        chunk: Option<ChunkRow>,
        span: &Span,
    ) -> Result<UploadStatus, Fault> {
        self.open_row(id, epoch).await?;
        let turn = self.active.slot(id).turn().await;
        let row = self.open_row(id, epoch).await?;
        if row.status().offset == offset {
            return Ok(row.status());
        }
        let mut writer = self.writer(row, epoch, AppendMode::Acknowledged, span)?;
        writer.chunk = chunk;
        blocking(move || writer.acknowledge(turn, offset)).await?
    }
}

/// Hands the body to the writer, block by block, until it ends or somebody says stop.
async fn feed(
    bytes: &mut ByteStream,
    blocks: mpsc::Sender<Bytes>,
    slot: &Slot,
    epoch: Epoch,
    stall: Duration,
    cut: &Cut,
) -> Fed {
    let fenced = slot.fenced(epoch);
    let cut = cut.wait();
    tokio::pin!(fenced, cut);
    loop {
        let next = tokio::select! {
            () = &mut fenced => return Fed::Fenced,
            () = &mut cut => return Fed::Cut,
            () = blocks.closed() => return Fed::Refused,
            next = tokio::time::timeout(stall, bytes.next()) => next,
        };
        let block = match next {
            Err(_) => return Fed::Stalled,
            Ok(None) => return Fed::Whole,
            Ok(Some(Err(_))) => return Fed::Aborted,
            Ok(Some(Ok(block))) => block,
        };
        if blocks.send(block).await.is_err() {
            return Fed::Refused;
        }
    }
}

/// Reads on for a moment what nobody wants any more. A connection that is closed with bytes that were not read is reset,
/// and whoever sends them may not hear the answer (RFC 9112, section 9.6).
async fn linger(mut bytes: ByteStream) {
    let read_on = async { while let Some(Ok(_)) = bytes.next().await {} };
    // Whoever goes on sending after that has had the time to hear it.
    let _ = tokio::time::timeout(LINGER, read_on).await;
}

/// One append on its thread.
struct Writer {
    disk: NamedDisk,
    catalog: Catalog,
    limits: UploadLimits,
    row: UploadRow,
    epoch: Epoch,
    mode: AppendMode,
    /// What becomes durable is this chunk of a file.
    chunk: Option<ChunkRow>,
    parent: TraceContext,
    clock: Clock,
}

/// Says how many bytes were written since the last time, and how long that took the disk.
fn wrote(span: &Span, bytes: u64, writing: Duration) {
    span.set(Attribute::Bytes(bytes));
    let labels = [Label::Step(Step::StageWrite)];
    metrics::measure(Metric::StorageTime, writing.as_secs_f64(), labels);
    super::staged(bytes);
}

impl Writer {
    fn run(
        &self,
        mut turn: Turn,
        from: Offset,
        mut waiting: mpsc::Receiver<Bytes>,
    ) -> Result<UploadStatus, Fault> {
        let mut span = Span::child_of(SpanName::StageWrite, Some(&self.parent));
        let mut stage = self.open(turn.take(), from)?;
        let mut writing = Duration::ZERO;
        let mut durable = (stage.offset(), Instant::now());
        loop {
            let block = self.next(&mut waiting, durable.1);
            match &block {
                Next::Block(block) => {
                    let began = Instant::now();
                    stage.write(block).map_err(Fault::of_disk(&self.disk))?;
                    writing += began.elapsed();
                }
                Next::End => break,
                Next::Due => {}
            }
            let new_bytes = stage.offset().bytes() - durable.0.bytes();
            let due = new_bytes >= self.limits.checkpoint_bytes
                || durable.1.elapsed() >= self.limits.checkpoint_time;
            if self.mode == AppendMode::Acknowledged && due {
                if new_bytes > 0 {
                    // One span for what becomes durable together: a long append is seen while it goes on.
                    wrote(&span, new_bytes, std::mem::take(&mut writing));
                    self.record(&mut stage)?;
                    span = Span::child_of(SpanName::StageWrite, Some(&self.parent));
                }
                durable = (stage.offset(), Instant::now());
            }
        }
        let new_bytes = stage.offset().bytes() - durable.0.bytes();
        wrote(&span, new_bytes, writing);
        drop(span);
        let status = self.finish(&mut stage)?;
        *turn = Some(stage);
        Ok(status)
    }

    /// Makes what was appended provisionally count.
    fn acknowledge(&self, mut turn: Turn, offset: Offset) -> Result<UploadStatus, Fault> {
        let expected = self.row.status().offset;
        let mut stage = match turn.take() {
            Some(stage) if stage.offset() == offset => stage,
            // Another process appended them, or nobody did: they are gone.
            other => {
                *turn = other;
                return Err(StoreError::OffsetMismatch { expected }.into());
            }
        };
        let status = self.finish(&mut stage)?;
        *turn = Some(stage);
        Ok(status)
    }

    /// The stage at `from`: as somebody left it open, or as it was recorded.
    fn open(&self, open: Option<OpenStage>, from: Offset) -> Result<OpenStage, Fault> {
        let recorded = self.row.recorded();
        let id = self.row.status().id;
        let failed = Fault::of_disk(&self.disk);
        match open {
            Some(stage) if stage.offset() == from => Ok(stage),
            _ if from != recorded.offset => {
                let expected = recorded.offset;
                Err(StoreError::OffsetMismatch { expected }.into())
            }
            // Nothing is recorded, so that nothing can be lost: a stage is made when it is first needed.
            _ if from == Offset::ZERO => self.disk.disk().create_stage(id).map_err(failed),
            _ => self.disk.disk().resume_stage(id, &recorded).map_err(failed),
        }
    }

    fn next(&self, waiting: &mut mpsc::Receiver<Bytes>, since: Instant) -> Next {
        if self.mode == AppendMode::Provisional {
            return waiting.blocking_recv().map_or(Next::End, Next::Block);
        }
        if let Ok(block) = waiting.try_recv() {
            return Next::Block(block);
        }
        let rest = self.limits.checkpoint_time.saturating_sub(since.elapsed());
        let received = async { tokio::time::timeout(rest, waiting.recv()).await };
        match tokio::runtime::Handle::current().block_on(received) {
            Ok(Some(block)) => Next::Block(block),
            Ok(None) => Next::End,
            Err(_) => Next::Due,
        }
    }

    /// What is acknowledged at the end of the call.
    fn finish(&self, stage: &mut OpenStage) -> Result<UploadStatus, Fault> {
        let mut status = self.row.status();
        if self.mode == AppendMode::Acknowledged {
            status.offset = self.record(stage)?;
        }
        Ok(status)
    }

    /// Makes what was written durable, and notes it. Gives how far that is.
    fn record(&self, stage: &mut OpenStage) -> Result<Offset, Fault> {
        let fsync = Span::child_of(SpanName::Fsync, Some(&self.parent));
        let checkpoint = stage.checkpoint().map_err(Fault::of_disk(&self.disk))?;
        drop(fsync);
        let _catalog = Span::child_of(SpanName::Catalog, Some(&self.parent));
        let offset = checkpoint.offset;
        self.note(checkpoint)?;
        Ok(offset)
    }

    fn note(&self, checkpoint: portcullis_storage::Checkpoint) -> Result<(), Fault> {
        let (id, epoch) = (self.row.status().id, self.epoch);
        let until = self.clock.now().plus(self.row.lifetime());
        let chunk = self.chunk;
        let disk = self.disk.clone();
        let attributes = self.row.record.upload.attributes.clone();
        let note = move |rows: &Rows| {
            let quota = &disk.limits().quota;
            quota.check(rows, &disk.name, &attributes, checkpoint.offset.bytes())?;
            let noted = UploadRow::checkpoint(rows, id, epoch, &checkpoint, until)?;
            if let Some(chunk) = chunk.filter(|_| noted) {
                chunk.insert(rows, id)?;
            }
            Ok::<_, Fault>(noted)
        };
        if self.catalog.run_blocking(note)? {
            crash_point(CrashPoint::OffsetRecorded);
            Ok(())
        } else {
            Err(StoreError::Fenced.into())
        }
    }
}

/// What a writer does next.
enum Next {
    Block(Bytes),
    /// It is time to make durable what there is.
    Due,
    End,
}
