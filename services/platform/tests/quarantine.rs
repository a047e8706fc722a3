//! Decisions about quarantine: each is one transaction with its audit row, and what a crash leaves undone is
//! done at the next start.

mod common;

use portcullis_hop::contract::new_upload;
use portcullis_hop::{
    AppendMode, Commit, Disposition, Epoch, Refusal, StoreError, UploadState, UploadStore,
};
use portcullis_services::catalog::{Actor, Rows};
use portcullis_services::quarantine::Decision;
use portcullis_services::{Fault, Uploads};
use portcullis_telemetry::{Span, SpanName};
use portcullis_types::{Clock, Findings, Offset, Sha256Digest, UploadId};

use common::open;

const BYTES: &[u8] = b"patid\n1\n";

/// An upload that is set apart.
async fn set_apart(uploads: &Uploads) -> UploadId {
    let span = Span::root(SpanName::Upload, None);
    let upload = new_upload(&span);
    uploads.create(&upload, &span).await.expect("is created");
    let body = Box::pin(futures_util::stream::iter([Ok(BYTES.into())]));
    let appended = uploads.append(
        upload.id,
        Epoch::FIRST,
        Offset::ZERO,
        AppendMode::Acknowledged,
        body,
        &span,
    );
    appended.await.expect("is taken");
    let commit = Commit {
        epoch: Epoch::FIRST,
        length: Offset::new(BYTES.len() as u64),
        sha256: Sha256Digest::of(BYTES),
        path: "in/file.csv".parse().expect("is a path"),
        disposition: Disposition::Quarantine(Refusal {
            rule: "under-review".to_owned(),
            message: "Somebody will look at it.".to_owned(),
        }),
        policies: Vec::new(),
        findings: Findings::default(),
    };
    uploads
        .commit(upload.id, &commit, &span)
        .await
        .expect("is set apart");
    upload.id
}

fn because(reason: &str) -> Decision {
    Decision::new(Actor::itself("key:admin"), reason).expect("is a reason")
}

/// The last row of the audit: action, subject, upload, details.
async fn last_audit(uploads: &Uploads) -> (String, String, String, String) {
    let read = |rows: &Rows| {
        let last =
            "SELECT action, subject, upload, details FROM audit ORDER BY sequence DESC LIMIT 1";
        let row = rows.query_row(last, [], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
        });
        row.map_err(|_| Fault(StoreError::StorageFailed))
    };
    uploads.catalog().run(read).await.expect("a row")
}

#[tokio::test(flavor = "multi_thread")]
async fn each_decision_is_audited_with_who_and_why() {
    let folder = tempfile::tempdir().expect("a folder");
    let uploads = open(folder.path(), Clock::system());
    let (first, second) = (set_apart(&uploads).await, set_apart(&uploads).await);
    let (action, ..) = last_audit(&uploads).await;
    assert_eq!(action, "quarantined");

    let released = uploads.release(first, because("It is fine.")).await;
    assert!(released.expect("is released").shown);
    let (action, subject, upload, details) = last_audit(&uploads).await;
    assert_eq!(
        (action.as_str(), subject.as_str()),
        ("released", "key:admin")
    );
    assert_eq!(upload, first.to_string());
    assert!(details.contains("It is fine."), "{details}");

    let discarded = uploads.discard(second, because("It names patients."));
    discarded.await.expect("is discarded");
    let (action, _, upload, details) = last_audit(&uploads).await;
    assert_eq!(
        (action, upload),
        ("discarded".to_owned(), second.to_string())
    );
    assert!(details.contains("It names patients."), "{details}");
    assert!(
        uploads
            .quarantined(Actor::itself("key:admin"))
            .await
            .expect("is listed")
            .is_empty()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn two_who_decide_at_once_do_not_both_decide() {
    let folder = tempfile::tempdir().expect("a folder");
    let uploads = open(folder.path(), Clock::system());
    let id = set_apart(&uploads).await;
    let (released, discarded) = tokio::join!(
        uploads.release(id, because("yes")),
        uploads.discard(id, because("no"))
    );
    assert_ne!(released.is_ok(), discarded.is_ok());
    let shown = folder.path().join("local/in/file.csv").exists();
    assert_eq!(shown, released.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_a_crash_left_of_a_discarded_file_go_at_the_next_start() {
    let folder = tempfile::tempdir().expect("a folder");
    let uploads = open(folder.path(), Clock::system());
    let (kept, discarded) = (set_apart(&uploads).await, set_apart(&uploads).await);
    let version = |id: UploadId| {
        folder
            .path()
            .join(format!("local/.portcullis/versions/{id}"))
    };
    let decided = uploads.discard(discarded, because("no"));
    decided.await.expect("is discarded");
    assert!(!version(discarded).exists());
    std::fs::write(version(discarded), BYTES).expect("is written");
    let uploads = open(folder.path(), Clock::system());
    tokio::task::spawn_blocking(move || uploads.recover())
        .await
        .expect("runs")
        .expect("recovers");
    assert!(!version(discarded).exists() && version(kept).exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_that_a_crash_interrupted_is_shown_at_the_next_start() {
    let folder = tempfile::tempdir().expect("a folder");
    let uploads = open(folder.path(), Clock::system());
    let id = set_apart(&uploads).await;
    uploads
        .release(id, because("yes"))
        .await
        .expect("is released");
    let shown = folder.path().join("local/in/file.csv");
    std::fs::remove_file(&shown).expect("is removed");
    let unlinked = |rows: &Rows| {
        let changed = rows.execute("UPDATE versions SET linked = 0", []);
        changed.map_err(|_| Fault(StoreError::StorageFailed))
    };
    uploads.catalog().run(unlinked).await.expect("is changed");
    let again = open(folder.path(), Clock::system());
    tokio::task::spawn_blocking(move || again.recover())
        .await
        .expect("runs")
        .expect("recovers");
    assert_eq!(std::fs::read(shown).expect("is shown"), BYTES);
    let span = Span::root(SpanName::Upload, None);
    let record = uploads.record(id, &span).await.expect("is there");
    assert_eq!(record.status.state, UploadState::Committed);
}
