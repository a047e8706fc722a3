//! Which disks there were, and how much lies on each.

use portcullis_storage::{DiskId, Known};
use portcullis_types::{DiskName, Timestamp, UploadId};
use rusqlite::{OptionalExtension, params};

use super::{CatalogError, Rows};

/// Which disk a name stands for.
#[derive(Debug)]
pub struct DiskRow;

impl DiskRow {
    /// What is known of the disk with a name.
    pub fn known(rows: &Rows, name: &DiskName) -> Result<Known, CatalogError> {
        let row: Option<Option<String>> = rows
            .prepare_cached("SELECT id FROM disks WHERE name = ?1")?
            .query_row([name.as_str()], |row| row.get(0))
            .optional()?;
        match row {
            Some(Some(id)) => {
                return id
                    .parse()
                    .map(Known::As)
                    .map_err(|()| CatalogError::Damaged);
            }
            // Somebody has decided that another disk takes its place.
            Some(None) => return Ok(Known::Nothing),
            None => {}
        }
        let used = rows
            .prepare_cached("SELECT 1 FROM versions WHERE disk = ?1 LIMIT 1")?
            .exists([name.as_str()])?;
        Ok(if used { Known::Used } else { Known::Nothing })
    }

    /// Remembers which disk a name stands for from now on.
    pub fn set(
        rows: &Rows,
        name: &DiskName,
        id: DiskId,
        now: Timestamp,
    ) -> Result<(), CatalogError> {
        rows.prepare_cached(
            "INSERT INTO disks (name, id, since) VALUES (?1, ?2, ?3)
             ON CONFLICT (name) DO UPDATE SET id = excluded.id, since = excluded.since
             WHERE id IS NOT excluded.id",
        )?
        .execute(params![name.as_str(), id.to_string(), now.as_ms()])?;
        Ok(())
    }

    /// Lets whatever is found under a name next take the place of the disk that it stood for.
    pub fn adopt(rows: &Rows, name: &DiskName, now: Timestamp) -> Result<(), CatalogError> {
        rows.prepare_cached(
            "INSERT INTO disks (name, since) VALUES (?1, ?2)
             ON CONFLICT (name) DO UPDATE SET id = NULL, since = excluded.since",
        )?
        .execute(params![name.as_str(), now.as_ms()])?;
        Ok(())
    }
}

/// How many bytes lie on a disk.
#[derive(Debug)]
pub struct Usage;

impl Usage {
    /// Of versions, all of them or those of a cohort.
    pub fn of_versions(
        rows: &Rows,
        disk: &DiskName,
        cohort: Option<&str>,
    ) -> Result<u64, CatalogError> {
        let bytes: i64 = rows
            .prepare_cached(
                "SELECT coalesce(sum(bytes), 0) FROM usage
                 WHERE disk = ?1 AND (?2 IS NULL OR cohort = ?2)",
            )?
            .query_row(params![disk.as_str(), cohort], |row| row.get(0))?;
        Ok(u64::try_from(bytes).unwrap_or_default())
    }

    /// Of uploads that are under way, by what they announced or what has come, but for one of them. `attribute` and
    /// its value tell those of a cohort.
    pub fn of_uploads(
        rows: &Rows,
        disk: &DiskName,
        cohort: Option<(&str, &str)>,
        except: UploadId,
    ) -> Result<u64, CatalogError> {
        let (attribute, value) = cohort.unzip();
        let bytes: i64 = rows
            .prepare_cached(
                "SELECT coalesce(sum(max(offset, coalesce(json_extract(created, '$.length'), 0))), 0)
                 FROM uploads WHERE disk = ?1 AND state IN ('open', 'held') AND id != ?2
                   AND (?3 IS NULL OR json_extract(created, '$.attributes.\"' || ?3 || '\"') = ?4)",
            )?
            .query_row(
                params![disk.as_str(), except.to_string(), attribute, value],
                |row| row.get(0),
            )?;
        Ok(u64::try_from(bytes).unwrap_or_default())
    }
}
