//! Other policies while uploads come: each upload is judged by one set, none fails for the change, and a set that is
//! wrong changes nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use portcullis_tests::gateway::{
    Form, Policies, Setup, TestGateway, component, guest, set_folder, sha256,
};

fn size_limit(most: u64, more: &str) -> Policies {
    let settings = format!("{{ max-bytes = {most} }}");
    Policies::none().and("size-limit", &component("size-limit"), &settings, more)
}

fn file(bytes: usize) -> Form {
    Form::default().file("patient.csv", Bytes::from("x".repeat(bytes)))
}

async fn gateway() -> Result<TestGateway> {
    let setup = Setup::default().policies(size_limit(10, ""));
    setup.start().await
}

async fn revision(gateway: &TestGateway) -> Result<String> {
    let ready = gateway.ready().await?;
    let revision = ready["revision"].as_str();
    Ok(revision.context("no revision")?.to_owned())
}

#[tokio::test]
async fn a_set_that_is_renamed_into_place_comes_into_force() -> Result<()> {
    let gateway = gateway().await?;
    gateway.upload(file(5)).await?.receipt()?;
    let refused = gateway.upload(file(20)).await?;
    refused.problem("policy-rejected", 422)?;
    let before = revision(&gateway).await?;
    gateway.write_policies(&size_limit(30, ""))?;
    gateway
        .until_ready("another revision", |ready| {
            ready["revision"] != before.as_str()
        })
        .await?;
    gateway.upload(file(20)).await?.receipt()?;
    Ok(())
}

#[tokio::test]
async fn a_component_or_a_definition_that_changes_counts_and_sighup_asks_at_once() -> Result<()> {
    let gateway = gateway().await?;
    let own = gateway.folder().join("own.wasm");
    let code = std::fs::read(component("size-limit"))?;
    std::fs::write(&own, &code)?;
    let set = Policies::none().and("size-limit", &own, "{ max-bytes = 10 }", "");
    let mut before = revision(&gateway).await?;
    gateway.write_policies(&set)?;
    gateway.web.hang_up()?;
    let other = |before: &str| {
        let before = before.to_owned();
        move |ready: &serde_json::Value| ready["revision"] != before.as_str()
    };
    gateway.until_ready("the new set", other(&before)).await?;
    before = revision(&gateway).await?;
    // A custom section: other code that does the same.
    std::fs::write(&own, [&code[..], &[0, 1, 0]].concat())?;
    gateway.until_ready("the new code", other(&before)).await?;
    before = revision(&gateway).await?;

    let definitions = gateway.folder().join("definitions");
    std::fs::create_dir(&definitions)?;
    let tables = set.and("csv-schema", &component("csv-schema"), "{}", "");
    gateway.write_policies(&tables)?;
    gateway.until_ready("csv-schema", other(&before)).await?;
    before = revision(&gateway).await?;
    let shipped = component("csv-schema").with_file_name("../definitions/patient.json");
    std::fs::copy(shipped, definitions.join("patient.json"))?;
    gateway
        .until_ready("the definition", other(&before))
        .await?;
    Ok(())
}

#[tokio::test]
async fn whatever_is_wrong_leaves_the_last_good_revision_in_force_and_is_said() -> Result<()> {
    let gateway = gateway().await?;
    let before = revision(&gateway).await?;
    let hostile = guest("hostile");
    for (set, says) in [
        (Policies::Set("[[policy]\nname = 1\n".to_owned()), "line 1"),
        (Policies::none(), "allow-empty"),
        (
            Policies::none().and("x", "missing.wasm".as_ref(), "{}", ""),
            "cannot be read",
        ),
        (
            Policies::none().and("x", &hostile, "{ do = 'trap', when = 'configure' }", ""),
            "`configure`",
        ),
        (
            size_limit(1, "").and("size-limit", &component("size-limit"), "{}", ""),
            "two policies are named `size-limit`",
        ),
    ] {
        let set = match set {
            Policies::Set(text) => Policies::Set(text.replace("allow-empty = true\n", "")),
            other => other,
        };
        gateway.write_policies(&set)?;
        let status = gateway
            .until_ready(says, |ready| {
                let error = ready["details"]["policies"]["error"].as_str();
                error.is_some_and(|error| error.contains(says))
            })
            .await?;
        ensure!(status["policies"] == "refused", "{status}");
        ensure!(status["revision"] == before.as_str(), "{status}");
        gateway.web.says(says).await?;
        gateway.upload(file(5)).await?.receipt()?;
    }
    let public = gateway.web_request(reqwest::Method::GET, "/readyz");
    let public = portcullis_tests::gateway::Answer::of(public)
        .await?
        .json()?;
    ensure!(public.get("details").is_none(), "{public}");
    ensure!(public["policies"] == "refused", "{public}");

    gateway.write_policies(&size_limit(10, ""))?;
    gateway
        .until_ready("the good set again", |ready| {
            ready["policies"] == "in-force"
        })
        .await?;
    ensure!(revision(&gateway).await? == before);
    Ok(())
}

#[tokio::test]
async fn a_set_that_is_applied_into_the_folder_runs_or_is_refused() -> Result<()> {
    let gateway = gateway().await?;
    let set = gateway.folder().join("new");
    let size_limit = |most: &str| {
        set_folder(
            &set,
            &format!(
                "[[policy]]\nname = 'size-limit'\ncomponent = 'components/size-limit.wasm'\nsettings = {{ {most} }}\n"
            ),
        )
    };
    let apply = || {
        let [set, into] = [set.clone(), gateway.folder()].map(|path| path.display().to_string());
        let web = format!("http://{}", gateway.web.address());
        let output = gateway.policy(&["apply", &set, "--into", &into, "--web", &web])?;
        let said = [output.stdout, output.stderr].concat();
        Ok::<_, anyhow::Error>((output.status.success(), String::from_utf8(said)?))
    };
    size_limit("max-bytes = 30")?;
    let (is_well, said) = apply()?;
    ensure!(is_well && said.contains("runs it"), "{said}");
    gateway.upload(file(20)).await?.receipt()?;
    size_limit("most = 30")?;
    let (is_well, said) = apply()?;
    ensure!(!is_well && said.contains("refuses its settings"), "{said}");
    gateway.upload(file(20)).await?.receipt()?;
    ensure!(gateway.ready().await?["policies"] == "in-force");
    Ok(())
}

#[tokio::test]
async fn reloads_under_load_lose_no_upload_and_mix_no_two_sets() -> Result<()> {
    let two = |most: u64| {
        let settings = format!("{{ max-bytes = {most} }}");
        size_limit(most, "").and("again", &component("size-limit"), &settings, "")
    };
    let gateway = Arc::new(Setup::default().policies(two(1000)).start().await?);
    let is_over = Arc::new(AtomicBool::new(false));
    let uploads = (0..8).map(|nth| {
        let (gateway, is_over) = (Arc::clone(&gateway), Arc::clone(&is_over));
        tokio::spawn(async move {
            let mut count = 0;
            while !is_over.load(Ordering::Relaxed) {
                let content = format!("{nth},{count}\n").repeat(40);
                let form = Form::default().file("patient.csv", Bytes::from(content.clone()));
                let receipt = gateway.upload(form).await?.receipt()?;
                ensure!(receipt["sha256"] == sha256([&content]), "{receipt}");
                count += 1;
            }
            Ok::<u32, anyhow::Error>(count)
        })
    });
    let uploads: Vec<_> = uploads.collect();
    for nth in 1..=6 {
        let before = revision(&gateway).await?;
        gateway.write_policies(&two(1000 + nth))?;
        gateway.web.hang_up()?;
        gateway
            .until_ready("the next set", |ready| ready["revision"] != before.as_str())
            .await?;
    }
    is_over.store(true, Ordering::Relaxed);
    for upload in uploads {
        ensure!(upload.await?? > 0, "nothing was uploaded");
    }
    gateway
        .until_ready("the retired revisions to be gone", |ready| {
            ready["details"]["policies"]["retired"] == 0
        })
        .await?;
    Ok(())
}

#[tokio::test]
async fn a_policy_that_keeps_trapping_is_not_asked_and_that_is_seen() -> Result<()> {
    for (on_failure, status) in [("reject", 422), ("accept", 201)] {
        let more = format!("on-failure = '{on_failure}'");
        let trap = Policies::none().and("traps", &guest("hostile"), "{ do = 'trap' }", &more);
        let gateway = Setup::default().policies(trap).start().await?;
        for _ in 0..8 {
            let answer = gateway.upload(file(5)).await?;
            ensure!(answer.status == status, "{on_failure}: {answer:?}");
        }
        let ready = gateway.ready().await?;
        let failing = &ready["details"]["policies"]["failing"][0];
        ensure!(failing["policy"] == "traps", "{ready}");
        ensure!(
            failing["is-open"] == true && failing["failures"] == 5,
            "{ready}"
        );
        ensure!(failing["not-asked"] == 3, "{ready}");
        let says = "the policy keeps failing and is not asked";
        gateway.web.says(says).await?;
    }
    Ok(())
}
