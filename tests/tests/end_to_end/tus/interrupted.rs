//! Whatever cuts an upload, it goes on where it was.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use portcullis_tests::gateway::{Answer, Contents, Setup, TestGateway, TusUpload, sha256};
use portcullis_tests::{LIMIT, until};
use reqwest::Method;
use tokio::task::JoinHandle;

const PATH: &str = "submissions/c1/2024/patient/patient.csv";

/// A table of 3 MiB, which is more than one block and less than services make durable by themselves.
fn table() -> String {
    "patid,sex\n".repeat(300_000)
}

/// Begins to send and then neither goes on nor ends, as a client whose line is dead.
async fn hang(
    gateway: &TestGateway,
    upload: &TusUpload,
    bytes: usize,
) -> Result<JoinHandle<Result<Answer>>> {
    let request = upload.bytes(gateway, 0, Contents::stuck(bytes));
    let hanging = tokio::spawn(Answer::of(request));
    let disk = gateway.disk("local");
    until("no bytes arrive", || {
        Ok(disk.staged_bytes()? >= bytes as u64 / 2)
    })
    .await?;
    Ok(hanging)
}

/// Sends what is missing, and looks what is stored then.
async fn rest(gateway: &TestGateway, upload: &TusUpload, table: &str, from: u64) -> Result<()> {
    let missing = &table[usize::try_from(from)?..];
    ensure!(upload.sent(gateway, from, missing).await? == table.len() as u64);
    ensure!(gateway.disk("local").digest(PATH)? == sha256([table]));
    Ok(())
}

#[tokio::test]
async fn whoever_asks_for_the_offset_stops_a_dead_request_and_keeps_what_it_brought() -> Result<()>
{
    let gateway = TestGateway::start().await?;
    let table = table();
    let upload = gateway.tus_begin("patient.csv", table.len()).await?;
    let hanging = hang(&gateway, &upload, 1 << 20).await?;
    let offset = upload.offset(&gateway).await?;
    ensure!(offset >= 1 << 19, "{offset}");
    let answer = tokio::time::timeout(LIMIT, hanging)
        .await
        .context("it hangs")???;
    let problem = answer.problem("fenced", 409)?;
    ensure!(problem["offset"] == offset, "{problem}");
    rest(&gateway, &upload, &table, offset).await
}

#[tokio::test]
async fn a_client_that_goes_away_finds_what_it_sent() -> Result<()> {
    let gateway = TestGateway::start().await?;
    let table = table();
    let upload = gateway.tus_begin("patient.csv", table.len()).await?;
    let hanging = hang(&gateway, &upload, 1 << 20).await?;
    hanging.abort();
    let offset = upload.offset(&gateway).await?;
    ensure!(offset >= 1 << 19, "{offset}");
    rest(&gateway, &upload, &table, offset).await
}

#[tokio::test]
async fn an_upload_survives_kill_9_of_either_server() -> Result<()> {
    let mut gateway = TestGateway::start().await?;
    let table = table();
    let upload = gateway.tus_begin("patient.csv", table.len()).await?;
    let mut offset = upload.sent(&gateway, 0, &table[..1_000_000]).await?;
    for round in 0..4 {
        if round % 2 == 0 {
            gateway.web.kill().await?;
            gateway.web.start_again().await?;
        } else {
            gateway.services.kill().await?;
            ensure!(upload.head(&gateway).await?.status == 423);
            gateway.services.start_again().await?;
        }
        ensure!(upload.offset(&gateway).await? == offset);
        let next = usize::try_from(offset)?;
        offset = upload
            .sent(&gateway, offset, &table[next..next + 100_000])
            .await?;
    }
    rest(&gateway, &upload, &table, offset).await
}

#[tokio::test]
async fn all_that_came_without_a_verdict_is_judged_when_the_last_byte_comes_again() -> Result<()> {
    let mut gateway = TestGateway::start().await?;
    let table = table();
    let upload = gateway.tus_begin("patient.csv", table.len()).await?;
    // The only thing missing is the verdict: services are stopped before the web host can commit.
    let all = table.len() as u64;
    let request = upload.bytes(&gateway, 0, Contents::then_stuck(table.clone()));
    let hanging = tokio::spawn(Answer::of(request));
    let disk = gateway.disk("local");
    until("not all arrives", || Ok(disk.staged_bytes()? == all)).await?;
    hanging.abort();
    ensure!(
        upload.offset(&gateway).await? == all - 1,
        "it would be taken for stored"
    );
    ensure!(disk.files()?.is_empty());
    // Another last byte is another file.
    upload
        .send(&gateway, all - 1, "x")
        .await?
        .problem("digest-mismatch", 422)?;
    gateway.web.kill().await?;
    gateway.web.start_again().await?;
    ensure!(upload.offset(&gateway).await? == all - 1);
    ensure!(upload.sent(&gateway, all - 1, "\n").await? == all);
    ensure!(disk.digest(PATH)? == sha256([&table]));
    ensure!(upload.offset(&gateway).await? == all);
    // Its answer got lost.
    ensure!(upload.sent(&gateway, all, "").await? == all);
    upload
        .send(&gateway, all - 1, "\n")
        .await?
        .problem("offset-mismatch", 409)?;
    let record = upload.record(&gateway).await?;
    ensure!(record["receipt"]["version"] == 1, "{record}");
    Ok(())
}

#[tokio::test]
async fn a_refusal_stays_one_after_both_servers_were_killed() -> Result<()> {
    let mut gateway = TestGateway::start().await?;
    let upload = gateway.tus_begin("patient.csv", 20_000).await?;
    upload
        .send(&gateway, 0, super::elf())
        .await?
        .problem("policy-rejected", 422)?;
    gateway.web.kill().await?;
    gateway.services.kill().await?;
    gateway.services.start_again().await?;
    gateway.web.start_again().await?;
    ensure!(upload.offset(&gateway).await? < 20_000);
    upload
        .send(&gateway, 0, "x")
        .await?
        .problem("policy-rejected", 422)?;
    Ok(())
}

#[tokio::test]
async fn an_upload_goes_on_at_another_web_host_and_comes_back() -> Result<()> {
    let gateway = TestGateway::start().await?;
    let other = gateway.another_web_with_own_policies().await?;
    let table = table();
    let upload = gateway.tus_begin("patient.csv", table.len()).await?;
    let mut offset = 0;
    for round in 0..4 {
        let base = if round % 2 == 0 {
            gateway.web.address()
        } else {
            other.address()
        };
        let target = format!("http://{base}{}", upload.location());
        let client = portcullis_tests::http_client()?;
        let request = |method: Method| {
            client
                .request(method, &target)
                .header("tus-resumable", "1.0.0")
        };
        let head = Answer::of(request(Method::HEAD)).await?;
        ensure!(head.offset()? == offset, "{head:?}");
        let (from, end) = (usize::try_from(offset)?, table.len() * (round + 1) / 4);
        let patch = request(Method::PATCH)
            .header("upload-offset", offset)
            .header("content-type", "application/offset+octet-stream");
        let answer = Answer::of(patch.body(table[from..end].to_owned())).await?;
        ensure!(answer.status == 204, "{answer:?}");
        offset = answer.offset()?;
    }
    ensure!(gateway.disk("local").digest(PATH)? == sha256([&table]));
    Ok(())
}

#[tokio::test]
async fn uploads_that_pause_make_room_for_others_and_go_on() -> Result<()> {
    let gateway = Setup::default()
        .web_config("[limits]\nuploads = 2\n")
        .start()
        .await?;
    let body = "patid,sex\n1,F\n2,M\n";
    let mut uploads = Vec::new();
    for number in 0..6 {
        let upload = gateway
            .tus_begin(&format!("{number}.csv"), body.len())
            .await?;
        ensure!(upload.sent(&gateway, 0, &body[..4]).await? == 4);
        uploads.push(upload);
    }
    for from in 4..body.len() {
        for upload in &uploads {
            upload
                .sent(&gateway, from as u64, &body[from..=from])
                .await?;
        }
    }
    ensure!(gateway.disk("local").files()?.len() == uploads.len());
    Ok(())
}

#[tokio::test]
async fn an_upload_whose_policies_were_retired_is_judged_by_those_in_force() -> Result<()> {
    use portcullis_tests::gateway::{Policies, component};
    let limited = |bytes: u32| {
        let settings = format!("{{ max-bytes = {bytes} }}");
        Policies::one("size-limit", &component("size-limit"), &settings, "")
    };
    let gateway = Setup::default().policies(limited(1000)).start().await?;
    let metadata = portcullis_tests::gateway::tus_metadata(&[("filename", "a.csv")]);
    let create = gateway
        .tus(Method::POST, "/uploads")
        .header("upload-metadata", metadata);
    let create = create.header("upload-defer-length", "1");
    let upload = TusUpload::of(&Answer::of(create).await?)?;
    ensure!(upload.sent(&gateway, 0, "x".repeat(500).as_str()).await? == 500);
    let before = gateway.ready().await?["revision"].clone();
    gateway.write_policies(&limited(100))?;
    gateway
        .until_ready("no reload", |ready| ready["revision"] != before)
        .await?;
    // What came before is over the limit by itself.
    let answer = tokio::time::timeout(Duration::from_secs(30), upload.send(&gateway, 500, "x"));
    answer.await??.problem("policy-rejected", 422)?;
    Ok(())
}
