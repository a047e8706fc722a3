//! Looking at files and reading them.

use std::io::{Read, SeekFrom};

use portcullis_hop::ByteStream;
use portcullis_storage::{DiskError, Step};
use portcullis_types::{DiskName, DiskPath};
use serde_json::json;

use super::Prefix;
use crate::blocking::blocking;
use crate::catalog::{Action, Actor, AuditEntry, Rows, VersionRow};
use crate::disks::NamedDisk;
use crate::fault::Fault;
use crate::uploads::{Uploads, stream};

impl Uploads {
    /// Writes down that somebody looks which files there are, or what is known of one: before they are told.
    pub async fn audit_listing(
        &self,
        call: &str,
        disk: Option<&DiskName>,
        path: Option<&DiskPath>,
        actor: Actor,
    ) -> Result<(), Fault> {
        let mut entry = AuditEntry::new(self.clock().now(), Action::Listed, actor)
            .with(json!({ "call": call }));
        entry.disk = disk.cloned();
        entry.path = path.cloned();
        self.audit(entry).await
    }

    async fn audit(&self, entry: AuditEntry) -> Result<(), Fault> {
        let write = move |rows: &Rows| Ok(entry.write(rows)?);
        self.catalog().run(write).await
    }

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
        actor: Actor,
    ) -> Result<ByteStream, Fault> {
        let entry = AuditEntry::new(self.clock().now(), Action::Read, actor);
        let mut entry = entry.of_version(version);
        if until - from < version.size {
            entry.details = Some(json!({ "from": from, "until": until }));
        }
        self.audit(entry).await?;
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
        let file = blocking(open).await??;
        Ok(stream(file))
    }
}
