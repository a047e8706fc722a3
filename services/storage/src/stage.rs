use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};

use portcullis_types::{Offset, Sha256Digest, Sha256Hasher, UploadId};

use crate::{CrashPoint, DiskError, Looks, Step, crash_point};

/// How far a stage is durable, and the hash of what lies before: what the caller records after each
/// [`OpenStage::checkpoint`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checkpoint {
    /// Up to here the bytes are on stable storage.
    pub offset: Offset,
    /// The hasher's state there, tagged with its format. Holds data; protect it like the data.
    pub hash_state: Vec<u8>,
}

/// A stage that takes bytes.
///
/// An error while writing or making durable poisons it: the kernel marks pages as clean even when they
/// could not be written, so that asking the same descriptor again would be told a lie.
#[derive(Debug)]
pub struct OpenStage {
    id: UploadId,
    file: File,
    hasher: Sha256Hasher,
    offset: Offset,
    looks: Looks,
    poisoned: bool,
}

/// A stage that is complete: its length and digest are those that were expected, and it is durable.
#[derive(Debug)]
pub struct SealedStage {
    id: UploadId,
    file: File,
}

impl OpenStage {
    /// An empty stage in an empty file.
    pub(crate) fn empty(id: UploadId, file: File, looks: Looks) -> Self {
        Self {
            id,
            file,
            hasher: Sha256Hasher::default(),
            offset: Offset::ZERO,
            looks,
            poisoned: false,
        }
    }

    /// A stage as it was recorded: what is behind is cut off, and the hash goes on.
    pub(crate) fn resumed(
        id: UploadId,
        mut file: File,
        at: &Checkpoint,
        looks: Looks,
    ) -> Result<Self, DiskError> {
        let open = |error: std::io::Error| Step::OpenStage.io_failed(&error);
        let read = |error: std::io::Error| Step::Read.io_failed(&error);
        let found = file.metadata().map_err(open)?.len();
        if found < at.offset.bytes() {
            return Err(DiskError::Shortened {
                recorded: at.offset,
                found: Offset::new(found),
            });
        }
        if found > at.offset.bytes() {
            file.set_len(at.offset.bytes()).map_err(open)?;
        }
        let hasher = if let Some(hasher) = Sha256Hasher::from_state(&at.hash_state) {
            hasher
        } else {
            file.seek(SeekFrom::Start(0)).map_err(read)?;
            hash_of((&mut file).take(at.offset.bytes())).map_err(read)?
        };
        file.seek(SeekFrom::Start(at.offset.bytes()))
            .map_err(open)?;
        Ok(Self {
            id,
            file,
            hasher,
            offset: at.offset,
            looks,
            poisoned: false,
        })
    }

    /// The upload.
    pub fn id(&self) -> UploadId {
        self.id
    }

    /// Where the next byte goes.
    pub fn offset(&self) -> Offset {
        self.offset
    }

    /// Takes the next bytes. They are durable after the next checkpoint.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), DiskError> {
        self.check()?;
        let end = self.offset.advance(bytes.len());
        let end = end.ok_or(DiskError::Full(Step::Write))?;
        if let Err(error) = self.file.write_all(bytes) {
            return Err(self.poison(Step::Write.io_failed(&error)));
        }
        self.hasher.update(bytes);
        self.offset = end;
        crash_point(CrashPoint::StageWritten);
        Ok(())
    }

    /// Makes durable what was taken so far.
    ///
    /// Every descriptor that was written to goes through here or [`seal`](Self::seal) before it is closed,
    /// so that closing it has nothing left to report (`ENOSPC` and `EDQUOT` come as late as here on NFS).
    pub fn checkpoint(&mut self) -> Result<Checkpoint, DiskError> {
        self.check()?;
        if let Err(error) = self.file.sync_data() {
            return Err(self.poison(Step::Fsync.io_failed(&error)));
        }
        crash_point(CrashPoint::StageDurable);
        Ok(Checkpoint {
            offset: self.offset,
            hash_state: self.hasher.state(),
        })
    }

    /// Ends the stage, if it is what was expected, and makes it durable. On an error the stage on the disk
    /// stays as it was recorded.
    pub fn seal(self, length: Offset, sha256: Sha256Digest) -> Result<SealedStage, DiskError> {
        self.check()?;
        if self.offset != length || self.hasher.digest() != sha256 {
            return Err(DiskError::Mismatch);
        }
        self.looks.give_file(&self.file)?;
        self.file
            .sync_all()
            .map_err(|error| Step::Fsync.io_failed(&error))?;
        crash_point(CrashPoint::StageSealed);
        Ok(SealedStage {
            id: self.id,
            file: self.file,
        })
    }

    fn check(&self) -> Result<(), DiskError> {
        if self.poisoned {
            Err(DiskError::Poisoned)
        } else {
            Ok(())
        }
    }

    fn poison(&mut self, error: DiskError) -> DiskError {
        self.poisoned = true;
        error
    }
}

impl SealedStage {
    /// The upload.
    pub fn id(&self) -> UploadId {
        self.id
    }

    pub(crate) fn file(&self) -> &File {
        &self.file
    }
}

/// The hash of all that can be read from here.
pub fn hash_of(mut bytes: impl Read) -> std::io::Result<Sha256Hasher> {
    let mut hasher = Sha256Hasher::default();
    let mut block = vec![0; 256 << 10];
    loop {
        match bytes.read(&mut block)? {
            0 => return Ok(hasher),
            n => hasher.update(&block[..n]),
        }
    }
}
