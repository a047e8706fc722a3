//! What a catalog holds, for those who look for a fault: read without a change, whether services run or not.

use std::collections::BTreeMap;
use std::path::Path;

use portcullis_hop::policies::RevisionNumber;
use portcullis_storage::{DiskId, Known};
use portcullis_types::{DiskName, Sha256Digest, Timestamp};
use rusqlite::{Connection, OptionalExtension};

use super::{CatalogError, migrations, open_to_read};

/// What a catalog holds.
#[derive(Clone, Debug)]
pub struct Kept {
    /// Files by disk, all versions counted.
    files: BTreeMap<String, u64>,
    /// Which disk each name stands for.
    disks: BTreeMap<String, DiskId>,
    /// When the newest row of the audit was written.
    pub newest: Option<Timestamp>,
    /// The revision of the policies that is active.
    pub active: Option<(RevisionNumber, Sha256Digest)>,
}

impl Kept {
    /// Reads it. A catalog of an older version is read as well, and stays of that version.
    ///
    /// # Errors
    /// It is not there, is damaged, or was made by a newer program.
    pub fn read(path: &Path) -> Result<Self, CatalogError> {
        let rows = open_to_read(path)?;
        let schema = migrations::check(&rows)?;
        let mut by_disk = rows.prepare("SELECT disk, count(*) FROM versions GROUP BY disk")?;
        let counted = by_disk.query_map([], |row| {
            Ok((row.get(0)?, row.get::<_, i64>(1)?.cast_unsigned()))
        })?;
        let files = counted.collect::<Result<_, _>>()?;
        let newest: Option<i64> =
            rows.query_row("SELECT max(at) FROM audit", [], |row| row.get(0))?;
        let newest = newest.map(|ms| Timestamp::from_ms(ms).map_err(|_| CatalogError::Damaged));
        Ok(Self {
            files,
            disks: if schema >= migrations::WITH_DISKS {
                disks(&rows)?
            } else {
                BTreeMap::new()
            },
            newest: newest.transpose()?,
            active: if schema >= migrations::WITH_POLICIES {
                active(&rows)?
            } else {
                None
            },
        })
    }

    /// What is known of a disk.
    pub fn known(&self, disk: &DiskName) -> Known {
        match self.disks.get(disk.as_str()) {
            Some(id) => Known::As(*id),
            None if self.files_on(disk) > 0 => Known::Used,
            None => Known::Nothing,
        }
    }

    /// How many files lie on a disk.
    pub fn files_on(&self, disk: &DiskName) -> u64 {
        self.files.get(disk.as_str()).copied().unwrap_or_default()
    }
}

fn disks(rows: &Connection) -> Result<BTreeMap<String, DiskId>, CatalogError> {
    let mut known = rows.prepare("SELECT name, id FROM disks WHERE id IS NOT NULL")?;
    let known = known.query_map([], |row| Ok((row.get(0)?, row.get::<_, String>(1)?)))?;
    known
        .map(|row| {
            let (name, id) = row?;
            Ok((name, id.parse().map_err(|()| CatalogError::Damaged)?))
        })
        .collect()
}

fn active(rows: &Connection) -> Result<Option<(RevisionNumber, Sha256Digest)>, CatalogError> {
    let found: Option<(i64, String)> = rows
        .query_row(
            "SELECT number, digest FROM policy_revisions WHERE number =
             (SELECT revision FROM policy_activations ORDER BY sequence DESC LIMIT 1)",
            [],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .optional()?;
    let Some((number, digest)) = found else {
        return Ok(None);
    };
    let digest = digest.parse().map_err(|_| CatalogError::Damaged)?;
    Ok(Some((RevisionNumber(number.cast_unsigned()), digest)))
}
