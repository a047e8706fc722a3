//! How rows hang together. Both digests are of compact JSON in UTF-8, so that any language can make them again.

use portcullis_types::{Sha256Digest, Timestamp};
use rusqlite::{OptionalExtension, Row, named_params, params};
use serde_json::json;

use super::{Action, Actor, AuditEntry, AuditKey, Checkpoint};
use crate::catalog::{CatalogError, Rows};

/// What the digest of a row begins with: it says what it is of, and in which form.
const ROW: &str = "portcullis audit row 1";
/// Random bytes before each payload, so that nobody can find an erased one by trying what it may have said.
pub(super) const SALT_BYTES: usize = 16;

/// What a row says, as its columns hold it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Payload {
    pub(super) subject: Option<String>,
    pub(super) client: Option<String>,
    pub(super) upload: Option<String>,
    pub(super) disk: Option<String>,
    pub(super) path: Option<String>,
    pub(super) version: Option<i64>,
    pub(super) trace_id: Option<String>,
    pub(super) details: Option<String>,
}

impl Payload {
    fn of(entry: &AuditEntry) -> Self {
        let actor = &entry.actor;
        Self {
            subject: Some(actor.subject.clone()),
            client: actor.client.map(|client| client.to_string()),
            upload: entry.upload.map(|id| id.to_string()),
            disk: entry.disk.as_ref().map(|disk| disk.as_str().to_owned()),
            path: entry.path.as_ref().map(|path| path.as_str().to_owned()),
            version: entry.version.map(u64::cast_signed),
            trace_id: actor.trace.map(|trace| trace.to_string()),
            details: entry.details.as_ref().map(ToString::to_string),
        }
    }

    /// From a row of the audit.
    pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            subject: row.get("subject")?,
            client: row.get("client")?,
            upload: row.get("upload")?,
            disk: row.get("disk")?,
            path: row.get("path")?,
            version: row.get("version")?,
            trace_id: row.get("trace_id")?,
            details: row.get("details")?,
        })
    }

    pub(super) fn digest(&self, salt: &[u8]) -> Sha256Digest {
        let json = json!([
            self.subject,
            self.client,
            self.upload,
            self.disk,
            self.path,
            self.version,
            self.trace_id,
            self.details,
        ]);
        Sha256Digest::of(&[salt, json.to_string().as_bytes()].concat())
    }
}

/// What ties a row to the one before it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Link<'a> {
    pub(super) writer: &'a str,
    pub(super) sequence: i64,
    pub(super) at: i64,
    pub(super) action: &'a str,
    pub(super) payload: Sha256Digest,
    pub(super) before: Sha256Digest,
}

impl Link<'_> {
    pub(super) fn digest(&self) -> Sha256Digest {
        let json = json!([
            ROW,
            self.writer,
            self.sequence,
            self.at,
            self.action,
            self.payload,
            self.before,
        ]);
        Sha256Digest::of(json.to_string().as_bytes())
    }
}

/// Adds a row behind the newest of this writer. It is signed with the transaction.
pub(super) fn append(rows: &Rows, entry: &AuditEntry) -> Result<(), CatalogError> {
    append_payload(
        rows,
        entry.at.as_ms(),
        entry.action.as_str(),
        &Payload::of(entry),
    )
}

fn append_payload(
    rows: &Rows,
    at: i64,
    action: &str,
    payload: &Payload,
) -> Result<(), CatalogError> {
    let (writer, newest, before) = rows
        .prepare_cached("SELECT writer, sequence, hash FROM audit_heads")?
        .query_row([], |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?, row.get(2)?))
        })?;
    let salt = salt()?;
    let link = Link {
        writer: &writer,
        sequence: newest + 1,
        at,
        action,
        payload: payload.digest(&salt),
        before: Sha256Digest::from_bytes(before),
    };
    let hash = link.digest();
    rows.prepare_cached(
        "INSERT INTO audit (writer, sequence, at, action, subject, client, upload, disk, path, version, trace_id, details,
                            salt, payload_hash, hash)
         VALUES (:writer, :sequence, :at, :action, :subject, :client, :upload, :disk, :path, :version, :trace_id, :details,
                 :salt, :payload_hash, :hash)",
    )?
    .execute(named_params! {
        ":writer": writer,
        ":sequence": link.sequence,
        ":at": at,
        ":action": action,
        ":subject": payload.subject,
        ":client": payload.client,
        ":upload": payload.upload,
        ":disk": payload.disk,
        ":path": payload.path,
        ":version": payload.version,
        ":trace_id": payload.trace_id,
        ":details": payload.details,
        ":salt": salt,
        ":payload_hash": link.payload.as_bytes(),
        ":hash": hash.as_bytes(),
    })?;
    rows.prepare_cached(
        "UPDATE audit_heads SET sequence = ?1, at = ?2, hash = ?3, signature = NULL",
    )?
    .execute(params![link.sequence, at, hash.as_bytes()])?;
    Ok(())
}

fn salt() -> Result<[u8; SALT_BYTES], CatalogError> {
    let mut salt = [0; SALT_BYTES];
    getrandom::fill(&mut salt).map_err(|_| CatalogError::Failed(None))?;
    Ok(salt)
}

/// Takes the chain up with a key: where another one signed it before, the chain says so from then on.
pub(in crate::catalog) fn take_up(
    rows: &Rows,
    key: &AuditKey,
    now: Timestamp,
) -> Result<(), CatalogError> {
    let signed: Option<String> = rows
        .query_row("SELECT key FROM audit_heads", [], |row| row.get(0))
        .optional()?
        .flatten();
    let key = key.public().to_string();
    if signed.as_ref().is_some_and(|signed| *signed != key) {
        AuditEntry::new(now, Action::AuditKeyChanged, Actor::itself("(services)"))
            .with(json!({ "before": signed, "now": key }))
            .write(rows)?;
    }
    Ok(())
}

/// Signs the newest row, if this transaction added one.
pub(in crate::catalog) fn sign(rows: &Rows, key: &AuditKey) -> Result<(), CatalogError> {
    let unsigned = rows
        .prepare_cached(
            "SELECT writer, sequence, at, hash FROM audit_heads WHERE signature IS NULL",
        )?
        .query_row([], Checkpoint::read)
        .optional()?;
    let Some(head) = unsigned else {
        return Ok(());
    };
    let signature = key.sign(&head);
    rows.prepare_cached("UPDATE audit_heads SET key = ?1, signature = ?2")?
        .execute(params![key.public().to_string(), signature])?;
    Ok(())
}

/// Puts the rows of a catalog from before there was a chain into it.
pub(in crate::catalog) fn chain_old_rows(rows: &Rows) -> Result<(), CatalogError> {
    let mut old = rows.prepare(
        "SELECT at, action, subject, NULL AS client, upload, disk, path, version, trace_id, details
         FROM audit_unchained ORDER BY sequence",
    )?;
    let mut old = old.query([])?;
    while let Some(row) = old.next()? {
        let (at, action): (i64, String) = (row.get("at")?, row.get("action")?);
        append_payload(rows, at, &action, &Payload::read(row)?)?;
    }
    drop(old);
    rows.execute_batch("DROP TABLE audit_unchained")?;
    Ok(())
}
