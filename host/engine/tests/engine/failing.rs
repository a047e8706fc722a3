//! Policies that fail: what `on-failure` makes of each way, when a policy is no longer asked, and what is no failure.

use std::time::Duration;

use portcullis_engine::{
    BreakerSettings, Engine, EngineSettings, FailureCause, RefusalCause, SetFiles,
};
use portcullis_types::{Sha256Digest, SigningKey, Trust, Verdict};

use crate::set::{Set, admitted, component, hostile, judge};

async fn with_breaker(set: &Set, failures: u32, first_pause: Duration) -> Engine {
    let engine = Engine::start(EngineSettings {
        uploads: 8,
        max_instances: 64,
        breaker: BreakerSettings {
            failures,
            first_pause,
            longest_pause: Duration::from_hours(1),
        },
        ..EngineSettings::default()
    })
    .expect("starts");
    engine.load(&set.path()).await.expect("loads");
    engine
}

/// Every way in which a policy fails.
const FAILURES: [(&str, &str); 9] = [
    ("trap", ""),
    ("panic", ""),
    ("loop", "limits = { call-time-ms = 50 }"),
    ("slow:40", "limits = { total-time-ms = 20 }"),
    ("memory-bomb", ""),
    ("deep-recursion", ""),
    ("oversized-return:9000000", ""),
    ("undecided:1", ""),
    ("fail", ""),
];

#[tokio::test]
async fn every_failure_rejects_or_passes_as_the_set_says() {
    // One engine: what it has compiled it does not compile again.
    let set = Set::new(&hostile("under-test", "{ do = 'accept' }", ""));
    let engine = with_breaker(&set, 100, Duration::ZERO).await;
    for (deed, limits) in FAILURES {
        for (on_failure, passes) in [("reject", false), ("accept", true)] {
            let more = format!("on-failure = '{on_failure}'\n{limits}");
            let settings = format!("{{ do = '{deed}' }}");
            set.write(&hostile("under-test", &settings, &more));
            engine.load(&set.path()).await.expect("loads");
            let (records, cause) = match judge(&engine, &vec![7; 150_000]).await {
                Ok(passed) => (passed.records, None),
                Err(refused) => (refused.records, Some(refused.cause)),
            };
            assert_eq!(cause.is_none(), passes, "{deed}, {on_failure}: {cause:?}");
            assert_eq!(records[0].verdict, Verdict::Failed, "{deed}");
            assert!(records[0].failure.is_some(), "{deed}");
            if let Some(cause) = cause {
                assert!(
                    matches!(cause, RefusalCause::Failed(_)),
                    "{deed}: {cause:?}"
                );
            }
        }
    }
}

#[tokio::test]
async fn a_policy_that_keeps_trapping_is_not_asked_and_its_on_failure_decides() {
    for (on_failure, passes) in [("reject", false), ("accept", true)] {
        let more = format!("on-failure = '{on_failure}'");
        let set = Set::new(&hostile("under-test", "{ do = 'trap' }", &more));
        let engine = with_breaker(&set, 3, Duration::from_hours(1)).await;
        for nth in 0..6 {
            let (records, passed) = match judge(&engine, b"x").await {
                Ok(passed) => (passed.records, true),
                Err(refused) => (refused.records, false),
            };
            assert_eq!(passed, passes, "{on_failure}");
            let is_asked = records[0].calls > 0;
            assert_eq!(is_asked, nth < 3, "{on_failure}, upload {nth}");
            let (_, cause) = records[0].failure.as_ref().expect("it failed");
            let is_open = *cause == FailureCause::KeepsFailing(3);
            assert_eq!(is_open, nth >= 3, "{on_failure}, upload {nth}: {cause}");
        }
        let revision = engine.revision().expect("is in force");
        let status = revision.policies()[0].breaker();
        assert!(status.is_open && status.tries_in.is_some());
        assert_eq!((status.opened, status.not_asked), (1, 3));

        // The same policy in another revision is still not asked, and another one is.
        set.write(&(hostile("under-test", "{ do = 'trap' }", &more) + "\n# again"));
        engine.load(&set.path()).await.expect("loads");
        assert_eq!(judge(&engine, b"x").await.is_ok(), passes);
        let revision = engine.revision().expect("is in force");
        assert_eq!(revision.policies()[0].breaker().not_asked, 4);
        set.write(&hostile("under-test", "{ do = 'count' }", &more));
        engine.load(&set.path()).await.expect("loads");
        assert!(judge(&engine, b"x").await.is_ok());
    }
}

#[tokio::test]
async fn it_is_asked_again_when_one_upload_has_tried_it() {
    // It fails on what is longer than 10 bytes.
    let set = Set::new(&hostile("under-test", "{ do = 'undecided:10' }", ""));
    let engine = with_breaker(&set, 2, Duration::ZERO).await;
    let status = || {
        let revision = engine.revision().expect("is in force");
        revision.policies()[0].breaker()
    };
    for _ in 0..2 {
        assert!(judge(&engine, &[7; 20]).await.is_err());
    }
    assert!(status().is_open);
    assert!(
        judge(&engine, b"x").await.is_ok(),
        "the pause is over, it tries"
    );
    assert!(!status().is_open);
    assert_eq!(status().failures, 0);
    assert!(judge(&engine, b"x").await.is_ok());
}

#[tokio::test]
async fn what_it_cannot_judge_and_overload_open_nothing() {
    let set = Set::new(&hostile("under-test", "{ do = 'fail' }", ""));
    let engine = with_breaker(&set, 2, Duration::from_hours(1)).await;
    for _ in 0..5 {
        let refused = judge(&engine, b"x").await.err().expect("is refused");
        let RefusalCause::Failed(failure) = refused.cause else {
            panic!("{:?}", refused.cause);
        };
        assert!(matches!(failure.cause, FailureCause::Declared(..)));
    }
    let set = Set::new(&hostile(
        "under-test",
        "{ do = 'count' }",
        "on-failure = 'accept'",
    ));
    let engine = Engine::start(EngineSettings {
        uploads: 2,
        max_instances: 4,
        breaker: BreakerSettings {
            failures: 1,
            ..BreakerSettings::default()
        },
        ..EngineSettings::default()
    })
    .expect("starts");
    engine.load(&set.path()).await.expect("loads");
    let held = [admitted(&engine).await, admitted(&engine).await];
    for _ in 0..3 {
        // Load is no way past a policy whose failure would let an upload pass.
        let refused = judge(&engine, b"x").await.err().expect("is refused");
        assert_eq!(refused.cause, RefusalCause::Overloaded);
    }
    drop(held);
    let revision = engine.revision().expect("is in force");
    assert!(!revision.policies()[0].breaker().is_open);
    assert!(judge(&engine, b"x").await.is_ok());
}

#[tokio::test]
async fn a_component_is_pinned_by_its_digest_and_runs_only_if_somebody_vouches_for_it() {
    let set = Set::new("");
    let own = set.path().with_file_name("own.wasm");
    let code = std::fs::read(component("size-limit")).expect("is there");
    std::fs::write(&own, &code).expect("is written");
    let router = set.path().with_file_name("router.wasm");
    std::fs::copy(component("route-by-attributes"), &router).expect("is copied");
    let write = |digest: &str| {
        let text = format!(
            "[[policy]]\nname = 'own'\ncomponent = 'own.wasm'\ndigest = '{digest}'\nsettings = {{ max-bytes = 10 }}\n\
             [[policy]]\nname = 'route'\ncomponent = 'router.wasm'\ndisks = ['local']\nsettings = {{ template = 'in/{{filename}}' }}\n"
        );
        std::fs::write(set.path(), text).expect("is written");
    };
    let digest = Sha256Digest::of(&code);
    write(&digest.to_string());
    let key = SigningKey::from_seed([7; 32]);
    let sign = |key: &SigningKey| {
        for path in [&own, &router] {
            let bytes = std::fs::read(path).expect("is there");
            let signature = key.sign(Sha256Digest::of(&bytes)).to_string();
            std::fs::write(path.with_extension("wasm.sig"), signature).expect("is written");
        }
    };
    let strict = Trust {
        keys: vec![key.public()],
        is_required: true,
    };
    let settings = EngineSettings::default();
    let engine = Engine::start_trusting(settings, strict).expect("starts");
    let load = async || {
        let prepared = engine.prepare(SetFiles::beside(&set.path())).await;
        prepared.map_err(|error| error.to_string())
    };
    let error = load().await.err().expect("is not signed");
    assert!(
        error.contains("it is not signed") && error.contains("policy `own`"),
        "{error}"
    );
    sign(&SigningKey::from_seed([8; 32]));
    let error = load().await.err().expect("is signed by somebody else");
    assert!(error.contains("not one of `trusted-keys`"), "{error}");
    sign(&key);
    let prepared = load().await.expect("is signed");
    assert_eq!(
        prepared.revision.policies()[0].signed_by(),
        Some(key.public())
    );
    assert!(
        prepared
            .revision
            .manifest()
            .files
            .contains_key("own.wasm.sig")
    );

    // Altered: the digest in the set says so first, then the signature.
    std::fs::write(&own, [&code[..], &[0, 1, 0]].concat()).expect("is written");
    let error = load().await.err().expect("is pinned");
    assert!(error.contains("the policy set wants sha256:"), "{error}");
    write(&Sha256Digest::of(&std::fs::read(&own).expect("is there")).to_string());
    let error = load().await.err().expect("is altered");
    assert!(error.contains("altered"), "{error}");
    // Where nothing is required, a signature by a stranger counts for nothing, and the digest is the same.
    let open = Engine::start(settings).expect("starts");
    let prepared = open
        .prepare(SetFiles::beside(&set.path()))
        .await
        .expect("loads");
    assert_eq!(prepared.revision.policies()[0].signed_by(), None);
}
