use std::ffi::OsString;
use std::fmt::Debug;
use std::io::{Read, Seek};

use portcullis_types::{DiskPath, Offset, Sha256Digest, Timestamp, UploadId};

use crate::{Checkpoint, DiskError, OpenStage, SealedStage};

/// The contract of every disk.
///
/// An upload arrives in a **stage**, becomes an immutable **version** when it is complete, and is **shown**
/// at its visible path when it may be seen. One upload becomes at most one version, so the upload's id names
/// both. The order of an upload's calls is [`create_stage`](Self::create_stage), writes and checkpoints,
/// [`OpenStage::seal`], [`keep`](Self::keep), then the caller's own commit point, then
/// [`show`](Self::show) and [`discard_stage`](Self::discard_stage). Every call can be repeated after a crash
/// or a lost answer and then succeeds without doing anything twice.
///
/// When a call returns without an error, what it did survives a loss of power, unless it says otherwise. All calls block.
pub trait Disk: Debug + Send + Sync {
    /// Makes an empty stage. One that is there already is emptied: the caller knows that nothing of it was
    /// recorded.
    fn create_stage(&self, id: UploadId) -> Result<OpenStage, DiskError>;

    /// Opens a stage at what was recorded last; bytes behind it are cut off. A stage that is shorter is
    /// [`DiskError::Shortened`].
    fn resume_stage(&self, id: UploadId, at: &Checkpoint) -> Result<OpenStage, DiskError>;

    /// Reads a stage from one position up to another, which was recorded.
    fn read_stage(
        &self,
        id: UploadId,
        from: Offset,
        until: Offset,
    ) -> Result<Box<dyn Read + Send>, DiskError>;

    /// Removes a stage and its bytes, unless they became a version. Succeeds when there is none. After a loss of power it
    /// may be there again: the caller knows then that nobody needs it.
    fn discard_stage(&self, id: UploadId) -> Result<(), DiskError>;

    /// Keeps bytes beside a stage, in place of those that were kept so before, until the stage is discarded. They are not
    /// made durable: what is read of them may be cut off, and whoever reads them must notice.
    fn keep_state(&self, id: UploadId, bytes: &[u8]) -> Result<(), DiskError>;

    /// What was kept so. Absent when nothing was.
    fn state(&self, id: UploadId) -> Result<Option<Vec<u8>>, DiskError>;

    /// Makes a sealed stage the upload's version, durable and not visible.
    fn keep(&self, stage: &SealedStage) -> Result<(), DiskError>;

    /// Makes bytes that are all there the upload's version, durable and not visible, in place of
    /// [`create_stage`](Self::create_stage), [`OpenStage::seal`] and [`keep`](Self::keep). Until
    /// [`settle`](Self::settle) the upload is one of those that are [`unsettled`](Self::unsettled), so that what a crash
    /// left of it can be told from what was committed. A version that was settled is [`DiskError::Occupied`].
    fn keep_whole(&self, id: UploadId, bytes: &[u8]) -> Result<(), DiskError>;

    /// Says that what [`keep_whole`](Self::keep_whole) made was committed, or was removed. After a loss of power it may
    /// have to be said again. Succeeds when there is nothing to say.
    fn settle(&self, id: UploadId) -> Result<(), DiskError>;

    /// What [`keep_whole`](Self::keep_whole) made, or began to make, and nobody settled.
    fn unsettled(&self) -> Result<Vec<UploadId>, DiskError>;

    /// Whether a version could be shown at this path: its folders can be made, and what stands there is one
    /// of `known`, the versions that were ever kept for it. Makes no promise for later.
    fn may_show(&self, path: &DiskPath, known: &[UploadId]) -> Result<(), DiskError>;

    /// Shows a version at its path, in place of any of `known`. What stands there and is none of them is
    /// [`DiskError::Occupied`], and stays. After a loss of power the path may show what it showed before, unless
    /// [`sync_folder`](Self::sync_folder) was called since.
    fn show(&self, version: UploadId, path: &DiskPath, known: &[UploadId])
    -> Result<(), DiskError>;

    /// Makes durable what is shown and hidden in the folder of a path. Succeeds when there is no such folder.
    fn sync_folder(&self, path: &DiskPath) -> Result<(), DiskError>;

    /// Takes whichever of `known` is shown at a path from there. The versions stay. Succeeds when none is
    /// shown. It survives a loss of power as [`show`](Self::show) does.
    fn hide(&self, path: &DiskPath, known: &[UploadId]) -> Result<(), DiskError>;

    /// Opens a version for reading.
    fn open_version(&self, version: UploadId) -> Result<Box<dyn Readable>, DiskError>;

    /// Removes a version that the caller never committed. Succeeds when there is none.
    fn drop_version(&self, version: UploadId) -> Result<(), DiskError>;

    /// What is in a folder, or at the root, sorted by name. The disk's own folders are among them.
    fn entries(&self, folder: Option<&DiskPath>) -> Result<Vec<Entry>, DiskError>;

    /// Makes the file at a path a version, which it may be already, with the looks of all others. As what
    /// [`keep_whole`](Self::keep_whole) makes, it is unsettled.
    fn take_in(&self, id: UploadId, path: &DiskPath) -> Result<(), DiskError>;

    /// What is known of a version without reading it. Absent when there is none.
    fn examine(&self, version: UploadId) -> Result<Option<Facts>, DiskError>;

    /// Which of `known` stands at a path.
    fn shown(&self, path: &DiskPath, known: &[UploadId]) -> Result<Shown, DiskError>;

    /// Makes a version that is gone of the file at a path, if that has its length and digest. Says whether it had.
    fn restore(
        &self,
        version: UploadId,
        path: &DiskPath,
        length: u64,
        sha256: Sha256Digest,
    ) -> Result<bool, DiskError>;

    /// Sets aside what has the name of an upload that nobody knows, version and stage: it stays on the disk, out of the way.
    fn set_aside(&self, id: UploadId) -> Result<(), DiskError>;

    /// All stages there are.
    fn stages(&self) -> Result<Vec<UploadId>, DiskError>;

    /// All versions there are.
    fn versions(&self) -> Result<Vec<UploadId>, DiskError>;

    /// Writes a few bytes, makes them durable, reads them and removes them, as every file will be.
    fn probe(&self) -> Result<(), DiskError>;

    /// How much room there is.
    fn space(&self) -> Result<Space, DiskError>;
}

/// What is known of a version without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Its length in bytes.
    pub length: u64,
    /// How many names it has on the disk, its own and visible ones.
    pub names: u64,
    /// When it last got or lost a name, bytes or a mode.
    pub changed: Timestamp,
    /// When its bytes were last written.
    pub modified: Timestamp,
    /// Which file it is.
    pub identity: Identity,
}

/// Which file a name leads to: two names of one file have the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Identity {
    pub(crate) device: u64,
    pub(crate) number: u64,
}

/// A name in a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The name, which may be none that a path can have.
    pub name: OsString,
    /// What it leads to.
    pub kind: EntryKind,
}

/// What a name leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// A folder.
    Folder,
    /// A file.
    File(Facts),
    /// A link, a device or a socket.
    Other,
}

/// What stands at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// Nothing.
    Nothing,
    /// This version.
    Version(UploadId),
    /// Something else.
    Other,
}

/// Bytes that can be read from anywhere.
pub trait Readable: Read + Seek + Send {}

impl<T: Read + Seek + Send> Readable for T {}

/// Room on a disk, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// All of it.
    pub total_bytes: u64,
    /// What this process may still use.
    pub free_bytes: u64,
}
