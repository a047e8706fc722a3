//! Looking at files and reading them.

use std::io::{Read, SeekFrom};

use portcullis_hop::ByteStream;
use portcullis_storage::{DiskError, Step};
use portcullis_telemetry::TraceId;
use portcullis_types::{DiskName, DiskPath};

use super::Prefix;
use crate::catalog::{Action, AuditEntry, Rows, VersionRow};
use crate::disks::NamedDisk;
use crate::fault::Fault;
use crate::uploads::{Uploads, stream};

impl Uploads {
    /// The file that is shown at a path.
    pub async fn shown(
        &self,
        disk: &DiskName,
        path: &DiskPath,
    ) -> Result<Option<VersionRow>, Fault> {
        let (disk, path) = (disk.clone(), path.clone());
        let find = move |rows: &Rows| Ok(VersionRow::latest(rows, &disk, &path)?);
        self.catalog().read(find).await
    }

    /// The files that are shown at and beneath a prefix, sorted by path: those behind `after`, at most `limit`.
    pub async fn page(
        &self,
        disk: &DiskName,
        prefix: &Prefix,
        after: Option<DiskPath>,
        limit: u32,
    ) -> Result<Vec<VersionRow>, Fault> {
        let (disk, prefix) = (disk.clone(), prefix.clone());
        let page = move |rows: &Rows| {
            Ok(VersionRow::page(
                rows,
                &disk,
                &prefix,
                after.as_ref(),
                limit,
            )?)
        };
        self.catalog().read(page).await
    }

    /// Opens a version from one byte up to another, which it has. The reading is audited before the first byte.
    pub async fn open_version(
        &self,
        disk: &NamedDisk,
        version: &VersionRow,
        (from, until): (u64, u64),
        subject: &str,
        trace: TraceId,
    ) -> Result<ByteStream, Fault> {
        let mut entry = AuditEntry::new(self.clock().now(), Action::Read, subject);
        entry.trace = Some(trace);
        entry.upload = Some(version.upload);
        entry.file = Some((
            version.disk.clone(),
            version.path.clone(),
            Some(version.version),
        ));
        if until - from < version.size {
            entry.details = Some(serde_json::json!({ "from": from, "until": until }));
        }
        let audited: Result<(), Fault> =
            self.catalog().run(move |rows| Ok(entry.write(rows)?)).await;
        audited?;
        let (disk, upload) = (disk.clone(), version.upload);
        let open = move || {
            let failed = Fault::of_disk(&disk);
            let mut file = disk.disk().open_version(upload).map_err(&failed)?;
            let sought = file.seek(SeekFrom::Start(from));
            sought.map_err(|error| {
                let (step, kind) = (Step::Read, error.kind());
                failed(DiskError::Failed { step, kind })
            })?;
            Ok::<_, Fault>(Box::new(file.take(until - from)) as Box<dyn Read + Send>)
        };
        let file = tokio::task::spawn_blocking(open)
            .await
            .map_err(Fault::lost)??;
        Ok(stream(file))
    }
}
