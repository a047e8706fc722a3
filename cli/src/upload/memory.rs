//! What was begun and has not ended: one small file for each, so that another run goes on with it.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use portcullis_types::Sha256Digest;

/// The folder in which it is remembered.
pub(crate) struct Memory(PathBuf);

/// What stands for one upload of one file to one site.
#[derive(Clone, Debug)]
pub(crate) struct Key(String);

impl Key {
    /// Of everything that makes it the same upload.
    pub(crate) fn of(parts: &[&str]) -> Self {
        Self(Sha256Digest::of(parts.join("\0").as_bytes()).to_string())
    }
}

impl Memory {
    pub(crate) fn open(folder: Option<PathBuf>) -> Result<Self> {
        let folder = match folder {
            Some(folder) => folder,
            None => usual().context("there is no home folder; name a folder with --state")?,
        };
        fs::create_dir_all(&folder)
            .with_context(|| format!("the folder {} cannot be made", folder.display()))?;
        Ok(Self(folder))
    }

    /// The address of an upload that was begun.
    pub(crate) fn address(&self, key: &Key) -> Option<String> {
        let address = fs::read_to_string(self.0.join(&key.0)).ok()?;
        Some(address.trim().to_owned()).filter(|address| !address.is_empty())
    }

    /// Remembers it. Without that the next run begins anew, and this one goes on.
    pub(crate) fn remember(&self, key: &Key, address: &str) {
        if let Err(error) = fs::write(self.0.join(&key.0), address) {
            eprintln!(
                "portcullis: it cannot be remembered what was begun ({error}); another run would begin anew"
            );
        }
    }

    /// Forgets it.
    pub(crate) fn forget(&self, key: &Key) {
        // What is left costs one question in the next run.
        let _ = fs::remove_file(self.0.join(&key.0));
    }
}

fn usual() -> Option<PathBuf> {
    let state = std::env::var_os("XDG_STATE_HOME").map(PathBuf::from);
    let state = state.filter(|state| state.is_absolute());
    let home = || Some(PathBuf::from(std::env::var_os("HOME")?).join(".local/state"));
    Some(state.or_else(home)?.join("portcullis/uploads"))
}
