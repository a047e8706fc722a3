//! Other policies while uploads are under way.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use portcullis_engine::{Engine, EngineSettings, LoadError, SetFiles};
use portcullis_types::PolicyManifest;

use crate::set::{Set, admitted, component, end, engine, hostile, judge};

#[tokio::test]
async fn an_upload_keeps_its_revision_while_another_is_put_in_force() {
    let set = Set::new(&hostile("first", "{ do = 'count' }", ""));
    let engine = engine(&set).await;
    let mut under_way = admitted(&engine).await;
    let before = under_way.revision();
    set.write(&hostile("second", "{ do = 'reject' }", ""));
    let after = engine.load(&set.path()).await.expect("loads").digest();
    assert_ne!(before, after);
    under_way
        .chunk(Bytes::from_static(b"x"))
        .await
        .expect("passes");
    assert_eq!(under_way.revision(), before);
    assert!(under_way.finish(end(b"x")).await.is_ok());
    assert!(judge(&engine, b"x").await.is_err());
}

#[tokio::test]
async fn a_set_with_a_fault_leaves_the_last_good_one_in_force() {
    let set = Set::new(&hostile("good", "{ do = 'accept' }", ""));
    let engine = engine(&set).await;
    let good = engine.revision().expect("is in force").digest();
    for (faulty, words) in [
        (
            hostile("bad", "{ do = 'no-such-deed' }", ""),
            "refuses its settings in `configure`",
        ),
        (hostile("bad", "{ unknown = 1 }", ""), "unknown"),
        (hostile("bad", "{}", "colour = 'red'"), "colour"),
        (
            hostile("bad", "{}", "limits = { call-time-ms = 0 }"),
            "call-time-ms",
        ),
        (
            hostile("bad", "{ do = 'trap', when = 'configure' }", ""),
            "`configure`",
        ),
        (
            format!(
                "{}{}",
                hostile("twice", "{}", ""),
                hostile("twice", "{}", "")
            ),
            "two policies are named `twice`",
        ),
        (
            "[[policy]]\nname = 'none'\ncomponent = 'missing.wasm'\n".to_owned(),
            "cannot be read",
        ),
        (
            "[[policy]]\nname = 'text'\ncomponent = 'policies.toml'\n".to_owned(),
            "not a valid WebAssembly component",
        ),
        (
            "[[policy]]\nname = 'Bad Name'\ncomponent = 'x.wasm'\n".to_owned(),
            "a policy's name",
        ),
    ] {
        set.write(&faulty);
        let error = engine.load(&set.path()).await.err().expect(words);
        let text = error.to_string();
        assert!(text.contains(words), "{text}");
        if let LoadError::Policy { policy, .. } = &error {
            assert!(text.contains(policy.as_str()), "{text}");
        }
        assert_eq!(engine.revision().expect("is in force").digest(), good);
    }
}

#[tokio::test]
async fn a_retired_revision_goes_with_its_last_upload() {
    let set = Set::new(&hostile("first", "{ do = 'count' }", ""));
    let engine = engine(&set).await;
    let first = Arc::downgrade(&engine.revision().expect("is in force"));
    let under_way = admitted(&engine).await;
    set.write(&hostile("second", "{ do = 'count' }", ""));
    engine.load(&set.path()).await.expect("loads");
    until(|| (engine.retired(), first.strong_count()) == (1, 1)).await;
    assert!(under_way.finish(end(b"")).await.is_ok());
    until(|| (engine.retired(), first.strong_count()) == (0, 0)).await;
}

/// Waits for something that another thread is about to do.
async fn until(holds: impl Fn() -> bool) {
    let wait = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(30), wait).await;
    waited.expect("comes to hold");
}

#[tokio::test]
async fn what_is_reported_is_the_digest_of_code_settings_and_resources_together() {
    let set = Set::new(&hostile("first", "{ do = 'count' }", ""));
    let engine = engine(&set).await;
    let digest = || engine.revision().expect("is in force").digest();
    let first = digest();
    engine.load(&set.path()).await.expect("loads");
    assert_eq!(digest(), first, "nothing changed");
    set.write(&hostile("first", "{ do = 'accept' }", ""));
    engine.load(&set.path()).await.expect("loads");
    let second = digest();
    assert_ne!(second, first, "the settings changed");

    let own = set.path().with_file_name("own.wasm");
    let mut code = std::fs::read(component("hostile")).expect("is there");
    let with = |code: &[u8]| {
        std::fs::write(&own, code).expect("is written");
        set.write("[[policy]]\nname = 'own'\ncomponent = 'own.wasm'\nsettings = { do = 'accept' }");
    };
    with(&code);
    engine.load(&set.path()).await.expect("loads");
    let third = digest();
    // A custom section without a name: other code, and the same behaviour.
    code.extend([0, 1, 0]);
    with(&code);
    engine.load(&set.path()).await.expect("loads");
    assert_ne!(digest(), third, "the code changed");
    let manifest = engine.revision().expect("is in force").manifest().clone();
    assert_eq!(manifest.digest(), digest());
    assert!(manifest.files.contains_key("own.wasm"));
}

#[tokio::test]
async fn a_set_is_the_same_in_memory_as_on_a_disk() {
    let set = Set::new(&hostile("first", "{ do = 'count' }", ""));
    let engine = engine(&set).await;
    let beside = engine
        .prepare(SetFiles::beside(&set.path()))
        .await
        .expect("loads");
    let files = beside.files.into_read();
    assert!(files.contains_key(PolicyManifest::SET));
    let held = engine
        .prepare(SetFiles::held(files.clone()))
        .await
        .expect("loads");
    assert_eq!(held.revision.digest(), beside.revision.digest());
    let without: BTreeMap<String, Bytes> = files
        .into_iter()
        .filter(|(name, _)| name == PolicyManifest::SET)
        .collect();
    let error = engine.prepare(SetFiles::held(without)).await.err();
    assert!(matches!(error, Some(LoadError::Policy { .. })), "{error:?}");
}

#[tokio::test]
async fn a_set_that_could_refuse_nothing_is_refused_unless_it_says_so() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("policies.toml");
    let router = format!(
        "[[policy]]\nname = 'route'\ncomponent = '{}'\ndisks = ['local']\nsettings = {{ template = 'in/{{filename}}' }}\n",
        component("route-by-attributes").display()
    );
    let engine = Engine::start(EngineSettings::default()).expect("starts");
    std::fs::write(&path, &router).expect("is written");
    let error = engine
        .load(&path)
        .await
        .err()
        .expect("is refused")
        .to_string();
    assert!(error.contains("allow-empty = true"), "{error}");
    std::fs::write(&path, format!("allow-empty = true\n{router}")).expect("is written");
    engine.load(&path).await.expect("loads");
    assert!(judge(&engine, b"x").await.is_ok());
}

/// What this process has in memory, in bytes.
fn resident_bytes() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("is there");
    let pages = statm.split(' ').nth(1).expect("has a second number");
    pages.parse::<u64>().expect("is a number") * 4096
}

#[tokio::test]
async fn reloads_give_back_what_they_took() {
    let set = Set::new("");
    let engine = engine(&set).await;
    let own = set.path().with_file_name("own.wasm");
    let code = std::fs::read(component("size-limit")).expect("is there");
    set.write("[[policy]]\nname = 'own'\ncomponent = 'own.wasm'\nsettings = { max-bytes = 10 }");
    let mut after_first = 0;
    for nth in 0..30u8 {
        // A custom section with a name of one letter: each is another component.
        let section = [0, 3, 1, b'n', nth];
        std::fs::write(&own, [&code[..], &section].concat()).expect("is written");
        engine.load(&set.path()).await.expect("loads");
        assert!(judge(&engine, b"x").await.is_ok());
        if nth == 4 {
            after_first = resident_bytes();
        }
    }
    until(|| engine.retired() == 0).await;
    let after = resident_bytes();
    // Other tests may run in this process; what 25 components would keep is a multiple of this.
    let most = after_first + (32 << 20);
    assert!(
        after < most,
        "{after_first} bytes after 5, {after} after 30"
    );
}

#[tokio::test]
async fn a_set_serves_only_when_its_policies_pass_their_fixtures() {
    let set = Set::new("");
    let folder = set.path().with_file_name("cases");
    let case = folder.join("too-long");
    std::fs::create_dir_all(&case).expect("is made");
    let limited = |most: u32, more: &str| {
        set.write(&format!(
            "[[policy]]\nname = 'size-limit'\ncomponent = '{}'\nsettings = {{ max-bytes = {most} }}\nfixtures = 'cases'\n{more}",
            component("size-limit").display()
        ));
    };
    let expects =
        |text: &str| std::fs::write(case.join("expected.toml"), text).expect("is written");
    std::fs::write(case.join("body"), "0123456789").expect("is written");
    let engine = engine(&set).await;
    let load = async || engine.load(&set.path()).await;

    limited(5, "");
    let error = load().await.err().expect("is not blessed").to_string();
    assert!(
        error.contains("`too-long`") && error.contains("--bless"),
        "{error}"
    );
    expects("verdict = 'accept'");
    let error = load().await.err().expect("says something else").to_string();
    assert!(error.contains("policy `size-limit`"), "{error}");
    assert!(
        error.contains("it says reject by the rule `too-large` where accept is expected"),
        "{error}"
    );
    // The settings of the set count, and those of a case before them.
    limited(50, "");
    let good = load().await.expect("passes").digest();
    std::fs::write(case.join("settings.toml"), "max-bytes = 5").expect("is written");
    assert!(load().await.is_err());
    std::fs::write(case.join("settings.toml"), "max-bytes = 50").expect("is written");
    let same = load().await.expect("passes");
    assert_eq!(same.digest(), good, "fixtures decide about no upload");
    assert_eq!(same.manifest().fixtures.len(), 3);

    std::fs::write(case.join("notes.md"), "").expect("is written");
    let error = load().await.err().expect("is refused").to_string();
    assert!(error.contains("`notes.md` is none of"), "{error}");
    std::fs::remove_dir_all(&folder).expect("is removed");
    let error = load().await.err().expect("is refused").to_string();
    assert!(error.contains("there is no fixture"), "{error}");
    assert_eq!(engine.revision().expect("is in force").digest(), good);
}

#[tokio::test]
async fn what_takes_too_long_to_load_is_given_up_and_the_next_one_waits_for_it() {
    let set = Set::new(&hostile(
        "first",
        "{ do = 'slow:3000', when = 'configure' }",
        "limits = { call-time-ms = 60000 }",
    ));
    let engine = Engine::start(EngineSettings {
        load_time: Duration::from_secs(1),
        ..EngineSettings::default()
    })
    .expect("starts");
    let error = engine.load(&set.path()).await.err().expect("takes longer");
    // On a busy machine it may not even get so far as to ask the first one.
    let LoadError::TooSlow { policy, .. } = &error else {
        panic!("{error}");
    };
    assert!(["first", "route"].contains(&policy.as_str()), "{error}");
    set.write(&hostile("second", "{ do = 'accept' }", ""));
    let error = engine
        .load(&set.path())
        .await
        .err()
        .expect("is still at it");
    assert!(matches!(error, LoadError::Busy), "{error}");
    assert!(engine.revision().is_none());
    let loads = async {
        loop {
            match engine.load(&set.path()).await {
                Err(LoadError::Busy) => tokio::time::sleep(Duration::from_millis(20)).await,
                loaded => break loaded,
            }
        }
    };
    let loaded = tokio::time::timeout(Duration::from_mins(2), loads).await;
    // It has its turn; whether its own time is enough depends on the machine.
    let loaded = loaded.expect("the first one ends some time");
    assert!(matches!(loaded, Ok(_) | Err(LoadError::TooSlow { .. })));
}

#[tokio::test]
async fn an_error_in_the_file_has_its_line_and_column() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("policies.toml");
    let engine = Engine::start(EngineSettings::default()).expect("starts");
    for (text, says) in [
        (
            "[[policy]]\nname = 'ü', 3\n",
            "policies.toml, line 2, column 11: ",
        ),
        (
            "a = 1\n",
            "policies.toml, line 1, column 1: unknown field `a`",
        ),
    ] {
        std::fs::write(&path, text).expect("is written");
        let error = engine
            .load(&path)
            .await
            .err()
            .expect("is wrong")
            .to_string();
        assert!(error.contains(says) && !error.contains('\n'), "{error}");
    }
}
