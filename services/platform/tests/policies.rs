//! Revisions of the policies, as services keep them.

use std::time::Duration;

use portcullis_hop::policies::{Activate, HostStatus, NewRevision, Poll, RevisionNumber, Running};
use portcullis_services::catalog::{Catalog, CatalogError, Rows};
use portcullis_services::policies::{Policies, PolicyError};
use portcullis_types::{ManualClock, PolicyManifest, Sha256Digest, Timestamp};

const LIMIT: Duration = Duration::from_secs(30);

struct Kept {
    policies: Policies,
    catalog: Catalog,
    clock: ManualClock,
    _folder: tempfile::TempDir,
}

async fn kept() -> Kept {
    let folder = tempfile::tempdir().expect("a folder");
    let (catalog, _thread) = Catalog::open(&folder.path().join("c.sqlite")).expect("opens");
    let clock = ManualClock::at(Timestamp::from_ms(1_700_000_000_000).expect("is a time"));
    let (same, time) = (catalog.clone(), clock.clock());
    let opened = tokio::task::spawn_blocking(move || Policies::open(same, time)).await;
    Kept {
        policies: opened.expect("ends").expect("opens"),
        catalog,
        clock,
        _folder: folder,
    }
}

impl Kept {
    /// Sends a set with this text, whose author believes `base` to be active.
    async fn send(&self, text: &str, base: Option<u64>) -> Result<u64, PolicyError> {
        let digest = Sha256Digest::of(text.as_bytes());
        self.policies.put_file(digest, text.into()).await?;
        let new = revision(text, base);
        let sent = self.policies.send(new, "key:admin", None).await?;
        Ok(sent.number.0)
    }

    async fn count(&self, table: &'static str) -> u64 {
        let count = move |rows: &Rows| {
            let sql = format!("SELECT count(*) FROM {table}");
            let count = rows.query_row(&sql, [], |row| row.get::<_, i64>(0))?;
            Ok::<_, CatalogError>(count.unsigned_abs())
        };
        self.catalog.run(count).await.expect("counts")
    }
}

fn revision(text: &str, base: Option<u64>) -> NewRevision {
    let set = (
        PolicyManifest::SET.to_owned(),
        Sha256Digest::of(text.as_bytes()),
    );
    NewRevision {
        manifest: PolicyManifest {
            files: [set].into(),
            ..PolicyManifest::default()
        },
        base: base.map(RevisionNumber),
        author: "ada".to_owned(),
        note: format!("sends {text}"),
    }
}

fn poll(known: u64) -> Poll {
    Poll {
        host: HostStatus {
            name: "web:8000".to_owned(),
            running: None,
            refused: None,
        },
        known,
        wait_seconds: 20,
    }
}

#[tokio::test]
async fn revisions_are_numbered_audited_and_the_last_one_is_active() {
    let kept = kept().await;
    assert_eq!(kept.send("a", None).await.expect("is kept"), 1);
    assert_eq!(kept.send("b", Some(1)).await.expect("is kept"), 2);
    let known = kept.policies.revisions().await.expect("are listed");
    let active: Vec<_> = known
        .revisions
        .iter()
        .map(|it| (it.number.0, it.active))
        .collect();
    assert_eq!(active, [(2, true), (1, false)]);
    assert_eq!(known.activations[0].change.author, "ada");
    // Each was sent and became active.
    assert_eq!(kept.count("audit").await, 4);
}

#[tokio::test]
async fn who_does_not_know_what_is_active_changes_nothing() {
    let kept = kept().await;
    kept.send("a", None).await.expect("is kept");
    kept.send("b", Some(1)).await.expect("is kept");
    for base in [None, Some(1), Some(7)] {
        let error = kept.send("c", base).await.expect_err("is a conflict");
        assert!(matches!(error, PolicyError::Conflict { .. }), "{error}");
        assert!(error.to_string().contains("revision 2 is"), "{error}");
    }
    let back = Activate {
        number: RevisionNumber(1),
        base: Some(RevisionNumber(1)),
        author: "ada".to_owned(),
        note: "back".to_owned(),
    };
    let error = kept.policies.activate(back, "key:admin", None).await;
    assert!(matches!(error, Err(PolicyError::Conflict { .. })));
    assert_eq!(kept.count("policy_revisions").await, 2);
    assert_eq!(kept.count("policy_activations").await, 2);
}

#[tokio::test]
async fn a_change_whose_answer_got_lost_can_be_sent_again() {
    let kept = kept().await;
    kept.send("a", None).await.expect("is kept");
    assert_eq!(kept.send("b", Some(1)).await.expect("is kept"), 2);
    assert_eq!(kept.send("b", Some(1)).await.expect("is the same"), 2);
    let back = Activate {
        number: RevisionNumber(1),
        base: Some(RevisionNumber(2)),
        author: "ada".to_owned(),
        note: "back".to_owned(),
    };
    for _ in 0..2 {
        let activation = kept
            .policies
            .activate(back.clone(), "key:admin", None)
            .await;
        assert_eq!(activation.expect("is active").sequence, 3);
    }
    assert_eq!(kept.count("policy_activations").await, 3);
}

#[tokio::test]
async fn what_is_incomplete_or_not_what_it_says_is_refused() {
    let kept = kept().await;
    let missing = kept
        .policies
        .send(revision("a", None), "key:admin", None)
        .await;
    assert!(matches!(missing, Err(PolicyError::FilesMissing(1))));
    let other = kept
        .policies
        .put_file(Sha256Digest::of(b"a"), b"b".to_vec())
        .await;
    assert!(matches!(other, Err(PolicyError::OtherDigest)));
    let mut outside = revision("a", None);
    let digest = Sha256Digest::of(b"a");
    outside.manifest.files.insert("../a".to_owned(), digest);
    let outside = kept.policies.send(outside, "key:admin", None).await;
    assert!(matches!(outside, Err(PolicyError::Manifest(_))));
    for note in ["", "two\nlines", &"x".repeat(2_000)] {
        let mut new = revision("a", None);
        new.note = note.to_owned();
        let error = kept.policies.send(new, "key:admin", None).await;
        assert!(matches!(error, Err(PolicyError::Text { .. })));
    }
    assert_eq!(kept.count("policy_revisions").await, 0);
}

#[tokio::test]
async fn a_web_host_that_waits_hears_of_a_change_at_once_and_of_the_end() {
    let kept = kept().await;
    let waits = tokio::spawn({
        let policies = kept.policies.clone();
        async move { policies.poll(poll(0)).await }
    });
    kept.send("a", None).await.expect("is kept");
    let heard = tokio::time::timeout(LIMIT, waits).await.expect("in time");
    let activated = heard.expect("ends").expect("is answered").activated;
    assert_eq!(activated.map(|it| (it.sequence, it.number.0)), Some((1, 1)));

    // A catalog that was restored: what the host knows is later than anything there is.
    let restored = kept.policies.poll(poll(9)).await.expect("is answered");
    assert_eq!(restored.activated.map(|it| it.sequence), Some(1));

    let mut now = poll(1);
    now.host.running = Some(Running {
        number: RevisionNumber(1),
        digest: Sha256Digest::of(b""),
    });
    let waits = tokio::spawn({
        let (policies, now) = (kept.policies.clone(), now.clone());
        async move { policies.poll(now).await }
    });
    kept.policies.close();
    let heard = tokio::time::timeout(LIMIT, waits).await.expect("in time");
    assert_eq!(heard.expect("ends").expect("is answered").activated, None);
    let hosts = kept.policies.revisions().await.expect("are listed").hosts;
    assert_eq!(hosts[0].status, now.host);
}

#[tokio::test]
async fn files_that_no_revision_came_for_go_after_a_day() {
    let kept = kept().await;
    kept.send("a", None).await.expect("is kept");
    let unused = Sha256Digest::of(b"unused");
    kept.policies
        .put_file(unused, b"unused".to_vec())
        .await
        .expect("is kept");
    assert_eq!(kept.policies.sweep().await.expect("sweeps"), 0);
    kept.clock.advance(Duration::from_hours(25));
    assert_eq!(kept.policies.sweep().await.expect("sweeps"), 1);
    let missing = kept
        .policies
        .missing(vec![unused, Sha256Digest::of(b"a")])
        .await;
    assert_eq!(missing.expect("are told"), [unused]);
}
