//! A folder on a local or network file system as a disk.
//!
//! ```text
//! <root>/.portcullis/stages/<upload>      bytes on their way, 0600
//! <root>/.portcullis/versions/<upload>    what became of them: a hard link to the stage's file
//! <root>/.portcullis/links/<upload>       for a moment, while a visible link is replaced or the disk is tried
//! <root>/submissions/c1/patient.csv       visible: a hard link to a version
//! ```
//!
//! Hard links alone work the same on ext4, xfs and NFS: `renameat2(RENAME_NOREPLACE)` and `O_TMPFILE` fail
//! on NFSv4.2, `linkat` does not. Each step makes the folder it changed durable before the next begins.

mod folder;

use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

use portcullis_types::{DiskPath, Offset, UploadId};
use rustix::fs::{Mode, OFlags};

use self::folder::Folder;
use crate::{Checkpoint, Disk, DiskError, OpenStage, Readable, SealedStage, Space, Step};

/// The mode of stages and versions, and of the folders they lie in: nobody but services.
const OWN_FILE_MODE: Mode = Mode::from_raw_mode(0o600);
const OWN_FOLDER_MODE: Mode = Mode::from_raw_mode(0o700);

/// What is written to see whether the disk takes it.
const PROBE: &[u8] = b"portcullis";

/// A folder on a file system that has hard links and `openat2` (Linux 5.6).
#[derive(Debug)]
pub struct LocalDisk {
    root: Folder,
    stages: Folder,
    versions: Folder,
    links: Folder,
}

impl LocalDisk {
    /// Opens the folder at `root`, which must be there, and makes the disk's own folders in it.
    pub fn open(root: &Path) -> Result<Self, DiskError> {
        let root = Folder::root(root)?;
        let own = root.folder_or_new(DiskPath::RESERVED_PREFIX, OWN_FOLDER_MODE)?;
        let folder = |name| own.folder_or_new(name, OWN_FOLDER_MODE);
        Ok(Self {
            stages: folder("stages")?,
            versions: folder("versions")?,
            links: folder("links")?,
            root,
        })
    }

    /// Whether what stands at a name is one of these versions.
    fn is_known(&self, parent: &Folder, name: &str, known: &[UploadId]) -> Result<bool, DiskError> {
        let shown = parent.inode(name)?;
        for version in known {
            if shown.is_some() && self.versions.inode(&version.to_string())? == shown {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Puts a version in the place of what stands at a name. A rename of one name of a file over another
    /// does nothing (rename(2)), so the caller has made sure that these are two files.
    fn replace(&self, parent: &Folder, name: &str, version: UploadId) -> Result<(), DiskError> {
        let version = version.to_string();
        // What an earlier attempt left behind.
        self.links.unlink(&version)?;
        self.links.link_new(&self.versions, &version, &version)?;
        parent.rename_over(&self.links, &version, name)?;
        parent.sync()
    }
}

impl Disk for LocalDisk {
    fn create_stage(&self, id: UploadId) -> Result<OpenStage, DiskError> {
        let name = id.to_string();
        loop {
            if let Some(file) = self.stages.create_new(&name, OWN_FILE_MODE)? {
                self.stages.sync()?;
                return Ok(OpenStage::empty(id, file));
            }
            self.stages.unlink(&name)?;
        }
    }

    fn resume_stage(&self, id: UploadId, at: &Checkpoint) -> Result<OpenStage, DiskError> {
        let file = self
            .stages
            .open(&id.to_string(), OFlags::RDWR, Step::OpenStage)?;
        OpenStage::resumed(id, file, at)
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
        if self.stages.unlink(&id.to_string())? {
            self.stages.sync()?;
        }
        Ok(())
    }

    fn keep(&self, stage: &SealedStage) -> Result<(), DiskError> {
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
        self.versions.sync()
    }

    fn may_show(&self, path: &DiskPath, known: &[UploadId]) -> Result<(), DiskError> {
        let Some(parent) = self.root.parent_of(path)? else {
            return Ok(());
        };
        let name = path.file_name();
        if parent.inode(name)?.is_none() || self.is_known(&parent, name, known)? {
            Ok(())
        } else {
            Err(DiskError::Occupied)
        }
    }

    fn show(
        &self,
        version: UploadId,
        path: &DiskPath,
        known: &[UploadId],
    ) -> Result<(), DiskError> {
        let (parent, name) = (self.root.parent_or_new(path)?, path.file_name());
        let wanted = self.versions.inode(&version.to_string())?;
        let wanted = wanted.ok_or(DiskError::Missing)?;
        match parent.inode(name)? {
            Some(shown) if shown == wanted => parent.sync(),
            Some(_) if self.is_known(&parent, name, known)? => self.replace(&parent, name, version),
            Some(_) => Err(DiskError::Occupied),
            None => {
                parent.link_new(&self.versions, &version.to_string(), name)?;
                parent.sync()
            }
        }
    }

    fn hide(&self, path: &DiskPath, known: &[UploadId]) -> Result<(), DiskError> {
        let Some(parent) = self.root.parent_of(path)? else {
            return Ok(());
        };
        let name = path.file_name();
        if self.is_known(&parent, name, known)? {
            parent.unlink(name)?;
            parent.sync()?;
        }
        Ok(())
    }

    fn open_version(&self, version: UploadId) -> Result<Box<dyn Readable>, DiskError> {
        let name = version.to_string();
        let file = self.versions.open(&name, OFlags::RDONLY, Step::Read)?;
        Ok(Box::new(file))
    }

    fn drop_version(&self, version: UploadId) -> Result<(), DiskError> {
        if self.versions.unlink(&version.to_string())? {
            self.versions.sync()?;
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
        let id = UploadId::generate();
        let name = format!("probe-{id}");
        let probe = || {
            let file = self.links.create_new(&name, OWN_FILE_MODE)?;
            let mut file = file.ok_or(DiskError::Occupied)?;
            file.write_all(PROBE)
                .map_err(|error| Step::Write.io_failed(&error))?;
            file.sync_all()
                .map_err(|error| Step::Fsync.io_failed(&error))?;
            let mut read = Vec::new();
            let mut file = self.links.open(&name, OFlags::RDONLY, Step::Read)?;
            file.read_to_end(&mut read)
                .map_err(|error| Step::Read.io_failed(&error))?;
            if read == PROBE {
                Ok(())
            } else {
                Err(DiskError::Mismatch)
            }
        };
        let probed = probe();
        // Whatever happened, nothing is left; what went wrong first is what is told.
        let removed = self.links.unlink(&name);
        probed?;
        removed?;
        self.links.sync()
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

/// The names that are ids; whatever else lies there is not ours.
fn ids(names: &[String]) -> Vec<UploadId> {
    names.iter().filter_map(|name| name.parse().ok()).collect()
}
