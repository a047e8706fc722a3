//! Forms as browsers, libraries and old programs write them.

use anyhow::{Context, Result, ensure};
use portcullis_tests::gateway::{Answer, Form, TestGateway};
use reqwest::Method;

const TABLE: &str = "patid,sex\n1,F\n";

fn folder(name: &str) -> String {
    format!("submissions/c1/2024/patient/{name}")
}

#[tokio::test]
async fn a_file_has_one_name_in_whatever_way_it_is_written() -> Result<()> {
    let gateway = TestGateway::start().await?;
    for (disposition, name) in [
        ("name=\"file\"; filename=\"a.csv\"", "a.csv"),
        ("NAME=file; FileName=b.csv", "b.csv"),
        // .NET.
        (
            "name=file; filename=\"=?utf-8?B?Y2Fmw6kxLmNzdg==?=\"; filename*=utf-8''caf%C3%A91.csv",
            "café1.csv",
        ),
        (
            "name=file; filename=\"=?utf-8?B?Y2Fmw6kyLmNzdg==?=\"",
            "café2.csv",
        ),
        (
            "name=\"file\"; filename*=UTF-8''caf%C3%A93.csv",
            "café3.csv",
        ),
        (
            "filename*=UTF-8''caf%C3%A94.csv; filename=\"c.csv\"; name=\"file\"",
            "café4.csv",
        ),
        (
            "name=\"file\"; note=\"x; filename=evil.csv \"; filename=\"safe.csv\"",
            "safe.csv",
        ),
    ] {
        let headers =
            format!("Content-Disposition: form-data; {disposition}\r\nContent-Type: text/csv");
        let form = Form::submission("patient").part(&headers, TABLE);
        gateway.upload(form).await?.receipt()?;
        let files = gateway.disk("local").files()?;
        ensure!(
            files.contains_key(&folder(name)),
            "{disposition}: {files:?}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn what_is_wrong_with_a_form_is_named() -> Result<()> {
    let gateway = TestGateway::start().await?;
    let file = "Content-Disposition: form-data; name=\"file\"; filename=\"a.csv\"";
    for (headers, slug, status, named) in [
        (
            format!("{file}\r\nContent-Transfer-Encoding: base64"),
            "unsupported-content-coding",
            415,
            "Content-Transfer-Encoding",
        ),
        (
            format!("{file}\r\nContent-Encoding: gzip"),
            "unsupported-content-coding",
            415,
            "Content-Encoding",
        ),
    ] {
        let form = Form::submission("patient").part(&headers, TABLE);
        let problem = gateway.upload(form).await?.problem(slug, status)?;
        let detail = problem["detail"].as_str().context("no detail")?;
        ensure!(detail.contains(named), "{detail}");
    }
    let by_hand = |body: Vec<u8>| {
        gateway
            .web_request(Method::POST, "/uploads")
            .header("content-type", "multipart/form-data; boundary=X")
            .body(body)
    };
    let lines = format!("--X\n{file}\n\n{TABLE}\n--X--\n").into_bytes();
    let latin = [
        &b"--X\r\nContent-Disposition: form-data; name=\"file\"; filename=\"caf\xe9.csv\"\r\n\r\n"
            [..],
        TABLE.as_bytes(),
        b"\r\n--X--\r\n",
    ];
    for (body, named) in [(lines, "end with LF"), (latin.concat(), "is not UTF-8")] {
        let problem = Answer::of(by_hand(body))
            .await?
            .problem("bad-request", 400)?;
        let detail = problem["detail"].as_str().context("no detail")?;
        ensure!(detail.contains(named), "{detail}");
    }
    ensure!(gateway.disk("local").files()?.is_empty());
    Ok(())
}

#[tokio::test]
async fn the_field_in_which_a_browser_names_its_encoding_is_no_attribute() -> Result<()> {
    let gateway = TestGateway::start().await?;
    let form = |charset: &str| {
        Form::submission("patient")
            .field("_charset_", charset)
            .file("a.csv", TABLE)
    };
    gateway.upload(form("UTF-8")).await?.receipt()?;
    let problem = gateway
        .upload(form("windows-1252"))
        .await?
        .problem("bad-request", 400)?;
    let detail = problem["detail"].as_str().context("no detail")?;
    ensure!(detail.contains("_charset_"), "{detail}");
    Ok(())
}
