//! Files that were on a disk before there was a catalog: taken in where they stand, without being copied or moved.

use std::collections::HashMap;

use portcullis_hop::{Epoch, NewUpload, StoreError, UploadState};
use portcullis_storage::{Entry, EntryKind, Facts, Identity, Shown};
use portcullis_telemetry::{Span, SpanName};
use portcullis_types::{Attributes, DiskPath, Offset, Principal, Sha256Digest, UploadId};
use serde_json::json;

use crate::catalog::{Action, AuditEntry, Rows, UploadRow, VersionRow};
use crate::disks::NamedDisk;
use crate::fault::Fault;
use crate::files::whole;
use crate::quarantine::Decision;
use crate::uploads::Uploads;
use crate::uploads::publish::receipt;

/// Who stored them, as far as anybody knows.
const UNKNOWN: &str = "import";
/// The most files that are named which stay as they are.
const MAX_NAMED: usize = 1000;

/// Why a file stays as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeftAlone {
    /// No upload could have this name.
    Name,
    /// It is a link, a device or a socket.
    NoFile,
    /// Somebody wrote to it meanwhile.
    Changed,
    /// It cannot be read.
    Unreadable,
}

/// How far it has come.
#[derive(Clone, Debug, Default)]
pub struct Imported {
    /// Files that are taken in, or would be.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Files that the catalog knew.
    pub known: u64,
    /// Files that stay as they are.
    pub left: u64,
    /// The first of them.
    pub named: Vec<(String, LeftAlone)>,
}

impl Uploads {
    /// Takes every file beneath a folder of a disk under the catalog, each as a new version of its path; without a
    /// decision none, and says which. What was taken in stays so when it is interrupted, and whoever begins again goes
    /// on. Blocks.
    ///
    /// # Errors
    /// The catalog or the disk failed.
    pub fn import(
        &self,
        disk: &NamedDisk,
        folder: Option<&DiskPath>,
        decision: Option<&Decision>,
        progress: &mut dyn FnMut(&Imported),
    ) -> Result<Imported, Fault> {
        if decision.is_some() {
            disk.check_writable()?;
        }
        let failed = Fault::of_disk(disk);
        let mut importing = Importing {
            uploads: self,
            disk,
            decision,
            orphans: None,
            imported: Imported::default(),
        };
        let mut folders = vec![folder.cloned()];
        while let Some(folder) = folders.pop() {
            let entries = disk.disk().entries(folder.as_ref()).map_err(&failed)?;
            for entry in entries {
                folders.extend(importing.entry(folder.as_ref(), &entry)?.map(Some));
            }
            progress(&importing.imported);
        }
        Ok(importing.imported)
    }
}

struct Importing<'a> {
    uploads: &'a Uploads,
    disk: &'a NamedDisk,
    decision: Option<&'a Decision>,
    /// Versions that the catalog may not know, by their file: read when a file has another name.
    orphans: Option<HashMap<Identity, UploadId>>,
    imported: Imported,
}

impl Importing<'_> {
    /// Takes a file in. Gives the folder that it is instead.
    fn entry(
        &mut self,
        folder: Option<&DiskPath>,
        entry: &Entry,
    ) -> Result<Option<DiskPath>, Fault> {
        let text = match (folder, entry.name.to_str()) {
            (None, Some(name)) => name.to_owned(),
            (Some(folder), Some(name)) => format!("{folder}/{name}"),
            (_, None) => {
                self.leave(entry.name.to_string_lossy().into_owned(), LeftAlone::Name);
                return Ok(None);
            }
        };
        // A name that is spelled otherwise when it is normal would lead nowhere.
        let path = text.parse::<DiskPath>().ok();
        let Some(path) = path.filter(|path| path.as_str() == text) else {
            if folder.is_some() || !text.starts_with(DiskPath::RESERVED_PREFIX) {
                self.leave(text, LeftAlone::Name);
            }
            return Ok(None);
        };
        match entry.kind {
            EntryKind::Folder => return Ok(Some(path)),
            EntryKind::File(facts) => self.file(&path, facts)?,
            EntryKind::Other => self.leave(text, LeftAlone::NoFile),
        }
        Ok(None)
    }

    fn file(&mut self, path: &DiskPath, facts: Facts) -> Result<(), Fault> {
        let _path = self.uploads.lock_path(&self.disk.name, path);
        let (name, at) = (self.disk.name.clone(), path.clone());
        let known = move |rows: &Rows| Ok::<_, Fault>(VersionRow::known(rows, &name, &at)?);
        let known = self.uploads.catalog().read_blocking(known)?;
        let shown = self.disk.disk().shown(path, &known);
        if let Shown::Version(_) = shown.map_err(Fault::of_disk(self.disk))? {
            self.imported.known += 1;
            return Ok(());
        }
        if let Some(decision) = self.decision {
            let taken = self.take_in(path, facts, decision)?;
            if let Some(why) = taken {
                self.leave(path.to_string(), why);
                return Ok(());
            }
        }
        self.imported.files += 1;
        self.imported.bytes += facts.length;
        Ok(())
    }

    /// Makes a file a version. Says why it stays as it is instead.
    fn take_in(
        &mut self,
        path: &DiskPath,
        facts: Facts,
        decision: &Decision,
    ) -> Result<Option<LeftAlone>, Fault> {
        let failed = Fault::of_disk(self.disk);
        let disk = self.disk.disk();
        let id = self.orphan(facts)?.unwrap_or_else(UploadId::generate);
        disk.take_in(id, path).map_err(&failed)?;
        let before = disk.examine(id).map_err(&failed)?;
        let Some(sha256) = self.disk.digest(id)? else {
            self.give_back(id)?;
            return Ok(Some(LeftAlone::Unreadable));
        };
        let after = disk.examine(id).map_err(&failed)?;
        let Some(facts) = after.filter(|after| before == Some(*after)) else {
            self.give_back(id)?;
            return Ok(Some(LeftAlone::Changed));
        };
        self.record(id, path, facts, sha256, decision)?;
        disk.settle(id).map_err(&failed)?;
        Ok(None)
    }

    /// The version that a file is already, although the catalog does not say so.
    fn orphan(&mut self, facts: Facts) -> Result<Option<UploadId>, Fault> {
        if facts.names < 2 {
            return Ok(None);
        }
        if self.orphans.is_none() {
            let failed = Fault::of_disk(self.disk);
            let mut orphans = HashMap::new();
            for id in self.disk.disk().versions().map_err(&failed)? {
                let exists = move |rows: &Rows| Ok::<_, Fault>(UploadRow::exists(rows, id)?);
                if !self.uploads.catalog().read_blocking(exists)?
                    && let Some(facts) = self.disk.disk().examine(id).map_err(&failed)?
                {
                    orphans.insert(facts.identity, id);
                }
            }
            self.orphans = Some(orphans);
        }
        let orphans = self.orphans.as_ref();
        Ok(orphans.and_then(|orphans| orphans.get(&facts.identity).copied()))
    }

    fn give_back(&self, id: UploadId) -> Result<(), Fault> {
        let failed = Fault::of_disk(self.disk);
        self.disk.disk().drop_version(id).map_err(&failed)?;
        self.disk.disk().settle(id).map_err(&failed)
    }

    /// The commit point: an upload that has ended, its version and the audit row.
    fn record(
        &self,
        id: UploadId,
        path: &DiskPath,
        facts: Facts,
        sha256: Sha256Digest,
        decision: &Decision,
    ) -> Result<(), Fault> {
        let now = self.uploads.clock().now();
        let (disk, path, decision) = (self.disk.name.clone(), path.clone(), decision.clone());
        let span = Span::root(SpanName::Publish, None);
        let upload = NewUpload {
            id,
            principal: Principal::new(UNKNOWN, [""; 0]).map_err(|_| StoreError::StorageFailed)?,
            client: None,
            filename: path.file_name().to_owned(),
            folder: None,
            media_type: None,
            attributes: Attributes::default(),
            composition: None,
            metadata: None,
            length: Some(facts.length),
            disk: Some(disk.clone()),
            revision: None,
            traceparent: span.context(),
            received_at: facts.modified,
            expires_at: now,
        };
        let length = Offset::new(facts.length);
        let commit = whole(Epoch::FIRST, length, sha256, path.clone(), None)?;
        self.uploads.catalog().run_blocking(move |rows| {
            let version = VersionRow {
                upload: id,
                version: VersionRow::next_number(rows, &disk, &path)?,
                disk,
                path,
                size: facts.length,
                sha256,
                media_type: None,
                metadata: Attributes::default(),
                cohort: None,
                quarantined: false,
                stored_at: facts.modified,
                deleted_at: None,
                purged_at: None,
                verified_at: Some(now),
            };
            let receipt = receipt(&version, &commit, &upload);
            UploadRow::create_committed(rows, &upload, &commit, &receipt, UploadState::Committed)?;
            version.insert(rows)?;
            VersionRow::set_linked(rows, &version.disk, &version.path, Some(id))?;
            AuditEntry::new(now, Action::Imported, decision.actor.clone())
                .of_version(&version)
                .with(json!({
                    "reason": decision.reason,
                    "size": version.size,
                    "sha256": sha256,
                }))
                .write(rows)?;
            Ok(())
        })
    }

    fn leave(&mut self, name: String, why: LeftAlone) {
        self.imported.left += 1;
        if self.imported.named.len() < MAX_NAMED {
            self.imported.named.push((name, why));
        }
    }
}

impl LeftAlone {
    /// Why, and what to do about it, in a sentence.
    pub fn says(self) -> &'static str {
        match self {
            Self::Name => {
                "no upload could have this name, or it is not in Unicode's normal form (NFC); rename it"
            }
            Self::NoFile => "it is a link, a device or a socket, and no file",
            Self::Changed => "somebody wrote to it meanwhile; try again when nobody does",
            Self::Unreadable => "it cannot be read to its end; look at the disk",
        }
    }
}
