//! Finished files, for programs that speak the file API: stored in one call or in chunks, read, listed, deleted.

mod chunked;
mod cleanup;
mod deletion;
mod hashed;
mod prefix;
mod reading;
mod versions;

use std::net::IpAddr;
use std::time::Duration;

use futures_util::StreamExt;
use portcullis_hop::{
    AppendMode, ByteStream, Commit, Conclusion, Disposition, Ending, Epoch, Gathered, NewUpload,
    Receipt, StoreError, UploadStore, gather,
};
use portcullis_telemetry::Span;
use portcullis_types::{
    Attributes, DiskName, DiskPath, Findings, Offset, Principal, Sha256Digest, UploadId,
};
use serde_json::{Value, json};

pub use chunked::ChunkError;
pub(crate) use chunked::begun;
pub use cleanup::CleanedUp;
pub use deletion::DeletedMany;
pub(crate) use deletion::changed;
pub(crate) use hashed::{Seen, hashed};
pub use prefix::Prefix;

use crate::catalog::Rows;
use crate::disks::NamedDisk;
use crate::fault::Fault;
use crate::idempotency::{Answering, Asked, Once};
use crate::uploads::Uploads;

/// A file is given up when nothing of it came for this time.
pub(crate) const EXPIRY: Duration = Duration::from_hours(24);
/// The most files of one page.
pub(crate) const MAX_PAGE: u32 = 10_000;

/// What is known of a file before its bytes.
#[derive(Clone, Debug)]
pub struct NewFile {
    /// Where it goes.
    pub disk: DiskName,
    /// Its path there.
    pub path: DiskPath,
    /// What the client declares.
    pub media_type: Option<String>,
    /// What the client says about it.
    pub metadata: Attributes,
    /// The digest that its bytes must have, where the client says it.
    pub sha256: Option<Sha256Digest>,
    /// Who stores it.
    pub principal: Principal,
    /// From where.
    pub client: Option<IpAddr>,
}

impl NewFile {
    /// What a call asks for that stores this file, but for its bytes.
    pub fn asked(&self, call: &str) -> Asked {
        let metadata = self.metadata.iter();
        let asked = Asked::new(call)
            .with(self.disk.as_str())
            .with(self.path.as_str())
            .with(self.media_type.as_deref().unwrap_or_default());
        metadata.fold(asked, |asked, (name, value)| asked.with(name).with(value))
    }

    fn into_upload(self, uploads: &Uploads, span: &Span) -> NewUpload {
        let now = uploads.clock().now();
        NewUpload {
            id: UploadId::generate(),
            principal: self.principal,
            client: self.client,
            filename: self.path.file_name().to_owned(),
            folder: None,
            media_type: self.media_type,
            attributes: self.metadata,
            composition: None,
            metadata: None,
            length: None,
            disk: Some(self.disk),
            revision: None,
            traceparent: span.context(),
            received_at: now,
            expires_at: now.plus(EXPIRY),
        }
    }
}

/// What a client of the file API is told about a file that is stored.
pub(crate) fn stored(receipt: &Receipt) -> Value {
    json!({
        "success": true,
        "disk": receipt.disk,
        "path": receipt.path,
        "size": receipt.size,
        "version": receipt.version,
        "sha256": receipt.stored_sha256,
    })
}

/// The end of a file: what is committed when all of it is there.
pub(crate) fn whole(
    epoch: Epoch,
    length: Offset,
    sha256: Sha256Digest,
    path: DiskPath,
    expected: Option<Sha256Digest>,
) -> Result<Commit, StoreError> {
    if expected.is_some_and(|expected| expected != sha256) {
        return Err(StoreError::DigestMismatch);
    }
    Ok(Commit {
        epoch,
        length,
        sha256,
        path,
        disposition: Disposition::Publish,
        policies: Vec::new(),
        findings: Findings::default(),
    })
}

impl Uploads {
    /// Records the answer to a call that did more than one thing, once all of them are done.
    pub(crate) async fn answered(&self, answering: Answering, answer: Value) -> Result<(), Fault> {
        let now = self.clock().now();
        let record = move |rows: &Rows| Ok(answering.record(rows, &answer, now)?);
        self.catalog().run(record).await
    }

    /// The disk with a name, or the default one when none is named.
    pub fn disk_or_default(&self, name: Option<&DiskName>) -> Result<&NamedDisk, StoreError> {
        let disk = match name {
            Some(name) => self.disks().get(name),
            None => self.disks().default_disk(),
        };
        disk.ok_or_else(|| {
            let names: Vec<&str> = self.disks().iter().map(|disk| disk.name.as_str()).collect();
            let names = names.join(", ");
            StoreError::Invalid(format!("There is no such disk; there are: {names}."))
        })
    }

    /// Stores a whole file. Nothing of it stays when the stream breaks off.
    pub async fn store_file(
        &self,
        file: NewFile,
        mut bytes: ByteStream,
        once: Option<Once>,
        span: &Span,
    ) -> Result<Receipt, StoreError> {
        let (path, expected) = (file.path.clone(), file.sha256);
        let once = once.map(|once| (once, file.asked("upload")));
        let upload = file.into_upload(self, span);
        let gathered = gather(&mut bytes).await;
        let beginning = match gathered.map_err(|_| StoreError::Aborted)? {
            Gathered::Whole(bytes) => {
                let (length, sha256) = (Offset::new(bytes.len() as u64), Sha256Digest::of(&bytes));
                let commit = whole(Epoch::FIRST, length, sha256, path, expected)?;
                let answering =
                    once.map(|(once, asked)| once.asking(asked.with(sha256.as_bytes())));
                return self
                    .store_answering(upload, commit, bytes, answering, span)
                    .await;
            }
            Gathered::Beginning(frames) => futures_util::stream::iter(frames.into_iter().map(Ok)),
        };
        let bytes = Box::pin(beginning.chain(bytes));
        let epoch = self.create(&upload, span).await?.epoch;
        let filling = async {
            let (bytes, seen) = hashed(bytes);
            let mode = AppendMode::Acknowledged;
            let status = self.append(upload.id, epoch, Offset::ZERO, mode, bytes, span);
            let length = status.await?.offset;
            let sha256 = seen.digest();
            let commit = whole(epoch, length, sha256, path, expected)?;
            let answering = once.map(|(once, asked)| once.asking(asked.with(sha256.as_bytes())));
            self.commit_answering(upload.id, commit, answering, span)
                .await
        };
        let stored = filling.await;
        if stored.is_err() {
            let cancelled = Conclusion {
                epoch,
                ending: Ending::Cancelled,
                refusal: None,
                policies: Vec::new(),
                findings: Findings::default(),
            };
            // The error before is the one that is told; what stays behind expires.
            let _ = self.conclude(upload.id, &cancelled, span).await;
        }
        stored
    }
}
