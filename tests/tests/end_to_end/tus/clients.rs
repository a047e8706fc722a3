//! What clients of the tus protocol and of HTTP send that others do not.

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use portcullis_tests::gateway::{Answer, Form, TestGateway, TusUpload, sha256, tus_metadata};
use reqwest::Method;
use tokio::net::TcpStream;

const TABLE: &str = "patid,sex\n1,F\n2,M\n";
const PATH: &str = "submissions/c1/2024/patient/patient.csv";
const BODY_TYPE: &str = "application/offset+octet-stream";

/// Creates an upload over HTTP/2, where a request with a body need not announce it; gives status and headers.
async fn created_over_http_2(
    gateway: &TestGateway,
    content_type: Option<&str>,
    frames: &[&'static str],
) -> Result<http::response::Parts> {
    let stream = TcpStream::connect(gateway.web.address()).await?;
    let (sender, connection) = h2::client::handshake(stream).await?;
    let connection = tokio::spawn(connection);
    let metadata = tus_metadata(&[
        ("filename", "patient.csv"),
        ("cohort", "c1"),
        ("protocol_year", "2024"),
        ("table", "patient"),
    ]);
    let uri = format!("http://{}/uploads", gateway.web.address());
    let request = http::Request::post(uri)
        .header("tus-resumable", "1.0.0")
        .header("upload-length", TABLE.len())
        .header("upload-metadata", metadata);
    let request = match content_type {
        Some(content_type) => request.header("content-type", content_type),
        None => request,
    };
    let mut ready = sender.ready().await?;
    let (answer, mut body) = ready.send_request(request.body(())?, false)?;
    for frame in frames {
        body.send_data(Bytes::from_static(frame.as_bytes()), false)?;
    }
    body.send_data(Bytes::new(), true)?;
    let (head, _) = answer.await?.into_parts();
    connection.abort();
    Ok(head)
}

#[tokio::test]
async fn a_body_over_http_2_is_taken_although_nothing_announces_it() -> Result<()> {
    let gateway = TestGateway::start().await?;
    let (first, rest) = TABLE.split_at(5);
    let head = created_over_http_2(&gateway, Some(BODY_TYPE), &[first]).await?;
    ensure!(
        head.status == 201 && head.headers["upload-offset"] == "5",
        "{head:?}"
    );
    let head = created_over_http_2(&gateway, Some(BODY_TYPE), &[first, rest]).await?;
    ensure!(head.status == 201, "{head:?}");
    ensure!(gateway.disk("local").digest(PATH)? == sha256([TABLE]));
    // Without a body, which is known behind the headers only.
    let head = created_over_http_2(&gateway, None, &[]).await?;
    ensure!(
        head.status == 201 && head.headers["upload-offset"] == "0",
        "{head:?}"
    );
    let head = created_over_http_2(&gateway, Some("text/csv"), &[first]).await?;
    ensure!(head.status == 415, "{head:?}");
    Ok(())
}

#[tokio::test]
async fn a_slash_at_the_end_parameters_and_case_do_not_matter() -> Result<()> {
    let gateway = TestGateway::start().await?;
    let metadata = tus_metadata(&[
        ("filename", "patient.csv"),
        ("cohort", "c1"),
        ("protocol_year", "2024"),
        ("table", "patient"),
    ]);
    let create = gateway
        .tus(Method::POST, "/uploads/")
        .header("upload-metadata", metadata)
        .header("upload-length", TABLE.len())
        .header(
            "content-type",
            "Application/Offset+Octet-Stream; charset=UTF-8",
        )
        .body(&TABLE[..5]);
    let upload = TusUpload::of(&Answer::of(create).await?)?;
    let target = format!("{}/", upload.location());
    let patch = gateway
        .tus(Method::POST, &target)
        .header("x-http-method-override", "patch")
        .header("upload-offset", 5)
        .header(
            "content-type",
            "application/offset+octet-stream;charset=UTF-8",
        )
        .body(&TABLE[5..]);
    let answer = Answer::of(patch).await?;
    ensure!(answer.status == 204, "{answer:?}");
    ensure!(gateway.disk("local").digest(PATH)? == sha256([TABLE]));
    let head = Answer::of(gateway.tus(Method::HEAD, &target)).await?;
    ensure!(head.offset()? == TABLE.len() as u64, "{head:?}");
    Ok(())
}

#[tokio::test]
async fn bytes_that_are_not_the_file_itself_are_refused_by_name() -> Result<()> {
    let gateway = TestGateway::start().await?;
    let begun = gateway.tus_begin("patient.csv", TABLE.len()).await?;
    for (header, value, slug, status) in [
        (
            "content-encoding",
            "gzip",
            "unsupported-content-coding",
            415,
        ),
        ("content-range", "bytes 0-17/36", "bad-request", 400),
    ] {
        let requests = [
            gateway
                .web_request(
                    Method::POST,
                    "/uploads?cohort=c1&protocol_year=2024&table=patient",
                )
                .header("content-disposition", "attachment; filename=patient.csv")
                .body(TABLE),
            gateway.upload_request(Form::submission("patient").file("patient.csv", TABLE)),
            gateway
                .tus_create("patient.csv")
                .header("upload-length", TABLE.len())
                .header("content-type", BODY_TYPE)
                .body(TABLE),
            begun.bytes(&gateway, 0, TABLE),
        ];
        for request in requests {
            let answer = Answer::of(request.header(header, value)).await?;
            let problem = answer.problem(slug, status)?;
            let detail = problem["detail"].as_str().context("no detail")?;
            ensure!(detail.to_lowercase().contains(header), "{detail}");
            let offered = answer.header("accept-encoding");
            ensure!(
                offered == (status == 415).then_some("identity"),
                "{answer:?}"
            );
        }
    }
    ensure!(gateway.disk("local").files()?.is_empty());
    // None of it cost the upload that was under way anything.
    ensure!(begun.sent(&gateway, 0, TABLE).await? == TABLE.len() as u64);
    Ok(())
}
