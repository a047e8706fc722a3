//! The rows of the audit, for those who ask what happened.

use portcullis_types::{DiskName, DiskPath, Timestamp, UploadId};
use rusqlite::types::Value;
use rusqlite::{Row, params_from_iter};
use serde::Serialize;

use super::{Action, Payload};
use crate::catalog::{CatalogError, Rows};
use crate::files::Prefix;

/// Which rows are meant: those for which all of this is true.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// On this disk.
    pub disk: Option<DiskName>,
    /// On this file, or whatever is beneath this folder; and lists in which it was.
    pub path: Option<DiskPath>,
    /// By them.
    pub subject: Option<String>,
    /// On this upload.
    pub upload: Option<UploadId>,
    /// One of these; none: any.
    pub actions: Vec<Action>,
    /// Not before then.
    pub since: Option<Timestamp>,
    /// Before then.
    pub until: Option<Timestamp>,
}

/// A row of the audit. What was erased is absent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AuditRow {
    /// Whose chain it is in.
    pub writer: String,
    /// Its place there, from 1.
    pub sequence: i64,
    /// When.
    pub at: Timestamp,
    /// What, in a word.
    pub action: String,
    /// Who.
    pub subject: Option<String>,
    /// From which address.
    pub client: Option<String>,
    /// On which upload.
    pub upload: Option<String>,
    /// On which disk.
    pub disk: Option<String>,
    /// On which file, or beneath which folder.
    pub path: Option<String>,
    /// On which version.
    pub version: Option<i64>,
    /// In which trace.
    pub trace_id: Option<String>,
    /// What else is known.
    pub details: Option<serde_json::Value>,
    /// Whether what it said was erased.
    pub erased: bool,
}

/// The columns of a row, as [`AuditRow::read`] and [`super::verify()`] read them.
pub(super) const COLUMNS: &str = "writer, sequence, at, action, subject, client, upload, disk, path, version, trace_id, \
                                  details, salt, payload_hash, hash";

impl AuditFilter {
    /// Whether it leaves nothing out.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Gives each row to `take`, oldest first, until it fails.
    ///
    /// # Errors
    /// The catalog cannot be read, or `take` failed.
    pub fn each<E: From<CatalogError>>(
        &self,
        rows: &Rows,
        take: impl FnMut(AuditRow) -> Result<(), E>,
    ) -> Result<(), E> {
        self.each_in(rows, "at, rowid", take)
    }

    /// The newest rows, at most so many, oldest first.
    pub fn newest(&self, rows: &Rows, limit: u32) -> Result<Vec<AuditRow>, CatalogError> {
        let mut newest = Vec::new();
        let order = format!("at DESC, rowid DESC LIMIT {limit}");
        self.each_in(rows, &order, |row| {
            newest.push(row);
            Ok::<_, CatalogError>(())
        })?;
        newest.reverse();
        Ok(newest)
    }

    fn each_in<E: From<CatalogError>>(
        &self,
        rows: &Rows,
        order: &str,
        mut take: impl FnMut(AuditRow) -> Result<(), E>,
    ) -> Result<(), E> {
        let (conditions, values) = self.conditions();
        let sql = format!("SELECT {COLUMNS} FROM audit WHERE {conditions} ORDER BY {order}");
        let of_catalog = |error: rusqlite::Error| E::from(error.into());
        let mut select = rows.prepare(&sql).map_err(of_catalog)?;
        let mut found = select.query(params_from_iter(values)).map_err(of_catalog)?;
        while let Some(row) = found.next().map_err(of_catalog)? {
            take(AuditRow::read(row)?)?;
        }
        Ok(())
    }

    /// The condition of a query, and the values of its `?`.
    pub(super) fn conditions(&self) -> (String, Vec<Value>) {
        let mut conditions = vec!["TRUE".to_owned()];
        let mut values: Vec<Value> = Vec::new();
        let mut equal = |column: &str, value: Option<Value>| {
            if let Some(value) = value {
                conditions.push(format!("{column} = ?"));
                values.push(value);
            }
        };
        equal(
            "disk",
            self.disk
                .as_ref()
                .map(|disk| disk.as_str().to_owned().into()),
        );
        equal("subject", self.subject.clone().map(Value::from));
        equal("upload", self.upload.map(|id| id.to_string().into()));
        if let Some(path) = &self.path {
            let lists = ancestors(path);
            let marks = vec!["?"; lists.len()].join(", ");
            conditions.push(format!(
                "(path = ? OR path >= ? AND path < ?
                  OR action = ? AND disk IS NOT NULL AND (path IS NULL OR path IN ({marks})))"
            ));
            let (from, until) = Prefix::from(path.clone()).beneath();
            values.push(path.to_string().into());
            values.push(from.into());
            values.push(until.into());
            values.push(Action::Listed.as_str().to_owned().into());
            values.extend(lists.into_iter().map(Value::from));
        }
        if !self.actions.is_empty() {
            let marks = vec!["?"; self.actions.len()].join(", ");
            conditions.push(format!("action IN ({marks})"));
            let words = self.actions.iter().map(|action| action.as_str().to_owned());
            values.extend(words.map(Value::from));
        }
        for (bound, at) in [("at >= ?", self.since), ("at < ?", self.until)] {
            if let Some(at) = at {
                conditions.push(bound.to_owned());
                values.push(at.as_ms().into());
            }
        }
        (conditions.join(" AND "), values)
    }
}

/// The folders that a path is in.
fn ancestors(path: &DiskPath) -> Vec<String> {
    let path = path.as_str();
    path.match_indices('/')
        .map(|(at, _)| path[..at].to_owned())
        .collect()
}

impl AuditRow {
    /// From a row with [`COLUMNS`].
    fn read(row: &Row<'_>) -> Result<Self, CatalogError> {
        let payload = Payload::read(row)?;
        // A row that was tampered with is shown as it is.
        let details = payload.details.map(|details| {
            serde_json::from_str(&details).unwrap_or(serde_json::Value::String(details))
        });
        Ok(Self {
            writer: row.get("writer")?,
            sequence: row.get("sequence")?,
            at: Timestamp::from_ms(row.get("at")?).map_err(|_| CatalogError::Damaged)?,
            action: row.get("action")?,
            subject: payload.subject,
            client: payload.client,
            upload: payload.upload,
            disk: payload.disk,
            path: payload.path,
            version: payload.version,
            trace_id: payload.trace_id,
            details,
            erased: row.get::<_, Option<Vec<u8>>>("salt")?.is_none(),
        })
    }
}
