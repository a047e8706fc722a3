use portcullis_types::{Attributes, DiskName, DiskPath, Sha256Digest, Timestamp, UploadId};
use rusqlite::{OptionalExtension, named_params, params};

use super::{CatalogError, Rows};
use crate::files::Prefix;

/// A file that was stored: the row is the commit point.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionRow {
    /// The upload that it came from, which names its bytes on the disk.
    pub upload: UploadId,
    /// The disk.
    pub disk: DiskName,
    /// Its path there.
    pub path: DiskPath,
    /// Which version of the path it is, from 1.
    pub version: u64,
    /// Its length in bytes.
    pub size: u64,
    /// The digest of its bytes.
    pub sha256: Sha256Digest,
    /// What the client declared.
    pub media_type: Option<String>,
    /// What the client said about it.
    pub metadata: Attributes,
    /// Whose quota it counts for.
    pub cohort: Option<String>,
    /// Whether it is kept apart.
    pub quarantined: bool,
    /// When it was stored.
    pub stored_at: Timestamp,
    /// When it was deleted, or discarded from quarantine.
    pub deleted_at: Option<Timestamp>,
    /// When its bytes were removed for good.
    pub purged_at: Option<Timestamp>,
    /// When its bytes were last compared with its digest, after they were stored.
    pub verified_at: Option<Timestamp>,
}

impl VersionRow {
    /// The number that the next version of a path gets.
    pub fn next_number(rows: &Rows, disk: &DiskName, path: &DiskPath) -> Result<u64, CatalogError> {
        let next: i64 = rows
            .prepare_cached(
                "SELECT coalesce(max(version), 0) + 1 FROM versions WHERE disk = ?1 AND path = ?2",
            )?
            .query_row([disk.as_str(), path.as_str()], |row| row.get(0))?;
        Ok(next.cast_unsigned())
    }

    /// Adds the row. A quarantined version has no link to make.
    pub fn insert(&self, rows: &Rows) -> Result<(), CatalogError> {
        rows.prepare_cached(
            "INSERT INTO versions (upload, disk, path, version, size, sha256, media_type, metadata,
                                   cohort, quarantined, stored_at, linked)
             VALUES (:upload, :disk, :path, :version, :size, :sha256, :media_type, :metadata,
                     :cohort, :quarantined, :stored_at, :quarantined)",
        )?
        .execute(named_params! {
            ":upload": self.upload.to_string(),
            ":disk": self.disk.as_str(),
            ":path": self.path.as_str(),
            ":version": self.version.cast_signed(),
            ":size": self.size.cast_signed(),
            ":sha256": self.sha256.to_string(),
            ":media_type": self.media_type,
            ":metadata": serde_json::to_string(&self.metadata)?,
            ":cohort": self.cohort,
            ":quarantined": self.quarantined,
            ":stored_at": self.stored_at.as_ms(),
        })?;
        Ok(())
    }

    /// The version that is shown at a path: the newest that is neither deleted nor quarantined.
    pub fn latest(
        rows: &Rows,
        disk: &DiskName,
        path: &DiskPath,
    ) -> Result<Option<Self>, CatalogError> {
        rows.prepare_cached(&format!(
            "{SELECT} WHERE disk = ?1 AND path = ?2 AND deleted_at IS NULL AND quarantined = 0
             ORDER BY version DESC LIMIT 1"
        ))?
        .query_row([disk.as_str(), path.as_str()], |row| Ok(read(row)))
        .optional()?
        .transpose()
    }

    /// A version of a path by its number, deleted or not. Those that are kept apart are not found.
    pub fn numbered(
        rows: &Rows,
        disk: &DiskName,
        path: &DiskPath,
        version: u64,
    ) -> Result<Option<Self>, CatalogError> {
        rows.prepare_cached(&format!(
            "{SELECT} WHERE disk = ?1 AND path = ?2 AND version = ?3 AND quarantined = 0"
        ))?
        .query_row(
            params![disk.as_str(), path.as_str(), version.cast_signed()],
            |row| Ok(read(row)),
        )
        .optional()?
        .transpose()
    }

    /// All versions of a path, newest first, but for those that are kept apart.
    pub fn history(
        rows: &Rows,
        disk: &DiskName,
        path: &DiskPath,
    ) -> Result<Vec<Self>, CatalogError> {
        rows.prepare_cached(&format!(
            "{SELECT} WHERE disk = ?1 AND path = ?2 AND quarantined = 0 ORDER BY version DESC"
        ))?
        .query_map([disk.as_str(), path.as_str()], |row| Ok(read(row)))?
        .collect::<Result<Result<Vec<_>, _>, _>>()?
    }

    /// The paths at and beneath a prefix that have or had files, sorted: those behind `after`, at most `limit`.
    pub fn paths(
        rows: &Rows,
        disk: &DiskName,
        prefix: &Prefix,
        after: Option<&DiskPath>,
        limit: u32,
    ) -> Result<Vec<DiskPath>, CatalogError> {
        let (from, until) = prefix.beneath();
        let after = after.map_or("", DiskPath::as_str);
        let own = prefix.path().map_or("", DiskPath::as_str);
        let mut paths = rows.prepare_cached(
            "SELECT path FROM versions WHERE disk = ?1 AND path = ?2 AND path > ?3 AND quarantined = 0
             UNION SELECT path FROM versions
                WHERE disk = ?1 AND path > ?3 AND path >= ?4 AND (?5 IS NULL OR path < ?5) AND quarantined = 0
             ORDER BY path LIMIT ?6",
        )?;
        let found = paths.query_map(
            params![disk.as_str(), own, after, from, until, limit],
            |row| row.get::<_, String>(0),
        )?;
        found
            .map(|path| path?.parse().map_err(|_| CatalogError::Damaged))
            .collect()
    }

    /// The version that came from an upload.
    pub fn of_upload(rows: &Rows, upload: UploadId) -> Result<Option<Self>, CatalogError> {
        rows.prepare_cached(&format!("{SELECT} WHERE upload = ?1"))?
            .query_row([upload.to_string()], |row| Ok(read(row)))
            .optional()?
            .transpose()
    }

    /// Takes a version out of quarantine: its path may show it now.
    pub fn release(rows: &Rows, upload: UploadId) -> Result<(), CatalogError> {
        rows.prepare_cached(
            "UPDATE versions SET quarantined = 0, linked = 0 WHERE upload = ?1 AND quarantined = 1",
        )?
        .execute([upload.to_string()])?;
        Ok(())
    }

    /// Marks a version in quarantine as discarded: its bytes are no longer needed.
    pub fn discard(rows: &Rows, upload: UploadId, now: Timestamp) -> Result<(), CatalogError> {
        rows.prepare_cached(
            "UPDATE versions SET deleted_at = ?2 WHERE upload = ?1 AND quarantined = 1",
        )?
        .execute(params![upload.to_string(), now.as_ms()])?;
        Ok(())
    }

    /// Every version that a path ever had, newest first.
    pub fn known(
        rows: &Rows,
        disk: &DiskName,
        path: &DiskPath,
    ) -> Result<Vec<UploadId>, CatalogError> {
        rows.prepare_cached(
            "SELECT upload FROM versions WHERE disk = ?1 AND path = ?2 ORDER BY version DESC",
        )?
        .query_map([disk.as_str(), path.as_str()], |row| {
            row.get::<_, String>(0)
        })?
        .map(|id| id?.parse().map_err(|_| CatalogError::Damaged))
        .collect()
    }

    /// The files that are shown beneath a prefix, sorted by path: those that sort behind `after`, at most `limit`.
    pub fn page(
        rows: &Rows,
        disk: &DiskName,
        prefix: &Prefix,
        after: Option<&DiskPath>,
        limit: u32,
    ) -> Result<Vec<Self>, CatalogError> {
        let mut page = Vec::new();
        if let Some(path) = prefix.path()
            && after.is_none_or(|after| after < path)
        {
            page.extend(Self::latest(rows, disk, path)?);
        }
        let left = limit.saturating_sub(u32::try_from(page.len()).unwrap_or(limit));
        let (from, until) = prefix.beneath();
        // Each file is looked for at its newest version, so that one page costs the same wherever it begins.
        let mut beneath = rows.prepare_cached(&format!(
            "{SELECT} AS shown WHERE disk = ?1 AND path > ?2 AND path >= ?3 AND (?4 IS NULL OR path < ?4)
               AND deleted_at IS NULL AND quarantined = 0
               AND NOT EXISTS (SELECT 1 FROM versions AS newer
                               WHERE newer.disk = shown.disk AND newer.path = shown.path
                                 AND newer.version > shown.version
                                 AND newer.deleted_at IS NULL AND newer.quarantined = 0)
             ORDER BY path LIMIT ?5"
        ))?;
        let after = after.map_or("", DiskPath::as_str);
        let from = from.as_str().max(after);
        let found = beneath.query_map(params![disk.as_str(), after, from, until, left], |row| {
            Ok(read(row))
        })?;
        let found = found.collect::<Result<Result<Vec<_>, _>, _>>()?;
        page.extend(found?);
        Ok(page)
    }

    /// Marks every version of a path as deleted. Says how many were shown or could have been.
    pub fn delete(
        rows: &Rows,
        disk: &DiskName,
        path: &DiskPath,
        now: Timestamp,
    ) -> Result<usize, CatalogError> {
        Ok(rows
            .prepare_cached(
                "UPDATE versions SET deleted_at = ?3, linked = 0
                 WHERE disk = ?1 AND path = ?2 AND deleted_at IS NULL AND quarantined = 0",
            )?
            .execute(params![disk.as_str(), path.as_str(), now.as_ms()])?)
    }

    /// Takes back the last deletion of a path. Says how many versions are there again.
    pub fn undelete(rows: &Rows, disk: &DiskName, path: &DiskPath) -> Result<usize, CatalogError> {
        Ok(rows
            .prepare_cached(
                "UPDATE versions SET deleted_at = NULL, linked = 0
                 WHERE disk = ?1 AND path = ?2 AND quarantined = 0 AND purged_at IS NULL
                   AND deleted_at = (SELECT max(deleted_at) FROM versions
                                     WHERE disk = ?1 AND path = ?2 AND quarantined = 0 AND purged_at IS NULL)",
            )?
            .execute([disk.as_str(), path.as_str()])?)
    }

    /// Marks every version of a path as purged, those in quarantine too, and forgets what was said about them. Gives
    /// those whose bytes must go now.
    pub fn purge(
        rows: &Rows,
        disk: &DiskName,
        path: &DiskPath,
        now: Timestamp,
    ) -> Result<Vec<Self>, CatalogError> {
        let purged = rows
            .prepare_cached(&format!(
                "{SELECT} WHERE disk = ?1 AND path = ?2 AND purged_at IS NULL ORDER BY version"
            ))?
            .query_map([disk.as_str(), path.as_str()], |row| Ok(read(row)))?
            .collect::<Result<Result<Vec<_>, _>, _>>()??;
        rows.prepare_cached(
            "UPDATE versions SET purged_at = ?3, deleted_at = coalesce(deleted_at, ?3), metadata = '{}',
                                 linked = 0
             WHERE disk = ?1 AND path = ?2 AND purged_at IS NULL",
        )?
        .execute(params![disk.as_str(), path.as_str(), now.as_ms()])?;
        Ok(purged)
    }

    /// Remembers that the visible link of a path leads to this version, or to none. Where it is to lead elsewhere by
    /// now, nothing is remembered: whoever changed that makes the link.
    pub fn set_linked(
        rows: &Rows,
        disk: &DiskName,
        path: &DiskPath,
        shown: Option<UploadId>,
    ) -> Result<(), CatalogError> {
        rows.prepare_cached(
            "UPDATE versions SET linked = 1
             WHERE disk = ?1 AND path = ?2 AND linked = 0
               AND ?3 IS (SELECT upload FROM versions
                          WHERE disk = ?1 AND path = ?2 AND deleted_at IS NULL AND quarantined = 0
                          ORDER BY version DESC LIMIT 1)",
        )?
        .execute(params![
            disk.as_str(),
            path.as_str(),
            shown.map(|version| version.to_string())
        ])?;
        Ok(())
    }

    /// The paths of a disk whose visible link may not agree with their rows: what a crash left to do.
    pub fn unlinked_paths(rows: &Rows, disk: &DiskName) -> Result<Vec<DiskPath>, CatalogError> {
        rows.prepare("SELECT DISTINCT path FROM versions WHERE disk = ?1 AND linked = 0")?
            .query_map([disk.as_str()], |row| row.get::<_, String>(0))?
            .map(|path| path?.parse().map_err(|_| CatalogError::Damaged))
            .collect()
    }

    /// The versions of a disk whose bytes are needed, in the order in which they were stored: those behind a place, at
    /// most `limit`, each with its place.
    pub fn kept(
        rows: &Rows,
        disk: &DiskName,
        after: i64,
        limit: u32,
    ) -> Result<Vec<(i64, Self)>, CatalogError> {
        let select = SELECT.replace(" FROM ", ", rowid FROM ");
        // `+`: not by the index of disks, for which each page would be sorted out of all rows.
        rows.prepare_cached(&format!(
            "{select} WHERE +disk = ?1 AND rowid > ?2 AND purged_at IS NULL
               AND NOT (quarantined = 1 AND deleted_at IS NOT NULL)
             ORDER BY rowid LIMIT ?3"
        ))?
        .query_map(params![disk.as_str(), after, limit], |row| {
            Ok((row.get(14)?, read(row)))
        })?
        .map(|found| {
            let (place, row) = found?;
            Ok((place, row?))
        })
        .collect()
    }

    /// Remembers that its bytes were what was stored.
    pub fn set_verified(rows: &Rows, upload: UploadId, now: Timestamp) -> Result<(), CatalogError> {
        rows.prepare_cached("UPDATE versions SET verified_at = ?2 WHERE upload = ?1")?
            .execute(params![upload.to_string(), now.as_ms()])?;
        Ok(())
    }

    /// Marks a version whose bytes are gone: nobody is shown it any more, and they count for no quota.
    pub fn lose(rows: &Rows, upload: UploadId, now: Timestamp) -> Result<(), CatalogError> {
        rows.prepare_cached(
            "UPDATE versions SET purged_at = ?2, deleted_at = coalesce(deleted_at, ?2), linked = 0
             WHERE upload = ?1 AND purged_at IS NULL",
        )?
        .execute(params![upload.to_string(), now.as_ms()])?;
        Ok(())
    }

    /// Whether the bytes of a version are needed: it was committed, and neither purged nor discarded from quarantine.
    pub fn is_kept(rows: &Rows, upload: UploadId) -> Result<bool, CatalogError> {
        Ok(rows
            .prepare_cached(
                "SELECT 1 FROM versions
                 WHERE upload = ?1 AND purged_at IS NULL
                   AND NOT (quarantined = 1 AND deleted_at IS NOT NULL)",
            )?
            .exists([upload.to_string()])?)
    }
}

const SELECT: &str = "SELECT upload, disk, path, version, size, sha256, media_type, metadata, cohort, quarantined, stored_at, deleted_at, purged_at, verified_at FROM versions";

fn moment(ms: Option<i64>) -> Result<Option<Timestamp>, CatalogError> {
    let moment = ms.map(|ms| Timestamp::from_ms(ms).map_err(|_| CatalogError::Damaged));
    moment.transpose()
}

fn read(row: &rusqlite::Row<'_>) -> Result<VersionRow, CatalogError> {
    let text = |column: usize| row.get::<_, String>(column);
    let damaged = |()| CatalogError::Damaged;
    Ok(VersionRow {
        upload: text(0)?.parse().map_err(|_| damaged(()))?,
        disk: text(1)?.parse().map_err(|_| damaged(()))?,
        path: text(2)?.parse().map_err(|_| damaged(()))?,
        version: row.get::<_, i64>(3)?.cast_unsigned(),
        size: row.get::<_, i64>(4)?.cast_unsigned(),
        sha256: text(5)?.parse().map_err(|_| damaged(()))?,
        media_type: row.get(6)?,
        metadata: serde_json::from_str(&text(7)?)?,
        cohort: row.get(8)?,
        quarantined: row.get(9)?,
        stored_at: Timestamp::from_ms(row.get(10)?).map_err(|_| damaged(()))?,
        deleted_at: moment(row.get(11)?)?,
        purged_at: moment(row.get(12)?)?,
        verified_at: moment(row.get(13)?)?,
    })
}
