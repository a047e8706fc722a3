//! What one sender may have and do, said when it is too much; and rights, looked at each time.

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use portcullis_tests::gateway::{Answer, Contents, Setup, TestGateway, TusUpload, sha256};
use portcullis_tests::until;
use reqwest::Method;
use tokio::sync::mpsc;

const PATH: &str = "submissions/c1/2024/patient/patient.csv";

async fn begin(gateway: &TestGateway, token: &str) -> Result<Answer> {
    let create = gateway
        .tus_create("patient.csv")
        .header("upload-length", 10);
    Answer::of(create.bearer_auth(token)).await
}

#[tokio::test]
async fn a_sender_has_so_many_uploads_open_and_others_are_not_in_the_way() -> Result<()> {
    let gateway = Setup::default()
        .tokens_only()
        .services_config("[limits]\nopen-uploads-per-sender = 2\n")
        .start()
        .await?;
    let token = |subject: &str| gateway.token(&["add", "--subject", subject]);
    let (one, other) = (token("site-7")?, token("site-8")?);
    let first = TusUpload::of(&begin(&gateway, &one).await?)?;
    ensure!(begin(&gateway, &one).await?.status == 201);
    let refused = begin(&gateway, &one).await?;
    let problem = refused.problem("too-many", 429)?;
    ensure!(
        problem["most"] == 2 && refused.header("retry-after").is_some(),
        "{problem}"
    );
    ensure!(begin(&gateway, &other).await?.status == 201);
    let cancel = first.request(&gateway, Method::DELETE).bearer_auth(&one);
    ensure!(Answer::of(cancel).await?.status == 204);
    ensure!(begin(&gateway, &one).await?.status == 201);
    Ok(())
}

#[tokio::test]
async fn a_sender_begins_so_many_uploads_in_a_minute() -> Result<()> {
    let gateway = Setup::default()
        .tokens_only()
        .web_config("[limits]\nuploads-per-minute = 3\n")
        .start()
        .await?;
    let token = |subject: &str| gateway.token(&["add", "--subject", subject]);
    let (one, other) = (token("site-7")?, token("site-8")?);
    for _ in 0..3 {
        ensure!(begin(&gateway, &one).await?.status == 201);
    }
    let refused = begin(&gateway, &one).await?;
    refused.problem("too-many", 429)?;
    ensure!(refused.header("retry-after").is_some(), "{refused:?}");
    ensure!(begin(&gateway, &other).await?.status == 201);
    Ok(())
}

#[tokio::test]
async fn the_answer_says_until_when_an_upload_waits() -> Result<()> {
    let gateway = Setup::default()
        .web_config("[limits]\nexpiry-hours = 2\n")
        .start()
        .await?;
    let upload = gateway.tus_begin("patient.csv", 10).await?;
    let record = upload.record(&gateway).await?;
    let at = |member: &str| -> Result<portcullis_types::Timestamp> {
        Ok(record[member].as_str().context("no time")?.parse()?)
    };
    let lifetime = at("expires_at")?.since(at("received_at")?);
    ensure!(lifetime.as_secs() == 2 * 60 * 60, "{lifetime:?}");
    let answer = upload.send(&gateway, 0, "patid").await?;
    ensure!(answer.header("upload-expires").is_some(), "{answer:?}");
    Ok(())
}

#[tokio::test]
async fn a_token_that_is_revoked_while_bytes_come_stores_nothing_and_another_goes_on() -> Result<()>
{
    let gateway = Setup::default().tokens_only().start().await?;
    let table = "patid,sex\n1,F\n";
    let token = gateway.token(&["add", "--subject", "site-7"])?;
    let list = gateway.token(&["list"])?;
    let id = list.split_whitespace().next().context("no token")?;
    let create = gateway
        .tus_create("patient.csv")
        .header("upload-length", table.len());
    let upload = TusUpload::of(&Answer::of(create.bearer_auth(&token)).await?)?;
    let (send, mut received) = mpsc::channel::<Bytes>(1);
    let body = futures_util::stream::poll_fn(move |cx| received.poll_recv(cx));
    let request = upload
        .bytes(&gateway, 0, Contents::stream(body))
        .bearer_auth(&token);
    let answer = tokio::spawn(Answer::of(request));
    send.send(Bytes::from(&table[..5])).await?;
    let disk = gateway.disk("local");
    until("no bytes arrive", || Ok(disk.staged_bytes()? > 0)).await?;
    gateway.token(&["revoke", id])?;
    send.send(Bytes::from(&table[5..])).await?;
    drop(send);
    answer.await??.problem("unauthenticated", 401)?;
    ensure!(disk.files()?.is_empty());
    let renewed = gateway.token(&["add", "--subject", "site-7"])?;
    let last = upload
        .bytes(&gateway, table.len() as u64 - 1, "\n")
        .bearer_auth(&renewed);
    ensure!(Answer::of(last).await?.status == 204);
    ensure!(disk.digest(PATH)? == sha256([table]));
    Ok(())
}
