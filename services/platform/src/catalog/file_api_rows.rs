//! What the file API remembers beside uploads and versions: answers to calls with a key, and chunks.

use portcullis_types::{DiskPath, Sha256Digest, Timestamp, UploadId};
use rusqlite::{OptionalExtension, params};
use serde_json::Value;

use super::{CatalogError, Rows};

/// A call that came with an `Idempotency-Key`, and its answer.
#[derive(Clone, Debug)]
pub struct IdempotentCall {
    /// The digest of what was asked.
    pub call: Sha256Digest,
    /// What was answered.
    pub answer: Value,
}

impl IdempotentCall {
    /// The call that somebody made under a key.
    pub fn find(rows: &Rows, subject: &str, key: &str) -> Result<Option<Self>, CatalogError> {
        let found: Option<(String, String)> = rows
            .prepare_cached(
                "SELECT call, answer FROM idempotent_calls WHERE subject = ?1 AND key = ?2",
            )?
            .query_row([subject, key], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        let Some((call, answer)) = found else {
            return Ok(None);
        };
        Ok(Some(Self {
            call: call.parse().map_err(|_| CatalogError::Damaged)?,
            answer: serde_json::from_str(&answer)?,
        }))
    }

    /// Records it.
    pub fn insert(
        &self,
        rows: &Rows,
        subject: &str,
        key: &str,
        now: Timestamp,
    ) -> Result<(), CatalogError> {
        rows.prepare_cached(
            "INSERT INTO idempotent_calls (subject, key, call, answer, at) VALUES (?1, ?2, ?3, ?4, ?5)",
        )?
        .execute(params![
            subject,
            key,
            self.call.to_string(),
            self.answer.to_string(),
            now.as_ms()
        ])?;
        Ok(())
    }

    /// Forgets what is older.
    pub fn forget_before(rows: &Rows, before: Timestamp) -> Result<(), CatalogError> {
        rows.prepare_cached("DELETE FROM idempotent_calls WHERE at < ?1")?
            .execute([before.as_ms()])?;
        Ok(())
    }
}

/// A chunk that came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkRow {
    /// Which one, from 0.
    pub number: u32,
    /// Its length in bytes.
    pub size: u64,
    /// The digest of its bytes.
    pub sha256: Sha256Digest,
}

impl ChunkRow {
    /// Remembers that an upload comes in chunks, and where it goes.
    pub fn begin(rows: &Rows, upload: UploadId, path: &DiskPath) -> Result<(), CatalogError> {
        rows.prepare_cached("INSERT INTO chunked_uploads (upload, path) VALUES (?1, ?2)")?
            .execute([&upload.to_string(), path.as_str()])?;
        Ok(())
    }

    /// Where an upload in chunks goes. Absent when it does not come in chunks or ended a while ago.
    pub fn path(rows: &Rows, upload: UploadId) -> Result<Option<DiskPath>, CatalogError> {
        let path: Option<String> = rows
            .prepare_cached("SELECT path FROM chunked_uploads WHERE upload = ?1")?
            .query_row([upload.to_string()], |row| row.get(0))
            .optional()?;
        let path = path.map(|path| path.parse().map_err(|_| CatalogError::Damaged));
        path.transpose()
    }

    /// How many have come.
    pub fn count(rows: &Rows, upload: UploadId) -> Result<u32, CatalogError> {
        Ok(rows
            .prepare_cached("SELECT count(*) FROM chunks WHERE upload = ?1")?
            .query_row([upload.to_string()], |row| row.get(0))?)
    }

    /// The chunk with a number.
    pub fn find(rows: &Rows, upload: UploadId, number: u32) -> Result<Option<Self>, CatalogError> {
        let found: Option<(i64, String)> = rows
            .prepare_cached("SELECT size, sha256 FROM chunks WHERE upload = ?1 AND number = ?2")?
            .query_row(params![upload.to_string(), number], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })
            .optional()?;
        let Some((size, sha256)) = found else {
            return Ok(None);
        };
        Ok(Some(Self {
            number,
            size: size.cast_unsigned(),
            sha256: sha256.parse().map_err(|_| CatalogError::Damaged)?,
        }))
    }

    /// Adds it.
    pub fn insert(&self, rows: &Rows, upload: UploadId) -> Result<(), CatalogError> {
        rows.prepare_cached(
            "INSERT INTO chunks (upload, number, size, sha256) VALUES (?1, ?2, ?3, ?4)",
        )?
        .execute(params![
            upload.to_string(),
            self.number,
            self.size.cast_signed(),
            self.sha256.to_string()
        ])?;
        Ok(())
    }

    /// Open uploads in chunks that expire no later than then, at most 1000.
    pub fn uploads_expiring(rows: &Rows, until: Timestamp) -> Result<Vec<UploadId>, CatalogError> {
        rows.prepare_cached(
            "SELECT upload FROM chunked_uploads JOIN uploads ON id = upload
             WHERE state = 'open' AND state IN ('open', 'held') AND expires_at <= ?1 ORDER BY expires_at LIMIT 1000",
        )?
        .query_map([until.as_ms()], |row| row.get::<_, String>(0))?
        .map(|id| id?.parse().map_err(|_| CatalogError::Damaged))
        .collect()
    }

    /// Forgets the chunks of uploads that have ended.
    pub fn forget_ended(rows: &Rows) -> Result<(), CatalogError> {
        rows.execute_batch(
            "DELETE FROM chunks WHERE (SELECT state FROM uploads WHERE id = upload) != 'open';
             DELETE FROM chunked_uploads WHERE (SELECT state FROM uploads WHERE id = upload) != 'open';",
        )?;
        Ok(())
    }
}
