//! Revisions of the policies, as services keep them.

use std::collections::BTreeMap;
use std::time::Duration;

use portcullis_hop::policies::shadow::{
    Decided, ShadowQuery, ShadowReport, ShadowReports, ShadowVerdict,
};
use portcullis_hop::policies::trial::{DropTrial, TrialState, TrialTerms};
use portcullis_hop::policies::{
    Activate, HostStatus, NewRevision, Poll, RefusedRevision, RevisionNumber, Running,
};
use portcullis_services::catalog::{Actor, Catalog, CatalogError, Rows};
use portcullis_services::policies::{Policies, PolicyError};
use portcullis_types::{
    Attributes, Incomplete, ManualClock, PolicyManifest, PolicyVerdict, Sha256Digest, Timestamp,
    Trust, UploadId, Verdict,
};

const LIMIT: Duration = Duration::from_mins(2);

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
    let opened =
        tokio::task::spawn_blocking(move || Policies::open(same, time, Trust::default())).await;
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
        let sent = self.policies.send(new, Actor::itself("key:admin")).await?;
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
        trial: None,
    }
}

fn poll(known: u64) -> Poll {
    Poll {
        host: HostStatus {
            name: "web:8000".to_owned(),
            running: None,
            trial: None,
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
    let error = kept
        .policies
        .activate(back, Actor::itself("key:admin"))
        .await;
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
            .activate(back.clone(), Actor::itself("key:admin"))
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
        .send(revision("a", None), Actor::itself("key:admin"))
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
    let outside = kept
        .policies
        .send(outside, Actor::itself("key:admin"))
        .await;
    assert!(matches!(outside, Err(PolicyError::Manifest(_))));
    for note in ["", "two\nlines", &"x".repeat(2_000)] {
        let mut new = revision("a", None);
        new.note = note.to_owned();
        let error = kept.policies.send(new, Actor::itself("key:admin")).await;
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
    let activated = heard.expect("ends").expect("is answered").wanted;
    let wanted = activated.expect("is another");
    assert_eq!(
        (wanted.change, wanted.active.map(|it| it.number.0)),
        (1, Some(1))
    );

    // A catalog that was restored: what the host knows is later than anything there is.
    let restored = kept.policies.poll(poll(9)).await.expect("is answered");
    assert_eq!(restored.wanted.map(|it| it.change), Some(1));

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
    assert_eq!(heard.expect("ends").expect("is answered").wanted, None);
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

const TERMS: TrialTerms = TrialTerms {
    seconds: 1_800,
    max_new_rejections_percent: 10.0,
    min_uploads: 10,
};

/// What a web host says of an upload that was stored: whether the set with this text would have let it pass.
fn report(text: &str, passes: bool) -> ShadowReport {
    let set = revision(text, None).manifest.digest();
    let verdict = if passes {
        Verdict::Accept
    } else {
        Verdict::Reject
    };
    ShadowReport {
        upload: UploadId::generate(),
        revision: Sha256Digest::of(b"active"),
        decided: Decided::Accept,
        by: None,
        attributes: Attributes::default(),
        verdicts: vec![ShadowVerdict {
            set,
            policy: PolicyVerdict {
                name: "size-limit".parse().expect("is a name"),
                version: "1".to_owned(),
                digest: Sha256Digest::of(b"component"),
                verdict,
            },
            rule: (!passes).then(|| "too-large".to_owned()),
            rules: BTreeMap::new(),
            passes: Some(passes),
            incomplete: None,
        }],
    }
}

impl Kept {
    /// Begins a trial of the set `b` beside the active set `a`.
    async fn trial(&self) {
        self.send("a", None).await.expect("is kept");
        let digest = Sha256Digest::of(b"b");
        self.policies
            .put_file(digest, b"b".to_vec())
            .await
            .expect("is kept");
        let new = NewRevision {
            trial: Some(TERMS),
            ..revision("b", Some(1))
        };
        for _ in 0..2 {
            let sent = self
                .policies
                .send(new.clone(), Actor::itself("key:admin"))
                .await;
            let sent = sent.expect("is on trial");
            assert_eq!((sent.number.0, sent.on_trial_until.is_some()), (2, true));
        }
    }

    async fn judged(&self, passing: usize, refused: usize) {
        let passes = [vec![true; passing], vec![false; refused]].concat();
        let reports = ShadowReports {
            reports: passes.iter().map(|passes| report("b", *passes)).collect(),
            lost: 0,
        };
        self.policies.note_shadows(reports).await.expect("are kept");
    }

    /// The active revision, and how the trial of the second one stands.
    async fn standing(&self) -> (u64, TrialState, String) {
        let known = self.policies.revisions().await.expect("are listed");
        let trial = known.revisions[0].trial.clone().expect("has one");
        let active = known.activations[0].number.0;
        (active, trial.state, trial.reason.unwrap_or_default())
    }
}

#[tokio::test]
async fn a_trial_whose_numbers_hold_becomes_active_by_itself() {
    let kept = kept().await;
    kept.trial().await;
    kept.judged(19, 1).await;
    assert!(!kept.policies.judge_trial().await.expect("waits"));
    assert_eq!(kept.standing().await.1, TrialState::Running);
    kept.clock.advance(Duration::from_mins(30));
    assert!(kept.policies.judge_trial().await.expect("is judged"));
    let (active, state, reason) = kept.standing().await;
    assert_eq!((active, state), (2, TrialState::Enforced));
    assert!(
        reason.contains("1 of 20 uploads newly refused, 5.00 %"),
        "{reason}"
    );
    let known = kept.policies.revisions().await.expect("are listed");
    assert_eq!(known.activations[0].change.subject, "trial");
    assert_eq!(known.activations[0].change.note, reason);
    assert!(!kept.policies.judge_trial().await.expect("is over"));
}

#[tokio::test]
async fn a_trial_whose_numbers_do_not_hold_drops_itself_and_says_why() {
    for (passing, refused, says) in [
        (10, 10, "10 of 20 uploads newly refused, 50.00 %"),
        (9, 0, "9 uploads were judged, and 10 are needed"),
    ] {
        let kept = kept().await;
        kept.trial().await;
        kept.judged(passing, refused).await;
        kept.clock.advance(Duration::from_mins(31));
        kept.policies.judge_trial().await.expect("is judged");
        let (active, state, reason) = kept.standing().await;
        assert_eq!((active, state), (1, TrialState::Dropped));
        assert!(reason.contains(says), "{reason}");
        // The way is free for the next one.
        kept.send("c", Some(1)).await.expect("is kept");
    }
}

#[tokio::test]
async fn a_trial_ends_when_it_is_dropped_overtaken_or_refused_by_a_web_host() {
    let drop = async |kept: &Kept| {
        let wanted = DropTrial {
            number: RevisionNumber(2),
            author: "ada".to_owned(),
            note: "not this week".to_owned(),
        };
        kept.policies
            .drop_trial(wanted, Actor::itself("key:admin"))
            .await
            .expect("ends");
    };
    let dropped = kept().await;
    dropped.trial().await;
    drop(&dropped).await;
    let overtaken = kept().await;
    overtaken.trial().await;
    let activate = Activate {
        number: RevisionNumber(1),
        base: Some(RevisionNumber(1)),
        author: "ada".to_owned(),
        note: "stays".to_owned(),
    };
    overtaken
        .policies
        .activate(activate, Actor::itself("key:admin"))
        .await
        .expect("is active");
    let refused = kept().await;
    refused.trial().await;
    let mut host = poll(2);
    host.host.refused = Some(RefusedRevision {
        number: RevisionNumber(2),
        error: "it has no room".to_owned(),
    });
    host.wait_seconds = 0;
    let wanted = refused
        .policies
        .poll(host)
        .await
        .expect("is answered")
        .wanted;
    assert!(wanted.is_some_and(|wanted| wanted.trial.is_none()));
    for (kept, says) in [
        (dropped, "not this week"),
        (overtaken, "revision 1 became active meanwhile"),
        (refused, "web:8000 refuses it: it has no room"),
    ] {
        let (active, state, reason) = kept.standing().await;
        assert_eq!((active, state), (1, TrialState::Dropped));
        assert!(reason.contains(says), "{reason}");
    }
}

#[tokio::test]
async fn there_is_one_trial_at_a_time_and_it_has_terms() {
    let kept = kept().await;
    kept.trial().await;
    let other = NewRevision {
        trial: Some(TERMS),
        note: "another".to_owned(),
        ..revision("b", Some(1))
    };
    let error = kept
        .policies
        .send(other.clone(), Actor::itself("key:admin"))
        .await;
    assert!(matches!(error, Err(PolicyError::OnTrial { .. })));
    for terms in [
        TrialTerms {
            seconds: 0,
            ..TERMS
        },
        TrialTerms {
            max_new_rejections_percent: 101.0,
            ..TERMS
        },
        TrialTerms {
            max_new_rejections_percent: f64::NAN,
            ..TERMS
        },
        TrialTerms {
            min_uploads: 0,
            ..TERMS
        },
    ] {
        let wrong = NewRevision {
            trial: Some(terms),
            ..other.clone()
        };
        let error = kept.policies.send(wrong, Actor::itself("key:admin")).await;
        assert!(matches!(error, Err(PolicyError::Terms)));
    }
    assert_eq!(kept.count("policy_revisions").await, 2);
}

#[tokio::test]
async fn the_summary_says_what_would_change_and_for_whom() {
    let kept = kept().await;
    let mut reports: Vec<_> = (0..6).map(|nth| report("b", nth % 2 == 0)).collect();
    reports[1]
        .attributes
        .insert("table", "image")
        .expect("fits");
    // Refused anyway: that it would be refused again changes nothing.
    reports[3].decided = Decided::Reject;
    // Refused by the policy of this name, which would now let it pass.
    reports[4].decided = Decided::Reject;
    reports[4].by = Some("size-limit".parse().expect("is a name"));
    reports[5].verdicts[0].passes = None;
    reports[5].verdicts[0].incomplete = Some(Incomplete::Behind);
    let sent = ShadowReports {
        reports: reports.clone(),
        lost: 0,
    };
    for _ in 0..2 {
        kept.policies
            .note_shadows(sent.clone())
            .await
            .expect("are kept once");
    }
    let summary = kept.policies.shadow_summary(ShadowQuery::default()).await;
    let summary = summary.expect("is summed up");
    let [policy] = &summary.policies[..] else {
        panic!("{summary:?}");
    };
    let numbers = (
        policy.judged,
        policy.unchanged,
        policy.newly_refused,
        policy.newly_passed,
    );
    assert_eq!(numbers, (5, 3, 1, 1));
    assert_eq!(policy.incomplete[&Incomplete::Behind], 1);
    assert_eq!(policy.rules["too-large"].examples, [reports[1].upload]);
    let image = &policy.attributes[0];
    assert_eq!(
        (image.value.as_str(), image.judged, image.changed),
        ("image", 1, 1)
    );
    let other = ShadowQuery {
        policy: Some("another".parse().expect("is a name")),
        ..ShadowQuery::default()
    };
    let none = kept
        .policies
        .shadow_summary(other)
        .await
        .expect("is summed up");
    assert_eq!(none.policies, []);
    kept.clock.advance(Duration::from_hours(31 * 24));
    kept.policies.sweep().await.expect("sweeps");
    assert_eq!(kept.count("shadow_verdicts").await, 0);
}

#[tokio::test]
async fn a_clock_that_is_set_back_costs_a_trial_time_and_nothing_else() {
    let kept = kept().await;
    kept.trial().await;
    kept.judged(20, 0).await;
    let earlier = Timestamp::from_ms(1_600_000_000_000).expect("is a time");
    kept.clock.set(earlier);
    assert!(!kept.policies.judge_trial().await.expect("waits"));
    kept.policies.poll(poll(0)).await.expect("is answered");
    let hosts = kept.policies.revisions().await.expect("are listed").hosts;
    assert_eq!((hosts.len(), hosts[0].seen_at), (1, earlier));
    // What was said while the clock was wrong counts for as long as the trial looks back.
    kept.clock
        .set(Timestamp::from_ms(1_700_000_000_000).expect("is a time"));
    kept.clock.advance(Duration::from_mins(31));
    assert!(kept.policies.judge_trial().await.expect("is judged"));
    assert_eq!(kept.standing().await.1, TrialState::Enforced);
}
