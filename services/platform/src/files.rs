//! Finished files, for programs that speak the file API: stored in one call, read, listed, deleted.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::TryStreamExt;
use portcullis_hop::{
    AppendMode, ByteStream, Commit, Conclusion, Disposition, Ending, Epoch, NewUpload, Receipt,
    StoreError, UploadStore,
};
use portcullis_telemetry::{Span, TraceId};
use portcullis_types::{
    Attributes, DiskName, DiskPath, Findings, Offset, Principal, Sha256Hasher, UploadId,
};

use crate::catalog::{Action, AuditEntry, Rows, VersionRow};
use crate::disks::NamedDisk;
use crate::fault::Fault;
use crate::uploads::{Uploads, stream};

/// A file that comes in one call is given up after this time.
const EXPIRY: Duration = Duration::from_hours(24);
/// The most files of one list.
pub(crate) const MAX_LISTED: u32 = 10_000;

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
    /// Who stores it.
    pub principal: Principal,
}

impl Uploads {
    /// The disk with a name, or the first when none is named.
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
    pub async fn store(
        &self,
        file: NewFile,
        bytes: ByteStream,
        span: &Span,
    ) -> Result<Receipt, StoreError> {
        let now = self.clock().now();
        let upload = NewUpload {
            id: UploadId::generate(),
            principal: file.principal,
            filename: file.path.file_name().to_owned(),
            media_type: file.media_type,
            attributes: file.metadata,
            length: None,
            disk: Some(file.disk),
            revision: None,
            traceparent: span.context(),
            received_at: now,
            expires_at: now.plus(EXPIRY),
        };
        let status = self.create(&upload, span).await?;
        let stored = self
            .fill(upload.id, status.epoch, file.path, bytes, span)
            .await;
        if stored.is_err() {
            let cancelled = Conclusion {
                epoch: status.epoch,
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

    async fn fill(
        &self,
        id: UploadId,
        epoch: Epoch,
        path: DiskPath,
        bytes: ByteStream,
        span: &Span,
    ) -> Result<Receipt, StoreError> {
        let hasher = Arc::new(Mutex::new(Sha256Hasher::default()));
        let hashing = Arc::clone(&hasher);
        let hashed: ByteStream = Box::pin(bytes.inspect_ok(move |block| {
            hashing
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .update(block);
        }));
        let mode = AppendMode::Acknowledged;
        let status = self
            .append(id, epoch, Offset::ZERO, mode, hashed, span)
            .await?;
        let commit = Commit {
            epoch,
            length: status.offset,
            sha256: hasher
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .digest(),
            path,
            disposition: Disposition::Publish,
            policies: Vec::new(),
            findings: Findings::default(),
        };
        self.commit(id, &commit, span).await
    }

    /// Opens the file that is shown at a path. The reading is audited before the first byte.
    pub async fn open_file(
        &self,
        disk: &NamedDisk,
        path: &DiskPath,
        subject: &str,
        trace: TraceId,
    ) -> Result<(VersionRow, ByteStream), Fault> {
        let (name, at) = (disk.name.clone(), path.clone());
        let mut entry = AuditEntry::new(self.clock().now(), Action::Read, subject);
        entry.trace = Some(trace);
        let version = self.catalog().run(move |rows| {
            let version = VersionRow::latest(rows, &name, &at)?;
            let version = version.ok_or(Fault(StoreError::NotFound))?;
            entry.upload = Some(version.upload);
            entry.file = Some((name, at, Some(version.version)));
            entry.write(rows)?;
            Ok::<_, Fault>(version)
        });
        let version = version.await?;
        let (disk, upload) = (disk.clone(), version.upload);
        let open = move || {
            let file = disk.disk().open_version(upload);
            file.map_err(Fault::of_disk(&disk))
        };
        let file = tokio::task::spawn_blocking(open)
            .await
            .map_err(Fault::lost)??;
        Ok((version, stream(file)))
    }

    /// The files that are shown beneath a prefix, sorted by path; at most [`MAX_LISTED`].
    pub async fn list(&self, disk: &NamedDisk, prefix: String) -> Result<Vec<VersionRow>, Fault> {
        let name = disk.name.clone();
        let list = move |rows: &Rows| {
            VersionRow::list(rows, &name, &prefix, MAX_LISTED).map_err(Fault::from)
        };
        self.catalog().run(list).await
    }

    /// Takes the file at a path away. Its versions stay on the disk, marked as deleted.
    pub async fn delete(
        &self,
        disk: &NamedDisk,
        path: &DiskPath,
        subject: &str,
        trace: TraceId,
    ) -> Result<(), Fault> {
        let mut entry = AuditEntry::new(self.clock().now(), Action::Deleted, subject);
        entry.trace = Some(trace);
        entry.file = Some((disk.name.clone(), path.clone(), None));
        let (uploads, disk, path) = (self.clone(), disk.clone(), path.clone());
        let deleted = tokio::task::spawn_blocking(move || uploads.delete_path(&disk, &path, entry))
            .await
            .map_err(Fault::lost)??;
        if deleted {
            Ok(())
        } else {
            Err(StoreError::NotFound.into())
        }
    }
}
