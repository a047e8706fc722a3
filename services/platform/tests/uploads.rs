//! Uploads in this process keep the contract of every store, and survive what only services can suffer.

mod common;

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use portcullis_hop::contract::{Subject, new_upload};
use portcullis_hop::{
    Commit, Conclusion, Disposition, Ending, Epoch, StoreError, UploadState, UploadStore,
};
use portcullis_services::catalog::{Actor, CatalogError, Rows, VersionRow};
use portcullis_services::config::DiskLimits;
use portcullis_services::{NewFile, Prefix, Uploads};
use portcullis_telemetry::{Span, SpanName};
use portcullis_types::{Attributes, Clock, Findings, ManualClock, Offset, Sha256Digest, UploadId};

use common::{open, open_limited};

struct Local {
    uploads: Uploads,
    folder: tempfile::TempDir,
}

async fn fresh() -> Local {
    let folder = tempfile::tempdir().expect("a folder");
    let uploads = open(folder.path(), Clock::system());
    Local { uploads, folder }
}

impl Subject for Local {
    type Store = Uploads;

    fn store(&self) -> &Uploads {
        &self.uploads
    }

    fn visible(&self, path: &str) -> Option<Vec<u8>> {
        std::fs::read(self.folder.path().join("local").join(path)).ok()
    }
}

portcullis_hop::store_contract!(fresh);

/// A file of the file API, of nobody.
fn new_file(path: &str) -> NewFile {
    NewFile {
        disk: "local".parse().expect("is valid"),
        path: path.parse().expect("is safe"),
        media_type: None,
        metadata: Attributes::default(),
        sha256: None,
        principal: portcullis_types::Principal::anonymous(),
        client: None,
    }
}

#[tokio::test]
async fn an_upload_to_which_nothing_comes_expires_and_its_bytes_go() {
    let folder = tempfile::tempdir().expect("a folder");
    let clock = ManualClock::at(Clock::system().now());
    let uploads = open(folder.path(), clock.clock());
    let span = Span::root(SpanName::Upload, None);
    let upload = new_upload(&span);
    uploads.create(&upload, &span).await.expect("is created");
    let stage = folder
        .path()
        .join(format!("local/.portcullis/stages/{}", upload.id));
    std::fs::write(&stage, "bytes").expect("is written");

    assert_eq!(uploads.sweep().await, Ok(0));
    clock.advance(Duration::from_hours(2));
    assert_eq!(uploads.sweep().await, Ok(1));
    let record = uploads.record(upload.id, &span).await.expect("stays");
    assert_eq!(record.status.state, UploadState::Expired);
    assert!(!stage.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_to_which_bytes_come_lives_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let clock = ManualClock::at(Clock::system().now());
    let uploads = open(folder.path(), clock.clock());
    let span = Span::root(SpanName::Upload, None);
    let upload = new_upload(&span);
    uploads.create(&upload, &span).await.expect("is created");
    for round in 0..3 {
        clock.advance(Duration::from_mins(50));
        let body = Box::pin(futures_util::stream::iter([Ok("abc".into())]));
        let mode = portcullis_hop::AppendMode::Acknowledged;
        let from = Offset::new(3 * round);
        let appended = uploads
            .append(upload.id, Epoch::FIRST, from, mode, body, &span)
            .await;
        appended.expect("room");
        assert_eq!(uploads.sweep().await, Ok(0));
    }
    clock.advance(Duration::from_mins(61));
    assert_eq!(uploads.sweep().await, Ok(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_crash_left_behind_is_cleared_up_and_what_it_left_undone_is_done() {
    let Local { uploads, folder } = fresh().await;
    let span = Span::root(SpanName::Upload, None);
    let (over, kept) = (new_upload(&span), new_upload(&span));
    let strange = UploadId::generate();
    let own = folder.path().join("local/.portcullis");
    for upload in [&over, &kept] {
        uploads.create(upload, &span).await.expect("is created");
    }
    let cancelled = Conclusion {
        epoch: Epoch::FIRST,
        ending: Ending::Cancelled,
        refusal: None,
        policies: Vec::new(),
        findings: Findings::default(),
    };
    let concluded = uploads.conclude(over.id, &cancelled, &span).await;
    concluded.expect("ends");
    for id in [over.id, strange] {
        for place in ["versions", "stages"] {
            std::fs::write(own.join(format!("{place}/{id}")), "left behind").expect("is written");
        }
    }
    let mode = portcullis_hop::AppendMode::Acknowledged;
    let body = Box::pin(futures_util::stream::iter([Ok("abc".into())]));
    let appended = uploads
        .append(kept.id, Epoch::FIRST, Offset::ZERO, mode, body, &span)
        .await;
    appended.expect("room");

    let recovered = tokio::task::spawn_blocking(move || uploads.recover());
    recovered.await.expect("runs").expect("recovers");
    let names = |folder: &str| -> BTreeSet<String> {
        let entries = std::fs::read_dir(own.join(folder)).expect("is read");
        entries
            .map(|entry| {
                entry
                    .expect("is read")
                    .file_name()
                    .to_string_lossy()
                    .into_owned()
            })
            .collect()
    };
    // What another catalog knows is not ours to remove.
    assert_eq!(names("versions"), [strange.to_string()].into());
    let staged = [kept.id, strange].map(|id| id.to_string());
    assert_eq!(names("stages"), staged.into());
}

#[tokio::test(flavor = "multi_thread")]
async fn of_what_a_crash_left_of_small_files_the_committed_ones_stay() {
    let Local { uploads, folder } = fresh().await;
    let span = Span::root(SpanName::Upload, None);
    let own = folder.path().join("local/.portcullis");
    let disk = uploads.disk_or_default(None).expect("is there").clone();
    let (committed, never) = (new_upload(&span), UploadId::generate());
    let commit = portcullis_hop::Commit {
        epoch: Epoch::FIRST,
        length: Offset::new(3),
        sha256: portcullis_types::Sha256Digest::of(b"abc"),
        path: "a.csv".parse().expect("is safe"),
        disposition: portcullis_hop::Disposition::Publish,
        policies: Vec::new(),
        findings: Findings::default(),
    };
    let stored = uploads
        .store(&committed, &commit, "abc".into(), &span)
        .await;
    stored.expect("is stored");
    // As it was in the moment after the commit.
    let version = own.join(format!("versions/{}", committed.id));
    let unsettled = own.join(format!("stages/{}.whole", committed.id));
    std::fs::hard_link(&version, &unsettled).expect("is linked");
    disk.disk().keep_whole(never, b"abc").expect("is kept");
    let recovered = tokio::task::spawn_blocking(move || uploads.recover());
    recovered.await.expect("runs").expect("recovers");
    assert!(version.exists() && !unsettled.exists());
    assert!(!own.join(format!("versions/{never}")).exists());
    assert!(!own.join(format!("stages/{never}.whole")).exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_committed_file_whose_link_was_not_made_is_shown_at_the_next_start() {
    let Local { uploads, folder } = fresh().await;
    let span = Span::root(SpanName::Upload, None);
    let body = Box::pin(futures_util::stream::iter([Ok("abc".into())]));
    uploads
        .store_file(new_file("a/b.csv"), body, None, &span)
        .await
        .expect("is stored");
    // The next transaction remembers that the link was made.
    uploads.sweep().await.expect("runs");
    drop(uploads);
    // As after a crash between the commit and the link.
    let visible = folder.path().join("local/a/b.csv");
    std::fs::remove_file(&visible).expect("was shown");
    let catalog = rusqlite::Connection::open(folder.path().join("catalog.sqlite")).expect("opens");
    catalog
        .execute("UPDATE versions SET linked = 0", [])
        .expect("is done");

    let uploads = open(folder.path(), Clock::system());
    let recovered = tokio::task::spawn_blocking(move || uploads.recover());
    recovered.await.expect("runs").expect("recovers");
    assert_eq!(std::fs::read(visible).expect("is shown"), b"abc");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_small_upload_whose_answer_got_lost_has_its_receipt_when_the_disk_takes_nothing_more() {
    let Local { uploads, folder } = fresh().await;
    let span = Span::root(SpanName::Upload, None);
    let (upload, bytes) = (new_upload(&span), Bytes::from_static(b"abc"));
    let commit = Commit {
        epoch: Epoch::FIRST,
        length: Offset::new(3),
        sha256: Sha256Digest::of(&bytes),
        path: "a.csv".parse().expect("is safe"),
        disposition: Disposition::Publish,
        policies: Vec::new(),
        findings: Findings::default(),
    };
    let stored = uploads.store(&upload, &commit, bytes.clone(), &span).await;
    let receipt = stored.expect("is stored");
    let full = DiskLimits {
        reserve_bytes: u64::MAX,
        ..DiskLimits::default()
    };
    let read_only = DiskLimits {
        read_only: true,
        ..DiskLimits::default()
    };
    for (limits, refusal) in [
        (full, StoreError::DiskFull),
        (
            read_only,
            StoreError::ReadOnly("local".parse().expect("is valid")),
        ),
    ] {
        let uploads = open_limited(folder.path(), Clock::system(), limits);
        let again = uploads.store(&upload, &commit, bytes.clone(), &span).await;
        assert_eq!(again.as_ref(), Ok(&receipt));
        let another = new_upload(&span);
        let refused = uploads.store(&another, &commit, bytes.clone(), &span).await;
        assert_eq!(refused, Err(refusal));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_that_leads_to_an_older_version_is_not_taken_for_the_right_one() {
    let Local { uploads, folder: _ } = &fresh().await;
    let span = Span::root(SpanName::Upload, None);
    let mut versions = Vec::new();
    for text in ["one", "two"] {
        let body = Box::pin(futures_util::stream::iter([Ok(text.into())]));
        let stored = uploads.store_file(new_file("a.csv"), body, None, &span);
        versions.push(stored.await.expect("is stored").id);
    }
    let in_catalog = async |shown: Option<UploadId>| {
        let job = move |rows: &Rows| {
            let (disk, path) = ("local".parse().expect("is valid"), "a.csv".parse());
            match shown {
                None => drop(rows.execute("UPDATE versions SET linked = 0", [])),
                shown => VersionRow::set_linked(rows, &disk, &path.expect("is safe"), shown)?,
            }
            Ok::<_, CatalogError>(VersionRow::unlinked_paths(rows, &disk)?.len())
        };
        uploads.catalog().run(job).await
    };
    assert!(matches!(in_catalog(None).await, Ok(1)));
    assert!(matches!(in_catalog(Some(versions[0])).await, Ok(1)));
    assert!(matches!(in_catalog(Some(versions[1])).await, Ok(0)));
}

#[tokio::test(flavor = "multi_thread")]
async fn links_that_were_just_made_are_settled_by_themselves() {
    let Local { uploads, folder: _ } = &fresh().await;
    let span = Span::root(SpanName::Upload, None);
    for path in ["a/1.csv", "a/2.csv", "b/1.csv", "a/1.csv"] {
        let body = Box::pin(futures_util::stream::iter([Ok(path.to_owned().into())]));
        let stored = uploads.store_file(new_file(path), body, None, &span);
        stored.await.expect("is stored");
    }
    // What nobody waits for rides along with what somebody waits for.
    let unsettled = |rows: &Rows| {
        let disk = "local".parse().expect("is valid");
        Ok::<_, CatalogError>(VersionRow::unlinked_paths(rows, &disk)?.len())
    };
    let settled = async {
        while !matches!(uploads.catalog().run(unsettled).await, Ok(0)) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let settled = tokio::time::timeout(Duration::from_secs(30), settled).await;
    settled.expect("all links are settled");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_catalog_and_its_log_are_for_services_alone() {
    use std::os::unix::fs::PermissionsExt;

    let Local { uploads, folder } = &fresh().await;
    uploads.sweep().await.expect("runs");
    let mut seen = BTreeSet::new();
    for entry in std::fs::read_dir(folder.path()).expect("is read") {
        let entry = entry.expect("is read");
        if entry.file_type().expect("is known").is_file() {
            let mode = entry.metadata().expect("is known").permissions().mode();
            assert_eq!(mode & 0o077, 0, "{:?}: {mode:o}", entry.file_name());
            seen.insert(entry.file_name().into_string().expect("is text"));
        }
    }
    let log = "catalog.sqlite-wal".to_owned();
    assert!(
        seen.contains("catalog.sqlite") && seen.contains(&log),
        "{seen:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_file_is_gone_and_what_follows_it_is_a_new_version() {
    let Local { uploads, folder } = fresh().await;
    let span = Span::root(SpanName::Upload, None);
    let store = |text: &'static str| {
        let body = Box::pin(futures_util::stream::iter([Ok(text.into())]));
        uploads.store_file(new_file("a.csv"), body, None, &span)
    };
    assert_eq!(store("one").await.map(|receipt| receipt.version), Ok(1));
    let disk = uploads.disk_or_default(None).expect("is there").clone();
    let path = "a.csv".parse().expect("is safe");
    uploads
        .delete(&disk, &path, Actor::itself("key:x"), None)
        .await
        .expect("is deleted");
    assert!(!folder.path().join("local/a.csv").exists());
    let again = uploads
        .delete(&disk, &path, Actor::itself("key:x"), None)
        .await;
    assert_eq!(again.map_err(|fault| fault.0), Err(StoreError::NotFound));
    assert_eq!(store("two").await.map(|receipt| receipt.version), Ok(2));
    let listed = uploads
        .page(&disk.name, &Prefix::default(), None, 10)
        .await
        .expect("is read");
    assert_eq!(listed.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_arrives_before_an_append_breaks_off_is_kept() {
    let Local { uploads, .. } = &fresh().await;
    let span = Span::root(SpanName::Upload, None);
    let upload = new_upload(&span);
    uploads.create(&upload, &span).await.expect("is created");
    let body = futures_util::stream::iter([Ok("arrived".into()), Err(portcullis_hop::BodyAborted)]);
    let mode = portcullis_hop::AppendMode::Acknowledged;
    let broken = uploads
        .append(
            upload.id,
            Epoch::FIRST,
            Offset::ZERO,
            mode,
            Box::pin(body),
            &span,
        )
        .await;
    assert_eq!(broken, Err(StoreError::Aborted));
    let record = uploads.record(upload.id, &span).await.expect("is there");
    assert_eq!(record.status.offset, Offset::new(7));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_end_of_an_upload_is_one_row_of_the_audit() {
    let Local { uploads, folder } = &fresh().await;
    let span = Span::root(SpanName::Upload, None);
    let file = NewFile {
        disk: "local".parse().expect("is valid"),
        path: "a.csv".parse().expect("is safe"),
        media_type: None,
        metadata: Attributes::default(),
        sha256: None,
        principal: portcullis_types::Principal::new("site-7", [""; 0]).expect("is valid"),
        client: None,
    };
    let body = Box::pin(futures_util::stream::iter([Ok("abc".into())]));
    let stored = uploads
        .store_file(file, body, None, &span)
        .await
        .expect("is stored");
    let refused = new_upload(&span);
    uploads.create(&refused, &span).await.expect("is created");
    let conclusion = portcullis_hop::Conclusion {
        epoch: Epoch::FIRST,
        ending: portcullis_hop::Ending::Rejected,
        refusal: None,
        policies: Vec::new(),
        findings: portcullis_types::Findings::default(),
    };
    for _ in 0..2 {
        let concluded = uploads.conclude(refused.id, &conclusion, &span).await;
        concluded.expect("is concluded");
    }
    let catalog = rusqlite::Connection::open(folder.path().join("catalog.sqlite")).expect("opens");
    let mut rows = catalog
        .prepare(
            "SELECT action, subject, upload, path, version, trace_id FROM audit ORDER BY sequence",
        )
        .expect("is SQL");
    let rows: Vec<String> = rows
        .query_map([], |row| {
            let text = |column: usize| row.get::<_, Option<String>>(column);
            let (action, subject, upload) = (text(0)?, text(1)?, text(2)?);
            let (path, version) = (text(3)?, row.get::<_, Option<i64>>(4)?);
            Ok(format!(
                "{action:?} {subject:?} {upload:?} {path:?} {version:?} {:?}",
                text(5)?
            ))
        })
        .expect("is read")
        .collect::<Result<_, _>>()
        .expect("is read");
    let trace = span.context().trace_id();
    let wanted = [
        format!(
            "Some(\"created\") Some(\"site-7\") Some(\"{}\") Some(\"a.csv\") Some(1) Some(\"{trace}\")",
            stored.id
        ),
        format!(
            "Some(\"rejected\") Some(\"site-7\") Some(\"{}\") None None Some(\"{trace}\")",
            refused.id
        ),
    ];
    assert_eq!(rows, wanted);
}
