//! The key that signs the audit. It lies beside the catalog, so that whoever can only write the catalog cannot sign, and
//! is made when it is first needed.

use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use portcullis_types::{PublicKey, SigningKey};

use super::Checkpoint;
use crate::catalog::CatalogError;

/// The key that signs the audit of one catalog.
#[derive(Clone, Debug)]
pub(in crate::catalog) struct AuditKey(SigningKey);

/// Where the key of the audit of a catalog lies.
pub fn key_file(catalog: &Path) -> PathBuf {
    catalog.with_extension("audit-key")
}

impl AuditKey {
    /// The key of a catalog; a new one where it has none.
    pub(in crate::catalog) fn of(catalog: &Path) -> Result<Self, CatalogError> {
        let file = key_file(catalog);
        match read(&file) {
            Err(CatalogError::NoAuditKey(ErrorKind::NotFound)) => {}
            read => return read.map(Self),
        }
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).map_err(|_| CatalogError::NoAuditKey(ErrorKind::Other))?;
        keep(&SigningKey::from_seed(seed), &file)?;
        // Another process may have been first; its key is as good.
        read(&file).map(Self)
    }

    /// The key that its signatures are checked with.
    pub(super) fn public(&self) -> PublicKey {
        self.0.public()
    }

    pub(super) fn sign(&self, head: &Checkpoint) -> [u8; 64] {
        self.0.sign_text(&head.text())
    }
}

/// The key that the signatures of a catalog's audit are checked with, as the file beside it says.
///
/// # Errors
/// There is no key, or it cannot be read.
pub fn public_key(catalog: &Path) -> Result<PublicKey, CatalogError> {
    Ok(read(&key_file(catalog))?.public())
}

fn read(file: &Path) -> Result<SigningKey, CatalogError> {
    let text = std::fs::read_to_string(file);
    let text = text.map_err(|error| CatalogError::NoAuditKey(error.kind()))?;
    text.parse().map_err(|_| CatalogError::BadAuditKey)
}

/// Keeps a new key for its owner alone, unless there is one.
fn keep(key: &SigningKey, file: &Path) -> Result<(), CatalogError> {
    let folder = file
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    let kept = || {
        // Temporary files are made for their owner alone.
        let mut partial = tempfile::NamedTempFile::new_in(folder)?;
        writeln!(partial, "{}", key.expose())?;
        partial.as_file().sync_all()?;
        match partial.persist_noclobber(file) {
            Err(error) if error.error.kind() != ErrorKind::AlreadyExists => Err(error.error),
            _ => std::fs::File::open(folder)?.sync_all(),
        }
    };
    kept().map_err(|error: std::io::Error| CatalogError::NoAuditKey(error.kind()))
}
