//! Files that come in numbered chunks, each in a call of its own. A chunk counts when it is there whole and durable;
//! one whose answer was lost may be sent again, and the file goes on after any crash with the chunk that is next.

use portcullis_hop::{
    AppendMode, ByteStream, Epoch, Receipt, StoreError, UploadState, UploadStore,
};
use portcullis_telemetry::Span;
use portcullis_types::{Offset, Sha256Digest, Sha256Hasher, UploadId};
use serde_json::{Value, json};

use super::{NewFile, Seen, hashed, whole};
use crate::catalog::{ChunkRow, Rows, UploadRow};
use crate::fault::Fault;
use crate::idempotency::Answering;
use crate::uploads::Uploads;

/// Why a chunk or the end of a file was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChunkError {
    /// As for any upload.
    Store(StoreError),
    /// Another chunk is the next one.
    NotNext {
        /// Its number.
        expected: u32,
    },
    /// A chunk with this number came before, and it was another one.
    Differs,
    /// Another number of chunks has come than the client says.
    Count {
        /// How many have.
        come: u32,
    },
}

impl From<Fault> for ChunkError {
    fn from(fault: Fault) -> Self {
        Self::Store(fault.0)
    }
}

impl From<StoreError> for ChunkError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// An upload in chunks that is open, and who may go on with it.
struct Begun {
    row: UploadRow,
    path: portcullis_types::DiskPath,
    chunks: u32,
}

/// What a client is told when it may send chunks.
pub(crate) fn begun(id: UploadId) -> Value {
    json!({ "success": true, "upload_id": id })
}

impl Uploads {
    /// Begins a file that comes in chunks.
    pub async fn begin_chunked(
        &self,
        file: NewFile,
        answering: Option<Answering>,
        span: &Span,
    ) -> Result<UploadId, Fault> {
        let path = file.path.clone();
        let upload = file.into_upload(self, span);
        let id = upload.id;
        let now = self.clock().now();
        let also = move |rows: &Rows| {
            ChunkRow::begin(rows, id, &path)?;
            answering.map_or(Ok(()), |answering| answering.record(rows, &begun(id), now))
        };
        self.create_with(upload, also).await?;
        Ok(id)
    }

    /// Takes a chunk. Gives how many bytes of the file there are then.
    pub async fn take_chunk(
        &self,
        id: UploadId,
        number: u32,
        subject: &str,
        bytes: ByteStream,
        span: &Span,
    ) -> Result<Offset, ChunkError> {
        let begun = self.begun(id, subject).await?;
        if number < begun.chunks {
            return self.repeated_chunk(&begun, number, bytes).await;
        }
        // Whoever is still at an earlier call of this upload is over; its chunk may have come meanwhile.
        let status = self.take_over(id, span).await?;
        let begun = self.begun(id, subject).await?;
        if number < begun.chunks {
            return self.repeated_chunk(&begun, number, bytes).await;
        }
        if number > begun.chunks {
            let expected = begun.chunks;
            return Err(ChunkError::NotNext { expected });
        }
        let (bytes, seen) = hashed(bytes);
        // Until the whole chunk is there nothing of it counts.
        let mode = AppendMode::Provisional;
        let appended = self.append(id, status.epoch, status.offset, mode, bytes, span);
        appended.await?;
        let chunk = ChunkRow {
            number,
            size: seen.bytes(),
            sha256: seen.digest(),
        };
        self.acknowledge_chunk(id, status.epoch, status.offset, chunk, span)
            .await
    }

    /// Ends a file: when all its chunks are there it is stored. The same call again gives the same receipt.
    pub async fn complete_chunked(
        &self,
        id: UploadId,
        chunks: Option<u32>,
        sha256: Option<Sha256Digest>,
        subject: &str,
        span: &Span,
    ) -> Result<Receipt, ChunkError> {
        if let Some(receipt) = self.receipt(id, subject).await? {
            return Ok(receipt);
        }
        let epoch = self.take_over(id, span).await?.epoch;
        let begun = self.begun(id, subject).await?;
        if chunks.is_some_and(|said| said != begun.chunks) {
            let come = begun.chunks;
            return Err(ChunkError::Count { come });
        }
        let length = begun.row.status().offset;
        let found = self.digest_of(id, &begun.row, span).await?;
        let commit = whole(epoch, length, found, begun.path, sha256)?;
        Ok(self.commit(id, &commit, span).await?)
    }

    async fn acknowledge_chunk(
        &self,
        id: UploadId,
        epoch: Epoch,
        from: Offset,
        chunk: ChunkRow,
        span: &Span,
    ) -> Result<Offset, ChunkError> {
        let empty = || StoreError::Invalid("The part `chunk` is empty.".to_owned());
        let until = from.bytes().checked_add(chunk.size).map(Offset::new);
        let until = until.filter(|_| chunk.size > 0).ok_or_else(empty)?;
        let status = self.checkpoint_chunk(id, epoch, until, chunk, span).await?;
        Ok(status.offset)
    }

    async fn repeated_chunk(
        &self,
        begun: &Begun,
        number: u32,
        bytes: ByteStream,
    ) -> Result<Offset, ChunkError> {
        let status = begun.row.status();
        let find = move |rows: &Rows| Ok(ChunkRow::find(rows, status.id, number)?);
        let earlier: Result<_, Fault> = self.catalog().read(find).await;
        let seen = Seen::of(bytes).await.map_err(|_| StoreError::Aborted)?;
        let same = |chunk: ChunkRow| (chunk.size, chunk.sha256) == (seen.bytes(), seen.digest());
        if earlier?.is_some_and(same) {
            Ok(status.offset)
        } else {
            Err(ChunkError::Differs)
        }
    }

    /// An open upload in chunks of somebody.
    async fn begun(&self, id: UploadId, subject: &str) -> Result<Begun, Fault> {
        let subject = subject.to_owned();
        let find = move |rows: &Rows| {
            let row = own(rows, id, &subject)?;
            let state = row.status().state;
            if state != UploadState::Open {
                return Err(StoreError::Ended(state).into());
            }
            let path = ChunkRow::path(rows, id)?.ok_or(Fault(StoreError::NotFound))?;
            let chunks = ChunkRow::count(rows, id)?;
            Ok(Begun { row, path, chunks })
        };
        self.catalog().read(find).await
    }

    /// The receipt of an upload of somebody that is stored.
    async fn receipt(&self, id: UploadId, subject: &str) -> Result<Option<Receipt>, Fault> {
        let subject = subject.to_owned();
        let find = move |rows: &Rows| Ok(own(rows, id, &subject)?.record.receipt);
        self.catalog().read(find).await
    }

    /// The digest of what is recorded of an open upload.
    async fn digest_of(
        &self,
        id: UploadId,
        row: &UploadRow,
        span: &Span,
    ) -> Result<Sha256Digest, StoreError> {
        let recorded = row.recorded();
        if recorded.offset == Offset::ZERO {
            return Ok(Sha256Digest::of(b""));
        }
        if let Some(hasher) = Sha256Hasher::from_state(&recorded.hash_state) {
            return Ok(hasher.finish());
        }
        // Another version wrote the state: the bytes are hashed anew.
        let bytes = self.read(id, Offset::ZERO, span).await?;
        let seen = Seen::of(bytes).await;
        Ok(seen.map_err(|_| StoreError::StorageFailed)?.digest())
    }
}

fn own(rows: &Rows, id: UploadId, subject: &str) -> Result<UploadRow, Fault> {
    let row = UploadRow::find(rows, id)?;
    let row = row.filter(|row| row.record.upload.principal.subject() == subject);
    row.ok_or(Fault(StoreError::NotFound))
}
