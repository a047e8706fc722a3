//! Downloads: ranges, conditions and digests (RFC 9110, RFC 9530).

use anyhow::{Result, ensure};
use portcullis_tests::gateway::{Answer, Services, sha256};
use reqwest::Method;

use super::{call, form};

const DIGITS: &str = "0123456789";

async fn filled() -> Result<Services> {
    let services = Services::start().await?;
    let fields = [("path", "ä b/digits.txt"), ("content_type", "text/plain")];
    let upload = form(call(&services, Method::POST, "upload")?, &fields, DIGITS);
    ensure!(Answer::of(upload).await?.status == 200);
    Ok(services)
}

async fn read(services: &Services, method: Method, headers: &[(&str, &str)]) -> Result<Answer> {
    let mut request = call(services, method, "download?path=%C3%A4%20b/digits.txt")?;
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    Answer::of(request).await
}

fn header<'a>(answer: &'a Answer, name: &str) -> &'a str {
    let value = answer.headers.get(name);
    value
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
}

#[tokio::test]
async fn a_whole_file_says_what_it_is() -> Result<()> {
    let services = filled().await?;
    for (method, body) in [(Method::GET, DIGITS), (Method::HEAD, "")] {
        let whole = read(&services, method, &[]).await?;
        ensure!(whole.status == 200 && whole.body == body, "{whole:?}");
        ensure!(header(&whole, "content-length") == "10", "{whole:?}");
        ensure!(header(&whole, "content-type") == "text/plain", "{whole:?}");
        ensure!(header(&whole, "accept-ranges") == "bytes", "{whole:?}");
        ensure!(
            header(&whole, "etag") == format!("\"{}\"", sha256([DIGITS])),
            "{whole:?}"
        );
        ensure!(
            header(&whole, "content-disposition") == "attachment; filename=\"digits.txt\"",
            "{whole:?}"
        );
        // The digest of `0123456789`, by `openssl dgst -sha256 -binary | base64`.
        let digest = "sha-256=:hNiYd/DUBB77a/kaFvAkjy/Vc+avBcGflr7bn4gveII=:";
        ensure!(header(&whole, "repr-digest") == digest, "{whole:?}");
        ensure!(
            header(&whole, "last-modified").ends_with("GMT"),
            "{whole:?}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn a_range_is_the_bytes_that_it_names() -> Result<()> {
    let services = filled().await?;
    for (range, status, says, body) in [
        ("bytes=0-3", 206, "bytes 0-3/10", "0123"),
        ("bytes=9-", 206, "bytes 9-9/10", "9"),
        ("bytes=5-99", 206, "bytes 5-9/10", "56789"),
        ("bytes=-4", 206, "bytes 6-9/10", "6789"),
        ("bytes=-99", 206, "bytes 0-9/10", DIGITS),
        // Several ranges and other units may be left aside.
        ("bytes=0-1,4-5", 200, "", DIGITS),
        ("lines=0-1", 200, "", DIGITS),
    ] {
        let part = read(&services, Method::GET, &[("range", range)]).await?;
        ensure!(
            part.status == status && part.body == body,
            "{range}: {part:?}"
        );
        ensure!(header(&part, "content-range") == says, "{range}: {part:?}");
        ensure!(
            header(&part, "content-length") == body.len().to_string(),
            "{part:?}"
        );
    }
    let behind = read(&services, Method::GET, &[("range", "bytes=10-")]).await?;
    behind.problem("range-not-satisfiable", 416)?;
    ensure!(
        header(&behind, "content-range") == "bytes */10",
        "{behind:?}"
    );
    Ok(())
}

#[tokio::test]
async fn conditions_are_kept() -> Result<()> {
    let services = filled().await?;
    let tag = format!("\"{}\"", sha256([DIGITS]));
    let (this, other) = (tag.as_str(), "\"other\"");
    let past = "Thu, 01 Jan 1970 00:00:00 GMT";
    let future = "Fri, 01 Jan 2100 00:00:00 GMT";
    for (headers, status) in [
        (vec![("if-none-match", this)], 304),
        (vec![("if-none-match", "*")], 304),
        (vec![("if-none-match", other)], 200),
        (vec![("if-modified-since", future)], 304),
        (vec![("if-modified-since", past)], 200),
        (vec![("if-match", this)], 200),
        (vec![("if-match", other)], 412),
        (vec![("if-unmodified-since", past)], 412),
        (vec![("range", "bytes=0-1"), ("if-range", this)], 206),
        (vec![("range", "bytes=0-1"), ("if-range", other)], 200),
    ] {
        let answer = read(&services, Method::GET, &headers).await?;
        ensure!(answer.status == status, "{headers:?}: {answer:?}");
    }
    Ok(())
}
