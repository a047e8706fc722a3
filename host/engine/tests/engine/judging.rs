//! Uploads before policies, well-behaved and hostile ones.

use std::sync::Arc;
use std::time::{Duration, Instant};

use portcullis_engine::{
    Admission, Call, CannotJudge, Disposition, Engine, EngineSettings, FailureCause, RefusalCause,
};
use portcullis_types::Verdict;

use crate::set::{Set, admitted, component, engine, hostile, judge, judge_upload, upload};

/// An engine for sets with one hostile policy. It compiles the policy once for all settings.
struct Failing {
    set: Set,
    engine: Engine,
}

impl Failing {
    async fn new() -> Self {
        let set = Set::new(&hostile("under-test", "{ do = 'accept' }", ""));
        let engine = engine(&set).await;
        Self { set, engine }
    }

    /// The failure that refuses an upload under such a set.
    async fn failure(&self, settings: &str, limits: &str) -> (Call, FailureCause, String) {
        self.set.write(&hostile("under-test", settings, limits));
        self.engine.load(&self.set.path()).await.expect("loads");
        let refused = judge(&self.engine, &vec![7; 200_000])
            .await
            .err()
            .expect("is refused");
        match refused.cause {
            RefusalCause::Failed(failure) => {
                assert_eq!(refused.records[0].verdict, Verdict::Failed);
                let recorded = (failure.call, failure.cause.clone());
                assert_eq!(refused.records[0].failure, Some(recorded));
                let text = failure.to_string();
                (failure.call, failure.cause, text)
            }
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn every_byte_is_seen_once_and_the_route_is_made() {
    let set = Set::new(&hostile("count", "{ do = 'count' }", ""));
    let engine = engine(&set).await;
    let passed = judge(&engine, &vec![1; 300_000])
        .await
        .ok()
        .expect("passes");
    assert_eq!(passed.disposition, Disposition::Publish);
    assert_eq!(passed.records[0].bytes, 300_000);
    let counted = &passed.findings.listed[0];
    assert!(counted.message.contains("300000"), "{counted:?}");
    assert_eq!(counted.policy.as_str(), "count");
    assert_eq!(passed.path.as_str(), "in/a.csv");
    assert_eq!(admitted(&engine).await.disk().as_str(), "local");
    let verdicts: Vec<Verdict> = passed.records.iter().map(|record| record.verdict).collect();
    assert_eq!(verdicts, [Verdict::Accept, Verdict::Accept]);
}

#[tokio::test]
async fn a_prefix_is_all_that_is_shown() {
    let set = Set::new(&hostile("count", "{ do = 'count-prefix:1000' }", ""));
    let engine = engine(&set).await;
    let passed = judge(&engine, &vec![1; 300_000])
        .await
        .ok()
        .expect("passes");
    assert_eq!(passed.records[0].bytes, 1000);
    assert_eq!(passed.records[0].verdict, Verdict::Accept);
    let shorter = judge(&engine, &[1; 10]).await.ok().expect("passes");
    assert_eq!(shorter.records[0].bytes, 10);
}

#[tokio::test]
async fn a_policy_that_does_not_decide_after_its_prefix_has_failed() {
    let failing = Failing::new().await;
    for bytes in [0, 1000] {
        let (_, cause, text) = failing
            .failure(
                &format!("{{ do = 'undecided:{bytes}', when = 'finish' }}"),
                "",
            )
            .await;
        assert!(
            matches!(cause, FailureCause::Answer(_)) && text.contains("prefix"),
            "{text}"
        );
    }
}

#[tokio::test]
async fn a_rejection_midway_ends_the_upload_in_that_chunk() {
    let set = Set::new(&hostile("stop", "{ do = 'reject-at:70000' }", ""));
    let engine = engine(&set).await;
    let mut inspection = admitted(&engine).await;
    assert!(inspection.chunk(vec![1; 65_536].into()).await.is_ok());
    let cause = inspection
        .chunk(vec![1; 65_536].into())
        .await
        .expect_err("is refused");
    let refused = inspection.refuse(cause).await;
    let RefusalCause::Rejected { policy, refusal } = &refused.cause else {
        panic!("{:?}", refused.cause);
    };
    assert_eq!((policy.as_str(), refusal.rule.as_str()), ("stop", "reject"));
    let verdicts: Vec<Verdict> = refused
        .records
        .iter()
        .map(|record| record.verdict)
        .collect();
    assert_eq!(verdicts, [Verdict::Reject, Verdict::Undecided]);
}

#[tokio::test]
async fn quarantine_is_a_verdict_of_its_own_and_rejection_comes_before_it() {
    let apart = hostile("apart", "{ do = 'quarantine' }", "");
    let set = Set::new(&apart);
    let passed = judge(&engine(&set).await, b"x").await.ok().expect("passes");
    assert!(matches!(passed.disposition, Disposition::Quarantine(_)));
    assert_eq!(passed.records[0].verdict, Verdict::Quarantine);
    let no = hostile("no", "{ do = 'reject', when = 'finish' }", "");
    let set = Set::new(&format!("{apart}{no}"));
    let refused = judge(&engine(&set).await, b"x")
        .await
        .err()
        .expect("is refused");
    assert!(matches!(refused.cause, RefusalCause::Rejected { .. }));
}

#[tokio::test]
async fn a_policy_that_cannot_judge_says_why_and_rejects_like_a_trap() {
    let failing = Failing::new().await;
    for (when, call) in [
        ("admit", Call::Admit),
        ("chunk", Call::Chunk),
        ("finish", Call::Finish),
    ] {
        let (failed, cause, text) = failing
            .failure(&format!("{{ do = 'fail', when = '{when}' }}"), "")
            .await;
        assert_eq!(failed, call);
        let wanted = FailureCause::Declared(CannotJudge::Unsupported, "told to fail".to_owned());
        assert_eq!(cause, wanted);
        assert!(
            text.contains("unsupported") && text.contains("told to fail"),
            "{text}"
        );
    }
}

#[tokio::test]
async fn facts_reach_the_routing_policy() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("policies.toml");
    let router = component("misroute");
    let count = hostile("count", "{ do = 'count' }", "");
    let set = format!(
        "{count}[[policy]]\nname = 'route'\ncomponent = '{}'\ndisks = ['local']\nsettings = {{ path = 'by-length/{{length}}' }}\n",
        router.display()
    );
    std::fs::write(&path, set).expect("a file");
    let engine = Engine::start(EngineSettings::default()).expect("starts");
    engine.load(&path).await.expect("loads");
    let passed = judge(&engine, b"12345").await.ok().expect("passes");
    assert_eq!(passed.path.as_str(), "by-length/5");
}

#[tokio::test]
async fn resources_are_served_from_the_set_and_change_its_revision() {
    let set = Set::new(&hostile("reads", "{ do = 'resource' }", ""));
    let definitions = set.path().with_file_name("definitions");
    std::fs::create_dir(&definitions).expect("is made");
    std::fs::write(definitions.join("patient.json"), "{}").expect("is written");
    let router = format!(
        "[[policy]]\nname = 'route'\ncomponent = '{}'\ndisks = ['local']\nsettings = {{ path = 'bytes/{{bytes}}' }}\n",
        component("misroute").display()
    );
    let text = format!("{}{router}", hostile("reads", "{ do = 'resource' }", ""));
    std::fs::write(set.path(), text).expect("is written");
    let engine = engine(&set).await;
    let before = engine.revision().expect("is in force").digest();
    let mut upload = upload("a.csv");
    upload
        .attributes
        .insert("table", "patient")
        .expect("is valid");
    let passed = judge_upload(&engine, &upload, b"x")
        .await
        .ok()
        .expect("passes");
    assert_eq!(passed.path.as_str(), "bytes/2");
    std::fs::write(definitions.join("patient.json"), "{ }").expect("is written");
    engine.load(&set.path()).await.expect("loads");
    assert_ne!(engine.revision().expect("is in force").digest(), before);
    let passed = judge_upload(&engine, &upload, b"x")
        .await
        .ok()
        .expect("passes");
    assert_eq!(passed.path.as_str(), "bytes/3");
}

#[tokio::test]
async fn findings_survive_a_trap_and_content_only_where_quoting_is_allowed() {
    let set = Set::new(&hostile(
        "bad",
        "{ do = 'findings-then-trap:3', when = 'chunk' }",
        "",
    ));
    let refused = judge(&engine(&set).await, b"x")
        .await
        .err()
        .expect("is refused");
    assert_eq!(refused.findings.listed.len(), 3);
    for (quoting, excerpt) in [("", None), ("may-quote = true", Some("Jane Doe"))] {
        let set = Set::new(&hostile("quotes", "{ do = 'quote' }", quoting));
        let passed = judge(&engine(&set).await, b"x").await.ok().expect("passes");
        assert_eq!(passed.findings.listed[0].excerpt.as_deref(), excerpt);
    }
}

#[tokio::test]
async fn the_same_upload_is_judged_the_same_whenever_it_is_judged() {
    // The hostile policy looks at its clocks; what it finds must not depend on the time of day.
    let set = Set::new(&hostile("look", "{ do = 'look-around' }", ""));
    let engine = engine(&set).await;
    let upload = upload("a.csv");
    for _ in 0..2 {
        let passed = judge_upload(&engine, &upload, b"x")
            .await
            .ok()
            .expect("passes");
        assert!(passed.findings.listed.is_empty(), "{:?}", passed.findings);
    }
}

#[tokio::test]
async fn a_trap_rejects_the_upload_in_whichever_call_it_comes() {
    let failing = Failing::new().await;
    for (when, call) in [
        ("admit", Call::Admit),
        ("chunk", Call::Chunk),
        ("finish", Call::Finish),
    ] {
        let (failed, cause, text) = failing
            .failure(&format!("{{ do = 'trap', when = '{when}' }}"), "")
            .await;
        assert_eq!(failed, call);
        assert!(matches!(cause, FailureCause::Trap(_)), "{cause:?}");
        assert!(
            text.contains("policy `under-test`") && text.contains("sha256:") && text.contains(when),
            "{text}"
        );
    }
}

#[tokio::test]
async fn a_panic_arrives_with_its_message_and_place() {
    let failing = Failing::new().await;
    let (_, cause, text) = failing.failure("{ do = 'panic' }", "").await;
    assert!(matches!(cause, FailureCause::Panic(_)), "{cause:?}");
    let place = "it panicked at tests/guests/hostile/src/policy.rs:";
    assert!(
        text.contains(place) && text.ends_with(": told to panic"),
        "{text}"
    );
}

#[tokio::test]
async fn an_error_about_a_limit_says_how_much_and_where_it_is_set() {
    let failing = Failing::new().await;
    for (deed, limit, says) in [
        ("loop", "call-time-ms = 20", "20 ms"),
        ("slow:40", "total-time-ms = 20", "20 ms"),
        ("memory-bomb", "memory-bytes = 2097152", "2097152 bytes"),
        (
            "oversized-return",
            "hostcall-bytes = 65536",
            "65536 bytes to the host",
        ),
        ("stderr-flood:3", "handles = 1", "1 handles"),
    ] {
        let (_, _, text) = failing
            .failure(
                &format!("{{ do = '{deed}', when = 'admit' }}"),
                &format!("limits = {{ {limit} }}"),
            )
            .await;
        let key = limit.split(' ').next().expect("has a key");
        let raise = format!("raise `{key}` in the policy's `limits` in the policy set");
        assert!(text.contains(says) && text.contains(&raise), "{text}");
    }
}

#[tokio::test]
async fn an_endless_loop_ends_with_the_time_of_its_call() {
    let failing = Failing::new().await;
    let (_, cause, _) = failing
        .failure(
            "{ do = 'loop', when = 'chunk' }",
            "limits = { call-time-ms = 50 }",
        )
        .await;
    assert_eq!(cause, FailureCause::CallTime(Duration::from_millis(50)));
}

#[tokio::test]
async fn the_time_of_all_calls_is_limited_too() {
    let failing = Failing::new().await;
    let limits = "limits = { call-time-ms = 10000, total-time-ms = 50 }";
    let (_, cause, _) = failing
        .failure("{ do = 'slow:40', when = 'admit' }", limits)
        .await;
    assert_eq!(cause, FailureCause::TotalTime(Duration::from_millis(50)));
}

#[tokio::test]
async fn memory_stack_and_answers_are_limited() {
    let failing = Failing::new().await;
    let (_, cause, _) = failing
        .failure(
            "{ do = 'memory-bomb' }",
            "limits = { memory-bytes = 16777216 }",
        )
        .await;
    assert_eq!(cause, FailureCause::Memory(16 << 20));
    let (_, cause, _) = failing.failure("{ do = 'deep-recursion' }", "").await;
    assert_eq!(cause, FailureCause::Stack);
    let (_, cause, _) = failing.failure("{ do = 'oversized-return' }", "").await;
    assert_eq!(cause, FailureCause::Oversized(8 << 20));
}

#[tokio::test]
async fn a_failure_passes_only_where_the_set_says_so() {
    let set = Set::new(&hostile("weak", "{ do = 'trap' }", "on-failure = 'accept'"));
    let passed = judge(&engine(&set).await, b"x").await.ok().expect("passes");
    assert_eq!(passed.records[0].verdict, Verdict::Failed);
}

#[tokio::test]
async fn findings_are_cut_and_counted() {
    let limits = "limits = { findings = 20, findings-per-rule = 10 }";
    let set = Set::new(&hostile(
        "many",
        "{ do = 'many-findings:500', when = 'finish' }",
        limits,
    ));
    let passed = judge(&engine(&set).await, b"x").await.ok().expect("passes");
    assert_eq!(passed.findings.listed.len(), 10);
    assert_eq!(passed.findings.tallies[0].count, 500);
    assert_eq!(passed.records[0].findings, 500);
}

#[tokio::test]
async fn floods_of_lines_are_swallowed() {
    for deed in ["log-flood:5000", "stderr-flood:5000"] {
        let set = Set::new(&hostile("loud", &format!("{{ do = '{deed}' }}"), ""));
        assert!(judge(&engine(&set).await, b"x").await.is_ok(), "{deed}");
    }
}

/// An engine with one thread on which a policy computes without an end for every upload with the attribute
/// `slow`, and such an upload under way.
async fn engine_with_a_busy_thread(
    more: &str,
) -> (Arc<Engine>, tokio::task::JoinHandle<Admission>) {
    let limits = "match = { slow = '*' }\nlimits = { call-time-ms = 1500 }";
    let slow = hostile("slow", "{ do = 'loop', when = 'admit' }", limits);
    let set = Set::new(&format!("{slow}{more}"));
    let engine = Engine::start(EngineSettings {
        threads: 1,
        ..EngineSettings::default()
    });
    let engine = Arc::new(engine.expect("starts"));
    engine.load(&set.path()).await.expect("loads");
    let mut slow = upload("a.csv");
    slow.attributes.insert("slow", "yes").expect("fits");
    let looping = tokio::spawn({
        let engine = Arc::clone(&engine);
        async move { engine.admit(&slow, None).await }
    });
    tokio::task::yield_now().await;
    (engine, looping)
}

#[tokio::test]
async fn a_slow_policy_does_not_stall_its_neighbours() {
    let (engine, looping) = engine_with_a_busy_thread("").await;
    let started = Instant::now();
    for _ in 0..20 {
        assert!(judge(&engine, &vec![1; 100_000]).await.is_ok());
    }
    let waited = started.elapsed();
    assert!(!looping.is_finished(), "the neighbours waited {waited:?}");
    assert!(matches!(
        looping.await.expect("ends"),
        Admission::Refused(_)
    ));
}

#[tokio::test]
async fn a_busy_neighbour_never_makes_an_innocent_policy_time_out() {
    // It needs most of its own time, and twice as long by the clock on the wall, since it shares the thread.
    let limits = "match = { innocent = '*' }\nlimits = { call-time-ms = 400 }";
    let innocent = hostile("innocent", "{ do = 'slow:100', when = 'admit' }", limits);
    let (engine, looping) = engine_with_a_busy_thread(&innocent).await;
    let mut upload = upload("a.csv");
    upload.attributes.insert("innocent", "yes").expect("fits");
    let started = Instant::now();
    let passed = judge_upload(&engine, &upload, b"x").await;
    let passed = passed.unwrap_or_else(|refused| panic!("{:?}", refused.cause));
    let busy = passed.records[0].busy;
    let waited = started.elapsed();
    assert!(
        !looping.is_finished() && waited > busy * 3 / 2,
        "{busy:?} of {waited:?}"
    );
    looping.abort();
}

#[tokio::test]
async fn a_set_without_room_for_all_uploads_is_refused_with_what_to_do() {
    let set = Set::new(&hostile("count", "{ do = 'count' }", ""));
    let defaults = EngineSettings::default();
    for (settings, key) in [
        (
            EngineSettings {
                uploads: 2_000,
                ..defaults
            },
            "`limits.uploads`",
        ),
        (
            EngineSettings {
                guest_bytes: 80 << 20,
                ..defaults
            },
            "`limits.policy-memory-bytes`",
        ),
    ] {
        let engine = Engine::start(settings).expect("starts");
        let error = engine.load(&set.path()).await.err().expect("is refused");
        assert!(error.to_string().contains(key), "{error}");
    }
}

#[tokio::test]
async fn the_memory_of_all_policies_is_limited_together_and_comes_back() {
    let deeds = [
        "count",
        "trap",
        "panic",
        "memory-bomb",
        "deep-recursion",
        "oversized-return",
    ];
    let sets = deeds.map(|deed| {
        let only = format!("match = {{ deed = '{deed}' }}");
        hostile(deed, &format!("{{ do = '{deed}' }}"), &only)
    });
    let set = Set::new(&sets.concat());
    let settings = EngineSettings {
        uploads: 4,
        guest_bytes: 64 << 20,
        ..EngineSettings::default()
    };
    let engine = Engine::start(settings).expect("starts");
    engine.load(&set.path()).await.expect("loads");
    for deed in deeds {
        let mut upload = upload("a.csv");
        upload.attributes.insert("deed", deed).expect("fits");
        let passes = judge_upload(&engine, &upload, b"x").await.is_ok();
        assert_eq!(passes, deed == "count", "{deed}");
        assert_eq!(engine.free_guest_bytes(), 64 << 20, "after {deed}");
    }
    let mut held = Vec::new();
    let cause = loop {
        match engine.admit(&upload("a.csv"), None).await {
            Admission::Inspect(inspection) => held.push(inspection),
            Admission::Refused(refused) => break refused.cause,
        }
        assert!(held.len() < 64, "the budget has no end");
    };
    assert_eq!(cause, RefusalCause::Overloaded);
    drop(held);
    assert!(judge(&engine, b"x").await.is_ok());
}

#[tokio::test]
async fn a_forbidden_import_is_refused_by_name_when_the_set_loads() {
    let component = component("forbidden-import");
    let set = Set::new(&format!(
        "[[policy]]\nname = 'nosy'\ncomponent = '{}'\n",
        component.display()
    ));
    let engine = Engine::start(EngineSettings::default()).expect("starts");
    let error = engine
        .load(&set.path())
        .await
        .err()
        .expect("is refused")
        .to_string();
    assert!(
        error.contains("policy `nosy`") && error.contains("wasi:sockets/"),
        "{error}"
    );
    assert!(engine.revision().is_none());
}

#[tokio::test]
async fn a_router_may_not_leave_its_disks_or_their_roots() {
    for settings in [
        "{ path = 'a/b', disk = 'elsewhere' }",
        "{ path = '../b' }",
        "{ path = '/etc/passwd' }",
    ] {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("policies.toml");
        let router = component("misroute");
        let set = format!(
            "allow-empty = true\n[[policy]]\nname = 'lost'\ncomponent = '{}'\ndisks = ['local']\nsettings = {settings}\n",
            router.display()
        );
        std::fs::write(&path, set).expect("a file");
        let engine = Engine::start(EngineSettings::default()).expect("starts");
        engine.load(&path).await.expect("loads");
        let refused = judge(&engine, b"x").await.err().expect("is refused");
        let RefusalCause::Failed(failure) = refused.cause else {
            panic!("{settings}: {:?}", refused.cause);
        };
        assert!(
            matches!(failure.call, Call::Place | Call::Route),
            "{settings}"
        );
    }
}

#[tokio::test]
async fn a_set_without_a_router_and_an_engine_without_a_set_take_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("policies.toml");
    std::fs::write(&path, hostile("alone", "{}", "")).expect("a file");
    let engine = Engine::start(EngineSettings::default()).expect("starts");
    let error = engine
        .load(&path)
        .await
        .err()
        .expect("is refused")
        .to_string();
    assert!(error.contains("no policy says where uploads go"), "{error}");
    let refused = judge(&engine, b"x").await.err().expect("is refused");
    assert_eq!(refused.cause, RefusalCause::NoPolicies);
}

#[tokio::test]
async fn when_all_instances_are_in_use_an_upload_is_told_to_come_back() {
    let set = Set::new(&hostile("count", "{ do = 'count' }", ""));
    let engine = Engine::start(EngineSettings {
        uploads: 2,
        max_instances: 4,
        ..EngineSettings::default()
    })
    .expect("starts");
    engine.load(&set.path()).await.expect("loads");
    let mut held = Vec::new();
    let cause = loop {
        match engine.admit(&upload("a.csv"), None).await {
            Admission::Inspect(inspection) => held.push(inspection),
            Admission::Refused(refused) => break refused.cause,
        }
        assert!(held.len() < 10, "the pool has no end");
    };
    assert_eq!(cause, RefusalCause::Overloaded);
    held.clear();
    assert!(judge(&engine, b"x").await.is_ok());
}

#[tokio::test]
async fn counters_are_those_that_are_described_and_count_no_more_than_there_is() {
    let gossip = component("gossip");
    let policy = format!(
        "[[policy]]\nname = 'gossip'\ncomponent = '{}'\nsettings = {{}}\n",
        gossip.display()
    );
    let engine = engine(&Set::new(&policy)).await;
    // The policy counts each word by its own name, and adds up the numbers.
    let bytes = b"jane 77392015481 12";
    let Ok(passed) = judge(&engine, bytes).await else {
        panic!("it accepts");
    };
    let record = &passed.records[0];
    let counted: Vec<_> = record.counters.iter().collect();
    let [(name, count)] = counted[..] else {
        panic!("{counted:?}");
    };
    assert_eq!(name.as_str(), "words");
    assert_eq!(*count, bytes.len() as u64 + record.calls);
    let log = record.log;
    assert_eq!((log.lines, log.warnings, log.errors), (4, 1, 1));
}
