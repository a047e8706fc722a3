//! `kill -9` of either server in the middle of an upload, and what is then visible.

use anyhow::{Context, Result, ensure};
use portcullis_tests::gateway::{Contents, Form, TestGateway, sha256};
use portcullis_tests::{LIMIT, until};
use tokio::task::JoinHandle;

/// Begins an upload that never ends, and waits until bytes of it are on services.
async fn begin(gateway: &TestGateway) -> Result<JoinHandle<reqwest::Result<reqwest::Response>>> {
    let form = Form::submission("patient").file("patient.csv", Contents::stuck(3 << 20));
    let request = gateway.upload_request(form);
    let upload = tokio::spawn(async move { request.send().await });
    let disk = gateway.disk("local");
    until("no bytes arrive", || Ok(!disk.staged()?.is_empty())).await?;
    Ok(upload)
}

#[tokio::test]
async fn services_killed_midway_show_nothing_and_take_uploads_again() -> Result<()> {
    let mut gateway = TestGateway::start().await?;
    let disk = gateway.disk("local");
    let upload = begin(&gateway).await?;
    gateway.services.kill().await?;
    let answer = tokio::time::timeout(LIMIT, upload)
        .await
        .context("it hangs")???;
    ensure!(answer.status().as_u16() == 503, "{answer:?}");
    ensure!(disk.files()?.is_empty());
    gateway.services.start_again().await?;
    ensure!(disk.files()?.is_empty());
    let form = Form::submission("patient").file("patient.csv", "a\n1\n");
    let receipt = gateway.upload(form).await?.receipt()?;
    ensure!(receipt["version"] == 1, "{receipt}");
    Ok(())
}

#[tokio::test]
async fn the_web_host_killed_midway_shows_nothing_and_keeps_nothing() -> Result<()> {
    let mut gateway = TestGateway::start().await?;
    let disk = gateway.disk("local");
    let upload = begin(&gateway).await?;
    gateway.web.kill().await?;
    let answer = tokio::time::timeout(LIMIT, upload)
        .await
        .context("it hangs")??;
    ensure!(answer.is_err(), "there is nobody who could answer");
    ensure!(disk.files()?.is_empty());
    gateway.web.start_again().await?;
    let form = Form::submission("patient").file("patient.csv", "a\n1\n");
    gateway.upload(form).await?.receipt()?;
    Ok(())
}

#[tokio::test]
async fn whatever_was_answered_survives_kill_9_of_services_again_and_again() -> Result<()> {
    let mut gateway = TestGateway::start().await?;
    let mut stored = Vec::new();
    for round in 0..4 {
        for file in 0..5 {
            let name = format!("{round}-{file}.csv");
            let body = format!("a\n{round}{file}\n");
            let form = Form::submission("patient").file(&name, body.as_str());
            let receipt = gateway.upload(form).await?.receipt()?;
            stored.push((
                receipt["path"].as_str().context("has one")?.to_owned(),
                body,
            ));
        }
        gateway.services.kill().await?;
        gateway.services.start_again().await?;
        for (path, body) in &stored {
            ensure!(
                gateway.disk("local").digest(path)? == sha256([body]),
                "{path}"
            );
        }
    }
    ensure!(gateway.disk("local").files()?.len() == stored.len());
    Ok(())
}

#[tokio::test]
async fn both_servers_end_in_order_when_they_are_asked_to() -> Result<()> {
    let mut gateway = TestGateway::start().await?;
    let form = Form::submission("patient").file("patient.csv", "a\n1\n");
    gateway.upload(form).await?.receipt()?;
    ensure!(gateway.web.stop().await?.success());
    ensure!(gateway.services.stop().await?.success());
    Ok(())
}
