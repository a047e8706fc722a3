use portcullis_hop::policies::RevisionNumber;
use portcullis_hop::policies::trial::{Trial, TrialState, TrialTerms};
use portcullis_types::{Sha256Digest, Timestamp};
use rusqlite::{OptionalExtension, Row, named_params};

use super::{CatalogError, Rows};

/// The rows about trials of revisions.
pub struct TrialRows;

impl TrialRows {
    /// Begins a trial. None may be running.
    pub fn start(
        rows: &Rows,
        number: RevisionNumber,
        terms: &TrialTerms,
        now: Timestamp,
        ends_at: Timestamp,
    ) -> Result<(), CatalogError> {
        rows.execute(
            "INSERT INTO policy_trials (revision, started_at, ends_at, seconds, percent, min_uploads, state)
             VALUES (:revision, :started_at, :ends_at, :seconds, :percent, :min_uploads, 'running')",
            named_params! {
                ":revision": number.0.cast_signed(),
                ":started_at": now.as_ms(),
                ":ends_at": ends_at.as_ms(),
                ":seconds": terms.seconds.cast_signed(),
                ":percent": terms.max_new_rejections_percent,
                ":min_uploads": terms.min_uploads.cast_signed(),
            },
        )?;
        Ok(())
    }

    /// Ends one.
    pub fn end(
        rows: &Rows,
        number: RevisionNumber,
        state: TrialState,
        reason: &str,
        now: Timestamp,
    ) -> Result<(), CatalogError> {
        rows.execute(
            "UPDATE policy_trials SET state = ?2, reason = ?3, ended_at = ?4 WHERE revision = ?1",
            (number.0.cast_signed(), state.as_str(), reason, now.as_ms()),
        )?;
        Ok(())
    }

    /// The one that is running, and when it is to be judged. What it has judged so far is not counted for that.
    pub fn running(rows: &Rows) -> Result<Option<(RevisionNumber, Timestamp)>, CatalogError> {
        let running = rows
            .prepare_cached("SELECT revision, ends_at FROM policy_trials WHERE state = 'running'")?
            .query_row([], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)))
            .optional()?;
        let Some((number, ends_at)) = running else {
            return Ok(None);
        };
        let ends_at = Timestamp::from_ms(ends_at).map_err(|_| CatalogError::Damaged)?;
        Ok(Some((RevisionNumber(number.cast_unsigned()), ends_at)))
    }

    /// The trial of a revision, if it has or had one, with what it has judged so far.
    pub fn of(rows: &Rows, number: RevisionNumber) -> Result<Option<Trial>, CatalogError> {
        let found = rows
            .prepare_cached(
                "SELECT trial.started_at, trial.ends_at, trial.seconds, trial.percent,
                        trial.min_uploads, trial.state, trial.reason, revision.digest
                 FROM policy_trials AS trial
                 JOIN policy_revisions AS revision ON revision.number = trial.revision
                 WHERE trial.revision = ?1",
            )?
            .query_row([number.0.cast_signed()], |row| Ok(read(row)))
            .optional()?;
        let Some(found) = found else {
            return Ok(None);
        };
        let (mut trial, digest) = found?;
        let (judged, newly_refused) = count(rows, digest, trial.started_at)?;
        trial.judged = judged;
        trial.newly_refused = newly_refused;
        Ok(Some(trial))
    }

    /// How often anything about what web hosts are to run has changed.
    pub fn changes(rows: &Rows) -> Result<u64, CatalogError> {
        let count: i64 = rows.query_row(
            "SELECT (SELECT count(*) FROM policy_activations)
                  + (SELECT count(*) FROM policy_trials)
                  + (SELECT count(*) FROM policy_trials WHERE state <> 'running')",
            [],
            |row| row.get(0),
        )?;
        Ok(count.unsigned_abs())
    }
}

fn read(row: &Row<'_>) -> Result<(Trial, Sha256Digest), CatalogError> {
    let time = |column| {
        let ms: i64 = row.get(column)?;
        Timestamp::from_ms(ms).map_err(|_| CatalogError::Damaged)
    };
    let state: String = row.get(5)?;
    let digest: String = row.get(7)?;
    let trial = Trial {
        terms: TrialTerms {
            seconds: row.get::<_, i64>(2)?.unsigned_abs(),
            max_new_rejections_percent: row.get(3)?,
            min_uploads: row.get::<_, i64>(4)?.unsigned_abs(),
        },
        started_at: time(0)?,
        ends_at: time(1)?,
        state: TrialState::from_word(&state).ok_or(CatalogError::Damaged)?,
        reason: row.get(6)?,
        judged: 0,
        newly_refused: 0,
    };
    let digest = digest.parse().map_err(|_| CatalogError::Damaged)?;
    Ok((trial, digest))
}

/// How many uploads the policies of a set have judged since a moment, and how many of them they would newly refuse. An
/// upload that one of them refuses is judged, whatever the others have come to.
fn count(
    rows: &Rows,
    candidate: Sha256Digest,
    since: Timestamp,
) -> Result<(u64, u64), CatalogError> {
    let counted = rows
        .prepare_cached(
            "SELECT coalesce(sum(max(judged, refused)), 0), coalesce(sum(refused), 0) FROM (
                 SELECT min(passes IS NOT NULL) AS judged,
                        max(passes IS NOT NULL AND passes = 0 AND decided <> 'reject') AS refused
                 FROM shadow_verdicts WHERE candidate = ?1 AND at >= ?2 GROUP BY upload)",
        )?
        .query_row((candidate.to_string(), since.as_ms()), |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?))
        })?;
    Ok((counted.0.unsigned_abs(), counted.1.unsigned_abs()))
}
