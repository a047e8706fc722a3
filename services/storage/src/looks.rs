use std::os::fd::AsFd;

use rustix::fs::{Gid, Mode, Uid};

use crate::{DiskError, Step};

/// How files and folders of a disk look to others: a NAS is read by more than services.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Looks {
    /// The mode of files.
    pub file_mode: u32,
    /// The mode of folders that hold them.
    pub folder_mode: u32,
    /// To which user they belong, where it is not the one of services.
    pub owner: Option<u32>,
    /// To which group they belong, where it is not the one of services.
    pub group: Option<u32>,
}

impl Default for Looks {
    /// Files are for services alone, and their names for everybody who may look at the disk.
    fn default() -> Self {
        Self {
            file_mode: 0o600,
            folder_mode: 0o755,
            owner: None,
            group: None,
        }
    }
}

impl Looks {
    /// Gives a file these looks. They are durable when the file is.
    pub(crate) fn give_file(&self, file: impl AsFd) -> Result<(), DiskError> {
        self.give(file, self.file_mode)
    }

    /// Gives a folder these looks. They are durable when the folder is.
    pub(crate) fn give_folder(&self, folder: impl AsFd) -> Result<(), DiskError> {
        self.give(folder, self.folder_mode)
    }

    /// The owner first: a change of it takes bits of the mode away (chown(2)).
    fn give(&self, what: impl AsFd, mode: u32) -> Result<(), DiskError> {
        let failed = |errno| Step::Looks.failed(errno);
        if self.owner.is_some() || self.group.is_some() {
            let owner = self.owner.map(Uid::from_raw);
            let group = self.group.map(Gid::from_raw);
            rustix::fs::fchown(&what, owner, group).map_err(failed)?;
        }
        rustix::fs::fchmod(&what, Mode::from_raw_mode(mode)).map_err(failed)
    }
}
