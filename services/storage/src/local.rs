//! A folder on a local or network file system as a disk.
//!
//! ```text
//! <root>/.portcullis/disk                 which disk it is
//! <root>/.portcullis/stages/<upload>      bytes on their way, 0600
//! <root>/.portcullis/stages/<upload>.whole  a small upload whose commit is not known yet
//! <root>/.portcullis/stages/<upload>.state  what the policies know of an upload that pauses
//! <root>/.portcullis/versions/<upload>    what became of them: a hard link to the stage's file
//! <root>/.portcullis/aside/               what the catalog does not know, for whoever looks for it
//! <root>/.portcullis/links/<upload>       for a moment, while a visible link is replaced or the disk is tried
//! <root>/submissions/c1/patient.csv       visible: a hard link to a version
//! ```
//!
//! Hard links alone work the same on ext4, xfs and NFS: `renameat2(RENAME_NOREPLACE)` and `O_TMPFILE` fail
//! on NFSv4.2, `linkat` does not. Each step makes the folder it changed durable before the next begins; only visible
//! links need not be, since the catalog says which of them may be lost.

mod folder;
mod shared_sync;

use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

use portcullis_types::{DiskPath, Offset, Sha256Digest, UploadId};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use self::folder::Folder;
use crate::stage::hash_of;
use crate::{
    Checkpoint, CrashPoint, Disk, DiskError, DiskId, Entry, Facts, Known, Looks, OpenStage,
    Readable, SealedStage, Shown, Space, Step, crash_point,
};

/// The mode of stages and versions, and of the folders they lie in: nobody but services.
const OWN_FILE_MODE: Mode = Mode::from_raw_mode(0o600);
const OWN_FOLDER_MODE: Mode = Mode::from_raw_mode(0o700);

/// What says which disk it is, and how much of it is read.
const ID_FILE: &str = "disk";
const MAX_ID_BYTES: u64 = 64;

/// What the names of stages end with that hold all of an upload.
const UNSETTLED: &str = ".whole";
/// The same of those that hold what the policies know of an upload.
const STATE: &str = ".state";

/// What is written to see whether the disk takes it.
const PROBE: &[u8] = b"portcullis";

/// A folder on a file system that has hard links and `openat2` (Linux 5.6).
#[derive(Debug)]
pub struct LocalDisk {
    root: Folder,
    stages: Folder,
    versions: Folder,
    links: Folder,
    settings: Settings,
}

/// What is decided about a disk by its owner.
#[derive(Clone, Copy, Debug, Default)]
pub struct Settings {
    /// Files are read, and none is stored or removed.
    pub read_only: bool,
    /// What others see.
    pub looks: Looks,
}

impl LocalDisk {
    /// Opens the folder at `root`, which must be there, with the usual settings, whatever disk it is.
    pub fn open(root: &Path) -> Result<Self, DiskError> {
        Ok(Self::open_known(root, Settings::default(), Known::Nothing)?.0)
    }

    /// Whether there is a folder at `root`. Nothing is made or changed.
    pub fn look(root: &Path) -> Result<(), DiskError> {
        Folder::root(root).map(|_| ())
    }

    /// Opens the folder at `root`, which must be there, and makes the disk's own folders and its id in it, if it is or
    /// may be the disk that is known. Says which disk it is; a read-only one that was never used has no id.
    ///
    /// # Errors
    /// It is another disk, or none, or cannot be used.
    pub fn open_known(
        root: &Path,
        settings: Settings,
        known: Known,
    ) -> Result<(Self, Option<DiskId>), DiskError> {
        let root = Folder::root(root)?;
        let own = root.folder(DiskPath::RESERVED_PREFIX)?;
        let found = own.as_ref().map(id_in).transpose()?.flatten();
        match (known, found) {
            (Known::As(known), Some(found)) if known != found => {
                return Err(DiskError::AnotherDisk);
            }
            (Known::As(_), None) => return Err(DiskError::NotMounted),
            (Known::Used, _) if own.is_none() => return Err(DiskError::NotMounted),
            _ => {}
        }
        if settings.read_only {
            let own = own.ok_or(DiskError::Missing)?;
            let folder = |name| own.folder(name)?.ok_or(DiskError::Missing);
            let (stages, versions, links) =
                (folder("stages")?, folder("versions")?, folder("links")?);
            let disk = Self {
                root,
                stages,
                versions,
                links,
                settings,
            };
            return Ok((disk, found));
        }
        let own = root.folder_or_new(DiskPath::RESERVED_PREFIX, OWN_FOLDER_MODE)?;
        let folder = |name| own.folder_or_new(name, OWN_FOLDER_MODE);
        let disk = Self {
            stages: folder("stages")?,
            versions: folder("versions")?,
            links: folder("links")?,
            root,
            settings,
        };
        let id = match found {
            Some(found) => found,
            None => disk.write_id(&own)?,
        };
        Ok((disk, Some(id)))
    }

    /// Writes down which disk it is. Until the file has its name there is none, whole or not.
    fn write_id(&self, own: &Folder) -> Result<DiskId, DiskError> {
        let id = DiskId::generate()?;
        let _ = self.links.unlink(ID_FILE)?;
        let file = self.links.create_new(ID_FILE, OWN_FILE_MODE)?;
        let mut file = file.ok_or(DiskError::Occupied)?;
        writeln!(file, "{id}").map_err(|error| Step::Write.io_failed(&error))?;
        file.sync_all()
            .map_err(|error| Step::Fsync.io_failed(&error))?;
        own.rename_over(&self.links, ID_FILE, ID_FILE)?;
        own.sync()?;
        Ok(id)
    }

    /// Does with a small file what is done with each that is stored: written, cut, made durable, given its looks,
    /// named, named where the name is taken, renamed over another, read.
    fn try_everything(&self, name: &str) -> Result<(), DiskError> {
        let (write, fsync, read) = (Step::Write, Step::Fsync, Step::Read);
        let file = self.stages.create_new(name, OWN_FILE_MODE)?;
        let mut file = file.ok_or(DiskError::Occupied)?;
        let written = file
            .write_all(PROBE)
            .and_then(|()| file.write_all(PROBE))
            .and_then(|()| file.set_len(PROBE.len() as u64));
        written.map_err(|error| write.io_failed(&error))?;
        file.sync_data().map_err(|error| fsync.io_failed(&error))?;
        self.settings.looks.give_file(&file)?;
        file.sync_all().map_err(|error| fsync.io_failed(&error))?;
        self.versions.link_new(&self.stages, name, name)?;
        match self.versions.link_new(&self.stages, name, name) {
            Err(DiskError::Occupied) => {}
            // A file system that gives a taken name away would overwrite what is stored.
            _ => return Err(Step::Link.failed(Errno::NOTSUP)),
        }
        // Renaming one name of a file over another does nothing, so that it needs two files.
        let other = self.links.create_new(name, OWN_FILE_MODE)?;
        drop(other.ok_or(DiskError::Occupied)?);
        self.links.rename_over(&self.stages, name, name)?;
        self.links.sync()?;
        let mut found = Vec::new();
        let mut file = self.versions.open(name, OFlags::RDONLY, read)?;
        file.read_to_end(&mut found)
            .map_err(|error| read.io_failed(&error))?;
        if found == PROBE && self.links.inode(name)? == self.versions.inode(name)? {
            Ok(())
        } else {
            Err(DiskError::Mismatch)
        }
    }

    /// Whether anything may be changed.
    fn check_writable(&self) -> Result<(), DiskError> {
        if self.settings.read_only {
            Err(DiskError::ReadOnly)
        } else {
            Ok(())
        }
    }

    /// Removes what an earlier attempt left of a small file whose commit is not known.
    fn forget_whole(&self, name: &str, unsettled: &str) -> Result<(), DiskError> {
        let version = self.versions.inode(name)?;
        if version.is_some() && self.stages.inode(unsettled)? == version {
            self.versions.unlink(name)?;
        }
        self.stages.unlink(unsettled).map(|_| ())
    }

    /// Which of these versions stands at a name.
    fn which(&self, parent: &Folder, name: &str, known: &[UploadId]) -> Result<Shown, DiskError> {
        let shown = parent.inode(name)?;
        if shown.is_none() {
            return Ok(Shown::Nothing);
        }
        for version in known {
            if self.versions.inode(&version.to_string())? == shown {
                return Ok(Shown::Version(*version));
            }
        }
        Ok(Shown::Other)
    }

    /// Puts a version in the place of what stands at a name. A rename of one name of a file over another
    /// does nothing (rename(2)), so the caller has made sure that these are two files.
    fn replace(&self, parent: &Folder, name: &str, version: UploadId) -> Result<(), DiskError> {
        let version = version.to_string();
        // What an earlier attempt left behind.
        self.links.unlink(&version)?;
        self.links.link_new(&self.versions, &version, &version)?;
        crash_point(CrashPoint::LinkPrepared);
        parent.rename_over(&self.links, &version, name)?;
        crash_point(CrashPoint::LinkMade);
        Ok(())
    }
}

impl Disk for LocalDisk {
    fn create_stage(&self, id: UploadId) -> Result<OpenStage, DiskError> {
        self.check_writable()?;
        let name = id.to_string();
        loop {
            if let Some(file) = self.stages.create_new(&name, OWN_FILE_MODE)? {
                self.stages.sync()?;
                crash_point(CrashPoint::StageCreated);
                return Ok(OpenStage::empty(id, file, self.settings.looks));
            }
            self.stages.unlink(&name)?;
        }
    }

    fn resume_stage(&self, id: UploadId, at: &Checkpoint) -> Result<OpenStage, DiskError> {
        self.check_writable()?;
        let file = self
            .stages
            .open(&id.to_string(), OFlags::RDWR, Step::OpenStage)?;
        OpenStage::resumed(id, file, at, self.settings.looks)
    }

    fn read_stage(
        &self,
        id: UploadId,
        from: Offset,
        until: Offset,
    ) -> Result<Box<dyn Read + Send>, DiskError> {
        let mut file = self
            .stages
            .open(&id.to_string(), OFlags::RDONLY, Step::Read)?;
        file.seek(SeekFrom::Start(from.bytes()))
            .map_err(|error| Step::Read.io_failed(&error))?;
        Ok(Box::new(
            file.take(until.bytes().saturating_sub(from.bytes())),
        ))
    }

    fn discard_stage(&self, id: UploadId) -> Result<(), DiskError> {
        // It goes when the disk takes changes again.
        if self.settings.read_only {
            return Ok(());
        }
        self.stages.unlink(&state_name(id))?;
        self.stages.unlink(&id.to_string()).map(|_| ())
    }

    fn keep_state(&self, id: UploadId, bytes: &[u8]) -> Result<(), DiskError> {
        self.check_writable()?;
        let name = state_name(id);
        self.stages.unlink(&name)?;
        let file = self.stages.create_new(&name, OWN_FILE_MODE)?;
        let mut file = file.ok_or(DiskError::Occupied)?;
        file.write_all(bytes)
            .map_err(|error| Step::Write.io_failed(&error))
    }

    fn state(&self, id: UploadId) -> Result<Option<Vec<u8>>, DiskError> {
        let name = state_name(id);
        let mut file = match self.stages.open(&name, OFlags::RDONLY, Step::Read) {
            Ok(file) => file,
            Err(DiskError::Missing) => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)
            .map_err(|error| Step::Read.io_failed(&error))?;
        Ok(Some(bytes))
    }

    fn keep_whole(&self, id: UploadId, bytes: &[u8]) -> Result<(), DiskError> {
        self.check_writable()?;
        let (name, unsettled) = (id.to_string(), unsettled_name(id));
        let file = match self.stages.create_new(&unsettled, OWN_FILE_MODE)? {
            None => {
                self.forget_whole(&name, &unsettled)?;
                self.stages.create_new(&unsettled, OWN_FILE_MODE)?
            }
            file => file,
        };
        let mut file = file.ok_or(DiskError::Occupied)?;
        file.write_all(bytes)
            .map_err(|error| Step::Write.io_failed(&error))?;
        crash_point(CrashPoint::WholeWritten);
        self.settings.looks.give_file(&file)?;
        // Named before it is durable, so that most file systems make both durable at once.
        let linked = self.versions.link_new(&self.stages, &unsettled, &name);
        if let Err(DiskError::Occupied) = linked {
            // A version that is settled was committed, and stays.
            self.stages.unlink(&unsettled)?;
        }
        linked?;
        let named = self.versions.moment();
        crash_point(CrashPoint::WholeNamed);
        file.sync_all()
            .map_err(|error| Step::Fsync.io_failed(&error))?;
        crash_point(CrashPoint::WholeDurable);
        self.versions.sync_since(named)?;
        crash_point(CrashPoint::WholeKept);
        Ok(())
    }

    fn settle(&self, id: UploadId) -> Result<(), DiskError> {
        // It is settled when the disk takes changes again.
        if self.settings.read_only {
            return Ok(());
        }
        self.stages.unlink(&unsettled_name(id)).map(|_| ())
    }

    fn unsettled(&self) -> Result<Vec<UploadId>, DiskError> {
        let names = self.stages.names()?;
        let unsettled = names.iter().filter_map(|name| name.strip_suffix(UNSETTLED));
        Ok(unsettled.filter_map(|name| name.parse().ok()).collect())
    }

    fn keep(&self, stage: &SealedStage) -> Result<(), DiskError> {
        self.check_writable()?;
        let name = stage.id().to_string();
        match self.versions.link_new(&self.stages, &name, &name) {
            Ok(()) => {}
            // The same call came before: the same file has the name already.
            Err(DiskError::Occupied) => {
                let own = rustix::fs::fstat(stage.file());
                let own = own.map_err(|errno| Step::Link.failed(errno))?;
                if self.versions.inode(&name)? != Some(own.into()) {
                    return Err(DiskError::Occupied);
                }
            }
            Err(error) => return Err(error),
        }
        crash_point(CrashPoint::VersionNamed);
        self.versions.sync()?;
        crash_point(CrashPoint::VersionKept);
        Ok(())
    }

    fn may_show(&self, path: &DiskPath, known: &[UploadId]) -> Result<(), DiskError> {
        self.check_writable()?;
        let Some(parent) = self.root.parent_of(path)? else {
            return Ok(());
        };
        match self.which(&parent, path.file_name(), known)? {
            Shown::Nothing | Shown::Version(_) => Ok(()),
            Shown::Other => Err(DiskError::Occupied),
        }
    }

    fn show(
        &self,
        version: UploadId,
        path: &DiskPath,
        known: &[UploadId],
    ) -> Result<(), DiskError> {
        self.check_writable()?;
        let parent = self.root.parent_or_new(path, &self.settings.looks)?;
        let name = path.file_name();
        let wanted = self.versions.inode(&version.to_string())?;
        let wanted = wanted.ok_or(DiskError::Missing)?;
        match parent.inode(name)? {
            Some(shown) if shown == wanted => Ok(()),
            Some(_) => match self.which(&parent, name, known)? {
                Shown::Version(_) => self.replace(&parent, name, version),
                Shown::Nothing | Shown::Other => Err(DiskError::Occupied),
            },
            None => {
                parent.link_new(&self.versions, &version.to_string(), name)?;
                crash_point(CrashPoint::LinkMade);
                Ok(())
            }
        }
    }

    fn sync_folder(&self, path: &DiskPath) -> Result<(), DiskError> {
        match self.root.parent_of(path)? {
            Some(folder) => folder.sync(),
            None => Ok(()),
        }
    }

    fn hide(&self, path: &DiskPath, known: &[UploadId]) -> Result<(), DiskError> {
        self.check_writable()?;
        let Some(parent) = self.root.parent_of(path)? else {
            return Ok(());
        };
        let name = path.file_name();
        if let Shown::Version(_) = self.which(&parent, name, known)? {
            parent.unlink(name)?;
            crash_point(CrashPoint::LinkHidden);
        }
        Ok(())
    }

    fn open_version(&self, version: UploadId) -> Result<Box<dyn Readable>, DiskError> {
        let name = version.to_string();
        let file = self.versions.open(&name, OFlags::RDONLY, Step::Read)?;
        Ok(Box::new(file))
    }

    fn drop_version(&self, version: UploadId) -> Result<(), DiskError> {
        self.check_writable()?;
        if self.versions.unlink(&version.to_string())? {
            crash_point(CrashPoint::VersionDropped);
            self.versions.sync()?;
        }
        Ok(())
    }

    fn entries(&self, folder: Option<&DiskPath>) -> Result<Vec<Entry>, DiskError> {
        match folder {
            None => self.root.entries(),
            Some(path) => {
                let parent = self.root.parent_of(path)?.ok_or(DiskError::Missing)?;
                let folder = parent.folder(path.file_name())?;
                folder.ok_or(DiskError::Missing)?.entries()
            }
        }
    }

    fn take_in(&self, id: UploadId, path: &DiskPath) -> Result<(), DiskError> {
        self.check_writable()?;
        let (name, unsettled) = (id.to_string(), unsettled_name(id));
        let parent = self.root.parent_of(path)?.ok_or(DiskError::Missing)?;
        let file = parent.open(path.file_name(), OFlags::RDONLY, Step::Read)?;
        for (folder, as_name) in [(&self.stages, &unsettled), (&self.versions, &name)] {
            folder.link(&parent, path.file_name(), as_name)?;
        }
        self.settings.looks.give_file(&file)?;
        file.sync_all()
            .map_err(|error| Step::Fsync.io_failed(&error))?;
        self.versions.sync()
    }

    fn examine(&self, version: UploadId) -> Result<Option<Facts>, DiskError> {
        self.versions.facts(&version.to_string())
    }

    fn shown(&self, path: &DiskPath, known: &[UploadId]) -> Result<Shown, DiskError> {
        match self.root.parent_of(path)? {
            None => Ok(Shown::Nothing),
            Some(parent) => self.which(&parent, path.file_name(), known),
        }
    }

    fn restore(
        &self,
        version: UploadId,
        path: &DiskPath,
        length: u64,
        sha256: Sha256Digest,
    ) -> Result<bool, DiskError> {
        self.check_writable()?;
        let Some(parent) = self.root.parent_of(path)? else {
            return Ok(false);
        };
        let (name, flags) = (path.file_name(), OFlags::RDONLY);
        let mut file = match parent.open(name, flags, Step::Read) {
            Ok(file) => file,
            Err(DiskError::Missing | DiskError::Occupied | DiskError::Symlink) => return Ok(false),
            Err(error) => return Err(error),
        };
        let read = |error: std::io::Error| Step::Read.io_failed(&error);
        let found = file.metadata().map_err(read)?;
        if !found.is_file() || found.len() != length {
            return Ok(false);
        }
        let hash = hash_of((&mut file).take(length)).map_err(read)?;
        if hash.finish() != sha256 {
            return Ok(false);
        }
        self.versions
            .link_new(&parent, name, &version.to_string())?;
        self.versions.sync()?;
        Ok(true)
    }

    fn set_aside(&self, id: UploadId) -> Result<(), DiskError> {
        self.check_writable()?;
        let own = self
            .root
            .folder_or_new(DiskPath::RESERVED_PREFIX, OWN_FOLDER_MODE)?;
        let aside = own.folder_or_new("aside", OWN_FOLDER_MODE)?;
        let name = id.to_string();
        let stage = format!("{name}.stage");
        for (folder, as_name) in [(&self.versions, &name), (&self.stages, &stage)] {
            if folder.inode(&name)?.is_none() {
                continue;
            }
            aside.link(folder, &name, as_name)?;
            aside.sync()?;
            folder.unlink(&name)?;
            folder.sync()?;
        }
        Ok(())
    }

    fn stages(&self) -> Result<Vec<UploadId>, DiskError> {
        Ok(ids(&self.stages.names()?))
    }

    fn versions(&self) -> Result<Vec<UploadId>, DiskError> {
        Ok(ids(&self.versions.names()?))
    }

    fn probe(&self) -> Result<(), DiskError> {
        if self.settings.read_only {
            return self.versions.names().map(|_| ());
        }
        let name = format!("probe-{}", UploadId::generate());
        let tried = self.try_everything(&name);
        // Whatever happened, nothing is left; what went wrong first is what is told.
        let removed =
            [&self.stages, &self.versions, &self.links].map(|folder| folder.unlink(&name));
        tried?;
        for removed in removed {
            removed?;
        }
        self.stages.sync()
    }

    fn space(&self) -> Result<Space, DiskError> {
        let space = rustix::fs::fstatvfs(self.root.as_fd());
        let space = space.map_err(|errno| Step::Read.failed(errno))?;
        Ok(Space {
            total_bytes: space.f_blocks.saturating_mul(space.f_frsize),
            free_bytes: space.f_bavail.saturating_mul(space.f_frsize),
        })
    }
}

fn unsettled_name(id: UploadId) -> String {
    format!("{id}{UNSETTLED}")
}

fn state_name(id: UploadId) -> String {
    format!("{id}{STATE}")
}

/// The id of the disk whose own folder this is. Absent where there is none, or one that was never written whole.
fn id_in(own: &Folder) -> Result<Option<DiskId>, DiskError> {
    let file = match own.open(ID_FILE, OFlags::RDONLY, Step::OpenDisk) {
        Ok(file) => file,
        Err(DiskError::Missing) => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut text = String::new();
    file.take(MAX_ID_BYTES)
        .read_to_string(&mut text)
        .map_err(|error| Step::OpenDisk.io_failed(&error))?;
    Ok(text.trim().parse().ok())
}

/// The names that are ids; whatever else lies there is not ours.
fn ids(names: &[String]) -> Vec<UploadId> {
    names.iter().filter_map(|name| name.parse().ok()).collect()
}
