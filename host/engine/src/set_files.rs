//! The files of a policy set, wherever they lie, and what was read of them: a revision is made of exactly that.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use bytes::Bytes;
use portcullis_types::{PolicyManifest, Sha256Digest};

/// The files of a policy set, read as they are needed and each only once.
#[derive(Clone, Debug)]
pub struct SetFiles {
    origin: Origin,
    read: BTreeMap<String, Bytes>,
    watchlist: Watchlist,
}

/// What files and folders looked like when a set was read, shared with whoever made the [`SetFiles`]: even when the
/// set turned out to be wrong, it says when it is worth another look.
#[derive(Clone, Debug, Default)]
pub struct Watchlist(Arc<Mutex<BTreeMap<PathBuf, Option<Stamp>>>>);

#[derive(Clone, Debug)]
enum Origin {
    /// Beside this file, which is the set itself.
    Beside(PathBuf),
    /// In memory, by name.
    Held(BTreeMap<String, Bytes>),
}

/// What a file or folder looked like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    device: u64,
    inode: u64,
    bytes: u64,
    modified: Option<SystemTime>,
}

/// Why a file of a set cannot be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FileError {
    /// It has so many bytes, which are too many.
    #[error("it has {0} bytes")]
    TooLarge(u64),
    /// It cannot be read.
    #[error(transparent)]
    Unreadable(#[from] io::Error),
}

/// The name of something in a folder of a set; "" is the folder of the set itself.
pub(crate) fn join(folder: &str, name: &str) -> String {
    match (folder, name) {
        ("", name) => name.to_owned(),
        (folder, "") => folder.to_owned(),
        (folder, name) => format!("{folder}/{name}"),
    }
}

fn fits(bytes: u64, most_bytes: u64) -> Result<(), FileError> {
    if bytes > most_bytes {
        return Err(FileError::TooLarge(bytes));
    }
    Ok(())
}

impl SetFiles {
    /// The set in this file, with its components and resources beside it.
    pub fn beside(set: &Path) -> Self {
        Self::new(Origin::Beside(set.to_owned()))
    }

    /// Files in memory by their names, of which [`PolicyManifest::SET`] is the set itself.
    pub fn held(files: BTreeMap<String, Bytes>) -> Self {
        Self::new(Origin::Held(files))
    }

    fn new(origin: Origin) -> Self {
        Self {
            origin,
            read: BTreeMap::new(),
            watchlist: Watchlist::default(),
        }
    }

    /// What is read from now on.
    pub fn watchlist(&self) -> Watchlist {
        self.watchlist.clone()
    }

    /// The same set, to be read anew.
    pub(crate) fn again(&self) -> Self {
        self.watchlist.lock().clear();
        Self {
            origin: self.origin.clone(),
            read: BTreeMap::new(),
            watchlist: self.watchlist.clone(),
        }
    }

    /// What errors call the set.
    pub(crate) fn set_path(&self) -> PathBuf {
        match &self.origin {
            Origin::Beside(set) => set.clone(),
            Origin::Held(_) => PathBuf::from(PolicyManifest::SET),
        }
    }

    /// The set itself, of at most so many bytes.
    pub(crate) fn set(&mut self, most_bytes: u64) -> Result<Bytes, FileError> {
        match &self.origin {
            Origin::Beside(set) => {
                let set = set.clone();
                self.read_file(PolicyManifest::SET, &set, most_bytes)
            }
            Origin::Held(_) => self.get(PolicyManifest::SET, most_bytes),
        }
    }

    /// A file by its name, of at most so many bytes.
    pub(crate) fn get(&mut self, name: &str, most_bytes: u64) -> Result<Bytes, FileError> {
        if let Some(known) = self.read.get(name) {
            return Ok(known.clone());
        }
        match &self.origin {
            Origin::Beside(set) => {
                let path = folder_of(set).join(name);
                self.read_file(name, &path, most_bytes)
            }
            Origin::Held(files) => {
                let bytes = files.get(name).cloned();
                let bytes = bytes.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
                fits(bytes.len() as u64, most_bytes)?;
                self.read.insert(name.to_owned(), bytes.clone());
                Ok(bytes)
            }
        }
    }

    /// The names directly within a folder of the set, sorted, and whether each is a folder itself. None when there
    /// is no such folder; the folder of the set has the name "".
    pub(crate) fn entries(&self, folder: &str) -> io::Result<Vec<(String, bool)>> {
        match &self.origin {
            Origin::Beside(set) => {
                let folder = folder_of(set).join(folder);
                self.watchlist.note(&folder);
                entries_on_disk(&folder)
            }
            Origin::Held(files) => Ok(entries_held(files, folder)),
        }
    }

    /// What was read so far, by name.
    pub fn into_read(self) -> BTreeMap<String, Bytes> {
        self.read
    }

    /// The digests of what was read so far, by name, but for what is known already.
    pub(crate) fn digests_without(
        &self,
        known: &BTreeMap<String, Sha256Digest>,
    ) -> BTreeMap<String, Sha256Digest> {
        let read = self.read.iter();
        read.filter(|(name, _)| !known.contains_key(*name))
            .map(|(name, bytes)| (name.clone(), Sha256Digest::of(bytes)))
            .collect()
    }

    /// Whether every file that was read still is what it was then. Somebody who is just writing a set would
    /// otherwise have half of it put in force.
    pub(crate) fn are_unchanged(&self) -> bool {
        !self.watchlist.has_changed()
    }

    fn read_file(&mut self, name: &str, path: &Path, most_bytes: u64) -> Result<Bytes, FileError> {
        // Noted before it is read: what changes meanwhile is noticed.
        self.watchlist.note(path);
        let about = std::fs::metadata(path)?;
        fits(about.len(), most_bytes)?;
        let bytes = Bytes::from(std::fs::read(path)?);
        self.read.insert(name.to_owned(), bytes.clone());
        Ok(bytes)
    }
}

impl Watchlist {
    /// Whether any of them looks otherwise now, is gone, or has come. Blocks.
    pub fn has_changed(&self) -> bool {
        let stamps = self.lock().clone();
        let mut stamps = stamps.iter();
        stamps.any(|(path, stamp)| Stamp::of(path) != *stamp)
    }

    /// Looks at all of them, for a comparison with a later moment. Blocks.
    pub fn look(&self) -> Vec<Option<Stamp>> {
        let paths: Vec<PathBuf> = self.lock().keys().cloned().collect();
        paths.iter().map(|path| Stamp::of(path)).collect()
    }

    fn note(&self, path: &Path) {
        self.lock().insert(path.to_owned(), Stamp::of(path));
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<PathBuf, Option<Stamp>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Stamp {
    /// Absent when there is nothing.
    fn of(path: &Path) -> Option<Self> {
        let about = std::fs::metadata(path).ok()?;
        Some(Self {
            device: about.dev(),
            inode: about.ino(),
            bytes: about.len(),
            modified: about.modified().ok(),
        })
    }
}

fn folder_of(set: &Path) -> &Path {
    set.parent().unwrap_or(Path::new("."))
}

fn entries_on_disk(folder: &Path) -> io::Result<Vec<(String, bool)>> {
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let mut entries = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        // A name that is no UTF-8 cannot be asked for.
        if let Ok(name) = entry.file_name().into_string() {
            entries.push((name, entry.path().is_dir()));
        }
    }
    entries.sort();
    Ok(entries)
}

fn entries_held(files: &BTreeMap<String, Bytes>, folder: &str) -> Vec<(String, bool)> {
    let within = |name: &'_ String| -> Option<(String, bool)> {
        let rest = match folder {
            "" => name.as_str(),
            folder => name.strip_prefix(folder)?.strip_prefix('/')?,
        };
        match rest.split_once('/') {
            Some((subfolder, _)) => Some((subfolder.to_owned(), true)),
            None => Some((rest.to_owned(), false)),
        }
    };
    let mut entries: Vec<_> = files.keys().filter_map(within).collect();
    entries.sort();
    entries.dedup();
    entries
}
