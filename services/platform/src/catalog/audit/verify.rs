//! Whether the audit is what was written: nothing changed, nothing left out, nothing cut off.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;

use portcullis_types::{PublicKey, Sha256Digest, Timestamp};
use rusqlite::Row;

use super::chain::{Link, Payload};
use super::erasure::{Erasure, Range};
use super::query::COLUMNS;
use super::{Action, Checkpoint, SignedCheckpoint};
use crate::catalog::{CatalogError, Rows, to_read};

/// The most faults that are named.
const MAX_NAMED: usize = 100;

/// What is wrong with an audit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AuditFault {
    /// What a row says is not what was written.
    Changed,
    /// A row, or the one before it, is not what was written.
    Unlinked,
    /// What a row said was erased, and no row says who did that.
    ErasedUnseen,
    /// Rows are missing from here up to another.
    Missing(i64),
    /// Rows are missing from here on, up to the newest that was signed.
    Cut(i64),
    /// Rows from here on are not signed: they were not written by services.
    Added,
    /// The newest row is not the one that was signed.
    OtherHead,
    /// There is no signature of the newest row.
    NoHead,
    /// The signature of the newest row is of none of the keys.
    Forged,
    /// A checkpoint says that this row was another one.
    OtherCheckpoint,
    /// The signature of a checkpoint is of none of the keys.
    ForgedCheckpoint,
}

/// Where something is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditFinding {
    /// In whose chain.
    pub writer: String,
    /// At which row.
    pub sequence: i64,
    /// What.
    pub fault: AuditFault,
}

/// What was looked at and what was found.
#[derive(Clone, Debug, Default)]
pub struct AuditReport {
    /// Rows that were read.
    pub rows: u64,
    /// How many of them were erased by somebody who is named.
    pub erased: u64,
    /// When the first and the last were written.
    pub span: Option<(Timestamp, Timestamp)>,
    /// Checkpoints that agree.
    pub checkpoints: u64,
    /// Checkpoints in the catalog that were signed with another key.
    pub of_other_keys: u64,
    /// How much is wrong.
    pub faults: u64,
    /// The first of it.
    pub findings: Vec<AuditFinding>,
}

/// Checks the audit of a catalog, whether services run or not: against the signature of its newest row, the checkpoints
/// in it, and those that were kept elsewhere. Signatures count when they are of one of these keys.
///
/// # Errors
/// The catalog cannot be read.
pub fn verify(
    catalog: &Path,
    keys: &[PublicKey],
    kept: &[SignedCheckpoint],
) -> Result<AuditReport, CatalogError> {
    let mut rows = to_read(catalog)?;
    // One transaction, so that what is written meanwhile is not taken for a fault.
    let rows = rows.transaction()?;
    let heads = heads(&rows)?;
    let mut checking = Checking {
        erasures: erasures(&rows)?,
        keys,
        report: AuditReport::default(),
        checkpoints: BTreeMap::new(),
    };
    checking.take_kept(kept);
    checking.take_own(&rows)?;
    let mut writers: BTreeSet<String> = heads.keys().cloned().collect();
    writers.extend(column(&rows, "SELECT DISTINCT writer FROM audit")?);
    writers.extend(
        checking
            .checkpoints
            .keys()
            .map(|(writer, _)| writer.clone()),
    );
    if heads.is_empty() && writers.is_empty() {
        // Even a catalog in which nothing has happened has a head.
        checking.found("(nobody)", 0, AuditFault::NoHead);
    }
    for writer in writers {
        checking.check(&rows, &writer, heads.get(&writer))?;
    }
    Ok(checking.report)
}

/// The newest row of a writer, and its signature where there is one.
type Head = (Checkpoint, Option<SignedCheckpoint>);

fn heads(rows: &Rows) -> Result<BTreeMap<String, Head>, CatalogError> {
    let mut select =
        rows.prepare("SELECT writer, sequence, at, hash, key, signature FROM audit_heads")?;
    let heads = select.query_map([], |row| {
        let head = Checkpoint::read(row)?;
        Ok((
            head.writer.clone(),
            (head, SignedCheckpoint::read(row).ok()),
        ))
    })?;
    Ok(heads.collect::<Result<_, _>>()?)
}

fn column(rows: &Rows, sql: &str) -> Result<Vec<String>, CatalogError> {
    let mut select = rows.prepare(sql)?;
    let found = select.query_map([], |row| row.get(0))?;
    Ok(found.collect::<Result<_, _>>()?)
}

/// What was erased, by writer: from which row, up to which.
fn erasures(rows: &Rows) -> Result<BTreeMap<(String, i64), i64>, CatalogError> {
    let mut select = rows.prepare("SELECT details FROM audit WHERE action = ?1")?;
    let found = select.query_map([Action::AuditErased.as_str()], |row| {
        row.get::<_, Option<String>>(0)
    })?;
    let mut erasures = BTreeMap::new();
    for details in found {
        // One that cannot be read was tampered with, which its own digest says.
        let Some(Ok(erasure)) = details?.map(|text| serde_json::from_str::<Erasure>(&text)) else {
            continue;
        };
        let of_writer = |(from, to): Range| ((erasure.writer.clone(), from), to);
        erasures.extend(erasure.rows.into_iter().map(of_writer));
    }
    Ok(erasures)
}

struct Checking<'a> {
    keys: &'a [PublicKey],
    erasures: BTreeMap<(String, i64), i64>,
    /// What checkpoints say that rows are.
    checkpoints: BTreeMap<(String, i64), Vec<Sha256Digest>>,
    report: AuditReport,
}

impl Checking<'_> {
    fn take_kept(&mut self, kept: &[SignedCheckpoint]) {
        for signed in kept {
            if signed.signer(self.keys).is_some() {
                self.expect(&signed.checkpoint);
            } else {
                let Checkpoint {
                    writer, sequence, ..
                } = &signed.checkpoint;
                self.found(writer, *sequence, AuditFault::ForgedCheckpoint);
            }
        }
    }

    /// The checkpoints in the catalog itself. Those of other keys say nothing.
    fn take_own(&mut self, rows: &Rows) -> Result<(), CatalogError> {
        for note in column(
            rows,
            "SELECT note FROM audit_checkpoints ORDER BY writer, sequence",
        )? {
            match note.parse::<SignedCheckpoint>() {
                Ok(signed) if signed.signer(self.keys).is_some() => {
                    self.expect(&signed.checkpoint);
                }
                _ => self.report.of_other_keys += 1,
            }
        }
        Ok(())
    }

    fn expect(&mut self, checkpoint: &Checkpoint) {
        let row = (checkpoint.writer.clone(), checkpoint.sequence);
        self.checkpoints
            .entry(row)
            .or_default()
            .push(checkpoint.hash);
    }

    fn found(&mut self, writer: &str, sequence: i64, fault: AuditFault) {
        self.report.faults += 1;
        if self.report.findings.len() < MAX_NAMED {
            self.report.findings.push(AuditFinding {
                writer: writer.to_owned(),
                sequence,
                fault,
            });
        }
    }

    fn check(
        &mut self,
        rows: &Rows,
        writer: &str,
        head: Option<&Head>,
    ) -> Result<(), CatalogError> {
        let mut select = rows.prepare(&format!(
            "SELECT {COLUMNS} FROM audit WHERE writer = ?1 ORDER BY sequence"
        ))?;
        let mut found = select.query([writer])?;
        let mut last = (0, Some(Sha256Digest::from_bytes([0; 32])));
        while let Some(row) = found.next()? {
            last = self.check_row(writer, row, last)?;
        }
        self.check_end(writer, last, head);
        Ok(())
    }

    /// Checks a row against the one before it, and gives it for the next. Where rows are missing, the next one is taken
    /// as it is.
    fn check_row(
        &mut self,
        writer: &str,
        row: &Row<'_>,
        (before, hash_before): (i64, Option<Sha256Digest>),
    ) -> Result<(i64, Option<Sha256Digest>), CatalogError> {
        let (sequence, at): (i64, i64) = (row.get("sequence")?, row.get("at")?);
        let action: String = row.get("action")?;
        let digest = |column| row.get(column).map(Sha256Digest::from_bytes).ok();
        let (payload, hash) = (digest("payload_hash"), digest("hash"));
        self.note(at);
        let is_next = sequence == before + 1;
        if !is_next {
            self.found(writer, before + 1, AuditFault::Missing(sequence - 1));
        }
        let (Some(payload), Some(hash)) = (payload, hash) else {
            self.found(writer, sequence, AuditFault::Changed);
            return Ok((sequence, None));
        };
        self.check_payload(writer, sequence, row, payload)?;
        let link = |before| Link {
            writer,
            sequence,
            at,
            action: &action,
            payload,
            before,
        };
        if let Some(before) = hash_before.filter(|_| is_next)
            && link(before).digest() != hash
        {
            self.found(writer, sequence, AuditFault::Unlinked);
        }
        self.check_checkpoints(writer, sequence, hash);
        Ok((sequence, Some(hash)))
    }

    fn note(&mut self, at: i64) {
        self.report.rows += 1;
        let Ok(at) = Timestamp::from_ms(at) else {
            return;
        };
        let (first, last) = self.report.span.unwrap_or((at, at));
        self.report.span = Some((first.min(at), last.max(at)));
    }

    fn check_payload(
        &mut self,
        writer: &str,
        sequence: i64,
        row: &Row<'_>,
        expected: Sha256Digest,
    ) -> Result<(), CatalogError> {
        let payload = Payload::read(row)?;
        let salt: Option<Vec<u8>> = row.get("salt")?;
        if let Some(salt) = salt {
            if payload.digest(&salt) != expected {
                self.found(writer, sequence, AuditFault::Changed);
            }
        } else if payload != Payload::default() {
            self.found(writer, sequence, AuditFault::Changed);
        } else if self.is_erased(writer, sequence) {
            self.report.erased += 1;
        } else {
            self.found(writer, sequence, AuditFault::ErasedUnseen);
        }
        Ok(())
    }

    fn is_erased(&self, writer: &str, sequence: i64) -> bool {
        let up_to_here = (writer.to_owned(), 0)..=(writer.to_owned(), sequence);
        // Ranges do not overlap: what was erased is not erased again.
        let nearest = self.erasures.range(up_to_here).next_back();
        nearest.is_some_and(|(_, to)| sequence <= *to)
    }

    fn check_checkpoints(&mut self, writer: &str, sequence: i64, hash: Sha256Digest) {
        let row = (writer.to_owned(), sequence);
        for expected in self.checkpoints.remove(&row).unwrap_or_default() {
            if expected == hash {
                self.report.checkpoints += 1;
            } else {
                self.found(writer, sequence, AuditFault::OtherCheckpoint);
            }
        }
    }

    fn check_end(
        &mut self,
        writer: &str,
        (last, hash): (i64, Option<Sha256Digest>),
        head: Option<&Head>,
    ) {
        let signed = head.and_then(|(_, signed)| signed.as_ref());
        let newest_signed = head.map_or(last, |(head, _)| head.sequence);
        match signed {
            None => self.found(writer, newest_signed, AuditFault::NoHead),
            Some(signed) if signed.signer(self.keys).is_none() => {
                self.found(writer, newest_signed, AuditFault::Forged);
            }
            Some(_) => {}
        }
        let of_writer = (writer.to_owned(), last)..=(writer.to_owned(), i64::MAX);
        let kept = self.checkpoints.range(of_writer).next_back();
        let newest = kept.map_or(0, |((_, sequence), _)| *sequence);
        let newest = newest.max(newest_signed);
        if last < newest {
            self.found(writer, last + 1, AuditFault::Cut(newest));
        } else if last > newest_signed {
            self.found(writer, newest_signed + 1, AuditFault::Added);
        } else if head.is_some_and(|(head, _)| hash != Some(head.hash)) {
            self.found(writer, last, AuditFault::OtherHead);
        }
    }
}

impl fmt::Display for AuditFinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            writer,
            sequence,
            fault,
        } = self;
        write!(f, "{writer} row {sequence}: ")?;
        match fault {
            AuditFault::Changed => f.write_str("what it says is not what was written"),
            AuditFault::Unlinked => {
                f.write_str("it, or the row before it, is not what was written")
            }
            AuditFault::ErasedUnseen => {
                f.write_str("what it said was erased, and no row says by whom")
            }
            AuditFault::Missing(to) => write!(f, "missing, up to row {to}"),
            AuditFault::Cut(to) => write!(f, "missing, up to the newest that was signed, row {to}"),
            AuditFault::Added => {
                f.write_str("not signed; it and what follows was not written by services")
            }
            AuditFault::OtherHead => f.write_str("the newest row is not the one that was signed"),
            AuditFault::NoHead => f.write_str("there is no signature of the newest row"),
            AuditFault::Forged => {
                f.write_str("the signature of the newest row is of none of the keys that count")
            }
            AuditFault::OtherCheckpoint => {
                f.write_str("it is not the row that it was when a checkpoint was made")
            }
            AuditFault::ForgedCheckpoint => {
                f.write_str("the signature of the checkpoint is of none of the keys that count")
            }
        }
    }
}
