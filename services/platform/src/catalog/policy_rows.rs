use std::collections::BTreeMap;

use portcullis_hop::policies::{
    Activation, Change, PolicyRevision, RevisionNumber, RevisionSummary,
};
use portcullis_types::{PolicyManifest, Sha256Digest, Timestamp};
use rusqlite::{OptionalExtension, Row, named_params};

use super::{CatalogError, Rows, TrialRows};

/// The rows about revisions of the policies.
pub struct PolicyRows;

impl PolicyRows {
    /// Keeps a file; one that is there already stays.
    pub fn put_file(
        rows: &Rows,
        digest: Sha256Digest,
        bytes: &[u8],
        now: Timestamp,
    ) -> Result<(), CatalogError> {
        rows.execute(
            "INSERT INTO policy_files (sha256, bytes, added_at) VALUES (?1, ?2, ?3)
             ON CONFLICT (sha256) DO UPDATE SET added_at = excluded.added_at",
            (digest.to_string(), bytes, now.as_ms()),
        )?;
        Ok(())
    }

    /// The content of a file.
    pub fn file(rows: &Rows, digest: Sha256Digest) -> Result<Option<Vec<u8>>, CatalogError> {
        let found = rows
            .prepare_cached("SELECT bytes FROM policy_files WHERE sha256 = ?1")?
            .query_row([digest.to_string()], |row| row.get(0));
        Ok(found.optional()?)
    }

    /// Which of these files are not there.
    pub fn missing(
        rows: &Rows,
        digests: &[Sha256Digest],
    ) -> Result<Vec<Sha256Digest>, CatalogError> {
        let mut find = rows.prepare_cached("SELECT 1 FROM policy_files WHERE sha256 = ?1")?;
        let mut missing = Vec::new();
        for digest in digests {
            if !find.exists([digest.to_string()])? {
                missing.push(*digest);
            }
        }
        Ok(missing)
    }

    /// Removes the files that no revision has and that came before a moment. Gives their number.
    pub fn forget_files(rows: &Rows, before: Timestamp) -> Result<usize, CatalogError> {
        Ok(rows.execute(
            "DELETE FROM policy_files WHERE added_at < ?1 AND NOT EXISTS
             (SELECT 1 FROM policy_revision_files AS file WHERE file.sha256 = policy_files.sha256)",
            [before.as_ms()],
        )?)
    }

    /// Keeps a new revision. Gives its number. Its files must be there.
    pub fn add(
        rows: &Rows,
        manifest: &PolicyManifest,
        base: Option<RevisionNumber>,
        sent: &Change,
    ) -> Result<RevisionNumber, CatalogError> {
        let number: u64 = rows.query_row(
            "INSERT INTO policy_revisions (number, digest, base, at, subject, author, note)
             VALUES ((SELECT coalesce(max(number), 0) + 1 FROM policy_revisions),
                     :digest, :base, :at, :subject, :author, :note)
             RETURNING number",
            named_params! {
                ":digest": manifest.digest().to_string(),
                ":base": base.map(|base| base.0.cast_signed()),
                ":at": sent.at.as_ms(),
                ":subject": sent.subject,
                ":author": sent.author,
                ":note": sent.note,
            },
            |row| row.get::<_, i64>(0).map(i64::cast_unsigned),
        )?;
        let mut insert = rows.prepare_cached(
            "INSERT INTO policy_revision_files (revision, name, sha256, fixture)
             VALUES (?1, ?2, ?3, ?4)",
        )?;
        for (files, fixture) in [(&manifest.files, false), (&manifest.fixtures, true)] {
            for (name, digest) in files {
                insert.execute((number.cast_signed(), name, digest.to_string(), fixture))?;
            }
        }
        Ok(RevisionNumber(number))
    }

    /// Makes a revision the active one. Gives the number of the activation.
    pub fn activate(
        rows: &Rows,
        number: RevisionNumber,
        change: &Change,
    ) -> Result<u64, CatalogError> {
        rows.execute(
            "INSERT INTO policy_activations (revision, at, subject, author, note)
             VALUES (:revision, :at, :subject, :author, :note)",
            named_params! {
                ":revision": number.0.cast_signed(),
                ":at": change.at.as_ms(),
                ":subject": change.subject,
                ":author": change.author,
                ":note": change.note,
            },
        )?;
        Ok(rows.last_insert_rowid().cast_unsigned())
    }

    /// The last activation.
    pub fn active(rows: &Rows) -> Result<Option<Activation>, CatalogError> {
        Ok(Self::activations(rows, 1)?.into_iter().next())
    }

    /// The last activations, newest first.
    pub fn activations(rows: &Rows, most: u32) -> Result<Vec<Activation>, CatalogError> {
        let mut find = rows.prepare_cached(
            "SELECT at, subject, author, note, sequence, revision FROM policy_activations
             ORDER BY sequence DESC LIMIT ?1",
        )?;
        let found = find.query_map([most], |row| {
            Ok((change(row)?, number(row, 4)?, number(row, 5)?))
        })?;
        let mut activations = Vec::new();
        for row in found {
            let (change, sequence, number) = row?;
            activations.push(Activation {
                sequence,
                number: RevisionNumber(number),
                change: change?,
            });
        }
        Ok(activations)
    }

    /// All revisions, newest first, without their files.
    pub fn list(rows: &Rows, most: u32) -> Result<Vec<RevisionSummary>, CatalogError> {
        let active = Self::active(rows)?.map(|active| active.number);
        let mut find = rows.prepare_cached(
            "SELECT at, subject, author, note, number, digest, base FROM policy_revisions
             ORDER BY number DESC LIMIT ?1",
        )?;
        let found = find.query_map([most], |row| {
            let base: Option<i64> = row.get(6)?;
            let base = base.map(|base| RevisionNumber(base.cast_unsigned()));
            Ok((
                change(row)?,
                number(row, 4)?,
                row.get::<_, String>(5)?,
                base,
            ))
        })?;
        let mut revisions = Vec::new();
        for row in found {
            let (sent, number, digest, base) = row?;
            let number = RevisionNumber(number);
            revisions.push(RevisionSummary {
                number,
                digest: digest_of(&digest)?,
                sent: sent?,
                active: active == Some(number),
                base,
                trial: TrialRows::of(rows, number)?,
            });
        }
        Ok(revisions)
    }

    /// The number of the revision that was sent last.
    pub fn newest(rows: &Rows) -> Result<Option<RevisionNumber>, CatalogError> {
        let newest: Option<i64> =
            rows.query_row("SELECT max(number) FROM policy_revisions", [], |row| {
                row.get(0)
            })?;
        Ok(newest.map(|newest| RevisionNumber(newest.cast_unsigned())))
    }

    /// The digest of a revision, if there is such a one.
    pub fn digest(
        rows: &Rows,
        number: RevisionNumber,
    ) -> Result<Option<Sha256Digest>, CatalogError> {
        let found = rows
            .prepare_cached("SELECT digest FROM policy_revisions WHERE number = ?1")?
            .query_row([number.0.cast_signed()], |row| row.get::<_, String>(0))
            .optional()?;
        found.as_deref().map(digest_of).transpose()
    }

    /// A revision with its files.
    pub fn revision(
        rows: &Rows,
        wanted: RevisionNumber,
    ) -> Result<Option<PolicyRevision>, CatalogError> {
        let found = rows
            .prepare_cached(
                "SELECT at, subject, author, note, digest, base FROM policy_revisions
                 WHERE number = ?1",
            )?
            .query_row([wanted.0.cast_signed()], |row| {
                let base: Option<i64> = row.get(5)?;
                Ok((change(row)?, row.get::<_, String>(4)?, base))
            })
            .optional()?;
        let Some((sent, digest, base)) = found else {
            return Ok(None);
        };
        let active = Self::active(rows)?.map(|active| active.number);
        Ok(Some(PolicyRevision {
            number: wanted,
            digest: digest_of(&digest)?,
            manifest: Self::manifest(rows, wanted)?,
            base: base.map(|base| RevisionNumber(base.cast_unsigned())),
            sent: sent?,
            active: active == Some(wanted),
        }))
    }

    fn manifest(rows: &Rows, wanted: RevisionNumber) -> Result<PolicyManifest, CatalogError> {
        let mut find = rows.prepare_cached(
            "SELECT name, sha256, fixture FROM policy_revision_files WHERE revision = ?1",
        )?;
        let found = find.query_map([wanted.0.cast_signed()], |row| {
            Ok((
                row.get::<_, String>(0)?,
                row.get::<_, String>(1)?,
                row.get(2)?,
            ))
        })?;
        let (mut files, mut fixtures) = (BTreeMap::new(), BTreeMap::new());
        for row in found {
            let (name, digest, fixture) = row?;
            let files = if fixture { &mut fixtures } else { &mut files };
            files.insert(name, digest_of(&digest)?);
        }
        Ok(PolicyManifest { files, fixtures })
    }
}

/// Who, when and why, from the first four columns.
fn change(row: &Row<'_>) -> rusqlite::Result<Result<Change, CatalogError>> {
    let at = Timestamp::from_ms(row.get(0)?);
    let (subject, author, note) = (row.get(1)?, row.get(2)?, row.get(3)?);
    Ok(at.map_err(|_| CatalogError::Damaged).map(|at| Change {
        at,
        subject,
        author,
        note,
    }))
}

fn number(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    row.get::<_, i64>(column).map(i64::cast_unsigned)
}

fn digest_of(text: &str) -> Result<Sha256Digest, CatalogError> {
    text.parse().map_err(|_| CatalogError::Damaged)
}
