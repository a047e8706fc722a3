//! A disk of services, seen from outside: what somebody finds there who mounts the NAS.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use portcullis_types::Sha256Hasher;

/// What a disk's own names begin with; nothing else on it is hidden.
const OWN: &str = ".portcullis";
/// What says which disk it is.
const ID: &str = ".portcullis/disk";

/// The folder of one disk.
#[derive(Clone, Debug)]
pub struct Disk {
    root: PathBuf,
}

impl Disk {
    /// The disk with this root.
    pub fn new(root: PathBuf) -> Self {
        Self { root }
    }

    /// Its root.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The paths and lengths of all visible files.
    pub fn files(&self) -> Result<BTreeMap<String, u64>> {
        Ok(self
            .walk()?
            .into_iter()
            .filter(|(path, _)| !path.split('/').any(|part| part.starts_with(OWN)))
            .collect())
    }

    /// The bytes of stages: what lies on the disk without being visible, in files that are not empty.
    pub fn staged(&self) -> Result<BTreeMap<String, u64>> {
        let hidden = |path: &str| {
            let mut parts = path.split('/');
            // Services try for themselves whether the disk takes a file.
            let is_probe = path.contains("/probe-");
            parts.any(|part| part.starts_with(OWN)) && path != ID && !is_probe
        };
        Ok(self
            .walk()?
            .into_iter()
            .filter(|(path, length)| hidden(path) && *length > 0)
            .collect())
    }

    /// How much has come of uploads that are not stored, in bytes.
    pub fn staged_bytes(&self) -> Result<u64> {
        Ok(self.staged()?.values().sum())
    }

    /// The SHA-256 of a visible file, in hexadecimal.
    pub fn digest(&self, path: &str) -> Result<String> {
        let path = self.root.join(path);
        let mut file = fs::File::open(&path).with_context(|| path.display().to_string())?;
        let mut hasher = Sha256Hasher::default();
        let mut buffer = vec![0; 1 << 20];
        loop {
            let read = file.read(&mut buffer)?;
            if read == 0 {
                return Ok(hasher.finish().to_string());
            }
            hasher.update(&buffer[..read]);
        }
    }

    fn walk(&self) -> Result<BTreeMap<String, u64>> {
        let mut found = BTreeMap::new();
        let mut folders = vec![self.root.clone()];
        while let Some(folder) = folders.pop() {
            let entries = match fs::read_dir(&folder) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                entries => entries.with_context(|| folder.display().to_string())?,
            };
            for entry in entries {
                let entry = entry?;
                // Files may vanish while they are looked at, stages above all.
                let Ok(metadata) = fs::symlink_metadata(entry.path()) else {
                    continue;
                };
                if metadata.is_dir() {
                    folders.push(entry.path());
                } else {
                    let path = entry
                        .path()
                        .strip_prefix(&self.root)?
                        .to_string_lossy()
                        .into_owned();
                    found.insert(path, metadata.len());
                }
            }
        }
        Ok(found)
    }
}

/// The SHA-256 of some blocks, in hexadecimal.
pub fn sha256<B: AsRef<[u8]>>(blocks: impl IntoIterator<Item = B>) -> String {
    let mut hasher = Sha256Hasher::default();
    blocks
        .into_iter()
        .for_each(|block| hasher.update(block.as_ref()));
    hasher.finish().to_string()
}
