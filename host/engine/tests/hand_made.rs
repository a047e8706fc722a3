//! Components that no compiler makes: written by hand to break the contract, the loader or the pool.

use std::time::Duration;

use bytes::Bytes;
use portcullis_engine::{
    Admission, Call, End, Engine, EngineSettings, FailureCause, RefusalCause, Upload,
};
use portcullis_hand_made::{HandMade, parse, replaced};
use portcullis_types::{Attributes, Principal, Sha256Digest, Timestamp, UploadId};

const ROUTER: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../policies/components/route-by-attributes.wasm"
);

/// An engine with a set of one policy, this component, and what loading it said.
async fn load(component: &[u8], more: &str) -> (Engine, Result<(), String>) {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("under-test.wasm"), component).expect("is written");
    let set = format!(
        "[[policy]]\nname = 'under-test'\ncomponent = 'under-test.wasm'\n{more}\n\
         [[policy]]\nname = 'route'\ncomponent = '{ROUTER}'\ndisks = ['local']\nsettings = {{ template = 'in/{{filename}}' }}\n"
    );
    let path = folder.path().join("policies.toml");
    std::fs::write(&path, set).expect("is written");
    let engine = Engine::start(EngineSettings::default()).expect("starts");
    let loaded = engine.load(&path).await;
    (
        engine,
        loaded.map(|_| ()).map_err(|error| error.to_string()),
    )
}

async fn load_error(component: &[u8], more: &str) -> String {
    let error = load(component, more).await.1.expect_err("is refused");
    assert!(
        error.starts_with("policy `under-test` (under-test.wasm)") && error.contains("(sha256:"),
        "{error}"
    );
    error
}

fn upload() -> Upload {
    Upload {
        id: UploadId::generate(),
        filename: "a.csv".to_owned(),
        folder: None,
        media_type: None,
        length: None,
        attributes: Attributes::default(),
        principal: Principal::anonymous(),
        received_at: Timestamp::from_ms(0).expect("is a time"),
    }
}

/// Why an upload is refused, and the sentence that the operator reads.
async fn failure(hand_made: &HandMade, more: &str) -> (Call, FailureCause, String) {
    let (engine, loaded) = load(&hand_made.component().expect("is a component"), more).await;
    loaded.expect("loads");
    let before = engine.free_guest_bytes();
    let cause = match engine.admit(&upload(), None).await {
        Admission::Refused(refused) => refused.cause,
        Admission::Inspect(mut inspection) => {
            if let Err(cause) = inspection.chunk(Bytes::from_static(b"x")).await {
                inspection.refuse(cause).await.cause
            } else {
                let end = End {
                    length: 1,
                    sha256: Sha256Digest::of(b"x"),
                };
                inspection
                    .finish(end)
                    .await
                    .err()
                    .expect("is refused")
                    .cause
            }
        }
    };
    assert_eq!(engine.free_guest_bytes(), before, "memory is missing");
    let RefusalCause::Failed(failure) = cause else {
        panic!("{cause:?}");
    };
    let text = failure.to_string();
    assert!(text.contains("`under-test` 1.0.0 (sha256:"), "{text}");
    (failure.call, failure.cause, text)
}

const ENDLESS: &str = "(loop $l (br $l)) (i32.const 512)";
const SHORT: &str = "limits = { call-time-ms = 50 }";

#[tokio::test]
async fn a_component_made_by_hand_can_be_a_policy() {
    let (engine, loaded) = load(
        &HandMade::default().component().expect("is a component"),
        "",
    )
    .await;
    loaded.expect("loads");
    let Admission::Inspect(mut inspection) = engine.admit(&upload(), None).await else {
        panic!("is refused");
    };
    assert!(inspection.chunk(Bytes::from_static(b"x")).await.is_ok());
    let end = End {
        length: 1,
        sha256: Sha256Digest::of(b"x"),
    };
    assert!(inspection.finish(end).await.is_ok());
}

#[tokio::test]
async fn an_endless_loop_ends_in_every_call() {
    let limit = FailureCause::CallTime(Duration::from_millis(50));
    for (call, hand_made) in [
        (
            Call::Admit,
            HandMade {
                admit: ENDLESS,
                ..HandMade::default()
            },
        ),
        (
            Call::Chunk,
            HandMade {
                chunk: ENDLESS,
                ..HandMade::default()
            },
        ),
        (
            Call::Finish,
            HandMade {
                finish: ENDLESS,
                ..HandMade::default()
            },
        ),
    ] {
        let (in_call, cause, _) = failure(&hand_made, SHORT).await;
        assert_eq!((in_call, cause), (call, limit.clone()));
    }
    for (call, hand_made) in [
        (
            "describe",
            HandMade {
                describe: ENDLESS,
                ..HandMade::default()
            },
        ),
        (
            "configure",
            HandMade {
                configure: ENDLESS,
                ..HandMade::default()
            },
        ),
        (
            "instantiate",
            HandMade {
                more: format!("(func $start {ENDLESS} drop) (start $start)"),
                ..HandMade::default()
            },
        ),
    ] {
        let error = load_error(&hand_made.component().expect("is a component"), SHORT).await;
        assert!(error.contains(&format!("failed in `{call}`")), "{error}");
        assert!(error.contains("over 50 ms of CPU time"), "{error}");
    }
}

#[tokio::test]
async fn absurd_answers_are_named() {
    for (what, hand_made) in [
        (
            "a case that does not exist",
            HandMade {
                admit: "(i32.store8 (i32.const 640) (i32.const 7)) (i32.const 640)",
                ..HandMade::default()
            },
        ),
        (
            "a place outside of its memory",
            HandMade {
                admit: "(i32.const 0x7ffffff8)",
                ..HandMade::default()
            },
        ),
        (
            "a place that is not aligned",
            HandMade {
                admit: "(i32.const 641)",
                ..HandMade::default()
            },
        ),
        (
            "a refusal outside of its memory",
            // ok(reject({rule: (0xffffff00, 100), ...}))
            HandMade {
                finish: "(i32.store8 (i32.const 900) (i32.const 0)) (i32.store8 (i32.const 904) (i32.const 2)) \
                         (i32.store (i32.const 908) (i32.const 0xffffff00)) (i32.store (i32.const 912) (i32.const 100)) \
                         (i32.const 900)",
                ..HandMade::default()
            },
        ),
        (
            "a sentence that is not UTF-8",
            HandMade {
                finish: "(i32.store8 (i32.const 904) (i32.const 2)) (i32.store16 (i32.const 1000) (i32.const 0xfffe)) \
                         (i32.store (i32.const 908) (i32.const 1000)) (i32.store (i32.const 912) (i32.const 2)) \
                         (i32.const 900)",
                ..HandMade::default()
            },
        ),
        (
            "a sentence as long as can be",
            HandMade {
                finish: "(i32.store8 (i32.const 904) (i32.const 2)) \
                         (i32.store (i32.const 908) (i32.const 0)) (i32.store (i32.const 912) (i32.const 0xffffffff)) \
                         (i32.const 900)",
                ..HandMade::default()
            },
        ),
    ] {
        let (_, cause, text) = failure(&hand_made, "").await;
        let is_named = matches!(cause, FailureCause::Answer(_) | FailureCause::Oversized(_));
        assert!(is_named, "{what}: {cause:?}");
        assert!(!text.contains("wasm"), "{what}: {text}");
    }
    let describe = "(i32.store (i32.const 772) (i32.const 0xffffffff)) (i32.const 768)";
    let hand_made = HandMade {
        describe,
        ..HandMade::default()
    };
    let error = load_error(&hand_made.component().expect("is a component"), "").await;
    assert!(error.contains("failed in `describe`"), "{error}");
}

#[tokio::test]
async fn what_is_too_large_is_refused_when_the_set_loads() {
    let memory = HandMade {
        memory: "20000",
        ..HandMade::default()
    };
    let error = load_error(&memory.component().expect("is a component"), "").await;
    assert!(error.contains("`memory-bytes`"), "{error}");
    let table = HandMade {
        more: "(table 10000000 funcref)".to_owned(),
        ..HandMade::default()
    };
    let error = load_error(&table.component().expect("is a component"), "").await;
    assert!(error.contains("`table-elements`"), "{error}");
    let functions = "(func)".repeat(300_000);
    let exports = (0..30_000).map(|nth| format!("(func (export \"f{nth}\"))"));
    let long = format!("(func {})", "nop ".repeat(1_100_000));
    for (what, more) in [
        ("functions", functions),
        ("exports", exports.collect()),
        ("bytes in one function", long),
    ] {
        let hand_made = HandMade {
            more,
            ..HandMade::default()
        };
        let error = load_error(&hand_made.component().expect("is a component"), "").await;
        assert!(error.contains(&format!("{what}; at most")), "{error}");
    }
}

#[tokio::test]
async fn what_is_no_component_of_this_contract_is_told_apart() {
    let whole = HandMade::default().component().expect("is a component");
    let core = parse("(module)").expect("is a module");
    let other = replaced(&whole, b"validation@0.1.0", b"validation@0.2.0");
    let neither = parse("(component)").expect("is a component");
    for (bytes, says) in [
        (core.as_slice(), "is a core module"),
        (
            &whole[..whole.len() / 2],
            "is not a valid WebAssembly component",
        ),
        (b"", "is not a valid WebAssembly component"),
        (b"<!doctype html>", "is not a valid WebAssembly component"),
        (&other, "contract version 0.2.0"),
        (&neither, "exports no `portcullis:policy/validation@0.1.0`"),
    ] {
        let error = load_error(bytes, "").await;
        assert!(error.contains(says), "{error}");
    }
}

/// They label metrics.
#[tokio::test]
async fn a_counter_with_a_name_that_is_none_is_refused_when_the_set_loads() {
    let target = std::env::current_exe().expect("a test has a path");
    let target = target.ancestors().nth(3).expect("is in a target folder");
    let gossip = std::fs::read(target.join("guests/gossip.wasm")).expect("is built");
    let shouting = replaced(&gossip, b"words", b"WORDS");
    let error = load_error(&shouting, "settings = {}").await;
    assert!(error.contains("`describe`"), "{error}");
    assert!(error.contains("1 to 40 characters of a-z"), "{error}");
}
