//! A file that is not the one that was announced: it changed while it was sent, or between two requests.

use anyhow::{Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use portcullis_tests::gateway::{Answer, Form, TestGateway, TusUpload, sha256, tus_metadata};
use portcullis_types::Sha256Digest;
use reqwest::Method;

const TABLE: &str = "patid,sex\n1,F\n2,M\n";
const CHANGED: &str = "patid,sex\n1,F\n9,M\n";
const PATH: &str = "submissions/c1/2024/patient/patient.csv";

fn repr_digest(text: &str) -> String {
    let digest = Sha256Digest::of(text.as_bytes());
    format!("sha-256=:{}:", STANDARD.encode(digest.as_bytes()))
}

/// Creates an upload of the table that is to have the digest of this text.
async fn begun(gateway: &TestGateway, announced: &str, in_metadata: bool) -> Result<TusUpload> {
    let digest = sha256([announced]);
    let mut pairs = vec![
        ("filename", "patient.csv"),
        ("cohort", "c1"),
        ("protocol_year", "2024"),
        ("table", "patient"),
    ];
    if in_metadata {
        pairs.push(("sha256", &digest));
    }
    let mut create = gateway
        .tus(Method::POST, "/uploads")
        .header("upload-metadata", tus_metadata(&pairs))
        .header("upload-length", TABLE.len());
    if !in_metadata {
        create = create.header("repr-digest", repr_digest(announced));
    }
    TusUpload::of(&Answer::of(create).await?)
}

#[tokio::test]
async fn a_file_that_changes_between_two_requests_is_not_stored() -> Result<()> {
    let mut gateway = TestGateway::start().await?;
    for in_metadata in [true, false] {
        let upload = begun(&gateway, TABLE, in_metadata).await?;
        upload.sent(&gateway, 0, &TABLE[..12]).await?;
        // Whoever goes on with it knows what it is to be.
        gateway.web.kill().await?;
        gateway.web.start_again().await?;
        ensure!(upload.offset(&gateway).await? == 12);
        let refused = upload.send(&gateway, 12, &CHANGED[12..]).await?;
        refused.problem("digest-mismatch", 422)?;
        ensure!(gateway.disk("local").files()?.is_empty());
        ensure!(upload.head(&gateway).await?.status == 410);
        ensure!(gateway.disk("local").staged()?.is_empty());
    }
    for in_metadata in [true, false] {
        let upload = begun(&gateway, TABLE, in_metadata).await?;
        upload.sent(&gateway, 0, &TABLE[..12]).await?;
        upload.sent(&gateway, 12, &TABLE[12..]).await?;
        ensure!(gateway.disk("local").digest(PATH)? == sha256([TABLE]));
    }
    Ok(())
}

#[tokio::test]
async fn a_digest_is_compared_however_a_file_is_sent() -> Result<()> {
    let gateway = TestGateway::start().await?;
    let (right, wrong) = (sha256([TABLE]), sha256([CHANGED]));
    let query = "/uploads?cohort=c1&protocol_year=2024&table=patient";
    let raw = |query: &str| {
        gateway
            .web_request(Method::POST, query)
            .header("content-disposition", "attachment; filename=patient.csv")
            .body(TABLE)
    };
    let form = |digest: &str| {
        let form = Form::submission("patient").field("sha256", digest);
        gateway.upload_request(form.file("patient.csv", TABLE))
    };
    for request in [
        raw(query).header("repr-digest", repr_digest(CHANGED)),
        raw(query).header("content-digest", repr_digest(CHANGED)),
        raw(query).header("digest", repr_digest(CHANGED).replace(':', "")),
        raw(&format!("{query}&sha256={wrong}")),
        form(&wrong),
        gateway
            .tus_create("patient.csv")
            .header("upload-length", TABLE.len())
            .header("repr-digest", repr_digest(CHANGED))
            .header("content-type", "application/offset+octet-stream")
            .body(TABLE),
    ] {
        Answer::of(request).await?.problem("digest-mismatch", 422)?;
    }
    ensure!(gateway.disk("local").files()?.is_empty());
    for request in [
        raw(query).header("repr-digest", "sha-512=:AA==:"),
        raw(&format!("{query}&sha256=12")),
        form("12"),
        raw(&format!("{query}&sha256={right}")).header("repr-digest", repr_digest(CHANGED)),
    ] {
        Answer::of(request).await?.problem("bad-request", 400)?;
    }
    for request in [
        raw(query).header("repr-digest", repr_digest(TABLE)),
        raw(&format!("{query}&sha256={right}")),
        form(&right),
    ] {
        Answer::of(request).await?.receipt()?;
    }
    Ok(())
}
