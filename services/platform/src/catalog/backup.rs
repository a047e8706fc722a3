//! A copy of a catalog, made beside whoever works with it.

use std::fs::{File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::{CatalogError, make_for_owner, migrations, open_to_read};

/// Why there is no copy.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The catalog cannot be read, or its copy is not whole.
    #[error("the catalog at {path} cannot be copied: {why}", path = path.display())]
    Catalog {
        /// The catalog, or its copy.
        path: PathBuf,
        /// Why.
        why: CatalogError,
    },
    /// Something stands where the copy goes.
    #[error("{} is there already; a backup never writes over anything, name another file", .0.display())]
    Taken(PathBuf),
    /// The copy cannot be made durable.
    #[error("{path} cannot be written: {why}", path = path.display())]
    Unwritable {
        /// The copy.
        path: PathBuf,
        /// Why.
        why: std::io::ErrorKind,
    },
}

/// Copies a catalog as it is at one moment, whether services run or not, and makes the copy durable. Gives its length in
/// bytes. The copy has its name only when it is whole.
///
/// # Errors
/// The catalog cannot be read, the copy not be written, or something stands there.
pub fn back_up(catalog: &Path, copy: &Path) -> Result<u64, BackupError> {
    if copy.exists() {
        return Err(BackupError::Taken(copy.to_owned()));
    }
    let mut partial = copy.as_os_str().to_owned();
    partial.push(".partial");
    let partial = PathBuf::from(partial);
    let written = write(catalog, &partial).and_then(|()| place(&partial, copy));
    if written.is_err() {
        // It may not be there; what is told is why there is no copy.
        let _ = std::fs::remove_file(&partial);
    }
    written
}

fn write(catalog: &Path, partial: &Path) -> Result<(), BackupError> {
    let failed = |path: &Path, why: CatalogError| BackupError::Catalog {
        path: path.to_owned(),
        why,
    };
    let of_catalog = |error: rusqlite::Error| failed(catalog, error.into());
    let rows = open_to_read(catalog).map_err(of_catalog)?;
    migrations::check(&rows).map_err(|why| failed(catalog, why))?;
    make_for_owner(partial);
    // One transaction that reads: others go on writing meanwhile.
    rows.execute("VACUUM INTO ?1", [partial.to_string_lossy()])
        .map_err(of_catalog)?;
    let of_copy = |error: rusqlite::Error| failed(partial, error.into());
    let copied = open_to_read(partial).map_err(of_copy)?;
    let found: String = copied
        .query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
        .map_err(of_copy)?;
    if found == "ok" {
        Ok(())
    } else {
        Err(failed(partial, CatalogError::Damaged))
    }
}

/// Gives the whole copy its name, durable and for its owner alone.
fn place(partial: &Path, copy: &Path) -> Result<u64, BackupError> {
    let placed = || {
        let file = File::open(partial)?;
        file.set_permissions(Permissions::from_mode(0o600))?;
        file.sync_all()?;
        std::fs::hard_link(partial, copy)?;
        std::fs::remove_file(partial)?;
        let folder = copy
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()?;
        Ok(file.metadata()?.len())
    };
    placed().map_err(|error: std::io::Error| BackupError::Unwritable {
        path: copy.to_owned(),
        why: error.kind(),
    })
}
