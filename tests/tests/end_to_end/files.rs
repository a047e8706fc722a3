//! The file API of services, as an existing client calls it.

mod chunked;
mod listing;
mod reading;
mod repeated;

use anyhow::{Context, Result, ensure};
use portcullis_tests::gateway::{Answer, KEY, Services, sha256};
use reqwest::{Method, RequestBuilder};
use serde_json::json;

const TEXT: &str = "a,b\n1,2\n";

fn call(services: &Services, method: Method, target: &str) -> Result<RequestBuilder> {
    let client = portcullis_tests::http_client()?;
    let url = format!("http://{}/internal/storage/{target}", services.address());
    Ok(client.request(method, url).header("x-api-key", KEY))
}

/// A form as `requests` of Python writes it: fields in any order, then the file.
fn form(request: RequestBuilder, fields: &[(&str, &str)], text: &str) -> RequestBuilder {
    let part = |(name, value): &(&str, &str)| {
        format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    };
    let fields: String = fields.iter().map(part).collect();
    let body = format!(
        "{fields}--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"x.csv\"\r\n\
         Content-Type: text/csv\r\n\r\n{text}\r\n--b--\r\n"
    );
    request
        .header("content-type", "multipart/form-data; boundary=b")
        .body(body)
}

#[tokio::test]
async fn a_compressed_body_is_refused_by_name_and_not_stored_as_the_file() -> Result<()> {
    let services = Services::start().await?;
    let fields = [("path", "reports/a.csv")];
    for (header, value, slug, status) in [
        (
            "content-encoding",
            "gzip",
            "unsupported-content-coding",
            415,
        ),
        ("content-range", "bytes 0-7/16", "bad-request", 400),
    ] {
        let upload = form(call(&services, Method::POST, "upload")?, &fields, TEXT);
        let answer = Answer::of(upload.header(header, value)).await?;
        let problem = answer.problem(slug, status)?;
        let detail = problem["detail"].as_str().context("no detail")?;
        ensure!(detail.to_lowercase().contains(header), "{detail}");
    }
    ensure!(services.disk("local").files()?.is_empty());
    Ok(())
}

#[tokio::test]
async fn a_file_is_stored_listed_read_and_deleted() -> Result<()> {
    let services = Services::start().await?;
    let fields = [("path", "reports/a.csv"), ("metadata", r#"{"site": "7"}"#)];
    let upload = form(call(&services, Method::POST, "upload")?, &fields, TEXT);
    let stored = Answer::of(upload).await?.json()?;
    ensure!(
        stored["success"] == true && stored["path"] == "reports/a.csv",
        "{stored}"
    );
    ensure!(
        stored["size"] == TEXT.len() && stored["sha256"] == sha256([TEXT]),
        "{stored}"
    );
    ensure!(services.disk("local").digest("reports/a.csv")? == sha256([TEXT]));

    let list = call(&services, Method::GET, "list?prefix=reports/")?;
    let list = Answer::of(list).await?.json()?;
    ensure!(list["files"] == json!(["reports/a.csv"]), "{list}");
    ensure!(list["success"] == true && list["count"] == 1, "{list}");
    let other = Answer::of(call(&services, Method::GET, "list?prefix=other/")?)
        .await?
        .json()?;
    ensure!(other["files"] == json!([]), "{other}");

    let read = Answer::of(call(&services, Method::GET, "download?path=reports/a.csv")?).await?;
    ensure!(read.status == 200 && read.body == TEXT, "{read:?}");
    ensure!(
        read.headers["etag"].to_str()?.contains(&sha256([TEXT])),
        "{read:?}"
    );

    let body = json!({ "path": "reports/a.csv" }).to_string();
    let delete = call(&services, Method::POST, "delete")?.body(body.clone());
    let deleted = Answer::of(delete).await?.json()?;
    ensure!(deleted["success"] == true, "{deleted}");
    ensure!(services.disk("local").files()?.is_empty());
    let again = call(&services, Method::DELETE, "delete?path=reports/a.csv")?;
    Answer::of(again).await?.problem("not-found", 404)?;
    let gone = call(&services, Method::GET, "download?path=reports/a.csv")?;
    Answer::of(gone).await?.problem("not-found", 404)?;
    Ok(())
}

#[tokio::test]
async fn what_is_wrong_with_a_call_is_said_and_nothing_is_stored() -> Result<()> {
    let services = Services::start().await?;
    for (fields, slug, says) in [
        (vec![("path", "../x")], "unsafe-path", "`..`"),
        (vec![("path", "/x")], "unsafe-path", "empty part"),
        (
            vec![("path", ".portcullis/versions/x")],
            "unsafe-path",
            "reserved",
        ),
        (
            vec![("path", "x"), ("disk", "tape")],
            "bad-request",
            "there are: local, workspace",
        ),
        (
            vec![("path", "x"), ("sha256", "abc")],
            "bad-request",
            "`sha256`",
        ),
        (
            vec![("path", "x"), ("metadata", "[1]")],
            "bad-request",
            "`metadata`",
        ),
    ] {
        let upload = form(call(&services, Method::POST, "upload")?, &fields, TEXT);
        let problem = Answer::of(upload).await?.problem(slug, 400)?;
        let detail = problem["detail"].as_str().unwrap_or_default();
        ensure!(detail.contains(says), "{problem}");
        // Where clients of the documented system look.
        ensure!(problem["error"] == problem["detail"], "{problem}");
    }
    let broken = call(&services, Method::POST, "upload")?
        .header("content-type", "multipart/form-data; boundary=b")
        .body("--b\r\nContent-Disposition: form-data; name=\"path\"\r\n\r\nx.csv\r\n--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"x\"\r\n\r\nhalf of it");
    let answer = Answer::of(broken).await?;
    ensure!(answer.status == 400, "{answer:?}");
    ensure!(services.disk("local").files()?.is_empty());
    Ok(())
}

#[tokio::test]
async fn health_says_how_catalog_and_each_disk_are() -> Result<()> {
    let services = Services::start().await?;
    let health = Answer::of(call(&services, Method::GET, "health")?).await?;
    ensure!(health.status == 200, "{health:?}");
    let health = health.json()?;
    ensure!(
        health["status"] == "healthy" && health["catalog"] == "healthy",
        "{health}"
    );
    for disk in ["local", "workspace"] {
        let disk = &health["disks"][disk];
        let free = disk["free_bytes"].as_u64();
        ensure!(free.context("says how much is free")? > 0, "{health}");
        ensure!(
            disk["mounted"] == true
                && disk["writable"] == true
                && disk["write_latency_ms"].is_f64(),
            "{health}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn a_field_behind_the_file_would_come_too_late_and_is_refused() -> Result<()> {
    let services = Services::start().await?;
    let file =
        "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"x\"\r\n\r\nbytes\r\n";
    let field = |name: &str, value: &str| {
        format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    };
    let (path, metadata) = (field("path", "a.csv"), field("metadata", "{}"));
    for (body, slug) in [
        (
            format!("{path}{file}{metadata}--b--\r\n"),
            "field-after-file",
        ),
        (format!("{file}{path}--b--\r\n"), "bad-request"),
        (format!("{path}{path}{file}--b--\r\n"), "bad-request"),
    ] {
        let upload = call(&services, Method::POST, "upload")?
            .header("content-type", "multipart/form-data; boundary=b")
            .body(body);
        Answer::of(upload).await?.problem(slug, 400)?;
    }
    ensure!(services.disk("local").files()?.is_empty());
    Ok(())
}

#[tokio::test]
async fn a_file_whose_digest_is_another_is_not_stored() -> Result<()> {
    let services = Services::start().await?;
    for (digest, status) in [(sha256(["else"]), 422), (sha256([TEXT]), 200)] {
        let fields = [("path", "a.csv"), ("sha256", digest.as_str())];
        let upload = form(call(&services, Method::POST, "upload")?, &fields, TEXT);
        let answer = Answer::of(upload).await?;
        ensure!(answer.status == status, "{answer:?}");
    }
    ensure!(services.disk("local").files()?.len() == 1);
    Ok(())
}

/// Metadata as the documented system's client sends it: numbers, and what is not known.
#[tokio::test]
async fn metadata_of_every_kind_is_kept() -> Result<()> {
    let services = Services::start().await?;
    let metadata =
        r#"{"file_size": 8, "cohort_id": 5, "user": null, "ok": true, "tags": ["a"], "name": "ä"}"#;
    let fields = [("path", "a.csv"), ("metadata", metadata)];
    Answer::of(form(
        call(&services, Method::POST, "upload")?,
        &fields,
        TEXT,
    ))
    .await?
    .json()?;
    let found = call(&services, Method::GET, "metadata?path=a.csv")?;
    let found = Answer::of(found).await?.json()?;
    let expected =
        json!({ "file_size": "8", "cohort_id": "5", "ok": "true", "tags": "[\"a\"]", "name": "ä" });
    ensure!(found["metadata"]["metadata"] == expected, "{found}");
    Ok(())
}
