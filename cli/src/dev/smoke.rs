//! `--run-tests`: what a newcomer would try, against the pair that has just been started.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use portcullis_hop::{ApiKey, wire};
use portcullis_types::Sha256Digest;
use reqwest::Url;
use serde_json::Value;

use super::server::Server;
use crate::http;

/// A table that fits `policies/definitions/diagnosis.json`.
const GOOD: &str = "cohortPatientId,diagnosis,diagnosisDate,source\nP1,PCP,2024-02-29,D1\n";
/// One that does not: there was no such day.
const WRONG: &str = "cohortPatientId,diagnosis,diagnosisDate,source\nP1,PCP,2023-02-29,D1\n";
const BAD: &[u8] = b"\x7fELF\x02\x01\x01\0 is no table";

/// Tries everything once; the first thing that is not as it should be is the error.
pub(super) async fn test(
    web: &Server,
    services: &Server,
    key: &ApiKey,
    storage: &Path,
) -> Result<()> {
    let web = format!("http://{}", web.address());
    let client = http::client(&Url::parse(&web)?).no_proxy().build()?;
    let services = format!("http://{}", services.address());

    let ready = client.get(format!("{web}/readyz")).send().await?;
    step(
        "the web host is ready and reaches services",
        ready.status() == 200,
    )?;

    let page = client.get(&web).send().await?.text().await?;
    step("there is a page to upload from", page.contains("<form"))?;

    let name = format!("smoke-{}.csv", std::process::id());
    let (status, answer) = upload(&client, &web, &name, GOOD.as_bytes()).await?;
    step("a good file is stored", status == 201)?;
    let receipt = &answer["uploads"][0];
    let digest = Sha256Digest::of(GOOD.as_bytes()).to_string();
    step("its receipt has its digest", receipt["sha256"] == digest)?;
    let path = receipt["path"]
        .as_str()
        .context("the receipt has no path")?;
    let on_disk = std::fs::read(storage.join("local").join(path))?;
    step(
        "the file on the disk is the file that was sent",
        on_disk == GOOD.as_bytes(),
    )?;

    let download = client
        .get(format!("{services}/internal/storage/download?path={path}"))
        .header(wire::API_KEY, key.expose());
    let downloaded = download.send().await?.bytes().await?;
    step("services give the same back", downloaded == GOOD.as_bytes())?;

    let (status, answer) = upload(&client, &web, "program.csv", BAD).await?;
    step("a program that is called .csv is refused", status == 422)?;
    step("the refusal names its rule", answer["rule"] == "executable")?;

    let (status, answer) = upload(&client, &web, &name, WRONG.as_bytes()).await?;
    step("a table with an impossible date is refused", status == 422)?;
    let finding = &answer["findings"][0];
    step(
        "the finding names row and column",
        finding["row"] == 1 && finding["column"] == "diagnosisDate",
    )?;

    let bare = client
        .get(format!("{services}/internal/storage/list"))
        .send()
        .await?;
    step(
        "services answer nobody without the key",
        bare.status() == 401,
    )?;
    println!("all well");
    Ok(())
}

fn step(what: &str, holds: bool) -> Result<()> {
    println!("  {} {what}", if holds { "ok  " } else { "FAIL" });
    ensure!(holds, "it does not hold that {what}");
    Ok(())
}

async fn upload(
    client: &reqwest::Client,
    web: &str,
    name: &str,
    bytes: &[u8],
) -> Result<(u16, Value)> {
    let request = client
        .post(format!(
            "{web}/uploads?cohort=c1&table=diagnosis&protocol_year=2024"
        ))
        .header("content-type", "text/csv")
        .header(
            "content-disposition",
            format!("attachment; filename=\"{name}\""),
        )
        .body(bytes.to_vec());
    let response = request.send().await?;
    let status = response.status().as_u16();
    let text = response.text().await?;
    Ok((
        status,
        serde_json::from_str(&text).with_context(|| text.clone())?,
    ))
}
