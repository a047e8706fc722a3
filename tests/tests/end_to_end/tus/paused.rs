//! Uploads whose policies make room for those of others go on from what these knew.

use anyhow::{Context, Result, ensure};
use portcullis_generator::{Csv, Definition};
use portcullis_telemetry::collector::{Collector, ExportedSpan};
use portcullis_tests::LIMIT;
use portcullis_tests::gateway::{Answer, Policies, Setup, TestGateway, TusUpload};

/// A table with errors in its beginning and at its end, and where it is cut.
fn table() -> Result<(Vec<u8>, usize)> {
    let csv = Csv::of(&Definition::shipped("patient")?);
    let file = csv.rows(20_000).seed(5).plant_some(20).whole();
    let cut = file.len() / 2;
    Ok((file, cut))
}

/// Both servers, with room for the policies of one upload.
async fn start(collector: &Collector) -> Result<TestGateway> {
    Setup::default()
        .policies(Policies::Standard)
        .web_config("[limits]\nuploads = 1\n")
        .collector(collector.endpoint())
        .start()
        .await
}

/// What one straight upload hears.
async fn straight(gateway: &TestGateway, file: &[u8]) -> Result<serde_json::Value> {
    let query = "cohort=c1&protocol_year=2024&table=patient";
    let answer = gateway
        .upload_raw(query, "straight.csv", file.to_vec())
        .await?;
    answer.problem("policy-rejected", 422)
}

fn same(one: &serde_json::Value, other: &serde_json::Value) -> Result<()> {
    for member in [
        "detail", "policy", "rule", "policies", "findings", "tallies",
    ] {
        ensure!(one[member] == other[member], "{member}: {one} {other}");
    }
    ensure!(
        one["findings"]
            .as_array()
            .is_some_and(|findings| findings.len() > 4)
    );
    Ok(())
}

/// Whether the policies of an upload were shown it again, once its last request is over.
async fn was_replayed(collector: &Collector, answer: &Answer) -> Result<bool> {
    let timing = answer.header("server-timing").context("no trace")?;
    let trace = timing.split('-').nth(1).context("no trace")?;
    let count = |spans: &[ExportedSpan], name: &str| {
        let mut of_it = spans.iter().filter(|span| span.trace_id == trace);
        of_it.by_ref().filter(|span| span.name == name).count()
    };
    let of_it = |spans: &[ExportedSpan], name: &str| count(spans, name) > 0;
    // The last span of each request to end is its own.
    let both = |spans: &[ExportedSpan]| count(spans, "PATCH /uploads/{id}") == 2;
    let spans = collector.wait_for(LIMIT, both).await;
    let spans = spans.context("the trace is incomplete")?;
    ensure!(of_it(&spans, "pause"), "it did not pause");
    ensure!(of_it(&spans, "GET /internal/uploads/{id}/state"));
    Ok(of_it(&spans, "replay"))
}

async fn half(gateway: &TestGateway) -> Result<(TusUpload, Vec<u8>, usize)> {
    let (file, cut) = table()?;
    let upload = gateway.tus_begin("paused.csv", file.len()).await?;
    ensure!(upload.sent(gateway, 0, file[..cut].to_vec()).await? == cut as u64);
    Ok((upload, file, cut))
}

#[tokio::test]
async fn an_upload_that_made_room_goes_on_from_what_its_policies_knew() -> Result<()> {
    let collector = Collector::start().await?;
    let gateway = start(&collector).await?;
    let (upload, file, cut) = half(&gateway).await?;
    let expected = straight(&gateway, &file).await?;
    let staged = gateway.disk("local").staged()?;
    ensure!(
        staged.keys().any(|name| name.contains(".state")),
        "{staged:?}"
    );
    let answer = upload
        .send(&gateway, cut as u64, file[cut..].to_vec())
        .await?;
    same(&answer.problem("policy-rejected", 422)?, &expected)?;
    ensure!(!was_replayed(&collector, &answer).await?);
    ensure!(gateway.disk("local").staged()?.is_empty());
    Ok(())
}

#[tokio::test]
async fn a_web_host_that_stops_writes_down_what_policies_know() -> Result<()> {
    let collector = Collector::start().await?;
    let mut gateway = start(&collector).await?;
    let (upload, file, cut) = half(&gateway).await?;
    ensure!(gateway.web.stop().await?.success());
    gateway.web.start_again().await?;
    let answer = upload
        .send(&gateway, cut as u64, file[cut..].to_vec())
        .await?;
    let problem = answer.problem("policy-rejected", 422)?;
    ensure!(!was_replayed(&collector, &answer).await?);
    same(&problem, &straight(&gateway, &file).await?)
}

#[tokio::test]
async fn what_was_written_down_and_cannot_be_used_is_made_up_for() -> Result<()> {
    let collector = Collector::start().await?;
    let gateway = start(&collector).await?;
    let (upload, file, cut) = half(&gateway).await?;
    let expected = straight(&gateway, &file).await?;
    let stages = gateway.disk("local").root().join(".portcullis/stages");
    for entry in std::fs::read_dir(stages)? {
        let path = entry?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "state")
        {
            let mut state = std::fs::read(&path)?;
            let middle = state.len() / 2;
            state[middle] ^= 1;
            std::fs::write(&path, state)?;
        }
    }
    let answer = upload
        .send(&gateway, cut as u64, file[cut..].to_vec())
        .await?;
    same(&answer.problem("policy-rejected", 422)?, &expected)?;
    ensure!(was_replayed(&collector, &answer).await?);
    Ok(())
}

#[tokio::test]
async fn its_owner_sees_what_was_found_while_it_is_under_way() -> Result<()> {
    let collector = Collector::start().await?;
    let gateway = start(&collector).await?;
    let (upload, file, cut) = half(&gateway).await?;
    let found = async || {
        let record = upload.record(&gateway).await?;
        let found = record["findings"].as_array().cloned();
        found.with_context(|| format!("no findings: {record}"))
    };
    let first = found().await?;
    ensure!(!first.is_empty());
    // It makes room for another one, and is gone on with: by then its policies are others.
    let expected = straight(&gateway, &file).await?;
    let more = file.len() - cut - 1;
    let sent = upload.sent(&gateway, cut as u64, file[cut..][..more].to_vec());
    ensure!(sent.await? == file.len() as u64 - 1);
    let second = found().await?;
    ensure!(second.len() > first.len() && second.starts_with(&first));
    let all = expected["findings"].as_array().context("no findings")?;
    ensure!(all.starts_with(&second), "{all:?} {second:?}");
    Ok(())
}
