//! What one sender may have and do, said when it is too much; and rights, looked at each time.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use portcullis_generator::{Csv, Definition};
use portcullis_tests::gateway::{
    Answer, Contents, Form, Policies, Setup, TestGateway, TusUpload, component, sha256,
};
use portcullis_tests::until;
use reqwest::Method;

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
    let (send, body) = Contents::by_hand();
    let request = upload.bytes(&gateway, 0, body).bearer_auth(&token);
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

/// A request whose bytes come when they are sent to it, with a token that is revoked after the first of them.
async fn revoked_while_bytes_come(
    gateway: &TestGateway,
    subject: &str,
    request: impl FnOnce(Contents) -> reqwest::RequestBuilder,
) -> Result<Answer> {
    let token = gateway.token(&["add", "--subject", subject])?;
    let list = gateway.token(&["list"])?;
    let own = list.lines().find(|line| line.contains(subject));
    let id = own.and_then(|line| line.split_whitespace().next());
    let id = id.context("no token")?;
    let (send, body) = Contents::by_hand();
    let request = request(body).bearer_auth(&token);
    let answer = tokio::spawn(Answer::of(request));
    // So much that services hear of it before the end.
    send.send(Bytes::from(TABLE.repeat(MANY - 1))).await?;
    let disk = gateway.disk("local");
    until("no bytes arrive", || Ok(disk.staged_bytes()? > 0)).await?;
    // As long as it is not asked again.
    tokio::time::sleep(Duration::from_millis(60)).await;
    gateway.token(&["revoke", id])?;
    send.send(Bytes::from(TABLE)).await?;
    drop(send);
    let answer = answer.await??;
    until(&format!("bytes of {subject} stay"), || {
        Ok(disk.staged()?.is_empty())
    })
    .await?;
    ensure!(disk.files()?.is_empty());
    Ok(answer)
}

const TABLE: &str = "patid,sex\n1,F\n";
const MANY: usize = 1 << 18;

#[tokio::test]
async fn rights_are_looked_at_before_the_commit_whatever_brings_the_upload() -> Result<()> {
    let gateway = Setup::default().tokens_only().start().await?;
    let plain = |body: Contents| {
        gateway
            .web_request(
                Method::POST,
                "/uploads?cohort=c1&protocol_year=2024&table=patient",
            )
            .header(
                "content-disposition",
                "attachment; filename=\"patient.csv\"",
            )
            .body(body.into_body())
    };
    let answer = revoked_while_bytes_come(&gateway, "site-7", plain).await?;
    answer.problem("unauthenticated", 401)?;
    let form = |body: Contents| {
        gateway.upload_request(Form::submission("patient").file("patient.csv", body))
    };
    let answer = revoked_while_bytes_come(&gateway, "site-8", form).await?;
    answer.problem("unauthenticated", 401)?;
    let length = TABLE.len() * MANY;
    let creation = |body: Contents| {
        gateway
            .tus_create("patient.csv")
            .header("upload-length", length)
            .header("content-length", length)
            .header("content-type", "application/offset+octet-stream")
            .body(body.into_body())
    };
    let answer = revoked_while_bytes_come(&gateway, "site-9", creation).await?;
    answer.problem("unauthenticated", 401)?;
    Ok(())
}

/// Tables, and where they go: nothing whose memory becomes free while its upload comes.
fn tables() -> Policies {
    let (table, route) = (component("csv-schema"), component("route-by-attributes"));
    Policies::Set(format!(
        "[[policy]]\nname = 'csv-schema'\ncomponent = '{}'\n\
         [[policy]]\nname = 'route'\ncomponent = '{}'\ndisks = ['local']\n\
         settings = {{ template = 'in/{{filename}}', ignore = ['cohort', 'protocol_year', 'table'] }}\n",
        table.display(),
        route.display()
    ))
}

/// A gateway for so many uploads at once, whose policies may have just as much memory as they begin with.
async fn short_of_memory(uploads: usize) -> Result<TestGateway> {
    let setup = |bytes: &str| {
        let limits = format!("[limits]\nuploads = {uploads}\npolicy-memory-bytes = {bytes}\n");
        Setup::default().policies(tables()).web_config(&limits)
    };
    // So much as one policy may have, and not as much as all begin with.
    let Err(refused) = setup("70000000").start().await else {
        bail!("it starts with too little memory");
    };
    let said = format!("{refused:#}");
    let (_, needed) = said
        .split_once("need at least ")
        .with_context(|| said.clone())?;
    let (needed, _) = needed.split_once(' ').context("no number")?;
    setup(needed).start().await
}

#[tokio::test]
async fn where_memory_is_used_up_idle_uploads_make_room_and_are_gone_on_with() -> Result<()> {
    const UPLOADS: usize = 60;
    let gateway = short_of_memory(UPLOADS).await?;
    let table = Csv::of(&Definition::shipped("patient")?).rows(200).whole();
    let cut = table.len() / 2;
    let mut uploads = Vec::new();
    for number in 0..UPLOADS {
        let name = format!("{number}.csv");
        let upload = gateway.tus_begin(&name, table.len()).await?;
        // What policies keep of a table is more than they begin with.
        upload.sent(&gateway, 0, table[..cut].to_vec()).await?;
        uploads.push(upload);
    }
    for upload in uploads {
        let rest = table[cut..].to_vec();
        upload.sent(&gateway, cut as u64, rest).await?;
    }
    ensure!(gateway.disk("local").files()?.len() == UPLOADS);
    Ok(())
}

#[tokio::test]
async fn uploads_that_wait_for_bytes_keep_nobody_waiting() -> Result<()> {
    // More than a runtime has threads for what waits, unless it is told.
    const SLOW: usize = 600;
    let limits = |own: &str| format!("[limits]\nconnections = 2000\n{own}");
    let gateway = Setup::default()
        .web_config(&limits("uploads = 700\npolicy-memory-bytes = 8000000000\n"))
        .services_config(&limits("appends = 700\n"))
        .start()
        .await?;
    let mut slow = Vec::new();
    for number in 0..SLOW {
        let upload = gateway.tus_begin(&format!("{number}.csv"), 100).await?;
        let request = upload.bytes(&gateway, 0, Contents::then_stuck("1".to_owned()));
        slow.push(tokio::spawn(Answer::of(request)));
    }
    let disk = gateway.disk("local");
    until("bytes do not arrive", || Ok(disk.staged()?.len() == SLOW)).await?;
    let quick = gateway.tus_begin("quick.csv", TABLE.len()).await?;
    quick.sent(&gateway, 0, TABLE).await?;
    ensure!(disk.files()?.len() == 1);
    Ok(())
}

#[tokio::test]
async fn a_client_that_sends_too_slowly_hears_so_and_what_came_is_kept() -> Result<()> {
    let gateway = Setup::default()
        .web_config("[limits]\nleast-bytes-per-second = 1000\nrate-window-seconds = 3\n")
        .start()
        .await?;
    let upload = gateway.tus_begin("patient.csv", TABLE.len() * MANY).await?;
    let drops = futures_util::stream::unfold((), async |()| {
        // The rate is looked at after three seconds of waiting for the client; what pauses for so long is passed on.
        tokio::time::sleep(Duration::from_millis(700)).await;
        Some((Bytes::from(TABLE), ()))
    });
    let answer = upload.send(&gateway, 0, Contents::stream(drops)).await?;
    let problem = answer.problem("too-slow", 408)?;
    let detail = problem["detail"].as_str().unwrap_or_default();
    ensure!(
        detail.contains("Less than 1000 bytes a second"),
        "{problem}"
    );
    let offset = upload.offset(&gateway).await?;
    ensure!(offset > 0 && offset % TABLE.len() as u64 == 0, "{offset}");
    let table = TABLE.repeat(MANY);
    let rest = Bytes::from(table[usize::try_from(offset)?..].to_owned());
    upload.sent(&gateway, offset, rest).await?;
    ensure!(gateway.disk("local").digest(PATH)? == sha256([table]));
    Ok(())
}
