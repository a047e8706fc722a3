use std::collections::BTreeMap;

use portcullis_hop::policies::shadow::{Decided, ShadowQuery, ShadowReport, ShadowVerdict};
use portcullis_types::{Attributes, Incomplete, PolicyName, Sha256Digest, Timestamp, UploadId};
use rusqlite::{Row, named_params};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{CatalogError, Rows};

/// The rows about policies in the shadow.
pub struct ShadowRows;

/// What one shadow policy would have said about one upload.
#[derive(Clone, Debug)]
pub struct ShadowRow {
    /// The upload.
    pub upload: UploadId,
    /// The digest of the set that the policy belongs to.
    pub candidate: Sha256Digest,
    /// The policy.
    pub policy: PolicyName,
    /// The digest of its component.
    pub digest: Sha256Digest,
    /// What was decided.
    pub decided: Decided,
    /// The policy that refused it or set it apart.
    pub decided_by: Option<PolicyName>,
    /// What it would have said.
    pub verdict: String,
    /// The rule of its refusal or quarantine.
    pub rule: Option<String>,
    /// Whether the upload would have passed.
    pub passes: Option<bool>,
    /// Why it has not judged.
    pub incomplete: Option<Incomplete>,
    /// The attributes of the upload.
    pub attributes: Attributes,
    /// How often each rule was broken.
    pub rules: BTreeMap<String, u64>,
}

impl ShadowRows {
    /// Keeps what a web host reports; what is known already stays.
    pub fn add(rows: &Rows, report: &ShadowReport, now: Timestamp) -> Result<(), CatalogError> {
        let mut insert = rows.prepare_cached(
            "INSERT OR IGNORE INTO shadow_verdicts (upload, candidate, policy, digest, at, revision,
                 decided, decided_by, verdict, rule, passes, incomplete, attributes, rules)
             VALUES (:upload, :candidate, :policy, :digest, :at, :revision,
                 :decided, :decided_by, :verdict, :rule, :passes, :incomplete, :attributes, :rules)",
        )?;
        let attributes = serde_json::to_string(&report.attributes)?;
        for verdict in &report.verdicts {
            let ShadowVerdict {
                set,
                policy,
                rule,
                rules,
                passes,
                incomplete,
            } = verdict;
            insert.execute(named_params! {
                ":upload": report.upload.to_string(),
                ":candidate": set.to_string(),
                ":policy": policy.name.as_str(),
                ":digest": policy.digest.to_string(),
                ":at": now.as_ms(),
                ":revision": report.revision.to_string(),
                ":decided": word(&report.decided)?,
                ":decided_by": report.by.as_ref().map(PolicyName::as_str),
                ":verdict": policy.verdict.as_str(),
                ":rule": rule,
                ":passes": passes,
                ":incomplete": incomplete.as_ref().map(word).transpose()?,
                ":attributes": attributes,
                ":rules": serde_json::to_string(rules)?,
            })?;
        }
        Ok(())
    }

    /// The newest verdicts that a query is about, at most so many.
    pub fn find(
        rows: &Rows,
        query: &ShadowQuery,
        most: u32,
    ) -> Result<Vec<ShadowRow>, CatalogError> {
        let mut find = rows.prepare_cached(
            "SELECT upload, candidate, policy, digest, decided, decided_by, verdict, rule, passes,
                    incomplete, attributes, rules
             FROM shadow_verdicts
             WHERE (:policy IS NULL OR policy = :policy)
               AND (:candidate IS NULL OR candidate = :candidate) AND at >= :since
             ORDER BY at DESC LIMIT :most",
        )?;
        let mut found = find.query(named_params! {
            ":policy": query.policy.as_ref().map(PolicyName::as_str),
            ":candidate": query.set.map(|set| set.to_string()),
            ":since": query.since.map_or(0, Timestamp::as_ms),
            ":most": most,
        })?;
        let mut verdicts = Vec::new();
        while let Some(row) = found.next()? {
            verdicts.push(ShadowRow::of(row)?);
        }
        Ok(verdicts)
    }

    /// Forgets what was said before a moment.
    pub fn forget(rows: &Rows, before: Timestamp) -> Result<usize, CatalogError> {
        let delete = "DELETE FROM shadow_verdicts WHERE at < ?1";
        Ok(rows.execute(delete, [before.as_ms()])?)
    }
}

impl ShadowRow {
    fn of(row: &Row<'_>) -> Result<Self, CatalogError> {
        Ok(Self {
            upload: parsed(row, 0)?,
            candidate: parsed(row, 1)?,
            policy: parsed(row, 2)?,
            digest: parsed(row, 3)?,
            decided: of_word(&row.get::<_, String>(4)?)?,
            decided_by: match row.get::<_, Option<String>>(5)? {
                Some(name) => Some(name.parse().map_err(|_| CatalogError::Damaged)?),
                None => None,
            },
            verdict: row.get(6)?,
            rule: row.get(7)?,
            passes: row.get(8)?,
            incomplete: match row.get::<_, Option<String>>(9)? {
                Some(why) => Some(of_word(&why)?),
                None => None,
            },
            attributes: serde_json::from_str(&row.get::<_, String>(10)?)?,
            rules: serde_json::from_str(&row.get::<_, String>(11)?)?,
        })
    }
}

fn parsed<T: std::str::FromStr>(row: &Row<'_>, column: usize) -> Result<T, CatalogError> {
    let text: String = row.get(column)?;
    text.parse().map_err(|_| CatalogError::Damaged)
}

/// The word that JSON has for something.
fn word(value: &impl Serialize) -> Result<String, CatalogError> {
    match serde_json::to_value(value)? {
        serde_json::Value::String(word) => Ok(word),
        _ => Err(CatalogError::Damaged),
    }
}

fn of_word<T: DeserializeOwned>(word: &str) -> Result<T, CatalogError> {
    Ok(serde_json::from_value(word.into())?)
}
