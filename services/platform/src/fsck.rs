//! Whether catalog and disks agree, and what can be mended where they do not. Nothing is ever removed that might be
//! somebody's file: what the catalog does not know is set aside.

use std::time::Duration;

use portcullis_storage::Shown;
use portcullis_types::{DiskPath, Timestamp, UploadId};
use serde_json::json;

use crate::catalog::{Action, AuditEntry, Rows, UploadRow, VersionRow};
use crate::disks::NamedDisk;
use crate::fault::Fault;
use crate::files::Prefix;
use crate::quarantine::Decision;
use crate::uploads::Uploads;

/// How many rows are looked at between two words about the progress.
const PAGE: u32 = 1000;
/// After so many bytes at most it is recorded what was read: each record waits for the catalog's disk.
const RECORD_BYTES: u64 = 256 << 20;
/// The most disagreements that are named.
const MAX_NAMED: usize = 1000;

/// What is looked at, and what is done about it.
#[derive(Clone, Debug)]
pub struct Fsck {
    /// Who mends, and why. Absent: nothing is changed.
    pub mend: Option<Decision>,
    /// Every byte is read and compared with its digest, unless that was done after this moment.
    pub digests: Option<Timestamp>,
    /// What the catalog does not know is left alone for so long: it may just be arriving.
    pub settled: Duration,
}

/// How catalog and disk disagree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disagreement {
    /// The bytes of a version are not there.
    Missing,
    /// They have another length.
    OtherLength,
    /// They have another digest.
    OtherDigest,
    /// A path does not show what the catalog says.
    WrongLink,
    /// Something that Portcullis did not store stands at a path that should show a version.
    PathTaken,
    /// The catalog does not know a version that lies on the disk, and nothing shows it.
    Unknown,
    /// The same, and it is visible somewhere.
    UnknownShown,
    /// The catalog does not know the upload of a stage.
    UnknownStage,
    /// A version that was purged, discarded or never committed is still there.
    LeftOver,
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// How they disagree.
    pub what: Disagreement,
    /// The file, where it is known.
    pub path: Option<(DiskPath, Option<u64>)>,
    /// The upload, where that names it.
    pub upload: Option<UploadId>,
    /// Whether it is mended now.
    pub mended: bool,
}

/// How far it has come, and what was found.
#[derive(Clone, Debug, Default)]
pub struct Checked {
    /// Versions in the catalog.
    pub versions: u64,
    /// Paths.
    pub paths: u64,
    /// Files on the disk that were looked at because the catalog did not name them.
    pub others: u64,
    /// Bytes that were read.
    pub bytes: u64,
    /// Disagreements.
    pub faults: u64,
    /// How many of them are mended.
    pub mended: u64,
    /// The first of them.
    pub found: Vec<Found>,
}

impl Uploads {
    /// Compares the catalog with a disk. `progress` is told from time to time. Blocks.
    ///
    /// # Errors
    /// The catalog or the disk cannot be read, or could not be mended. What was mended before stays so, and whoever
    /// begins again goes on.
    pub fn fsck(
        &self,
        disk: &NamedDisk,
        how: &Fsck,
        progress: &mut dyn FnMut(&Checked),
    ) -> Result<Checked, Fault> {
        if how.mend.is_some() {
            disk.check_writable()?;
        }
        let mut checking = Checking {
            uploads: self,
            disk,
            how,
            progress,
            checked: Checked::default(),
            verified: Vec::new(),
            recorded_bytes: 0,
        };
        checking.versions()?;
        checking.paths()?;
        checking.others()?;
        Ok(checking.checked)
    }
}

struct Checking<'a> {
    uploads: &'a Uploads,
    disk: &'a NamedDisk,
    how: &'a Fsck,
    progress: &'a mut dyn FnMut(&Checked),
    checked: Checked,
    /// Versions that are what was stored, which is not recorded yet.
    verified: Vec<UploadId>,
    /// How many bytes had been read when that was last recorded.
    recorded_bytes: u64,
}

impl Checking<'_> {
    /// Whether every version of the catalog is there and is what it was.
    fn versions(&mut self) -> Result<(), Fault> {
        let mut after = 0;
        loop {
            let name = self.disk.name.clone();
            let page = move |rows: &Rows| Ok(VersionRow::kept(rows, &name, after, PAGE)?);
            let page: Vec<(i64, VersionRow)> = self.read(page)?;
            let Some((last, _)) = page.last() else {
                return Ok(());
            };
            after = *last;
            for (_, version) in page {
                self.version(&version)?;
            }
            self.record_verified()?;
            (self.progress)(&self.checked);
        }
    }

    fn version(&mut self, version: &VersionRow) -> Result<(), Fault> {
        self.checked.versions += 1;
        let failed = Fault::of_disk(self.disk);
        let Some(facts) = self.disk.disk().examine(version.upload).map_err(&failed)? else {
            let mended = self.mend_missing(version)?;
            self.found(Disagreement::Missing, version, mended);
            return Ok(());
        };
        if facts.length != version.size {
            self.found(Disagreement::OtherLength, version, false);
        } else if let Some(before) = self.how.digests
            && version.verified_at.is_none_or(|at| at < before)
        {
            self.digest(version)?;
        }
        Ok(())
    }

    fn digest(&mut self, version: &VersionRow) -> Result<(), Fault> {
        self.checked.bytes += version.size;
        // What cannot be read is not what was stored.
        if self.disk.digest(version.upload)? != Some(version.sha256) {
            self.found(Disagreement::OtherDigest, version, false);
            return Ok(());
        }
        self.verified.push(version.upload);
        if self.checked.bytes - self.recorded_bytes >= RECORD_BYTES {
            self.record_verified()?;
        }
        Ok(())
    }

    /// What is recorded is not read again by whoever goes on.
    fn record_verified(&mut self) -> Result<(), Fault> {
        let (verified, now) = (
            std::mem::take(&mut self.verified),
            self.uploads.clock().now(),
        );
        self.recorded_bytes = self.checked.bytes;
        if verified.is_empty() {
            return Ok(());
        }
        self.run(move |rows| {
            for upload in verified {
                VersionRow::set_verified(rows, upload, now)?;
            }
            Ok(())
        })
    }

    /// A version whose bytes are visible at its path is made of them again. Another one is lost, and said to be.
    fn mend_missing(&mut self, version: &VersionRow) -> Result<bool, Fault> {
        let Some(decision) = &self.how.mend else {
            return Ok(false);
        };
        let _path = self.uploads.lock_path(&self.disk.name, &version.path);
        let (size, sha256) = (version.size, version.sha256);
        let restored = self
            .disk
            .disk()
            .restore(version.upload, &version.path, size, sha256);
        if restored.map_err(Fault::of_disk(self.disk))? {
            return Ok(true);
        }
        let now = self.uploads.clock().now();
        let entry = AuditEntry::new(now, Action::Lost, decision.actor.clone())
            .of_version(version)
            .with(json!({ "reason": decision.reason, "size": size, "sha256": sha256 }));
        let upload = version.upload;
        self.run(move |rows| {
            VersionRow::lose(rows, upload, now)?;
            Ok(entry.write(rows)?)
        })?;
        self.uploads.derive_link(self.disk, &version.path)?;
        Ok(true)
    }

    /// Whether every path shows what the catalog says.
    fn paths(&mut self) -> Result<(), Fault> {
        let mut after = None;
        loop {
            let (name, from) = (self.disk.name.clone(), after.take());
            let page = move |rows: &Rows| {
                let all = Prefix::default();
                Ok(VersionRow::paths(rows, &name, &all, from.as_ref(), PAGE)?)
            };
            let page: Vec<DiskPath> = self.read(page)?;
            let Some(last) = page.last() else {
                return Ok(());
            };
            after = Some(last.clone());
            for path in &page {
                self.path(path)?;
            }
            (self.progress)(&self.checked);
        }
    }

    fn path(&mut self, path: &DiskPath) -> Result<(), Fault> {
        self.checked.paths += 1;
        let _path = self.uploads.lock_path(&self.disk.name, path);
        let (name, at) = (self.disk.name.clone(), path.clone());
        let (latest, known) = self.read(move |rows| {
            let latest = VersionRow::latest(rows, &name, &at)?;
            Ok((latest, VersionRow::known(rows, &name, &at)?))
        })?;
        let wanted = latest.as_ref().map(|version| version.upload);
        let shown = self.disk.disk().shown(path, &known);
        let what = match (shown.map_err(Fault::of_disk(self.disk))?, wanted) {
            (Shown::Version(shown), Some(wanted)) if shown == wanted => return Ok(()),
            (Shown::Nothing | Shown::Other, None) => return Ok(()),
            // There is nothing to show, which was told before.
            (_, Some(wanted)) if self.is_missing(wanted)? => return Ok(()),
            (Shown::Other, Some(_)) => Disagreement::PathTaken,
            _ => Disagreement::WrongLink,
        };
        let mended = what == Disagreement::WrongLink && self.how.mend.is_some();
        if mended {
            self.uploads.derive_link(self.disk, path)?;
        }
        let version = latest.map(|version| version.version);
        self.note(Found {
            what,
            path: Some((path.clone(), version)),
            upload: None,
            mended,
        });
        Ok(())
    }

    fn is_missing(&self, version: UploadId) -> Result<bool, Fault> {
        let facts = self.disk.disk().examine(version);
        Ok(facts.map_err(Fault::of_disk(self.disk))?.is_none())
    }

    /// Whether the catalog knows what lies on the disk.
    fn others(&mut self) -> Result<(), Fault> {
        let failed = Fault::of_disk(self.disk);
        for id in self.disk.disk().versions().map_err(&failed)? {
            if !self.read(move |rows| Ok(VersionRow::is_kept(rows, id)?))? {
                self.checked.others += 1;
                self.other(id)?;
            }
        }
        for id in self.disk.disk().stages().map_err(&failed)? {
            if !self.is_known(id)? {
                self.checked.others += 1;
                let mended = self.how.mend.is_some();
                if mended {
                    self.disk.disk().set_aside(id).map_err(&failed)?;
                }
                self.found_upload(Disagreement::UnknownStage, id, mended);
            }
        }
        (self.progress)(&self.checked);
        Ok(())
    }

    fn is_known(&self, id: UploadId) -> Result<bool, Fault> {
        self.read(move |rows| Ok(UploadRow::exists(rows, id)?))
    }

    fn other(&mut self, id: UploadId) -> Result<(), Fault> {
        let failed = Fault::of_disk(self.disk);
        let Some(facts) = self.disk.disk().examine(id).map_err(&failed)? else {
            return Ok(());
        };
        let now = self.uploads.clock().now();
        if now.since(facts.changed) < self.how.settled {
            return Ok(());
        }
        let what = match (self.is_known(id)?, facts.names) {
            (true, _) => Disagreement::LeftOver,
            (false, 0 | 1) => Disagreement::Unknown,
            (false, _) => Disagreement::UnknownShown,
        };
        let mended = self.how.mend.is_some() && what != Disagreement::UnknownShown;
        if mended {
            match what {
                Disagreement::LeftOver => self.disk.disk().drop_version(id),
                _ => self.disk.disk().set_aside(id),
            }
            .map_err(&failed)?;
        }
        self.found_upload(what, id, mended);
        Ok(())
    }

    fn found(&mut self, what: Disagreement, version: &VersionRow, mended: bool) {
        self.note(Found {
            what,
            path: Some((version.path.clone(), Some(version.version))),
            upload: Some(version.upload),
            mended,
        });
    }

    fn found_upload(&mut self, what: Disagreement, id: UploadId, mended: bool) {
        self.note(Found {
            what,
            path: None,
            upload: Some(id),
            mended,
        });
    }

    fn note(&mut self, found: Found) {
        self.checked.faults += 1;
        self.checked.mended += u64::from(found.mended);
        if self.checked.found.len() < MAX_NAMED {
            self.checked.found.push(found);
        }
    }

    fn read<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Rows) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Fault> {
        self.uploads.catalog().read_blocking(job)
    }

    fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Rows) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Fault> {
        self.uploads.catalog().run_blocking(job)
    }
}

impl Disagreement {
    /// What it is, and what to do about it, in a sentence.
    pub fn says(self) -> &'static str {
        match self {
            Self::Missing => {
                "its bytes are not on the disk; `--mend` makes them of what its path shows, or says that they are lost"
            }
            Self::OtherLength => "it has another length than was stored; put it back from a backup",
            Self::OtherDigest => {
                "its bytes are not those that were stored; put it back from a backup"
            }
            Self::WrongLink => "its path does not show it; `--mend` lets it",
            Self::PathTaken => {
                "something that Portcullis did not store stands at its path; move that away"
            }
            Self::Unknown => {
                "the catalog does not know it; `--mend` sets it aside in `.portcullis/aside`"
            }
            Self::UnknownShown => {
                "the catalog does not know it, and it is visible; `import` takes it in"
            }
            Self::UnknownStage => {
                "the catalog does not know the upload of this stage; `--mend` sets it aside in `.portcullis/aside`"
            }
            Self::LeftOver => {
                "it was purged, discarded or never committed, and is still there; `--mend` removes it"
            }
        }
    }
}
