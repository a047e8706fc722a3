//! The audit shows what was done to it.

use std::path::{Path, PathBuf};

use portcullis_services::catalog::audit::{
    AuditFault, AuditFilter, AuditReport, SignedCheckpoint, key_file, public_key, verify,
};
use portcullis_services::catalog::{Action, Actor, AuditEntry, Catalog, CatalogError, Rows};
use portcullis_services::quarantine::Decision;
use portcullis_types::{Clock, Timestamp};
use rusqlite::Connection;
use rusqlite::types::Value;
use serde_json::json;

/// The name that must be gone once it is erased.
const PLANTED: &str = "maria-musterfrau.csv";

struct Audited {
    _folder: tempfile::TempDir,
    path: PathBuf,
}

fn now() -> Timestamp {
    Clock::system().now()
}

fn work<T: Send + 'static>(
    path: &Path,
    job: impl FnOnce(&Rows) -> Result<T, CatalogError> + Send + 'static,
) -> T {
    let (catalog, thread) = Catalog::open(path).expect("opens");
    let done = catalog.run_blocking(job).expect("is done");
    drop(catalog);
    thread.join();
    done
}

fn read(file: &str) -> AuditEntry {
    let disk = "local".parse().expect("is a name");
    let path = format!("a/{file}").parse().expect("is safe");
    let actor = Actor {
        client: "192.0.2.7".parse().ok(),
        ..Actor::itself("site-7")
    };
    AuditEntry::new(now(), Action::Read, actor)
        .at_path(&disk, &path)
        .with(json!({ "from": 0, "until": 10 }))
}

/// A catalog whose audit has six rows, written in several transactions.
fn audited() -> Audited {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("catalog.sqlite");
    for files in [["1.csv", "2.csv"], [PLANTED, "4.csv"], ["5.csv", PLANTED]] {
        work(&path, move |rows| {
            files.iter().try_for_each(|file| read(file).write(rows))
        });
    }
    Audited {
        _folder: folder,
        path,
    }
}

impl Audited {
    fn report(&self, kept: &[SignedCheckpoint]) -> AuditReport {
        let keys = [public_key(&self.path).expect("is there")];
        verify(&self.path, &keys, kept).expect("is read")
    }

    fn faults(&self, kept: &[SignedCheckpoint]) -> Vec<(i64, AuditFault)> {
        let findings = self.report(kept).findings.into_iter();
        findings
            .map(|found| (found.sequence, found.fault))
            .collect()
    }

    /// As somebody with `sqlite3` would.
    fn tamper(&self, sql: &str) {
        let rows = Connection::open(&self.path).expect("opens");
        rows.execute_batch(sql).expect("is SQL");
    }

    fn checkpoint(&self) -> SignedCheckpoint {
        let newest = work(&self.path, SignedCheckpoint::newest).expect("has rows");
        let signed = newest.clone();
        work(&self.path, move |rows| signed.put_away(rows));
        newest
    }
}

#[test]
fn an_audit_that_nobody_touched_is_what_was_written() {
    let audited = audited();
    let kept = audited.checkpoint();
    let report = audited.report(&[kept]);
    assert_eq!((report.faults, report.rows), (0, 6), "{report:?}");
    // The one in the catalog, and the one that was kept.
    assert_eq!(report.checkpoints, 2);
}

#[test]
fn no_column_of_any_row_can_be_changed_unseen() {
    let columns = "writer, sequence, at, action, subject, client, upload, disk, path, version, trace_id, details, salt, \
                   payload_hash, hash";
    for row in 1..=6 {
        for column in columns.split(", ") {
            let audited = audited();
            let rows = Connection::open(&audited.path).expect("opens");
            let select = format!("SELECT {column} FROM audit WHERE sequence = {row}");
            let before: Value = rows
                .query_row(&select, [], |row| row.get(0))
                .expect("is there");
            let after = match before {
                Value::Integer(number) => Value::Integer(number + 100),
                Value::Text(text) => Value::Text(format!("{text}x")),
                Value::Blob(bytes) => Value::Blob(bytes.iter().map(|byte| byte ^ 1).collect()),
                _ if column == "version" => Value::Integer(1),
                _ => Value::Text("x".to_owned()),
            };
            let update = format!("UPDATE audit SET {column} = ?1 WHERE sequence = {row}");
            rows.execute(&update, [after]).expect("is changed");
            assert_ne!(audited.faults(&[]), [], "{column} of row {row}");
        }
    }
}

#[test]
fn rows_that_are_missing_are_named() {
    for (sql, faults) in [
        (
            "DELETE FROM audit WHERE sequence IN (2, 3)",
            vec![(2, AuditFault::Missing(3))],
        ),
        (
            "DELETE FROM audit WHERE sequence = 1",
            vec![(1, AuditFault::Missing(1))],
        ),
        (
            "DELETE FROM audit WHERE sequence > 4",
            vec![(5, AuditFault::Cut(6))],
        ),
        ("DELETE FROM audit", vec![(1, AuditFault::Cut(6))]),
        (
            "DELETE FROM audit; DELETE FROM audit_heads",
            vec![(0, AuditFault::NoHead)],
        ),
    ] {
        let audited = audited();
        audited.tamper(sql);
        assert_eq!(audited.faults(&[]), faults, "{sql}");
    }
}

#[test]
fn an_end_that_was_cut_off_with_its_signature_is_seen_by_whoever_kept_a_checkpoint() {
    let audited = audited();
    // Somebody keeps an old head, waits, and puts it back when they have something to hide.
    audited.tamper("CREATE TABLE old AS SELECT * FROM audit_heads");
    work(&audited.path, |rows| read("evil.csv").write(rows));
    let kept = audited.checkpoint();
    audited.tamper(
        "DELETE FROM audit WHERE sequence > 6; DELETE FROM audit_checkpoints;
         DELETE FROM audit_heads; INSERT INTO audit_heads SELECT * FROM old",
    );
    assert_eq!(audited.faults(&[]), []);
    assert_eq!(audited.faults(&[kept]), [(7, AuditFault::Cut(7))]);
}

#[test]
fn rows_and_heads_of_others_are_not_taken_for_ours() {
    let audited = audited();
    let (other, theirs) = (self::audited(), key_file(&audited.path));
    std::fs::copy(key_file(&other.path), &theirs).expect("is copied");
    assert_eq!(audited.faults(&[]), [(6, AuditFault::Forged)]);
    // Services find that key, say so, and go on with it.
    work(&audited.path, |rows| read("7.csv").write(rows));
    let report = audited.report(&[]);
    assert_eq!((report.faults, report.rows), (0, 8), "{report:?}");
    audited.tamper(
        "INSERT INTO audit SELECT writer, 9, at, action, subject, client, upload, disk, path, version, trace_id, details,
                                  salt, payload_hash, hash FROM audit WHERE sequence = 8",
    );
    let faults = audited.faults(&[]);
    assert!(faults.contains(&(9, AuditFault::Added)), "{faults:?}");
}

#[test]
fn what_was_erased_is_gone_and_everything_else_still_holds() {
    let audited = audited();
    let kept = audited.checkpoint();
    let filter = AuditFilter {
        path: format!("a/{PLANTED}").parse().ok(),
        ..AuditFilter::default()
    };
    let decision = Decision::new(Actor::operator(), "asked by the patient").expect("is a reason");
    let erase = move |rows: &Rows| filter.erase(rows, &decision, now());
    assert_eq!(work(&audited.path, erase), 2);
    let report = audited.report(&[kept]);
    assert_eq!((report.faults, report.erased, report.rows), (0, 2, 7));
    assert_eq!(report.checkpoints, 2);
    let folder = audited.path.parent().expect("is in a folder");
    for file in std::fs::read_dir(folder).expect("is read") {
        let bytes = std::fs::read(file.expect("is read").path()).expect("is read");
        let found = bytes
            .windows(PLANTED.len())
            .any(|window| window == PLANTED.as_bytes());
        assert!(!found);
    }
    // The same by hand is an attack.
    audited.tamper(
        "UPDATE audit SET subject = NULL, client = NULL, disk = NULL, path = NULL, details = NULL, salt = NULL
         WHERE sequence = 1",
    );
    assert_eq!(audited.faults(&[]), [(1, AuditFault::ErasedUnseen)]);
}

#[test]
fn a_history_is_of_one_file_and_of_the_lists_in_which_it_was() {
    let audited = audited();
    let listed = |path: Option<&str>| {
        let mut entry = AuditEntry::new(now(), Action::Listed, Actor::itself("key:internal"));
        entry.disk = "local".parse().ok();
        entry.path = path.map(|path| path.parse().expect("is safe"));
        entry
    };
    let entries = [listed(Some("a")), listed(None), listed(Some("b"))];
    work(&audited.path, move |rows| {
        entries.iter().try_for_each(|entry| entry.write(rows))
    });
    let of = |filter: AuditFilter| {
        let newest = work(&audited.path, move |rows| filter.newest(rows, 100));
        newest.iter().map(|row| row.sequence).collect::<Vec<_>>()
    };
    let path = |path: &str| AuditFilter {
        path: path.parse().ok(),
        ..AuditFilter::default()
    };
    assert_eq!(of(path("a/5.csv")), [5, 7, 8]);
    assert_eq!(of(path("a")), [1, 2, 3, 4, 5, 6, 7, 8]);
    let subject = AuditFilter {
        subject: Some("key:internal".to_owned()),
        ..path("a/5.csv")
    };
    assert_eq!(of(subject), [7, 8]);
    let reads = AuditFilter {
        actions: vec![Action::Read],
        since: Some(now().minus(std::time::Duration::from_hours(1))),
        until: Some(now()),
        ..path("a/5.csv")
    };
    assert_eq!(of(reads), [5]);
}

#[test]
fn rows_from_before_there_was_a_chain_are_taken_into_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("catalog.sqlite");
    let rows = Connection::open(&path).expect("opens");
    for step in [
        include_str!("../migrations/0001_uploads.sql"),
        include_str!("../migrations/0002_policies.sql"),
        include_str!("../migrations/0003_shadow.sql"),
        include_str!("../migrations/0004_trials.sql"),
        include_str!("../migrations/0005_file_api.sql"),
        include_str!("../migrations/0006_disks.sql"),
        "PRAGMA user_version = 6;
         INSERT INTO audit (at, action, subject, disk, path, version, details)
             VALUES (1, 'created', 'site-7', 'local', 'a.csv', 1, '{\"size\":1}'), (2, 'read', 'key:x', 'local', 'a.csv', 1, NULL)",
    ] {
        rows.execute_batch(step).expect("is SQL");
    }
    let too_old = verify(&path, &[], &[]).expect_err("is too old");
    assert!(matches!(too_old, CatalogError::TooOld(6)));
    drop(rows);
    let all = |rows: &Rows| AuditFilter::default().newest(rows, 10);
    let rows = work(&path, all);
    let told: Vec<_> = rows
        .iter()
        .map(|row| (row.sequence, row.action.as_str(), row.subject.as_deref()))
        .collect();
    let wanted = [(1, "created", Some("site-7")), (2, "read", Some("key:x"))];
    assert_eq!(told, wanted);
    let audited = Audited {
        _folder: folder,
        path,
    };
    assert_eq!(audited.faults(&[]), []);
}
