//! What a path had before: versions by their number, deletions taken back, and all of a file removed for good.

use portcullis_hop::{StoreError, UploadState};
use portcullis_storage::{CrashPoint, crash_point};
use portcullis_types::{DiskName, DiskPath};
use serde_json::{Value, json};

use super::{Prefix, changed};
use crate::blocking::blocking;
use crate::catalog::{Action, Actor, AuditEntry, Rows, UploadRow, VersionRow};
use crate::disks::NamedDisk;
use crate::fault::Fault;
use crate::idempotency::Answering;
use crate::quarantine::Decision;
use crate::uploads::Uploads;

impl Uploads {
    /// A version of a path, or the one that is shown.
    ///
    /// # Errors
    /// There is none, or it was purged.
    pub async fn version(
        &self,
        disk: &DiskName,
        path: &DiskPath,
        number: Option<u64>,
    ) -> Result<VersionRow, Fault> {
        let found = match number {
            None => self.shown(disk, path).await?,
            Some(number) => {
                let (disk, path) = (disk.clone(), path.clone());
                let find = move |rows: &Rows| Ok(VersionRow::numbered(rows, &disk, &path, number)?);
                let found: Result<_, Fault> = self.catalog().read(find).await;
                found?
            }
        };
        let version = found.ok_or(Fault(StoreError::NotFound))?;
        if version.purged_at.is_some() {
            return Err(StoreError::Purged.into());
        }
        Ok(version)
    }

    /// Every version of the files at and beneath a prefix, sorted by path, newest first: of at most so many paths
    /// behind `after`.
    pub async fn histories(
        &self,
        disk: &DiskName,
        prefix: &Prefix,
        after: Option<DiskPath>,
        paths: u32,
    ) -> Result<Vec<Vec<VersionRow>>, Fault> {
        let (disk, prefix) = (disk.clone(), prefix.clone());
        let list = move |rows: &Rows| {
            let paths = VersionRow::paths(rows, &disk, &prefix, after.as_ref(), paths)?;
            let histories = paths
                .iter()
                .map(|path| VersionRow::history(rows, &disk, path));
            Ok(histories.collect::<Result<_, _>>()?)
        };
        self.catalog().read(list).await
    }

    /// Takes the last deletion of a path back: its path shows the newest version again.
    ///
    /// # Errors
    /// Nothing was deleted there, or something else stands at the path now.
    pub async fn undelete(
        &self,
        disk: &NamedDisk,
        path: &DiskPath,
        actor: Actor,
        answering: Option<Answering>,
    ) -> Result<Value, Fault> {
        let entry = self.entry(Action::Undeleted, disk, path, actor);
        let (uploads, disk, path) = (self.clone(), disk.clone(), path.clone());
        let undelete = move || uploads.undelete_blocking(&disk, &path, entry, answering);
        blocking(undelete).await?
    }

    fn undelete_blocking(
        &self,
        disk: &NamedDisk,
        path: &DiskPath,
        entry: AuditEntry,
        answering: Option<Answering>,
    ) -> Result<Value, Fault> {
        disk.check_writable()?;
        let _publishing = self.lock_path(&disk.name, path);
        self.check_path(disk, path)?;
        let (name, at, now) = (disk.name.clone(), path.clone(), self.clock().now());
        let answer = changed(disk, path);
        let told = answer.clone();
        self.catalog().run_blocking(move |rows| {
            if VersionRow::undelete(rows, &name, &at)? == 0 {
                return Err(Fault(StoreError::NotFound));
            }
            entry.write(rows)?;
            if let Some(answering) = answering {
                answering.record(rows, &told, now)?;
            }
            Ok(())
        })?;
        crash_point(CrashPoint::FileUndeleted);
        self.derive_link(disk, path)?;
        Ok(answer)
    }

    /// Removes all versions of a path for good, those in quarantine too. What stays are the rows: that there was such
    /// a file, its length and digest, who purged it and why.
    ///
    /// # Errors
    /// There is none.
    pub async fn purge(
        &self,
        disk: &NamedDisk,
        path: &DiskPath,
        decision: Decision,
        answering: Option<Answering>,
    ) -> Result<Value, Fault> {
        let (uploads, disk, path) = (self.clone(), disk.clone(), path.clone());
        let purge = move || uploads.purge_blocking(&disk, &path, &decision, answering);
        blocking(purge).await?
    }

    fn purge_blocking(
        &self,
        disk: &NamedDisk,
        path: &DiskPath,
        decision: &Decision,
        answering: Option<Answering>,
    ) -> Result<Value, Fault> {
        disk.check_writable()?;
        let _publishing = self.lock_path(&disk.name, path);
        let (name, at, now) = (disk.name.clone(), path.clone(), self.clock().now());
        let entry = self.entry(Action::Purged, disk, path, decision.actor.clone());
        let reason = decision.reason.clone();
        let (purged, answer) = self.catalog().run_blocking(move |rows| {
            let purged = VersionRow::purge(rows, &name, &at, now)?;
            if purged.is_empty() {
                return Err(Fault(StoreError::NotFound));
            }
            for version in &purged {
                UploadRow::forget_content(rows, version.upload)?;
            }
            let held = |version: &&VersionRow| version.quarantined && version.deleted_at.is_none();
            for version in purged.iter().filter(held) {
                UploadRow::conclude(rows, version.upload, UploadState::Rejected, None)?;
            }
            let versions = purged.iter().map(|version| {
                json!({ "version": version.version, "size": version.size, "sha256": version.sha256 })
            });
            let versions: Vec<Value> = versions.collect();
            let details = json!({ "reason": reason, "versions": versions });
            entry.with(details).write(rows)?;
            let answer = json!({
                "success": true,
                "disk": name,
                "path": at,
                "purged_versions": purged.len(),
            });
            if let Some(answering) = answering {
                answering.record(rows, &answer, now)?;
            }
            Ok::<_, Fault>((purged, answer))
        })?;
        crash_point(CrashPoint::FilePurged);
        // From here on it is purged; what is not done now, recovery does. The link goes first: that it is ours is told
        // by the versions.
        self.derive_link(disk, path)?;
        for version in purged {
            let dropped = disk.disk().drop_version(version.upload);
            dropped.map_err(Fault::of_disk(disk))?;
        }
        Ok(answer)
    }
}
