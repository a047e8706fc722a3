//! What policies set apart is stored, shown to nobody, and released or discarded by those who may.

use anyhow::{Context, Result, ensure};
use portcullis_tests::gateway::{
    ADMIN_KEY, Answer, Form, KEY, Policies, Setup, TestGateway, guest, sha256,
};
use reqwest::Method;
use serde_json::{Value, json};

const FILE: &str = "patid,sex\n1,F\n";
const PATH: &str = "in/patient.csv";

/// A pair whose policy sets every upload apart.
async fn gateway() -> Result<TestGateway> {
    let policies = Policies::one("review", &guest("hostile"), "{ do = 'quarantine' }", "");
    Setup::default().policies(policies).start().await
}

async fn set_apart(gateway: &TestGateway) -> Result<Value> {
    let form = Form::default().file("patient.csv", FILE);
    let receipt = gateway.upload(form).await?.receipt()?;
    ensure!(receipt["status"] == "quarantined", "{receipt}");
    ensure!(receipt["refusal"]["message"].is_string(), "{receipt}");
    Ok(receipt)
}

async fn decide(gateway: &TestGateway, id: &Value, what: &str, reason: &str) -> Result<Answer> {
    let id = id.as_str().context("no id")?;
    let target = format!("/internal/quarantine/{id}/{what}");
    let request = gateway.services_request(Method::POST, &target);
    let body = json!({ "reason": reason }).to_string();
    Answer::of(request.header("x-api-key", ADMIN_KEY).body(body)).await
}

async fn listed(gateway: &TestGateway, key: &str) -> Result<Answer> {
    let request = gateway.services_request(Method::GET, "/internal/quarantine");
    Answer::of(request.header("x-api-key", key)).await
}

#[tokio::test]
async fn a_file_in_quarantine_is_listed_for_admins_and_shown_to_nobody() -> Result<()> {
    let gateway = gateway().await?;
    let receipt = set_apart(&gateway).await?;
    ensure!(gateway.disk("local").files()?.is_empty());
    let download = format!("/internal/storage/download?path={PATH}");
    let request = gateway.services_request(Method::GET, &download);
    Answer::of(request.header("x-api-key", KEY))
        .await?
        .problem("not-found", 404)?;

    listed(&gateway, KEY).await?.problem("forbidden", 403)?;
    let files = listed(&gateway, ADMIN_KEY).await?.json()?["files"].take();
    let [file] = files.as_array().map(Vec::as_slice).unwrap_or_default() else {
        anyhow::bail!("not one file: {files}");
    };
    ensure!(
        file["id"] == receipt["id"] && file["path"] == PATH,
        "{file}"
    );
    ensure!(
        file["subject"] == "(anonymous)" && file["filename"] == "patient.csv",
        "{file}"
    );
    ensure!(file["refusal"] == receipt["refusal"], "{file}");
    let list = gateway.on_services("quarantine", &["list"])?;
    let list = String::from_utf8(list.stdout)?;
    ensure!(
        list.starts_with(receipt["id"].as_str().context("an id")?),
        "{list}"
    );
    Ok(())
}

#[tokio::test]
async fn a_released_file_stands_at_its_path_and_its_receipt_says_so() -> Result<()> {
    let gateway = gateway().await?;
    let receipt = set_apart(&gateway).await?;
    let answer = decide(&gateway, &receipt["id"], "release", "It is fine.").await?;
    let released = answer.json()?["released"].take();
    ensure!(
        released["shown"] == true && released["status"] == "accepted",
        "{released}"
    );
    ensure!(gateway.disk("local").digest(PATH)? == sha256([FILE]));
    let record = gateway.record(&receipt["id"]).await?;
    ensure!(record["status"]["state"] == "committed", "{record}");
    let files = listed(&gateway, ADMIN_KEY).await?.json()?["files"].take();
    ensure!(files == json!([]), "{files}");
    // Once is enough.
    decide(&gateway, &receipt["id"], "release", "Again.")
        .await?
        .problem("upload-ended", 409)?;
    Ok(())
}

#[tokio::test]
async fn a_discarded_file_is_gone_and_its_record_says_that_it_was_refused() -> Result<()> {
    let gateway = gateway().await?;
    let receipt = set_apart(&gateway).await?;
    let id = receipt["id"].as_str().context("an id")?;
    let version = gateway.folder().join("local/.portcullis/versions").join(id);
    ensure!(version.exists());
    decide(&gateway, &receipt["id"], "discard", " ")
        .await?
        .problem("bad-request", 400)?;
    let answer = decide(&gateway, &receipt["id"], "discard", "It names patients.").await?;
    ensure!(answer.status == 200, "{answer:?}");
    ensure!(!version.exists() && gateway.disk("local").files()?.is_empty());
    let record = gateway.record(&receipt["id"]).await?;
    ensure!(record["status"]["state"] == "rejected", "{record}");
    ensure!(
        record["conclusion"]["refusal"] == receipt["refusal"],
        "{record}"
    );
    Ok(())
}

#[tokio::test]
async fn the_command_decides_beside_running_services() -> Result<()> {
    let gateway = gateway().await?;
    let (first, second) = (set_apart(&gateway).await?, set_apart(&gateway).await?);
    let id = |receipt: &Value| receipt["id"].as_str().unwrap_or_default().to_owned();
    let because = ["--reason", "Looked at."];
    let said = gateway.on_services(
        "quarantine",
        &[&["release", &id(&second)], &because[..]].concat(),
    )?;
    let said = String::from_utf8(said.stdout)?;
    ensure!(said.contains("stands at local:in/patient.csv"), "{said}");
    ensure!(gateway.disk("local").digest(PATH)? == sha256([FILE]));
    // An older version that is released later does not take its place.
    let said = gateway.on_services(
        "quarantine",
        &[&["release", &id(&first)], &because[..]].concat(),
    )?;
    let said = String::from_utf8(said.stdout)?;
    ensure!(said.contains("has a newer version, which stays"), "{said}");

    let third = set_apart(&gateway).await?;
    let said = gateway.on_services(
        "quarantine",
        &[&["discard", &id(&third)], &because[..]].concat(),
    )?;
    ensure!(said.status.success());
    for (arguments, says) in [
        (
            vec!["discard", &id(&third), "--reason", "x"],
            "it is rejected",
        ),
        (
            vec!["release", &id(&first), "--reason", "x"],
            "was released already",
        ),
        (
            vec!["release", &id(&first), "--reason", " "],
            "the reason stands in the audit",
        ),
        (
            vec![
                "release",
                "00000000000000000000000000000000",
                "--reason",
                "x",
            ],
            "there is no upload",
        ),
    ] {
        let said = gateway.on_services("quarantine", &arguments)?;
        let error = String::from_utf8(said.stderr)?;
        ensure!(
            !said.status.success() && error.contains(says),
            "{arguments:?}: {error}"
        );
        ensure!(error.trim().lines().count() == 1, "{error}");
    }
    Ok(())
}

#[tokio::test]
async fn a_file_of_somebody_else_at_the_path_keeps_the_upload_in_quarantine() -> Result<()> {
    let gateway = gateway().await?;
    let receipt = set_apart(&gateway).await?;
    let taken = gateway.folder().join("local").join(PATH);
    std::fs::create_dir_all(taken.parent().context("a folder")?)?;
    std::fs::write(&taken, "somebody else's")?;
    decide(&gateway, &receipt["id"], "release", "It is fine.")
        .await?
        .problem("path-taken", 409)?;
    ensure!(std::fs::read_to_string(&taken)? == "somebody else's");
    let record = gateway.record(&receipt["id"]).await?;
    ensure!(record["status"]["state"] == "quarantined", "{record}");
    Ok(())
}
