//! Policies that services keep: sent, followed by web hosts, compared, taken back.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use portcullis_tests::gateway::{
    Answer, Form, KEY, Server, Setup, Switch, TestGateway, set_folder,
};
use portcullis_tests::{LIMIT, sample};
use serde_json::Value;

fn file(bytes: usize) -> Form {
    Form::default().file("patient.csv", Bytes::from("x".repeat(bytes)))
}

fn size_limit(most: u64) -> String {
    format!(
        "[[policy]]\nname = 'size-limit'\ncomponent = 'components/size-limit.wasm'\nsettings = {{ max-bytes = {most} }}\n"
    )
}

/// A pair that follows services, and a folder with a set that lets so many bytes pass.
async fn gateway(most: u64) -> Result<(TestGateway, PathBuf)> {
    let setup = Setup::default().policies_from_services();
    let gateway = setup.start().await?;
    let folder = gateway.folder().join("set");
    set_folder(&folder, &size_limit(most))?;
    Ok((gateway, folder))
}

/// What a command said, if it ended as it should.
fn said(gateway: &TestGateway, arguments: &[&str], well: bool) -> Result<String> {
    let output = gateway.policy(arguments)?;
    let text = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    ensure!(output.status.success() == well, "{arguments:?}: {text}");
    Ok(text)
}

fn apply(gateway: &TestGateway, folder: &Path, note: &str) -> Result<String> {
    let folder = folder.display().to_string();
    said(gateway, &["apply", &folder, "--note", note], true)
}

fn revisions(gateway: &TestGateway) -> Result<Value> {
    Ok(serde_json::from_str(&said(
        gateway,
        &["revisions", "--json"],
        true,
    )?)?)
}

async fn ready(web: &Server) -> Result<Value> {
    let client = portcullis_tests::http_client()?;
    let request = client.get(format!("http://{}/readyz", web.address()));
    Answer::of(request.header("x-api-key", KEY)).await?.json()
}

/// Waits until a web host runs a revision.
async fn runs(web: &Server, number: u64) -> Result<()> {
    let wait = async {
        while ready(web).await?["details"]["policies"]["number"] != number {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        Ok(())
    };
    let waited = tokio::time::timeout(LIMIT, wait).await;
    waited.with_context(|| format!("revision {number} never runs"))?
}

#[tokio::test]
async fn a_revision_is_sent_runs_everywhere_and_is_taken_back() -> Result<()> {
    let (gateway, folder) = gateway(10).await?;
    let before = gateway.upload(file(5)).await?;
    before.problem("not-ready", 503)?;

    let text = apply(&gateway, &folder, "the first")?;
    ensure!(text.contains("revision 1 is active"), "{text}");
    ensure!(text.contains("runs it"), "{text}");
    gateway.upload(file(5)).await?.receipt()?;
    gateway
        .upload(file(20))
        .await?
        .problem("policy-rejected", 422)?;

    let other = gateway.another_web().await?;
    runs(&other, 1).await?;
    set_folder(&folder, &size_limit(30))?;
    let text = apply(&gateway, &folder, "larger files")?;
    ensure!(text.matches("runs it").count() == 2, "{text}");
    ensure!(ready(&other).await?["details"]["policies"]["number"] == 2);
    gateway.upload(file(20)).await?.receipt()?;

    let diff = said(&gateway, &["diff", "1", "2"], true)?;
    ensure!(diff.contains("-settings = { max-bytes = 10 }"), "{diff}");
    ensure!(diff.contains("+settings = { max-bytes = 30 }"), "{diff}");
    ensure!(
        !diff.contains("size-limit.wasm  "),
        "the code is the same: {diff}"
    );
    let shown = said(&gateway, &["show", "2"], true)?;
    ensure!(
        shown.contains("larger files") && shown.contains("tester"),
        "{shown}"
    );

    let text = said(&gateway, &["rollback", "--note", "too large"], true)?;
    ensure!(text.contains("revision 1 is active"), "{text}");
    gateway
        .upload(file(20))
        .await?
        .problem("policy-rejected", 422)?;
    let known = revisions(&gateway)?;
    ensure!(
        known["activations"][0]["change"]["note"] == "too large",
        "{known}"
    );
    ensure!(known["revisions"][1]["active"] == true, "{known}");
    ensure!(
        known["hosts"]
            .as_array()
            .is_some_and(|hosts| hosts.len() == 2),
        "{known}"
    );
    let said = said(&gateway, &["activate", "7", "--note", "x"], false)?;
    ensure!(said.contains("There is no revision 7"), "{said}");
    Ok(())
}

#[tokio::test]
async fn of_two_administrators_at_once_one_gets_a_conflict() -> Result<()> {
    let (gateway, mine) = gateway(10).await?;
    apply(&gateway, &mine, "the first")?;
    let theirs = gateway.folder().join("theirs");
    let folder = theirs.display().to_string();
    said(&gateway, &["pull", &folder], true)?;
    set_folder(&theirs, &size_limit(20))?;
    apply(&gateway, &theirs, "theirs")?;

    set_folder(&mine, &size_limit(30))?;
    let folder = mine.display().to_string();
    let conflict = said(&gateway, &["apply", &folder, "--note", "mine"], false)?;
    ensure!(
        conflict.contains("revision 2 is active") && conflict.contains("theirs"),
        "{conflict}"
    );
    // Even who insists on an old base is told, by services themselves.
    let conflict = said(
        &gateway,
        &["activate", "1", "--base", "1", "--note", "mine"],
        false,
    )?;
    ensure!(conflict.contains("evision 2 is"), "{conflict}");
    ensure!(revisions(&gateway)?["activations"].as_array().map(Vec::len) == Some(2));
    said(
        &gateway,
        &["apply", &folder, "--note", "mine", "--base", "2"],
        true,
    )?;
    Ok(())
}

#[tokio::test]
async fn a_web_host_goes_on_without_services_and_catches_up() -> Result<()> {
    let (mut gateway, folder) = gateway(10).await?;
    apply(&gateway, &folder, "the first")?;
    gateway.services.kill().await?;
    // The policies are still there; what is missing is a place for the file.
    let nowhere = gateway.upload(file(5)).await?;
    nowhere.problem("services-unavailable", 503)?;
    gateway.services.start_again().await?;
    gateway.upload(file(5)).await?.receipt()?;
    gateway
        .upload(file(20))
        .await?
        .problem("policy-rejected", 422)?;
    set_folder(&folder, &size_limit(30))?;
    apply(&gateway, &folder, "larger")?;
    runs(&gateway.web, 2).await?;
    gateway.web.kill().await?;
    gateway.web.start_again().await?;
    runs(&gateway.web, 2).await?;
    gateway.upload(file(20)).await?.receipt()?;
    Ok(())
}

#[tokio::test]
async fn what_cannot_be_applied_is_said_and_changes_nothing() -> Result<()> {
    let (gateway, folder) = gateway(10).await?;
    apply(&gateway, &folder, "the first")?;
    let shown = folder.display().to_string();
    let attempt = |policies: &str| {
        set_folder(&folder, policies)?;
        said(&gateway, &["apply", &shown, "--note", "wrong"], false)
    };
    for (policies, says) in [
        ("[[policy]]\nname = 1\n".to_owned(), "line 2"),
        (
            size_limit(1) + &size_limit(2),
            "two policies are named `size-limit`",
        ),
        (
            size_limit(10).replace("max-bytes", "most"),
            "refuses its settings",
        ),
        (
            size_limit(10).replace("components/size-limit.wasm", "../secret.wasm"),
            "cannot be read",
        ),
    ] {
        let text = attempt(&policies)?;
        ensure!(text.contains(says), "{text}");
    }
    std::fs::copy(
        folder.join("components/size-limit.wasm"),
        gateway.folder().join("outside.wasm"),
    )?;
    let outside = size_limit(10).replace("components/size-limit.wasm", "../outside.wasm");
    let text = attempt(&outside)?;
    ensure!(text.contains("does not lie in the folder"), "{text}");
    ensure!(revisions(&gateway)?["activations"].as_array().map(Vec::len) == Some(1));
    gateway.upload(file(5)).await?.receipt()?;
    Ok(())
}

#[tokio::test]
async fn a_policy_in_the_shadow_is_seen_enforced_and_taken_back() -> Result<()> {
    let (gateway, folder) = gateway(1_000).await?;
    let both = |more: &str| {
        size_limit(1_000)
            + &size_limit(10).replace("name = 'size-limit'", &format!("name = 'stricter'\n{more}"))
    };
    set_folder(&folder, &both("mode = 'shadow'"))?;
    apply(&gateway, &folder, "stricter, in the shadow")?;
    let send = |bytes: usize, table: &'static str| {
        let form = Form::default().field("table", table);
        gateway.upload(form.file("patient.csv", Bytes::from("x".repeat(bytes))))
    };
    let receipt = send(20, "image").await?.receipt()?;
    ensure!(
        receipt["policies"]
            .as_array()
            .is_some_and(|it| it.len() == 2),
        "{receipt}"
    );
    for _ in 0..3 {
        send(5, "patient").await?.receipt()?;
    }
    send(2_000, "patient")
        .await?
        .problem("policy-rejected", 422)?;

    let wait = async {
        loop {
            let output = gateway.policy(&["shadow-report", "--json"])?;
            let text = String::from_utf8(output.stdout)?;
            if let Ok(report) = serde_json::from_str::<Value>(&text)
                && report["policies"][0]["judged"] == 5
            {
                return Ok::<Value, anyhow::Error>(report);
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    let report = tokio::time::timeout(LIMIT, wait)
        .await
        .context("no report")??;
    let stricter = &report["policies"][0];
    ensure!(stricter["policy"] == "stricter", "{report}");
    ensure!(
        stricter["newly_refused"] == 1 && stricter["unchanged"] == 4,
        "{report}"
    );
    let rule = &stricter["rules"]["too-large"];
    ensure!(rule["examples"][0] == receipt["id"], "{report}");
    let text = said(&gateway, &["shadow-report"], true)?;
    ensure!(
        text.contains("newly refused     1 of 5 (20.00 %)"),
        "{text}"
    );
    ensure!(text.contains("table=image"), "{text}");

    set_folder(&folder, &both("mode = 'enforce'"))?;
    apply(&gateway, &folder, "it may refuse now")?;
    send(20, "image").await?.problem("policy-rejected", 422)?;
    said(
        &gateway,
        &["rollback", "--note", "back into the shadow"],
        true,
    )?;
    send(20, "image").await?.receipt()?;
    Ok(())
}

#[tokio::test]
async fn a_judged_reload_enforces_itself_or_drops_itself_and_says_why() -> Result<()> {
    let (gateway, folder) = gateway(1_000).await?;
    apply(&gateway, &folder, "the first")?;
    let shown = folder.display().to_string();
    let trial = |allowed: &str| {
        let arguments = [
            "apply",
            &shown,
            "--note",
            "stricter",
            "--after",
            "6s",
            "--max-new-rejections",
            allowed,
            "--min-uploads",
            "4",
        ];
        said(&gateway, &arguments, true)
    };
    let ended = async || {
        let wait = async {
            loop {
                let known = revisions(&gateway)?;
                let trial = known["revisions"][0]["trial"].clone();
                if trial["state"] != "running" {
                    return Ok::<_, anyhow::Error>((known["activations"].clone(), trial));
                }
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            }
        };
        tokio::time::timeout(LIMIT, wait)
            .await
            .context("never ends")?
    };
    set_folder(&folder, &size_limit(10))?;
    let text = trial("10%")?;
    ensure!(
        text.contains("on trial until") && text.contains("in the shadow"),
        "{text}"
    );
    for bytes in [5, 5, 20, 20] {
        gateway.upload(file(bytes)).await?.receipt()?;
    }
    let (activations, dropped) = ended().await?;
    ensure!(dropped["state"] == "dropped", "{dropped}");
    let reason = dropped["reason"].as_str().context("no reason")?;
    ensure!(
        reason.contains("2 of 4 uploads newly refused, 50.00 %"),
        "{reason}"
    );
    ensure!(
        activations.as_array().map(Vec::len) == Some(1),
        "{activations}"
    );
    gateway.upload(file(20)).await?.receipt()?;

    // From the same folder, whose last revision was dropped, without a word about a base.
    set_folder(&folder, &size_limit(100))?;
    trial("0%")?;
    for bytes in [5, 5, 20, 20] {
        gateway.upload(file(bytes)).await?.receipt()?;
    }
    let (activations, enforced) = ended().await?;
    ensure!(enforced["state"] == "enforced", "{enforced}");
    ensure!(
        activations[0]["change"]["subject"] == "trial",
        "{activations}"
    );
    runs(&gateway.web, 3).await?;
    gateway
        .upload(file(200))
        .await?
        .problem("policy-rejected", 422)?;
    let text = said(&gateway, &["revisions"], true)?;
    ensure!(text.contains("dropped: 2 of 4"), "{text}");
    Ok(())
}

#[tokio::test]
async fn an_unsigned_or_altered_component_is_refused_by_services_and_by_web_hosts() -> Result<()> {
    let keys = tempfile::tempdir()?;
    let key = keys.path().join("key").display().to_string();
    let made = std::process::Command::new(portcullis_tests::gateway::binary("portcullis"))
        .args(["key", "generate", "--out", &key])
        .output()?;
    ensure!(made.status.success(), "{made:?}");
    let public = String::from_utf8(made.stdout)?.trim().to_owned();
    let strict =
        format!("policies.require-signature = true\npolicies.trusted-keys = ['{public}']\n");
    let setup = Setup::default().policies_from_services();
    let both = setup
        .web_config(&strict)
        .services_config(&strict)
        .start()
        .await?;
    let setup = Setup::default().policies_from_services();
    let web_alone = setup.web_config(&strict).start().await?;

    for gateway in [&both, &web_alone] {
        let folder = gateway.folder().join("set");
        set_folder(&folder, &size_limit(10))?;
        let shown = folder.display().to_string();
        let text = said(gateway, &["apply", &shown, "--note", "unsigned"], false)?;
        ensure!(text.contains("is not signed"), "{text}");
        let [one, two] = ["size-limit", "route-by-attributes"]
            .map(|name| format!("{shown}/components/{name}.wasm"));
        said(gateway, &["sign", "--key", &key, &one, &two], true)?;
        let text = said(
            gateway,
            &["apply", &shown, "--note", "signed", "--base", "1"],
            true,
        );
        let text = match text {
            Ok(text) => text,
            // Where services refused the first one, there is none to begin from.
            Err(_) => said(gateway, &["apply", &shown, "--note", "signed"], true)?,
        };
        ensure!(text.contains("runs it"), "{text}");
        gateway.upload(file(5)).await?.receipt()?;

        let altered = [std::fs::read(&one)?, vec![0, 1, 0]].concat();
        std::fs::write(&one, altered)?;
        let text = said(gateway, &["apply", &shown, "--note", "altered"], false)?;
        ensure!(text.contains("altered"), "{text}");
        gateway.upload(file(5)).await?.receipt()?;
    }
    let known = revisions(&both)?;
    ensure!(
        known["revisions"].as_array().map(Vec::len) == Some(1),
        "{known}"
    );
    let text = said(&both, &["sign", "--key", &key, &key], false)?;
    ensure!(text.contains("is not signed"), "{text}");
    Ok(())
}

// The line is a task of the test's runtime, which must run while a command is waited for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_web_host_that_is_cut_off_goes_on_and_converges_when_it_is_back() -> Result<()> {
    let (gateway, folder) = gateway(10).await?;
    apply(&gateway, &folder, "the first")?;
    let (address, line) = Switch::start(gateway.services.address()).await?;
    let far = gateway.another_web_through(address).await?;
    runs(&far, 1).await?;
    line.cut();
    let shown = folder.display().to_string();
    for (most, note) in [(20, "the second"), (30, "the third")] {
        set_folder(&folder, &size_limit(most))?;
        let arguments = ["apply", &shown, "--note", note, "--wait", "1"];
        let text = said(&gateway, &arguments, false)?;
        ensure!(
            text.contains("1 of 2 web hosts do not run revision"),
            "{text}"
        );
        ensure!(
            text.contains("runs it") && text.contains("does not run it yet"),
            "{text}"
        );
    }
    // It still has its policies: what it says no to without services is what they say no to.
    let client = portcullis_tests::http_client()?;
    let alive = client.get(format!("http://{}/healthz", far.address()));
    ensure!(Answer::of(alive).await?.status == 200);
    far.says("the policies in force stay for now").await?;
    line.mend();
    runs(&far, 3).await?;
    ensure!(ready(&far).await?["revision"] == ready(&gateway.web).await?["revision"]);
    Ok(())
}

#[tokio::test]
async fn services_killed_at_any_moment_of_a_change_have_made_it_or_not() -> Result<()> {
    let (mut gateway, folder) = gateway(10).await?;
    apply(&gateway, &folder, "the first")?;
    let shown = folder.display().to_string();
    let active = |known: &Value| known["activations"][0]["number"].as_u64();
    let mut before = 1;
    let delays = sample(&[0, 60, 120, 180, 240, 300, 360], 2);
    for (nth, delay_ms) in delays.into_iter().enumerate() {
        set_folder(&folder, &size_limit(100 + nth as u64))?;
        let base = before.to_string();
        let arguments = [
            "apply", &shown, "--note", "killed", "--base", &base, "--wait", "1",
        ];
        let mut command = gateway.policy_command(&arguments);
        let mut child = command.spawn()?;
        tokio::time::sleep(std::time::Duration::from_millis(delay_ms)).await;
        gateway.services.kill().await?;
        child.wait()?;
        gateway.services.start_again().await?;
        let known = revisions(&gateway)?;
        let now = active(&known).context("none is active")?;
        ensure!(now == before || now == before + 1, "{known}");
        // Whatever happened, the next change is possible and runs.
        let base = now.to_string();
        let note = format!("after {delay_ms} ms");
        let arguments = ["apply", &shown, "--note", &note, "--base", &base];
        let text = said(&gateway, &arguments, true)?;
        ensure!(text.contains("runs it"), "{text}");
        before = active(&revisions(&gateway)?).context("none is active")?;
        ensure!(before == now + 1, "{before} after {now}");
        // Services that were just started may not know of the web host yet, so that the command does not wait for it.
        runs(&gateway.web, before).await?;
        gateway.upload(file(50)).await?.receipt()?;
    }
    Ok(())
}
