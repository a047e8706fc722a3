//! Policies in the shadow: they judge the same bytes, decide nothing, and are waited for by nobody.

use std::time::Duration;

use bytes::Bytes;
use portcullis_engine::{
    Admission, Engine, EngineSettings, Passed, RefusalCause, Refused, Shadow, ShadowRecord, Upload,
};
use portcullis_types::{Incomplete, Verdict};

use crate::set::{Set, end, engine, hostile, upload};

const LIMIT: Duration = Duration::from_mins(2);

const SHADOW: &str = "mode = 'shadow'";

/// One upload to its end, and what shadow policies would have said.
async fn judge(
    engine: &Engine,
    upload: &Upload,
    bytes: &[u8],
) -> (Result<Passed, Box<Refused>>, Vec<ShadowRecord>) {
    let (admission, shadow) = engine.begin(upload, None).await;
    let verdict = decide(admission, &shadow, bytes).await;
    (verdict, shadow.records(LIMIT).await)
}

async fn decide(
    admission: Admission,
    shadow: &Shadow,
    bytes: &[u8],
) -> Result<Passed, Box<Refused>> {
    let mut inspection = match admission {
        Admission::Inspect(inspection) => inspection,
        Admission::Refused(refused) => return Err(refused),
    };
    for chunk in bytes.chunks(100_000) {
        let block = Bytes::copy_from_slice(chunk);
        shadow.show(&block);
        if let Err(cause) = inspection.chunk(block).await {
            return Err(inspection.refuse(cause).await);
        }
    }
    shadow.end(&end(bytes));
    inspection.finish(end(bytes)).await
}

#[tokio::test]
async fn whatever_a_shadow_policy_says_the_upload_passes_and_it_is_written_down() {
    for (deed, verdict, rule, passes) in [
        ("accept", Verdict::Accept, None, true),
        ("count", Verdict::Accept, None, true),
        ("reject", Verdict::Reject, Some("reject"), false),
        ("quarantine", Verdict::Quarantine, Some("quarantine"), true),
        ("trap", Verdict::Failed, None, false),
        ("fail", Verdict::Failed, None, false),
        ("memory-bomb", Verdict::Failed, None, false),
    ] {
        let settings = format!("{{ do = '{deed}' }}");
        let set = Set::new(&format!(
            "{}{}",
            hostile("decides", "{ do = 'count' }", ""),
            hostile("shadow", &settings, SHADOW)
        ));
        let engine = engine(&set).await;
        let (judged, records) = judge(&engine, &upload("a.csv"), &vec![7; 150_000]).await;
        let passed = judged.ok().expect("passes");
        let asked: Vec<&str> = passed.records.iter().map(|it| it.name.as_str()).collect();
        assert_eq!(asked, ["decides", "route"], "{deed}");
        let [record] = &records[..] else {
            panic!("{deed}: {records:?}");
        };
        assert_eq!(record.record.verdict, verdict, "{deed}: {record:?}");
        assert_eq!(record.rule.as_deref(), rule, "{deed}");
        assert_eq!(record.passes, Some(passes), "{deed}");
        assert_eq!(record.set, engine.revision().expect("is there").digest());
    }
}

#[tokio::test]
async fn its_findings_are_counted_by_rule_and_told_to_nobody() {
    let settings = "{ do = 'many-findings:250' }";
    let set = Set::new(&format!(
        "{}{}",
        hostile("decides", "{ do = 'count' }", ""),
        hostile("shadow", settings, SHADOW)
    ));
    let engine = engine(&set).await;
    let (judged, records) = judge(&engine, &upload("a.csv"), b"x").await;
    let findings = judged.ok().expect("passes").findings;
    let mut told = findings.listed.iter().map(|it| it.policy.as_str());
    assert!(told.all(|policy| policy == "decides"));
    let most = records[0].rules.values().max();
    assert_eq!(most, Some(&250), "{:?}", records[0].rules);
}

#[tokio::test]
async fn one_that_falls_behind_is_left_behind() {
    let slow = hostile(
        "shadow",
        "{ do = 'loop' }",
        "mode = 'shadow'\nlimits = { call-time-ms = 20000 }",
    );
    let set = Set::new(&format!(
        "{}{slow}",
        hostile("decides", "{ do = 'count' }", "")
    ));
    let engine = engine(&set).await;
    let (admission, shadow) = engine.begin(&upload("a.csv"), None).await;
    let judged = decide(admission, &shadow, &vec![7; 3 << 20]).await;
    assert!(judged.is_ok());
    // It is at its first block for 20 s of CPU time. If the decision had waited for it, it would not be behind.
    let records = shadow.records(Duration::from_millis(50)).await;
    assert_eq!(records[0].incomplete, Some(Incomplete::Behind));
    assert_eq!(records[0].passes, None);
    // What was given up is gone, and the next one is judged.
    set.write(&format!(
        "{}{}",
        hostile("decides", "{ do = 'count' }", ""),
        hostile("shadow", "{ do = 'count' }", SHADOW)
    ));
    engine.load(&set.path()).await.expect("loads");
    let (_, records) = judge(&engine, &upload("a.csv"), b"x").await;
    assert_eq!(records[0].record.verdict, Verdict::Accept);
}

#[tokio::test]
async fn an_upload_that_ends_early_leaves_it_undecided() {
    let set = Set::new(&format!(
        "{}{}",
        hostile("decides", "{ do = 'reject' }", ""),
        hostile("shadow", "{ do = 'count' }", SHADOW)
    ));
    let engine = engine(&set).await;
    let (judged, records) = judge(&engine, &upload("a.csv"), b"x").await;
    assert!(judged.is_err());
    assert_eq!(records[0].incomplete, Some(Incomplete::Ended));
    assert_eq!(records[0].record.verdict, Verdict::Undecided);
}

#[tokio::test]
async fn room_is_kept_for_those_that_decide() {
    let set = Set::new(&format!(
        "{}{}",
        hostile("decides", "{ do = 'count' }", ""),
        hostile("shadow", "{ do = 'count' }", SHADOW)
    ));
    let engine = Engine::start(EngineSettings {
        uploads: 4,
        max_instances: 10,
        ..EngineSettings::default()
    })
    .expect("starts");
    engine.load(&set.path()).await.expect("loads");
    // Two instances are nobody's: 4 uploads have a validation and a routing policy each.
    let mut held = Vec::new();
    for _ in 0..4 {
        let (admission, shadow) = engine.begin(&upload("a.csv"), None).await;
        match admission {
            Admission::Inspect(inspection) => held.push((inspection, shadow)),
            Admission::Refused(refused) => panic!("{:?}", refused.cause),
        }
    }
    let mut without_room = 0;
    for (inspection, shadow) in held {
        shadow.end(&end(b""));
        assert!(inspection.finish(end(b"")).await.is_ok());
        let records = shadow.records(LIMIT).await;
        let is_judged = records[0].record.verdict == Verdict::Accept;
        let has_no_room = records[0].incomplete == Some(Incomplete::NoRoom);
        assert!(is_judged || has_no_room, "{records:?}");
        without_room += u32::from(has_no_room);
    }
    assert!(without_room <= 2, "{without_room}");
}

#[tokio::test]
async fn a_share_of_uploads_is_judged_and_the_same_ones_each_time() {
    let set = Set::new(&hostile("decides", "{ do = 'reject' }", "percent = 30"));
    let engine = engine(&set).await;
    let mut refused = 0;
    for _ in 0..60 {
        let upload = upload("a.csv");
        let (first, _) = judge(&engine, &upload, b"x").await;
        let (second, _) = judge(&engine, &upload, b"x").await;
        assert_eq!(first.is_ok(), second.is_ok());
        refused += u32::from(first.is_err());
    }
    assert!((5..35).contains(&refused), "{refused} of 60");
}

#[tokio::test]
async fn of_a_set_on_trial_only_what_differs_is_asked() {
    let both = |second: &str, more: &str| {
        format!(
            "{}{}",
            hostile("same", "{ do = 'count' }", ""),
            hostile("second", second, more)
        )
    };
    let set = Set::new(&both("{ do = 'accept' }", ""));
    let engine = engine(&set).await;
    set.write(&both("{ do = 'reject' }", ""));
    let files = portcullis_engine::SetFiles::beside(&set.path());
    let prepared = engine.prepare(files).await.expect("could serve");
    engine.put_on_trial(Some(&prepared));
    let (judged, records) = judge(&engine, &upload("a.csv"), b"x").await;
    assert!(judged.is_ok());
    let [record] = &records[..] else {
        panic!("{records:?}");
    };
    assert_eq!(record.record.name.as_str(), "second");
    assert_eq!(record.passes, Some(false));
    assert_eq!(record.set, prepared.revision.digest());

    engine.put_on_trial(None);
    let (judged, records) = judge(&engine, &upload("a.csv"), b"x").await;
    assert!(judged.is_ok() && records.is_empty());
    engine.put_in_force(&prepared);
    let (judged, _) = judge(&engine, &upload("a.csv"), b"x").await;
    let refused = judged.err().expect("is refused");
    assert!(matches!(refused.cause, RefusalCause::Rejected { .. }));
}

#[tokio::test]
async fn a_router_has_no_shadow_and_a_set_in_the_shadow_refuses_nothing() {
    let set = Set::new(&hostile("only", "{}", SHADOW));
    let engine = engine(&set).await;
    let text = std::fs::read_to_string(set.path()).expect("is there");
    let without = text.replace("allow-empty = true\n", "");
    let load = async |text: &str| {
        std::fs::write(set.path(), text).expect("is written");
        let loaded = engine.load(&set.path()).await;
        loaded
            .err()
            .map(|error| error.to_string())
            .unwrap_or_default()
    };
    let error = load(&without).await;
    assert!(error.contains("allow-empty"), "{error}");
    for key in ["mode = 'shadow'", "percent = 50"] {
        let error = load(&text.replace("name = 'route'", &format!("name = 'route'\n{key}"))).await;
        assert!(error.contains("remove `mode` and `percent`"), "{error}");
    }
    let error = load(&text.replace(SHADOW, "percent = 0")).await;
    assert!(error.contains("1 to 100 percent"), "{error}");
}
