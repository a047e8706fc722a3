//! What rows say is erased, because somebody may ask for that; that there were rows stays in the chain.

use portcullis_types::Timestamp;
use rusqlite::params_from_iter;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Action, AuditEntry, AuditFilter};
use crate::catalog::{CatalogError, Rows};
use crate::quarantine::Decision;

/// Rows of a writer, from one sequence up to another, both included.
pub(super) type Range = (i64, i64);

/// What the row of an erasure says about it.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Erasure {
    pub(super) writer: String,
    pub(super) rows: Vec<Range>,
    reason: String,
}

/// What stays whatever is asked for: without it nobody could tell an erasure or a change of keys from an attack.
const KEPT: &str = "action NOT IN ('audit-erased', 'audit-key-changed') AND salt IS NOT NULL";

impl AuditFilter {
    /// Erases what these rows say, and writes that down, with the reason. Gives their number.
    pub fn erase(
        &self,
        rows: &Rows,
        decision: &Decision,
        now: Timestamp,
    ) -> Result<u64, CatalogError> {
        let mut erased = 0;
        for erasure in self.erasures(rows, &decision.reason)? {
            for (from, to) in &erasure.rows {
                let count = rows
                    .prepare_cached(
                        "UPDATE audit SET subject = NULL, client = NULL, upload = NULL, disk = NULL, path = NULL,
                             version = NULL, trace_id = NULL, details = NULL, salt = NULL
                         WHERE writer = ?1 AND sequence BETWEEN ?2 AND ?3",
                    )?
                    .execute((&erasure.writer, from, to))?;
                erased += count as u64;
            }
            AuditEntry::new(now, Action::AuditErased, decision.actor.clone())
                .with(json!(erasure))
                .write(rows)?;
        }
        Ok(erased)
    }

    /// What can be erased, by writer.
    fn erasures(&self, rows: &Rows, reason: &str) -> Result<Vec<Erasure>, CatalogError> {
        let (conditions, values) = self.conditions();
        let sql = format!(
            "SELECT writer, sequence FROM audit WHERE {KEPT} AND {conditions} ORDER BY writer, sequence"
        );
        let mut select = rows.prepare(&sql)?;
        let mut found = select.query(params_from_iter(values))?;
        let mut erasures: Vec<Erasure> = Vec::new();
        while let Some(row) = found.next()? {
            let (writer, sequence): (String, i64) = (row.get(0)?, row.get(1)?);
            let same = |erasure: &&mut Erasure| erasure.writer == writer;
            let Some(erasure) = erasures.last_mut().filter(same) else {
                erasures.push(Erasure {
                    writer,
                    rows: vec![(sequence, sequence)],
                    reason: reason.to_owned(),
                });
                continue;
            };
            match erasure.rows.last_mut() {
                Some((_, to)) if *to + 1 == sequence => *to = sequence,
                _ => erasure.rows.push((sequence, sequence)),
            }
        }
        Ok(erasures)
    }
}
