//! The tests that every [`UploadStore`] must pass. `store_contract!(fresh)` makes one test of each, where
//! `fresh().await` gives a new [`Subject`]. Whoever uses it has tokio with `macros` and `rt-multi-thread`.
#![expect(missing_docs, reason = "the names of the tests are sentences")]

use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use portcullis_telemetry::{Span, SpanName};
use portcullis_types::{
    Attributes, Clock, DiskPath, Findings, Offset, Principal, Sha256Digest, UploadId,
};

use crate::{
    AppendMode, BodyAborted, ByteStream, Commit, Composition, Conclusion, Disposition, Ending,
    Epoch, NewUpload, Refusal, Status, StoreError, UploadState, UploadStore,
};

/// A store under test with a disk `local`, and how that looks from outside.
pub trait Subject: Send + Sync {
    type Store: UploadStore;
    /// The store.
    fn store(&self) -> &Self::Store;
    /// The bytes that somebody finds at a visible path of the disk `local`.
    fn visible(&self, path: &str) -> Option<Vec<u8>>;
}

/// Makes a test of every function of [`contract`](crate::contract) that takes a [`Subject`].
#[macro_export]
macro_rules! store_contract {
    ($fresh:path) => {
        $crate::store_contract! { @each $fresh:
            a_committed_upload_is_visible_whole_and_has_a_receipt
            nothing_is_visible_before_it_is_committed
            creating_twice_is_creating_once
            an_append_goes_on_where_the_last_one_ended
            an_upload_whose_append_broke_off_goes_on_from_its_offset
            an_older_epoch_is_refused
            a_newer_epoch_stops_an_append_that_hangs
            provisional_bytes_count_only_after_a_checkpoint
            provisional_bytes_are_dropped_by_whoever_begins_again
            a_repeated_commit_has_the_same_receipt
            a_small_upload_is_stored_in_one_call_that_may_be_repeated
            a_small_upload_that_is_not_stored_does_not_exist
            another_length_or_digest_is_refused_and_nothing_is_visible
            a_concluded_upload_keeps_its_record_and_takes_nothing_more
            a_quarantined_upload_is_not_visible
            uploads_to_one_path_become_one_version_each
            the_length_is_told_once_and_no_shorter_than_what_came
            an_upload_is_read_back_up_to_its_acknowledged_offset
            what_policies_know_is_kept_with_the_offset_that_it_is_of
            a_part_is_held_and_read_and_never_committed
            an_empty_upload_is_a_file
            what_is_not_there_is_not_found
            a_disk_that_is_not_there_is_named
        }
    };
    (@each $fresh:path: $($name:ident)*) => {
        $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            $crate::contract::$name(&$fresh().await).await;
        })*
    };
}

fn span() -> Span {
    Span::root(SpanName::Upload, None)
}

/// A new upload for the disk `local`.
pub fn new_upload(span: &Span) -> NewUpload {
    let now = Clock::system().now();
    let mut attributes = Attributes::default();
    attributes.insert("cohort", "c1").expect("is valid");
    NewUpload {
        id: UploadId::generate(),
        principal: Principal::new("site-7", ["uploaders"]).expect("is valid"),
        client: "192.0.2.7".parse().ok(),
        filename: "patient.csv".to_owned(),
        folder: None,
        media_type: Some("text/csv".to_owned()),
        attributes,
        composition: None,
        metadata: None,
        length: None,
        disk: "local".parse().ok(),
        revision: Some(Sha256Digest::of(b"a revision")),
        traceparent: span.context(),
        received_at: now,
        expires_at: now.plus(Duration::from_hours(1)),
    }
}

fn commit(bytes: &[u8], path: &str) -> Commit {
    Commit {
        epoch: Epoch::FIRST,
        length: Offset::new(bytes.len() as u64),
        sha256: Sha256Digest::of(bytes),
        path: path.parse().expect("is safe"),
        disposition: Disposition::Publish,
        policies: Vec::new(),
        findings: Findings::default(),
    }
}

fn blocks(bytes: &[u8]) -> ByteStream {
    let blocks: Vec<_> = bytes
        .chunks(3)
        .map(|block| Ok(Bytes::copy_from_slice(block)))
        .collect();
    Box::pin(stream::iter(blocks))
}

async fn created(subject: &impl Subject) -> UploadId {
    let span = span();
    let upload = new_upload(&span);
    let status = subject.store().create(&upload, &span).await;
    let status = status.expect("is created");
    assert_eq!(
        (status.state, status.epoch),
        (UploadState::Open, Epoch::FIRST)
    );
    upload.id
}

async fn append(
    subject: &impl Subject,
    id: UploadId,
    from: u64,
    bytes: ByteStream,
) -> Result<u64, StoreError> {
    append_as(
        subject,
        id,
        Epoch::FIRST,
        from,
        AppendMode::Acknowledged,
        bytes,
    )
    .await
}

async fn append_as(
    subject: &impl Subject,
    id: UploadId,
    epoch: Epoch,
    from: u64,
    mode: AppendMode,
    bytes: ByteStream,
) -> Result<u64, StoreError> {
    let status = subject
        .store()
        .append(id, epoch, Offset::new(from), mode, bytes, &span())
        .await?;
    Ok(status.offset.bytes())
}

async fn filled(subject: &impl Subject, bytes: &[u8]) -> UploadId {
    let id = created(subject).await;
    let appended = append(subject, id, 0, blocks(bytes)).await;
    assert_eq!(appended, Ok(bytes.len() as u64));
    id
}

async fn offset(subject: &impl Subject, id: UploadId) -> u64 {
    let record = subject.store().record(id, &span()).await;
    record.expect("is there").status.offset.bytes()
}

pub async fn a_committed_upload_is_visible_whole_and_has_a_receipt(subject: &impl Subject) {
    let id = filled(subject, b"name,value\n").await;
    let commit = commit(b"name,value\n", "in/c1/patient.csv");
    let receipt = subject.store().commit(id, &commit, &span()).await;
    let receipt = receipt.expect("is stored");
    assert_eq!(
        (receipt.id, receipt.status, receipt.version),
        (id, Status::Accepted, 1)
    );
    assert_eq!((receipt.size, receipt.sha256), (11, commit.sha256));
    assert_eq!(receipt.stored_sha256, commit.sha256);
    let visible = subject.visible("in/c1/patient.csv");
    assert_eq!(visible.as_deref(), Some(&b"name,value\n"[..]));
    let record = subject.store().record(id, &span()).await.expect("is there");
    assert_eq!(record.status.state, UploadState::Committed);
    assert_eq!(record.receipt, Some(receipt));
}

pub async fn nothing_is_visible_before_it_is_committed(subject: &impl Subject) {
    filled(subject, b"bytes").await;
    assert_eq!(subject.visible("in/a.csv"), None);
}

pub async fn creating_twice_is_creating_once(subject: &impl Subject) {
    let span = span();
    let upload = new_upload(&span);
    let store = subject.store();
    let first = store.create(&upload, &span).await.expect("is created");
    append(subject, upload.id, 0, blocks(b"kept"))
        .await
        .expect("room");
    let again = store.create(&upload, &span).await.expect("is there");
    assert_eq!((first.id, again.offset.bytes()), (again.id, 4));
    let mut other = upload.clone();
    "other.csv".clone_into(&mut other.filename);
    let refused = store.create(&other, &span).await;
    assert!(
        matches!(refused, Err(StoreError::Invalid(_))),
        "{refused:?}"
    );
}

pub async fn an_append_goes_on_where_the_last_one_ended(subject: &impl Subject) {
    let id = filled(subject, b"first ").await;
    for wrong in [0, 5, 7] {
        let expected = Offset::new(6);
        let refused = append(subject, id, wrong, blocks(b"x")).await;
        assert_eq!(refused, Err(StoreError::OffsetMismatch { expected }));
    }
    assert_eq!(append(subject, id, 6, blocks(b"second")).await, Ok(12));
    let commit = commit(b"first second", "a.csv");
    let stored = subject.store().commit(id, &commit, &span()).await;
    stored.expect("is stored");
    assert_eq!(
        subject.visible("a.csv").as_deref(),
        Some(&b"first second"[..])
    );
}

pub async fn an_upload_whose_append_broke_off_goes_on_from_its_offset(subject: &impl Subject) {
    let id = created(subject).await;
    let broken = Box::pin(blocks(b"arrived").chain(stream::iter([Err(BodyAborted)])));
    let refused = append(subject, id, 0, broken).await;
    assert_eq!(refused, Err(StoreError::Aborted));
    let taken = subject.store().take_over(id, &span()).await;
    let taken = taken.expect("is open");
    // How much of it arrived is between the two ends; what counts is that both mean the same.
    let (from, whole) = (taken.offset.bytes(), b"arrived and more");
    assert!(from <= 7, "{from}");
    let rest = &whole[usize::try_from(from).expect("is small")..];
    let mode = AppendMode::Acknowledged;
    let appended = append_as(subject, id, taken.epoch, from, mode, blocks(rest)).await;
    assert_eq!(appended, Ok(16));
    let mut commit = commit(whole, "a.csv");
    commit.epoch = taken.epoch;
    let stored = subject.store().commit(id, &commit, &span()).await;
    stored.expect("nothing is doubled or lost");
}

pub async fn an_older_epoch_is_refused(subject: &impl Subject) {
    let id = filled(subject, b"abc").await;
    let taken = subject.store().take_over(id, &span()).await;
    let taken = taken.expect("is open");
    assert!(taken.epoch > Epoch::FIRST && taken.offset.bytes() == 3);
    let refused = append(subject, id, 3, blocks(b"d")).await;
    assert_eq!(refused, Err(StoreError::Fenced));
    let mut commit = commit(b"abc", "a.csv");
    let refused = subject.store().commit(id, &commit, &span()).await;
    assert_eq!(refused, Err(StoreError::Fenced));
    commit.epoch = taken.epoch;
    let stored = subject.store().commit(id, &commit, &span()).await;
    stored.expect("is stored");
}

pub async fn a_newer_epoch_stops_an_append_that_hangs(subject: &impl Subject) {
    let id = created(subject).await;
    let hanging: ByteStream = Box::pin(blocks(b"abc").chain(stream::pending()));
    let older = append(subject, id, 0, hanging);
    let newer = async {
        loop {
            let taken = subject.store().take_over(id, &span()).await;
            let taken = taken.expect("is open");
            let from = taken.offset.bytes();
            let mode = AppendMode::Acknowledged;
            let body = b"abcdef";
            let rest = &body[usize::try_from(from).expect("is small")..];
            let appended = append_as(subject, id, taken.epoch, from, mode, blocks(rest)).await;
            if appended == Ok(6) {
                return taken.epoch;
            }
        }
    };
    let both = async { tokio::join!(older, newer) };
    let both = tokio::time::timeout(Duration::from_secs(30), both).await;
    let (older, epoch) = both.expect("the older one ends");
    assert_eq!(older, Err(StoreError::Fenced));
    let mut commit = commit(b"abcdef", "a.csv");
    commit.epoch = epoch;
    let stored = subject.store().commit(id, &commit, &span()).await;
    stored.expect("nothing is doubled");
}

pub async fn provisional_bytes_count_only_after_a_checkpoint(subject: &impl Subject) {
    let id = filled(subject, b"abc").await;
    let (epoch, mode) = (Epoch::FIRST, AppendMode::Provisional);
    let appended = append_as(subject, id, epoch, 3, mode, blocks(b"def")).await;
    assert_eq!((appended, offset(subject, id).await), (Ok(3), 3));
    let checkpoint = |offset| {
        let offset = Offset::new(offset);
        async move { subject.store().checkpoint(id, epoch, offset, &span()).await }
    };
    let expected = Offset::new(3);
    let refused = checkpoint(5).await;
    assert_eq!(refused, Err(StoreError::OffsetMismatch { expected }));
    for _ in 0..2 {
        assert_eq!(
            checkpoint(6).await.map(|status| status.offset.bytes()),
            Ok(6)
        );
    }
}

pub async fn provisional_bytes_are_dropped_by_whoever_begins_again(subject: &impl Subject) {
    let id = filled(subject, b"abc").await;
    let (epoch, mode) = (Epoch::FIRST, AppendMode::Provisional);
    let appended = append_as(subject, id, epoch, 3, mode, blocks(b"bad")).await;
    assert_eq!(appended, Ok(3));
    assert_eq!(append(subject, id, 3, blocks(b"good")).await, Ok(7));
    let commit = commit(b"abcgood", "a.csv");
    let stored = subject.store().commit(id, &commit, &span()).await;
    stored.expect("is stored");
}

pub async fn a_repeated_commit_has_the_same_receipt(subject: &impl Subject) {
    let id = filled(subject, b"abc").await;
    let store = subject.store();
    let same = commit(b"abc", "a.csv");
    let (one, two) = (span(), span());
    let both = tokio::join!(store.commit(id, &same, &one), store.commit(id, &same, &two));
    let first = both.0.expect("is stored");
    assert_eq!(both.1, Ok(first.clone()));
    assert_eq!(store.commit(id, &same, &span()).await, Ok(first));
    let other = commit(b"abc", "b.csv");
    let refused = store.commit(id, &other, &span()).await;
    assert_eq!(refused, Err(StoreError::Ended(UploadState::Committed)));
    assert_eq!(subject.visible("b.csv"), None);
}

pub async fn a_small_upload_is_stored_in_one_call_that_may_be_repeated(subject: &impl Subject) {
    let span = span();
    let upload = new_upload(&span);
    let bytes = Bytes::from_static(b"name,value\n");
    let commit = commit(&bytes, "in/c1/patient.csv");
    let store = subject.store();
    let receipt = store.store(&upload, &commit, bytes.clone(), &span).await;
    let receipt = receipt.expect("is stored");
    assert_eq!((receipt.id, receipt.version), (upload.id, 1));
    let visible = subject.visible("in/c1/patient.csv");
    assert_eq!(visible.as_deref(), Some(&bytes[..]));
    let record = store.record(upload.id, &span).await.expect("is there");
    assert_eq!(record.status.state, UploadState::Committed);
    assert_eq!(record.receipt.as_ref(), Some(&receipt));
    let (once, again) = tokio::join!(
        store.store(&upload, &commit, bytes.clone(), &span),
        store.store(&upload, &commit, bytes.clone(), &span)
    );
    assert_eq!((once, again), (Ok(receipt.clone()), Ok(receipt)));
    let elsewhere = self::commit(&bytes, "in/c1/other.csv");
    let refused = store.store(&upload, &elsewhere, bytes, &span).await;
    assert_eq!(refused, Err(StoreError::Ended(UploadState::Committed)));
    let nothing = Bytes::new();
    let (upload, commit) = (new_upload(&span), self::commit(&nothing, "in/empty.csv"));
    let empty = store.store(&upload, &commit, nothing, &span).await;
    assert_eq!(empty.map(|receipt| receipt.size), Ok(0));
}

pub async fn a_small_upload_that_is_not_stored_does_not_exist(subject: &impl Subject) {
    let (span, store) = (span(), subject.store());
    let bytes = Bytes::from_static(b"name,value\n");
    let commit = commit(b"name;value\n", "in/c1/patient.csv");
    let upload = new_upload(&span);
    let refused = store.store(&upload, &commit, bytes, &span).await;
    assert_eq!(refused, Err(StoreError::DigestMismatch));
    let record = store.record(upload.id, &span).await;
    assert_eq!(
        record.map(|record| record.status),
        Err(StoreError::NotFound)
    );
    assert_eq!(subject.visible("in/c1/patient.csv"), None);
    let open = created(subject).await;
    let upload = NewUpload { id: open, ..upload };
    let bytes = Bytes::from_static(b"name;value\n");
    let refused = store.store(&upload, &commit, bytes, &span).await;
    assert!(
        matches!(refused, Err(StoreError::Invalid(_))),
        "{refused:?}"
    );
    assert_eq!(subject.visible("in/c1/patient.csv"), None);
}

pub async fn another_length_or_digest_is_refused_and_nothing_is_visible(subject: &impl Subject) {
    for other in [&b"abd"[..], b"ab", b"abcd"] {
        let id = filled(subject, b"abc").await;
        let commit = commit(other, "a.csv");
        let refused = subject.store().commit(id, &commit, &span()).await;
        assert_eq!(refused, Err(StoreError::DigestMismatch));
        assert_eq!(subject.visible("a.csv"), None);
    }
}

pub async fn a_concluded_upload_keeps_its_record_and_takes_nothing_more(subject: &impl Subject) {
    let id = filled(subject, b"abc").await;
    let store = subject.store();
    let conclusion = Conclusion {
        epoch: Epoch::FIRST,
        ending: Ending::Rejected,
        refusal: Some(Refusal {
            rule: "content".to_owned(),
            message: "This is no table.".to_owned(),
        }),
        policies: Vec::new(),
        findings: Findings::default(),
    };
    for _ in 0..2 {
        let status = store.conclude(id, &conclusion, &span()).await;
        assert_eq!(status.map(|status| status.state), Ok(UploadState::Rejected));
    }
    let record = store.record(id, &span()).await.expect("is there");
    assert_eq!(record.conclusion, Some(conclusion));
    let ended = StoreError::Ended(UploadState::Rejected);
    let refused = append(subject, id, 3, blocks(b"d")).await;
    assert_eq!(refused, Err(ended.clone()));
    let refused = store.commit(id, &commit(b"abc", "a.csv"), &span()).await;
    assert_eq!(refused, Err(ended));
    assert_eq!(subject.visible("a.csv"), None);
}

pub async fn a_quarantined_upload_is_not_visible(subject: &impl Subject) {
    let id = filled(subject, b"abc").await;
    let mut commit = commit(b"abc", "a.csv");
    commit.disposition = Disposition::Quarantine(Refusal {
        rule: "under-review".to_owned(),
        message: "Somebody will look at it.".to_owned(),
    });
    let receipt = subject.store().commit(id, &commit, &span()).await;
    assert_eq!(
        receipt.map(|receipt| receipt.status),
        Ok(Status::Quarantined)
    );
    assert_eq!(subject.visible("a.csv"), None);
}

pub async fn uploads_to_one_path_become_one_version_each(subject: &impl Subject) {
    let bodies: Vec<Vec<u8>> = (b'a'..=b'h').map(|letter| vec![letter; 1000]).collect();
    let stored = bodies.iter().map(|body| async move {
        let id = filled(subject, body).await;
        let commit = commit(body, "in/same.csv");
        let receipt = subject.store().commit(id, &commit, &span()).await;
        receipt.expect("is stored")
    });
    let mut receipts = futures_util::future::join_all(stored).await;
    receipts.sort_by_key(|receipt| receipt.version);
    let versions: Vec<u64> = receipts.iter().map(|receipt| receipt.version).collect();
    assert_eq!(versions, [1, 2, 3, 4, 5, 6, 7, 8]);
    let visible = subject.visible("in/same.csv").expect("one is shown");
    let latest = receipts.last().map(|receipt| receipt.sha256);
    assert_eq!(Some(Sha256Digest::of(&visible)), latest);
}

pub async fn an_upload_is_read_back_up_to_its_acknowledged_offset(subject: &impl Subject) {
    let id = filled(subject, b"0123456789").await;
    let bytes = subject.store().read(id, Offset::new(4), &span()).await;
    let bytes: Vec<Bytes> = bytes
        .expect("is there")
        .try_collect()
        .await
        .expect("is read");
    assert_eq!(bytes.concat(), b"456789");
}

pub async fn the_length_is_told_once_and_no_shorter_than_what_came(subject: &impl Subject) {
    let id = filled(subject, b"0123456789").await;
    let declare = async |epoch: Epoch, length: u64| {
        let span = span();
        let declared = subject.store().declare_length(id, epoch, length, &span);
        declared.await.map(|status| status.offset.bytes())
    };
    let invalid = |declared| matches!(declared, Err(StoreError::Invalid(_)));
    assert!(invalid(declare(Epoch::FIRST, 9).await));
    assert_eq!(declare(Epoch::new(7), 12).await, Err(StoreError::Fenced));
    assert_eq!(declare(Epoch::FIRST, 12).await, Ok(10));
    assert_eq!(declare(Epoch::FIRST, 12).await, Ok(10));
    assert!(invalid(declare(Epoch::FIRST, 13).await));
    let record = subject.store().record(id, &span()).await.expect("is there");
    assert_eq!((record.length, record.upload.length), (Some(12), None));
}

pub async fn what_policies_know_is_kept_with_the_offset_that_it_is_of(subject: &impl Subject) {
    let id = filled(subject, b"0123456789").await;
    let store = subject.store();
    let known = async || store.suspended(id, &span()).await;
    let keep = async |epoch: Epoch, offset: u64, state: &'static [u8]| {
        let (span, state) = (span(), Bytes::from_static(state));
        let kept = store.suspend(id, epoch, Offset::new(offset), state, &span);
        kept.await.map(|status| status.offset.bytes())
    };
    assert_eq!(known().await, Ok(None));
    let elsewhere = StoreError::OffsetMismatch {
        expected: Offset::new(10),
    };
    assert_eq!(keep(Epoch::FIRST, 9, b"x").await, Err(elsewhere));
    assert_eq!(keep(Epoch::new(7), 10, b"x").await, Err(StoreError::Fenced));
    for state in [&b"begun"[..], b"x"] {
        assert_eq!(keep(Epoch::FIRST, 10, state).await, Ok(10));
        assert_eq!(known().await, Ok(Some(Bytes::from_static(state))));
    }
    // Taking it over changes nothing about it; more bytes do.
    let taken = store.take_over(id, &span()).await.expect("is open");
    assert_eq!(known().await, Ok(Some(Bytes::from_static(b"x"))));
    let appended = append_as(
        subject,
        id,
        taken.epoch,
        10,
        AppendMode::Acknowledged,
        blocks(b"more"),
    );
    appended.await.expect("is appended");
    assert_eq!(known().await, Ok(None));
}

pub async fn a_part_is_held_and_read_and_never_committed(subject: &impl Subject) {
    let (store, span) = (subject.store(), span());
    let part = NewUpload {
        composition: Some(Composition::Part),
        disk: None,
        ..new_upload(&span)
    };
    let id = part.id;
    for _ in 0..2 {
        let created = store.create(&part, &span).await.expect("is created");
        assert_eq!(created.state, UploadState::Held);
    }
    let appended = append(subject, id, 0, blocks(b"part")).await;
    assert_eq!(appended, Ok(4));
    let bytes = store.read(id, Offset::ZERO, &span).await.expect("is there");
    let bytes: Vec<Bytes> = bytes.try_collect().await.expect("is read");
    assert_eq!(bytes.concat(), b"part");
    let committed = store.commit(id, &commit(b"part", "part.csv"), &span).await;
    assert_eq!(committed.err(), Some(StoreError::Ended(UploadState::Held)));
    assert_eq!(subject.visible("part.csv"), None);
    let cancelled = Conclusion {
        epoch: Epoch::FIRST,
        ending: Ending::Cancelled,
        refusal: None,
        policies: Vec::new(),
        findings: Findings::default(),
    };
    let ended = store.conclude(id, &cancelled, &span).await;
    assert_eq!(ended.map(|status| status.state), Ok(UploadState::Cancelled));
}

pub async fn an_empty_upload_is_a_file(subject: &impl Subject) {
    let id = created(subject).await;
    let stored = subject
        .store()
        .commit(id, &commit(b"", "empty.csv"), &span())
        .await;
    assert_eq!(stored.map(|receipt| receipt.size), Ok(0));
    assert_eq!(subject.visible("empty.csv"), Some(Vec::new()));
}

pub async fn what_is_not_there_is_not_found(subject: &impl Subject) {
    let id = UploadId::generate();
    let store = subject.store();
    let record = store.record(id, &span()).await;
    assert_eq!(record.map(|_| ()), Err(StoreError::NotFound));
    let refused = append(subject, id, 0, blocks(b"x")).await;
    assert_eq!(refused, Err(StoreError::NotFound));
    let path: Result<DiskPath, _> = "a.csv".parse();
    assert!(path.is_ok());
    let refused = store.commit(id, &commit(b"", "a.csv"), &span()).await;
    assert_eq!(refused, Err(StoreError::NotFound));
}

pub async fn a_disk_that_is_not_there_is_named(subject: &impl Subject) {
    let span = span();
    let mut upload = new_upload(&span);
    upload.disk = "nowhere".parse().ok();
    let refused = subject.store().create(&upload, &span).await;
    let Err(StoreError::Invalid(detail)) = refused else {
        panic!("{refused:?}");
    };
    assert!(detail.contains("`nowhere`"), "{detail}");
}
