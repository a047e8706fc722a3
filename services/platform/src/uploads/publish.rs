//! The end of an upload that is stored. The order is the point: the version is durable, then the catalog
//! commits, and only then anything is visible. Before the commit nothing happened; after it everything did,
//! and what a crash leaves undone is done at the next start.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use portcullis_hop::{
    Commit, Disposition, Epoch, NewUpload, Receipt, Status, StoreError, UploadState,
};
use portcullis_storage::{Checkpoint, CrashPoint, DiskError, SealedStage, crash_point};
use portcullis_telemetry::{Detail, Label, Line, Span, SpanName, TraceContext, log};
use portcullis_types::{DiskName, DiskPath, Offset, UploadId};

use super::active::Turn;
use super::{Inner, Uploads, another_upload, check_open, no_disk};
use crate::blocking::blocking;
use crate::catalog::{Action, Actor, AuditEntry, CatalogError, Rows, UploadRow, VersionRow};
use crate::disks::NamedDisk;
use crate::fault::Fault;
use crate::files::{changed, stored};
use crate::idempotency::Answering;

/// Versions of one path become visible one after the other. Paths share locks, so that there is a fixed
/// number of them.
#[derive(Debug)]
pub(super) struct PathLocks([Mutex<()>; 64]);

impl Default for PathLocks {
    fn default() -> Self {
        Self([const { Mutex::new(()) }; 64])
    }
}

impl PathLocks {
    pub(super) fn lock(&self, disk: &DiskName, path: &DiskPath) -> MutexGuard<'_, ()> {
        let mut hasher = DefaultHasher::new();
        (disk, path).hash(&mut hasher);
        let index = hasher.finish() % self.0.len() as u64;
        let lock = &self.0[usize::try_from(index).unwrap_or(0)];
        lock.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    pub(super) async fn commit(
        self: &Arc<Self>,
        id: UploadId,
        commit: Commit,
        answering: Option<Answering>,
        span: &Span,
    ) -> Result<Receipt, Fault> {
        let row = self.row(id).await?;
        if let Some(receipt) = repeated(&row, &commit)? {
            return Ok(receipt);
        }
        check_open(&row, commit.epoch)?;
        let mut turn = self.active.slot(id).turn().await;
        // Again: the same commit may have had the turn, its answer lost on the way.
        let row = self.row(id).await?;
        if let Some(receipt) = repeated(&row, &commit)? {
            return Ok(receipt);
        }
        check_open(&row, commit.epoch)?;
        let inner = Arc::clone(self);
        let parent = span.context();
        let published = blocking(move || {
            let publishing = Publishing {
                inner: &inner,
                disk: inner.disk(&row)?,
                upload: &row.record.upload,
                commit: &commit,
                answering: answering.as_ref(),
                parent: &parent,
            };
            // The turn lasts until the upload has ended.
            let sealed = publishing.seal(&mut turn, &row.recorded())?;
            publishing.publish(Begun::Created, || publishing.disk.disk().keep(&sealed))
        });
        let receipt = published.await??;
        self.active.forget(id).await;
        Ok(receipt)
    }

    /// Stores an upload that nobody has begun, all of whose bytes are there and have the length and digest of the commit.
    pub(super) async fn store(
        self: &Arc<Self>,
        upload: NewUpload,
        commit: Commit,
        bytes: Bytes,
        answering: Option<Answering>,
        span: &Span,
    ) -> Result<Receipt, Fault> {
        let id = upload.id;
        super::staged(bytes.len() as u64);
        let permit = Arc::clone(&self.appends).try_acquire_owned();
        let permit = permit.map_err(|_| Fault(StoreError::Unavailable))?;
        let turn = self.active.slot(id).turn().await;
        let (inner, parent) = (Arc::clone(self), span.context());
        let published = blocking(move || {
            let publishing = Publishing {
                inner: &inner,
                disk: inner.disk_of(&upload)?.ok_or_else(no_disk)?,
                upload: &upload,
                commit: &commit,
                answering: answering.as_ref(),
                parent: &parent,
            };
            let stored = publishing.publish(Begun::Whole, || publishing.keep_whole(&bytes));
            if stored.is_err() {
                publishing.forget();
            }
            drop((turn, permit));
            stored
        });
        let receipt = published.await?;
        self.active.forget(id).await;
        receipt
    }

    /// Makes the visible link of a path what the catalog says: the newest version, or none. Gives what it shows then.
    ///
    /// Another process may do the same at this moment (`portcullis-services quarantine`), and the locks of
    /// this one do not hold it. So whoever has made a link looks again, until nothing has changed meanwhile:
    /// the last to look has made the right one.
    pub(super) fn derive_link(
        &self,
        disk: &NamedDisk,
        path: &DiskPath,
    ) -> Result<Option<UploadId>, Fault> {
        let mut standing = self.standing(disk, path)?;
        loop {
            match standing.latest {
                Some(version) => disk.disk().show(version, path, &standing.known),
                None => disk.disk().hide(path, &standing.known),
            }
            .and_then(|()| disk.disk().sync_folder(path))
            .map_err(Fault::of_disk(disk))?;
            let now = self.standing(disk, path)?;
            if now.latest == standing.latest {
                break;
            }
            standing = now;
        }
        let (name, at) = (disk.name.clone(), path.clone());
        // Nobody waits for that: until it is done, the next start looks at the link again.
        self.catalog
            .run_later(move |rows| VersionRow::set_linked(rows, &name, &at, standing.latest));
        Ok(standing.latest)
    }

    fn standing(&self, disk: &NamedDisk, path: &DiskPath) -> Result<Standing, Fault> {
        let (name, at) = (disk.name.clone(), path.clone());
        let read = move |rows: &Rows| Standing::of(rows, &name, &at).map_err(Fault::from);
        self.catalog.read_blocking(read)
    }
}

/// What the catalog says of a path.
struct Standing {
    /// The version that is to be shown there.
    latest: Option<UploadId>,
    /// Every version that it ever had.
    known: Vec<UploadId>,
}

impl Standing {
    fn of(rows: &Rows, disk: &DiskName, path: &DiskPath) -> Result<Self, CatalogError> {
        let latest = VersionRow::latest(rows, disk, path)?;
        Ok(Self {
            latest: latest.map(|version| version.upload),
            known: VersionRow::known(rows, disk, path)?,
        })
    }
}

/// The receipt of an upload that was stored by the same commit. Another one is refused.
fn repeated(row: &UploadRow, commit: &Commit) -> Result<Option<Receipt>, Fault> {
    let same = |earlier: &Commit| {
        let what = |commit: &Commit| (commit.length, commit.sha256, commit.disposition.clone());
        what(earlier) == what(commit) && earlier.path == commit.path
    };
    match (&row.commit, &row.record.receipt) {
        (Some(earlier), Some(receipt)) if same(earlier) => Ok(Some(receipt.clone())),
        _ if row.status().state != UploadState::Open => {
            Err(StoreError::Ended(row.status().state).into())
        }
        _ => Ok(None),
    }
}

/// One commit on its thread.
struct Publishing<'a> {
    inner: &'a Arc<Inner>,
    disk: &'a NamedDisk,
    upload: &'a NewUpload,
    commit: &'a Commit,
    answering: Option<&'a Answering>,
    parent: &'a TraceContext,
}

/// Whether services knew the upload before its end.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Begun {
    /// It has a row.
    Created,
    /// It has none until it is committed.
    Whole,
}

impl Publishing<'_> {
    /// Has a version made, commits it and shows it.
    fn publish(
        &self,
        begun: Begun,
        keep: impl FnOnce() -> Result<(), DiskError>,
    ) -> Result<Receipt, Fault> {
        let (disk, path) = (self.disk, &self.commit.path);
        let _publishing = self.inner.publishing.lock(&disk.name, path);
        if let Some(receipt) = self.look(begun)? {
            return Ok(receipt);
        }
        let publish = Span::child_of(SpanName::Publish, Some(self.parent));
        keep().map_err(Fault::of_disk(disk))?;
        let catalog = Span::child_of(SpanName::Catalog, Some(self.parent));
        let Recorded {
            receipt,
            is_new,
            shown,
        } = self.record(begun)?;
        drop(catalog);
        crash_point(CrashPoint::UploadCommitted);
        // From here on nothing fails the upload: it is stored. What is not done now, recovery does.
        if let Some(Showing { version, known }) = shown {
            let shown = disk.disk().show(version, path, &known);
            shown.map_err(Fault::of_disk(disk))?;
            self.inner
                .settle_later(disk.name.clone(), path.clone(), version);
        }
        if !is_new {
            disk.disk()
                .drop_version(self.upload.id)
                .map_err(Fault::of_disk(disk))?;
        }
        drop(publish);
        crash_point(CrashPoint::UploadShown);
        match begun {
            Begun::Created => disk.disk().discard_stage(self.upload.id),
            Begun::Whole => disk.disk().settle(self.upload.id),
        }
        .map_err(Fault::of_disk(disk))?;
        crash_point(CrashPoint::UploadSettled);
        Ok(receipt)
    }

    fn seal(&self, turn: &mut Turn, recorded: &Checkpoint) -> Result<SealedStage, Fault> {
        let _fsync = Span::child_of(SpanName::Fsync, Some(self.parent));
        let id = self.upload.id;
        let failed = Fault::of_disk(self.disk);
        let stage = match turn.take() {
            Some(stage) => stage,
            None if recorded.offset == Offset::ZERO => {
                self.disk.disk().create_stage(id).map_err(&failed)?
            }
            None => {
                let stage = self.disk.disk().resume_stage(id, recorded);
                stage.map_err(&failed)?
            }
        };
        let sealed = stage.seal(self.commit.length, self.commit.sha256);
        sealed.map_err(|error| {
            if let DiskError::Failed { .. } | DiskError::Full(_) | DiskError::Poisoned = error {
                self.give_up();
            }
            failed(error)
        })
    }

    fn keep_whole(&self, bytes: &[u8]) -> Result<(), DiskError> {
        let _fsync = Span::child_of(SpanName::Fsync, Some(self.parent));
        let kept = self.disk.disk().keep_whole(self.upload.id, bytes);
        if let Err(DiskError::Failed { .. } | DiskError::Full(_)) = kept {
            let entry = self.failed();
            // What fails the upload is told; that the audit fails, too, has been.
            let _ = self
                .inner
                .catalog
                .run_blocking(move |rows| entry.write(rows));
        }
        kept
    }

    /// Removes what is left of an upload that was not committed. What is not removed now, the next start removes.
    fn forget(&self) {
        let id = self.upload.id;
        let exists = move |rows: &Rows| UploadRow::exists(rows, id);
        // It may have been committed although that was not answered.
        if let Ok(false) = self.inner.catalog.read_blocking(exists) {
            let _ = self.disk.disk().drop_version(id);
            let _ = self.disk.disk().settle(id);
        }
    }

    /// After a failed fsync the kernel may have dropped pages and marked them clean: whatever is read back
    /// looks well and is not what will be on the disk. The upload cannot go on.
    fn give_up(&self) {
        let (id, entry) = (self.upload.id, self.failed());
        let ended = self.inner.catalog.run_blocking(move |rows| {
            UploadRow::conclude(rows, id, UploadState::Expired, None)?;
            entry.write(rows).map_err(Fault::from)
        });
        if ended.is_ok() {
            // What stays behind, recovery removes.
            let _ = self.disk.disk().discard_stage(id);
        }
    }

    /// The audit row of an upload that storage fails.
    fn failed(&self) -> AuditEntry {
        let (upload, now) = (self.upload, self.inner.clock.now());
        let mut entry =
            AuditEntry::new(now, Action::Failed, Actor::of_upload(upload)).of_upload(upload.id);
        entry.disk = Some(self.disk.name.clone());
        entry
    }

    /// Looks whether the same commit came before, and whether there is room and the path may show the upload.
    fn look(&self, begun: Begun) -> Result<Option<Receipt>, Fault> {
        let (id, name, path) = (
            self.upload.id,
            self.disk.name.clone(),
            self.commit.path.clone(),
        );
        let (earlier, known) = self.inner.catalog.read_blocking(move |rows| {
            let earlier = match begun {
                // Whoever has the turn has looked.
                Begun::Created => None,
                Begun::Whole => UploadRow::find(rows, id)?,
            };
            Ok::<_, Fault>((earlier, VersionRow::known(rows, &name, &path)?))
        })?;
        if let Some(row) = earlier {
            let receipt = repeated(&row, self.commit)?.ok_or_else(another_upload)?;
            return Ok(Some(receipt));
        }
        // Only now: a call that came before needs no room.
        if begun == Begun::Whole {
            self.inner.check_room(self.upload)?;
        }
        if self.commit.disposition == Disposition::Publish {
            let may = self.disk.disk().may_show(&self.commit.path, &known);
            may.map_err(Fault::of_disk(self.disk))?;
        }
        Ok(None)
    }

    /// The commit point: version, receipt and audit row in one transaction.
    fn record(&self, begun: Begun) -> Result<Recorded, Fault> {
        let (upload, commit) = (self.upload.clone(), self.commit.clone());
        let (disk, now) = (self.disk.name.clone(), self.inner.clock.now());
        let (answering, quota) = (self.answering.cloned(), self.disk.limits().quota.clone());
        self.inner.catalog.run_blocking(move |rows| {
            let length = commit.length.bytes();
            match begun {
                Begun::Created => {
                    let row = UploadRow::find(rows, upload.id)?;
                    check_open(&row.ok_or(Fault(StoreError::NotFound))?, commit.epoch)?;
                }
                Begun::Whole if commit.epoch != Epoch::FIRST => {
                    return Err(StoreError::Fenced.into());
                }
                Begun::Whole => {}
            }
            let quarantined = commit.disposition != Disposition::Publish;
            let mut known = VersionRow::known(rows, &disk, &commit.path)?;
            // Of a new path, as most are, there is nothing to be looked for.
            let existing = if known.is_empty() {
                None
            } else {
                already_there(rows, &disk, &commit)?
            };
            let is_new = existing.is_none();
            let version = match existing {
                Some(existing) => existing,
                None => VersionRow {
                    upload: upload.id,
                    version: VersionRow::next_number(rows, &disk, &commit.path)?,
                    disk: disk.clone(),
                    path: commit.path.clone(),
                    size: length,
                    sha256: commit.sha256,
                    media_type: upload.media_type.clone(),
                    metadata: upload.attributes.clone(),
                    cohort: quota.cohort(&upload.attributes).map(str::to_owned),
                    quarantined,
                    stored_at: now,
                    deleted_at: None,
                    purged_at: None,
                    verified_at: None,
                },
            };
            let receipt = receipt(&version, &commit, &upload);
            let (state, action) = if quarantined {
                (UploadState::Quarantined, Action::Quarantined)
            } else {
                (UploadState::Committed, Action::Created)
            };
            let attributes = &upload.attributes;
            match begun {
                Begun::Created => {
                    if is_new {
                        quota.check(rows, &disk, attributes, length)?;
                    }
                    UploadRow::commit(rows, &commit, &receipt, state)?;
                }
                Begun::Whole => {
                    if is_new {
                        quota.check_new(rows, &disk, attributes, length, upload.id)?;
                    }
                    if !UploadRow::create_committed(rows, &upload, &commit, &receipt, state)? {
                        return Err(another_upload());
                    }
                }
            }
            if is_new {
                version.insert(rows)?;
                known.insert(0, version.upload);
            }
            AuditEntry::new(now, action, Actor::of_upload(&upload))
                .of_version(&version)
                .of_upload(upload.id)
                .with(serde_json::json!({
                    "size": version.size,
                    "sha256": version.sha256,
                    "revision": upload.revision,
                    "policies": commit.policies,
                    "new": is_new,
                }))
                .write(rows)?;
            if let Some(answering) = answering {
                answering.record(rows, &stored(&receipt), now)?;
            }
            let shown = if quarantined {
                None
            } else {
                let version = version.upload;
                Some(Showing { version, known })
            };
            Ok::<_, Fault>(Recorded {
                receipt,
                is_new,
                shown,
            })
        })
    }
}

/// What the commit point did.
struct Recorded {
    receipt: Receipt,
    /// Whether there is a new version, or the path had these very bytes already.
    is_new: bool,
    /// What the path shows from then on; nothing new where the version is kept apart.
    shown: Option<Showing>,
}

/// A version that is to be shown at its path.
struct Showing {
    version: UploadId,
    /// Every version that the path ever had, this one too.
    known: Vec<UploadId>,
}

/// The version that a path shows, if it has the very bytes that are to be shown there.
fn already_there(
    rows: &Rows,
    disk: &DiskName,
    commit: &Commit,
) -> Result<Option<VersionRow>, CatalogError> {
    if commit.disposition != Disposition::Publish {
        return Ok(None);
    }
    let shown = VersionRow::latest(rows, disk, &commit.path)?;
    let same =
        |shown: &VersionRow| shown.sha256 == commit.sha256 && shown.size == commit.length.bytes();
    Ok(shown.filter(same))
}

/// What whoever stored a version is told.
pub(crate) fn receipt(version: &VersionRow, commit: &Commit, upload: &NewUpload) -> Receipt {
    Receipt {
        id: upload.id,
        status: if version.quarantined {
            Status::Quarantined
        } else {
            Status::Accepted
        },
        disk: version.disk.clone(),
        path: version.path.clone(),
        version: version.version,
        size: version.size,
        sha256: commit.sha256,
        stored_sha256: version.sha256,
        refusal: match &commit.disposition {
            Disposition::Publish => None,
            Disposition::Quarantine(refusal) => Some(refusal.clone()),
        },
        policies: commit.policies.clone(),
        findings: commit.findings.listed.clone(),
        tallies: commit.findings.tallies.clone(),
        stored_at: version.stored_at,
        trace_id: upload.traceparent.trace_id(),
    }
}

impl Uploads {
    /// Versions of this path become visible one after the other: nothing else happens to it meanwhile.
    pub(crate) fn lock_path(&self, disk: &DiskName, path: &DiskPath) -> MutexGuard<'_, ()> {
        self.0.publishing.lock(disk, path)
    }

    /// Makes the visible link of a path what the catalog says, and gives what it shows then. The path must be locked.
    pub(crate) fn derive_link(
        &self,
        disk: &NamedDisk,
        path: &DiskPath,
    ) -> Result<Option<UploadId>, Fault> {
        self.0.derive_link(disk, path)
    }

    /// Whether a path may show a version: nothing stands there, or one of its own. The path must be locked.
    pub(crate) fn check_path(&self, disk: &NamedDisk, path: &DiskPath) -> Result<(), Fault> {
        let (name, at) = (disk.name.clone(), path.clone());
        let known = move |rows: &Rows| VersionRow::known(rows, &name, &at).map_err(Fault::from);
        let known = self.0.catalog.read_blocking(known)?;
        let may = disk.disk().may_show(path, &known);
        may.map_err(Fault::of_disk(disk))
    }

    /// Does what a crash left undone, before anything else is taken: links follow their rows, versions that
    /// were never committed or were discarded and stages that nobody needs go. Blocks; call it once, at the start.
    pub fn recover(&self) -> Result<(), Fault> {
        for disk in self.0.disks.iter() {
            self.recover_disk(disk)?;
        }
        Ok(())
    }

    /// Deletes every version of a path: marks them and takes away the link. Says whether there was any.
    pub(crate) fn delete_path(
        &self,
        disk: &NamedDisk,
        path: &DiskPath,
        entry: AuditEntry,
        answering: Option<Answering>,
    ) -> Result<bool, Fault> {
        disk.check_writable()?;
        let _publishing = self.0.publishing.lock(&disk.name, path);
        let (name, at, now) = (disk.name.clone(), path.clone(), self.0.clock.now());
        let answer = changed(disk, path);
        let is_gone = self.0.catalog.run_blocking(move |rows| {
            let is_gone = VersionRow::delete(rows, &name, &at, now)? > 0;
            if is_gone {
                entry.write(rows)?;
            }
            if let Some(answering) = answering.filter(|_| is_gone) {
                answering.record(rows, &answer, now)?;
            }
            Ok::<_, Fault>(is_gone)
        })?;
        if is_gone {
            crash_point(CrashPoint::FileDeleted);
            self.0.derive_link(disk, path)?;
        }
        Ok(is_gone)
    }

    fn recover_disk(&self, disk: &NamedDisk) -> Result<(), Fault> {
        if disk.limits().read_only {
            return Ok(());
        }
        let failed = Fault::of_disk(disk);
        let name = disk.name.clone();
        let paths = self.0.catalog.run_blocking(move |rows| {
            VersionRow::unlinked_paths(rows, &name).map_err(Fault::from)
        })?;
        for path in paths {
            if self.0.derive_link(disk, &path) == Err(Fault(StoreError::PathTaken)) {
                // It is stored and can be read by its API; whoever put the other file there must look.
                log(Line::PathTaken, [Label::Disk(disk.name.clone()).into()]);
            }
        }
        let unsettled = disk.disk().unsettled().map_err(&failed)?;
        for (id, left) in self.left(&unsettled, VersionRow::is_kept)? {
            if !matches!(left, Left::Needed) {
                disk.disk().drop_version(id).map_err(&failed)?;
            }
            disk.disk().settle(id).map_err(&failed)?;
        }
        let mut strange = 0;
        let versions = disk.disk().versions().map_err(&failed)?;
        for (id, left) in self.left(&versions, VersionRow::is_kept)? {
            match left {
                Left::Needed => {}
                Left::Over => disk.disk().drop_version(id).map_err(&failed)?,
                Left::Strange => strange += 1,
            }
        }
        let stages = disk.disk().stages().map_err(&failed)?;
        for (id, left) in self.left(&stages, UploadRow::is_under_way)? {
            match left {
                Left::Needed => {}
                Left::Over => disk.disk().discard_stage(id).map_err(&failed)?,
                Left::Strange => strange += 1,
            }
        }
        if strange > 0 {
            let disk = Label::Disk(disk.name.clone());
            log(Line::FilesUnknown, [disk.into(), Detail::Count(strange)]);
        }
        Ok(())
    }

    /// What is to become of files that uploads left on a disk. Each upload has its row before it has a file, so that
    /// one without a row comes from another catalog, or from after the backup of this one: it is not ours to remove.
    fn left(
        &self,
        ids: &[UploadId],
        is_needed: fn(&Rows, UploadId) -> Result<bool, CatalogError>,
    ) -> Result<Vec<(UploadId, Left)>, Fault> {
        let ids = ids.to_vec();
        let left = self.0.catalog.read_blocking(move |rows| {
            let left = |id| Ok((id, Left::of(rows, id, is_needed)?));
            ids.into_iter()
                .map(left)
                .collect::<Result<_, CatalogError>>()
        });
        Ok(left?)
    }
}

/// What is to become of a file that an upload left on a disk.
enum Left {
    Needed,
    /// What a crash left behind.
    Over,
    /// The catalog does not know the upload.
    Strange,
}

impl Left {
    fn of(
        rows: &Rows,
        id: UploadId,
        is_needed: fn(&Rows, UploadId) -> Result<bool, CatalogError>,
    ) -> Result<Self, CatalogError> {
        Ok(if is_needed(rows, id)? {
            Self::Needed
        } else if UploadRow::exists(rows, id)? {
            Self::Over
        } else {
            Self::Strange
        })
    }
}
