//! A folder beneath a disk's root, held open: every name is looked up from here, so that nothing that
//! happens to the path above can lead elsewhere.

use std::ffi::OsStr;
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use portcullis_types::{DiskPath, Timestamp};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags, Stat};
use rustix::io::Errno;

use super::shared_sync::{Moment, SharedSync};
use crate::{DiskError, Entry, EntryKind, Facts, Identity, Looks, Step};

/// Nothing above, no symbolic link, no other door (such as `/proc/self/fd`).
const BENEATH: ResolveFlags = ResolveFlags::BENEATH
    .union(ResolveFlags::NO_SYMLINKS)
    .union(ResolveFlags::NO_MAGICLINKS);

/// A folder that is held open. Whoever needs an fsync of it at the same moment shares one.
#[derive(Debug)]
pub(super) struct Folder {
    fd: OwnedFd,
    syncs: SharedSync,
}

impl From<OwnedFd> for Folder {
    fn from(fd: OwnedFd) -> Self {
        let syncs = SharedSync::default();
        Self { fd, syncs }
    }
}

impl From<Stat> for Identity {
    fn from(stat: Stat) -> Self {
        Self {
            device: stat.st_dev,
            number: stat.st_ino,
        }
    }
}

impl Folder {
    /// The root of a disk, by the path in the configuration.
    pub(super) fn root(path: &std::path::Path) -> Result<Self, DiskError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        rustix::fs::open(path, flags, Mode::empty())
            .map(Self::from)
            .map_err(|errno| Step::OpenDisk.failed(errno))
    }

    /// A folder in this one, or in one of its folders. Absent when there is none.
    pub(super) fn folder(&self, path: &str) -> Result<Option<Self>, DiskError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        match rustix::fs::openat2(&self.fd, path, flags, Mode::empty(), BENEATH) {
            Ok(fd) => Ok(Some(Self::from(fd))),
            Err(Errno::NOENT) => Ok(None),
            Err(Errno::NOTDIR) => Err(DiskError::Occupied),
            Err(errno) => Err(Step::Resolve.failed(errno)),
        }
    }

    /// A folder in this one, made and durable when there was none.
    pub(super) fn folder_or_new(&self, name: &str, mode: Mode) -> Result<Self, DiskError> {
        if let Some(folder) = self.folder(name)? {
            return Ok(folder);
        }
        match rustix::fs::mkdirat(&self.fd, name, mode) {
            // Somebody else made it at the same moment.
            Ok(()) | Err(Errno::EXIST) => {}
            Err(errno) => return Err(Step::MakeFolder.failed(errno)),
        }
        self.sync()?;
        self.folder(name)?.ok_or(DiskError::Missing)
    }

    /// The folder in which a visible file stands. Absent when there is none.
    pub(super) fn parent_of(&self, path: &DiskPath) -> Result<Option<Self>, DiskError> {
        match path.folder() {
            Some(folders) => self.folder(folders.as_str()),
            None => self.again().map(Some),
        }
    }

    /// The same, made where it is missing.
    pub(super) fn parent_or_new(&self, path: &DiskPath, looks: &Looks) -> Result<Self, DiskError> {
        if let Some(folder) = self.parent_of(path)? {
            return Ok(folder);
        }
        let mut folder = self.again()?;
        for part in path.folders() {
            folder = match folder.folder(part)? {
                Some(inner) => inner,
                None => folder.visible_folder(part, looks)?,
            };
        }
        Ok(folder)
    }

    /// A new folder that others see. What of its mode the umask took away, it gets now.
    fn visible_folder(&self, name: &str, looks: &Looks) -> Result<Self, DiskError> {
        let folder = self.folder_or_new(name, Mode::from_raw_mode(looks.folder_mode))?;
        looks.give_folder(&folder.fd)?;
        folder.sync()?;
        Ok(folder)
    }

    /// Opens a file that is there.
    pub(super) fn open(&self, name: &str, flags: OFlags, step: Step) -> Result<File, DiskError> {
        let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        rustix::fs::openat2(&self.fd, name, flags, Mode::empty(), BENEATH)
            .map(File::from)
            .map_err(|errno| step.failed(errno))
    }

    /// Makes a file that is not there. Absent when it is.
    pub(super) fn create_new(&self, name: &str, mode: Mode) -> Result<Option<File>, DiskError> {
        let flags =
            OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match rustix::fs::openat2(&self.fd, name, flags, mode, BENEATH) {
            Ok(fd) => Ok(Some(fd.into())),
            Err(Errno::EXIST) => Ok(None),
            Err(errno) => Err(Step::OpenStage.failed(errno)),
        }
    }

    /// Which file a name leads to; a link leads to itself. Absent when there is none.
    pub(super) fn inode(&self, name: &str) -> Result<Option<Identity>, DiskError> {
        match rustix::fs::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(stat.into())),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(Step::Resolve.failed(errno)),
        }
    }

    /// What is known of a file. Absent when there is none.
    pub(super) fn facts(&self, name: &str) -> Result<Option<Facts>, DiskError> {
        match rustix::fs::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => facts(&stat).map(Some),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(Step::Resolve.failed(errno)),
        }
    }

    /// Gives the file `name` of `from` a name in this folder, unless the name is taken. NFS may say that it
    /// failed after it succeeded: what counts is which file stands there then.
    pub(super) fn link_new(&self, from: &Self, name: &str, as_name: &str) -> Result<(), DiskError> {
        match rustix::fs::linkat(&from.fd, name, &self.fd, as_name, AtFlags::empty()) {
            Ok(()) => Ok(()),
            Err(Errno::EXIST) => Err(DiskError::Occupied),
            Err(errno) => {
                let wanted = from.inode(name)?;
                if wanted.is_some() && self.inode(as_name)? == wanted {
                    return Ok(());
                }
                Err(Step::Link.failed(errno))
            }
        }
    }

    /// The same, or it has that name already, by an earlier attempt.
    pub(super) fn link(&self, from: &Self, name: &str, as_name: &str) -> Result<(), DiskError> {
        match self.link_new(from, name, as_name) {
            Err(DiskError::Occupied) if self.inode(as_name)? == from.inode(name)? => Ok(()),
            linked => linked,
        }
    }

    /// Renames a file of `from` over whatever file stands in this folder under `as_name`.
    pub(super) fn rename_over(
        &self,
        from: &Self,
        name: &str,
        as_name: &str,
    ) -> Result<(), DiskError> {
        let wanted = from.inode(name)?;
        match rustix::fs::renameat(&from.fd, name, &self.fd, as_name) {
            Ok(()) => Ok(()),
            Err(_) if wanted.is_some() && self.inode(as_name)? == wanted => Ok(()),
            Err(errno) => Err(Step::Link.failed(errno)),
        }
    }

    /// Takes a name away. Says whether it was there.
    pub(super) fn unlink(&self, name: &str) -> Result<bool, DiskError> {
        match rustix::fs::unlinkat(&self.fd, name, AtFlags::empty()) {
            Ok(()) => Ok(true),
            Err(Errno::NOENT) => Ok(false),
            Err(errno) => Err(Step::Unlink.failed(errno)),
        }
    }

    /// Makes the names in this folder durable.
    pub(super) fn sync(&self) -> Result<(), DiskError> {
        self.sync_since(self.moment())
    }

    /// Now, for whoever does something else before it needs the names to be durable.
    pub(super) fn moment(&self) -> Moment {
        self.syncs.moment()
    }

    /// Makes durable what happened to the names before a moment.
    pub(super) fn sync_since(&self, moment: Moment) -> Result<(), DiskError> {
        self.syncs.cover(moment, || {
            rustix::fs::fsync(&self.fd).map_err(|errno| Step::Fsync.failed(errno))
        })
    }

    /// All names in this folder.
    pub(super) fn names(&self) -> Result<Vec<String>, DiskError> {
        let failed = |errno| Step::Read.failed(errno);
        let entries = rustix::fs::Dir::read_from(&self.fd).map_err(failed)?;
        let mut names = Vec::new();
        for entry in entries {
            // What is no UTF-8 is not ours.
            if let Ok(name) = entry.map_err(failed)?.file_name().to_str() {
                names.push(name.to_owned());
            }
        }
        Ok(names)
    }

    /// What is in this folder, sorted by name.
    pub(super) fn entries(&self) -> Result<Vec<Entry>, DiskError> {
        let failed = |errno| Step::Read.failed(errno);
        let mut entries = Vec::new();
        for entry in rustix::fs::Dir::read_from(&self.fd).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = OsStr::from_bytes(entry.file_name().to_bytes()).to_owned();
            if name == "." || name == ".." {
                continue;
            }
            let stat = match rustix::fs::statat(&self.fd, &name, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(stat) => stat,
                // It has just gone.
                Err(Errno::NOENT) => continue,
                Err(errno) => return Err(Step::Read.failed(errno)),
            };
            let kind = match FileType::from_raw_mode(stat.st_mode) {
                FileType::Directory => EntryKind::Folder,
                FileType::RegularFile => EntryKind::File(facts(&stat)?),
                _ => EntryKind::Other,
            };
            entries.push(Entry { name, kind });
        }
        entries.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(entries)
    }

    /// The file system it lies on.
    pub(super) fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.fd.as_fd()
    }

    fn again(&self) -> Result<Self, DiskError> {
        let fd = self.fd.try_clone();
        fd.map(Self::from)
            .map_err(|error| Step::Resolve.io_failed(&error))
    }
}

/// What is known of a file.
fn facts(stat: &Stat) -> Result<Facts, DiskError> {
    Ok(Facts {
        length: stat.st_size.unsigned_abs(),
        names: stat.st_nlink,
        changed: moment(stat.st_ctime, stat.st_ctime_nsec)?,
        modified: moment(stat.st_mtime, stat.st_mtime_nsec)?,
        identity: (*stat).into(),
    })
}

fn moment(seconds: i64, nanoseconds: u64) -> Result<Timestamp, DiskError> {
    let ms = i64::try_from(nanoseconds / 1_000_000).unwrap_or(0);
    let ms = seconds.saturating_mul(1000).saturating_add(ms);
    Timestamp::from_ms(ms).map_err(|_| Step::Resolve.failed(Errno::OVERFLOW))
}
