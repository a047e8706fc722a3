use std::io;

use portcullis_types::Offset;
use rustix::io::Errno;

/// Why a disk did not do what it was asked, by what the caller can do about it. No message holds a path.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DiskError {
    /// There is no room, or a quota is used up. What was written before stays as it was.
    #[error("the disk has no room for this ({0}); make room, or raise the quota, and try again")]
    Full(Step),
    /// What stands at the path was not stored by this disk, or is no file, or a part of the path is no
    /// folder.
    #[error(
        "something that Portcullis did not store stands at this path or in its way; choose another path, or have it removed"
    )]
    Occupied,
    /// A part of the path is a symbolic link.
    #[error(
        "a part of the path is a symbolic link, which is never followed; choose another path, or have it removed"
    )]
    Symlink,
    /// There is no such stage or version.
    #[error("there is no such stage or version on the disk")]
    Missing,
    /// A stage is shorter than was recorded: bytes that were durable are gone.
    #[error(
        "the stage ends at byte {found} and was recorded up to byte {recorded}; the disk lost bytes, and the upload must start again"
    )]
    Shortened {
        /// What was recorded.
        recorded: Offset,
        /// Where the stage ends.
        found: Offset,
    },
    /// It is configured as read-only.
    #[error(
        "the disk is read-only; store the file on another one, or change `read-only` in services.toml"
    )]
    ReadOnly,
    /// Nothing says that it is the disk on which files were stored.
    #[error(
        "the disk was used before, and its file `.portcullis/disk` is not there: it is not mounted or was emptied; mount it, or let another one take its place with `portcullis-services disk adopt`"
    )]
    NotMounted,
    /// It is another disk than the one on which files were stored.
    #[error(
        "its file `.portcullis/disk` is that of another disk; mount the right one, or let this one take its place with `portcullis-services disk adopt`"
    )]
    AnotherDisk,
    /// Length or digest are not those that were expected.
    #[error("the bytes on the disk are not those that were sent; send the file again")]
    Mismatch,
    /// The stage failed before and takes nothing more.
    #[error("the stage failed to become durable before and cannot be used; start the upload again")]
    Poisoned,
    /// The operating system failed.
    #[error("the disk failed ({step}: {kind}); look at the disk and its log on the services host")]
    Failed {
        /// What was being done.
        step: Step,
        /// How it failed.
        kind: io::ErrorKind,
    },
}

/// What a disk was doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Opening the disk's root or its own folders.
    OpenDisk,
    /// Making or opening a stage.
    OpenStage,
    /// Writing to a stage.
    Write,
    /// Reading.
    Read,
    /// Making bytes or names durable.
    Fsync,
    /// Making a folder.
    MakeFolder,
    /// Looking up a name.
    Resolve,
    /// Giving a file another name.
    Link,
    /// Taking a name away.
    Unlink,
    /// Setting mode, owner or group.
    Looks,
}

impl Step {
    /// In words.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OpenDisk => "opening the disk",
            Self::OpenStage => "opening a stage",
            Self::Write => "writing",
            Self::Read => "reading",
            Self::Fsync => "making it durable",
            Self::MakeFolder => "making a folder",
            Self::Resolve => "looking up a name",
            Self::Link => "giving a file its name",
            Self::Unlink => "removing a name",
            Self::Looks => "setting mode, owner or group",
        }
    }
}

impl std::fmt::Display for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Step {
    /// The error that a system call in this step gave.
    pub(crate) fn failed(self, errno: Errno) -> DiskError {
        match errno {
            Errno::NOSPC | Errno::DQUOT => DiskError::Full(self),
            Errno::NOENT => DiskError::Missing,
            Errno::LOOP => DiskError::Symlink,
            other => DiskError::Failed {
                step: self,
                kind: io::Error::from(other).kind(),
            },
        }
    }

    /// The same for an error of the standard library.
    pub(crate) fn io_failed(self, error: &io::Error) -> DiskError {
        match Errno::from_io_error(error) {
            Some(errno) => self.failed(errno),
            None => DiskError::Failed {
                step: self,
                kind: error.kind(),
            },
        }
    }
}
