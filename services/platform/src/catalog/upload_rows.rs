use std::time::Duration;

use portcullis_hop::{
    Commit, Conclusion, Epoch, NewUpload, Receipt, UploadRecord, UploadState, UploadStatus,
};
use portcullis_storage::Checkpoint;
use portcullis_types::{Offset, Timestamp, UploadId};
use rusqlite::{OptionalExtension, named_params, params};

use super::{CatalogError, Rows};

/// The row of an upload.
#[derive(Clone, Debug)]
pub struct UploadRow {
    /// What the hop is told of it.
    pub record: UploadRecord,
    /// The hash state at its offset.
    pub hash_state: Vec<u8>,
    /// The commit that ended it.
    pub commit: Option<Commit>,
}

impl UploadRow {
    /// Adds a new upload, unless its id is taken. Gives the row that then stands there.
    pub fn create(rows: &Rows, upload: &NewUpload) -> Result<Self, CatalogError> {
        let state = if upload.is_part() {
            UploadState::Held
        } else {
            UploadState::Open
        };
        Self::insert(rows, upload, state, Offset::ZERO, None)?;
        Self::find(rows, upload.id)?.ok_or(CatalogError::Damaged)
    }

    /// Adds an upload that ends well at once, unless its id is taken. Says whether it was added.
    pub fn create_committed(
        rows: &Rows,
        upload: &NewUpload,
        commit: &Commit,
        receipt: &Receipt,
        state: UploadState,
    ) -> Result<bool, CatalogError> {
        Self::insert(rows, upload, state, commit.length, Some((commit, receipt)))
    }

    fn insert(
        rows: &Rows,
        upload: &NewUpload,
        state: UploadState,
        offset: Offset,
        stored: Option<(&Commit, &Receipt)>,
    ) -> Result<bool, CatalogError> {
        let commitment = stored.map(|(commit, _)| serde_json::to_string(commit));
        let receipt = stored.map(|(_, receipt)| serde_json::to_string(receipt));
        let added = rows
            .prepare_cached(
                "INSERT INTO uploads (id, state, epoch, offset, hash_state, disk, created, commitment, receipt, expires_at)
                 VALUES (:id, :state, :epoch, :offset, x'', :disk, :created, :commitment, :receipt, :expires_at)
                 ON CONFLICT (id) DO NOTHING",
            )?
            .execute(named_params! {
                ":id": upload.id.to_string(),
                ":state": state.as_str(),
                ":epoch": Epoch::FIRST.number().cast_signed(),
                ":offset": offset.bytes().cast_signed(),
                ":disk": upload.disk.as_ref().map(portcullis_types::DiskName::as_str),
                ":created": serde_json::to_string(upload)?,
                ":commitment": commitment.transpose()?,
                ":receipt": receipt.transpose()?,
                ":expires_at": upload.expires_at.as_ms(),
            })?;
        Ok(added == 1)
    }

    /// The row of an upload.
    pub fn find(rows: &Rows, id: UploadId) -> Result<Option<Self>, CatalogError> {
        rows.prepare_cached(&format!("{SELECT} WHERE id = ?1"))?
            .query_row([id.to_string()], |row| Ok(read(row)))
            .optional()?
            .transpose()
    }

    /// Whether there is an upload with this id.
    pub fn exists(rows: &Rows, id: UploadId) -> Result<bool, CatalogError> {
        Ok(rows
            .prepare_cached("SELECT 1 FROM uploads WHERE id = ?1")?
            .exists([id.to_string()])?)
    }

    /// Whether an upload is not over.
    pub fn is_under_way(rows: &Rows, id: UploadId) -> Result<bool, CatalogError> {
        Ok(rows
            .prepare_cached("SELECT 1 FROM uploads WHERE id = ?1 AND state IN ('open', 'held')")?
            .exists([id.to_string()])?)
    }

    /// How many uploads of a sender are not over.
    pub fn open_of(rows: &Rows, subject: &str) -> Result<u64, CatalogError> {
        let count: i64 = rows
            .prepare_cached(
                "SELECT count(*) FROM uploads
                 WHERE json_extract(created, '$.principal.subject') = ?1 AND state IN ('open', 'held')",
            )?
            .query_row([subject], |row| row.get(0))?;
        Ok(count.cast_unsigned())
    }

    /// Uploads that are not over and have expired.
    pub fn expired(rows: &Rows, now: Timestamp) -> Result<Vec<Self>, CatalogError> {
        rows.prepare_cached(&format!(
            "{SELECT} WHERE expires_at <= ?1 AND state IN ('open', 'held') ORDER BY expires_at LIMIT 1000"
        ))?
        .query_map([now.as_ms()], |row| Ok(read(row)))?
        .collect::<Result<Result<Vec<_>, _>, _>>()?
    }

    /// Uploads in a state, oldest first.
    pub fn in_state(
        rows: &Rows,
        state: UploadState,
        limit: u32,
    ) -> Result<Vec<Self>, CatalogError> {
        rows.prepare_cached(&format!(
            "{SELECT} WHERE state = ?1 ORDER BY rowid LIMIT ?2"
        ))?
        .query_map(params![state.as_str(), limit], |row| Ok(read(row)))?
        .collect::<Result<Result<Vec<_>, _>, _>>()?
    }

    /// How many files are in quarantine, and how many bytes these are.
    pub fn quarantined(rows: &Rows) -> Result<(u64, u64), CatalogError> {
        let count =
            "SELECT count(*), coalesce(sum(offset), 0) FROM uploads WHERE state = 'quarantined'";
        let mut found = rows.prepare_cached(count)?;
        let (files, bytes): (i64, i64) =
            found.query_row([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok((files.unsigned_abs(), bytes.unsigned_abs()))
    }

    /// Raises the epoch of an open upload. Says whether it was open.
    pub fn raise_epoch(rows: &Rows, id: UploadId) -> Result<bool, CatalogError> {
        let changed = rows
            .prepare_cached(
                "UPDATE uploads SET epoch = epoch + 1 WHERE id = ?1 AND state IN ('open', 'held')",
            )?
            .execute([id.to_string()])?;
        Ok(changed == 1)
    }

    /// Records how far an open upload is durable, unless it has been taken over, and that it lives until
    /// then. Says whether it was recorded. The offset never goes back.
    pub fn checkpoint(
        rows: &Rows,
        id: UploadId,
        epoch: Epoch,
        at: &Checkpoint,
        until: Timestamp,
    ) -> Result<bool, CatalogError> {
        let changed = rows
            .prepare_cached(
                "UPDATE uploads SET offset = ?3, hash_state = ?4, expires_at = max(expires_at, ?5)
                 WHERE id = ?1 AND epoch = ?2 AND state IN ('open', 'held') AND offset <= ?3",
            )?
            .execute(params![
                id.to_string(),
                epoch.number().cast_signed(),
                at.offset.bytes().cast_signed(),
                at.hash_state,
                until.as_ms(),
            ])?;
        Ok(changed == 1)
    }

    /// Records how long an open upload will be, unless that is known. Says whether it was recorded.
    pub fn declare_length(
        rows: &Rows,
        id: UploadId,
        epoch: Epoch,
        length: u64,
    ) -> Result<bool, CatalogError> {
        let changed = rows
            .prepare_cached(
                "UPDATE uploads SET length = ?3
                 WHERE id = ?1 AND epoch = ?2 AND state IN ('open', 'held') AND length IS NULL",
            )?
            .execute(params![
                id.to_string(),
                epoch.number().cast_signed(),
                length.cast_signed()
            ])?;
        Ok(changed == 1)
    }

    /// Ends an open upload well.
    pub fn commit(
        rows: &Rows,
        commit: &Commit,
        receipt: &Receipt,
        state: UploadState,
    ) -> Result<(), CatalogError> {
        rows.prepare_cached(
            "UPDATE uploads SET state = ?2, offset = ?3, hash_state = x'', commitment = ?4, receipt = ?5
             WHERE id = ?1",
        )?
        .execute(params![
            receipt.id.to_string(),
            state.as_str(),
            commit.length.bytes().cast_signed(),
            serde_json::to_string(commit)?,
            serde_json::to_string(receipt)?,
        ])?;
        Ok(())
    }

    /// Ends an open upload in another way.
    pub fn conclude(
        rows: &Rows,
        id: UploadId,
        state: UploadState,
        conclusion: Option<&Conclusion>,
    ) -> Result<(), CatalogError> {
        let conclusion = conclusion.map(serde_json::to_string).transpose()?;
        rows.prepare_cached(
            "UPDATE uploads SET state = ?2, hash_state = x'', conclusion = ?3 WHERE id = ?1",
        )?
        .execute(params![id.to_string(), state.as_str(), conclusion])?;
        Ok(())
    }

    /// Forgets what was said about an upload, and what policies noticed in it. That there was one, where its file lay,
    /// its length and digest stay.
    pub fn forget_content(rows: &Rows, id: UploadId) -> Result<(), CatalogError> {
        rows.prepare_cached(
            "UPDATE uploads SET
                 created = json_remove(json_set(created, '$.filename', '', '$.attributes', json('{}')), '$.metadata', '$.folder'),
                 commitment = json_set(commitment, '$.findings', json('{}')),
                 receipt = json_remove(receipt, '$.findings', '$.tallies'),
                 conclusion = json_set(conclusion, '$.findings', json('{}'))
             WHERE id = ?1",
        )?
        .execute([id.to_string()])?;
        Ok(())
    }

    /// How far the upload has come.
    pub fn status(&self) -> UploadStatus {
        self.record.status
    }

    /// How long it may live without a byte: what its creator gave it.
    pub fn lifetime(&self) -> Duration {
        let upload = &self.record.upload;
        upload.expires_at.since(upload.received_at)
    }

    /// What was recorded of its stage.
    pub fn recorded(&self) -> Checkpoint {
        Checkpoint {
            offset: self.record.status.offset,
            hash_state: self.hash_state.clone(),
        }
    }
}

const SELECT: &str = "SELECT id, state, epoch, offset, hash_state, created, commitment, receipt, conclusion, length, expires_at FROM uploads";

fn read(row: &rusqlite::Row<'_>) -> Result<UploadRow, CatalogError> {
    let json = |column: usize| row.get::<_, Option<String>>(column);
    let id: String = row.get(0)?;
    let state: String = row.get(1)?;
    let upload: NewUpload = serde_json::from_str(&row.get::<_, String>(5)?)?;
    Ok(UploadRow {
        hash_state: row.get(4)?,
        commit: json(6)?
            .map(|text| serde_json::from_str(&text))
            .transpose()?,
        record: UploadRecord {
            status: UploadStatus {
                id: id.parse().map_err(|_| CatalogError::Damaged)?,
                state: UploadState::from_word(&state).ok_or(CatalogError::Damaged)?,
                epoch: Epoch::new(row.get::<_, i64>(2)?.cast_unsigned()),
                offset: Offset::new(row.get::<_, i64>(3)?.cast_unsigned()),
            },
            length: upload
                .length
                .or(row.get::<_, Option<i64>>(9)?.map(i64::cast_unsigned)),
            expires_at: Timestamp::from_ms(row.get(10)?).map_err(|_| CatalogError::Damaged)?,
            upload,
            receipt: json(7)?
                .map(|text| serde_json::from_str(&text))
                .transpose()?,
            conclusion: json(8)?
                .map(|text| serde_json::from_str(&text))
                .transpose()?,
        },
    })
}
