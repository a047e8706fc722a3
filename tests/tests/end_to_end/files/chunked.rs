//! Files in numbered chunks.

use anyhow::{Context, Result, ensure};
use portcullis_tests::gateway::{Answer, Services, sha256};
use reqwest::Method;
use serde_json::Value;

use super::call;

const PIECES: [&str; 3] = ["a,b\n", "1,2\n", "3,4\n"];

/// A call without a file, as `requests` of Python sends it.
async fn urlencoded(services: &Services, fields: &str) -> Result<Answer> {
    let request = call(services, Method::POST, "upload_chunked")?
        .header("content-type", "application/x-www-form-urlencoded")
        .body(fields.to_owned());
    Answer::of(request).await
}

async fn init(services: &Services, path: &str) -> Result<String> {
    let begun = urlencoded(services, &format!("action=init&path={path}&disk=local")).await?;
    let begun = begun.json()?;
    ensure!(begun["success"] == true, "{begun}");
    Ok(begun["upload_id"].as_str().context("is a text")?.to_owned())
}

async fn chunk(services: &Services, id: &str, number: usize, bytes: &str) -> Result<Answer> {
    Answer::of(chunk_request(services, id, number, bytes, "\r\n--b--\r\n")?).await
}

fn chunk_request(
    services: &Services,
    id: &str,
    number: usize,
    bytes: &str,
    end: &str,
) -> Result<reqwest::RequestBuilder> {
    let body = format!(
        "--b\r\nContent-Disposition: form-data; name=\"upload_id\"\r\n\r\n{id}\r\n\
         --b\r\nContent-Disposition: form-data; name=\"chunk_num\"\r\n\r\n{number}\r\n\
         --b\r\nContent-Disposition: form-data; name=\"action\"\r\n\r\nchunk\r\n\
         --b\r\nContent-Disposition: form-data; name=\"chunk\"; filename=\"chunk\"\r\n\r\n{bytes}{end}"
    );
    let request = call(services, Method::POST, "upload_chunked")?;
    Ok(request
        .header("content-type", "multipart/form-data; boundary=b")
        .body(body))
}

async fn complete(services: &Services, id: &str, chunks: usize) -> Result<Answer> {
    let fields = format!("action=complete&upload_id={id}&total_chunks={chunks}");
    urlencoded(services, &fields).await
}

#[tokio::test]
async fn a_file_in_chunks_is_stored_when_all_are_there() -> Result<()> {
    let services = Services::start().await?;
    let id = init(&services, "reports/big.csv").await?;
    for (number, piece) in PIECES.iter().enumerate() {
        let taken = chunk(&services, &id, number, piece).await?.json()?;
        ensure!(
            taken["success"] == true && taken["chunk_num"] == number,
            "{taken}"
        );
        ensure!(services.disk("local").files()?.is_empty());
    }
    let stored = complete(&services, &id, 3).await?.json()?;
    ensure!(
        stored["path"] == "reports/big.csv" && stored["chunks"] == 3,
        "{stored}"
    );
    ensure!(stored["size"] == 12, "{stored}");
    ensure!(services.disk("local").digest("reports/big.csv")? == sha256(PIECES));
    Ok(())
}

/// The client of the documented system repeats every call that is answered with 503, or not at all.
#[tokio::test]
async fn every_call_of_it_may_be_sent_again() -> Result<()> {
    let services = Services::start().await?;
    let id = init(&services, "a.csv").await?;
    let mut answers = Vec::new();
    for (number, piece) in PIECES.iter().enumerate() {
        for _ in 0..2 {
            answers.push(chunk(&services, &id, number, piece).await?);
        }
    }
    for _ in 0..2 {
        answers.push(complete(&services, &id, 3).await?);
    }
    for answer in &answers {
        ensure!(answer.status == 200, "{answer:?}");
    }
    let last = |back: usize| -> Result<Value> { answers[answers.len() - back].json() };
    ensure!(last(1)? == last(2)?, "{} {}", last(1)?, last(2)?);
    ensure!(services.disk("local").digest("a.csv")? == sha256(PIECES));
    Ok(())
}

#[tokio::test]
async fn a_chunk_that_breaks_off_counts_for_nothing_and_is_sent_again() -> Result<()> {
    let services = Services::start().await?;
    let id = init(&services, "a.csv").await?;
    ensure!(chunk(&services, &id, 0, PIECES[0]).await?.status == 200);
    let broken = chunk_request(&services, &id, 1, "half", "")?;
    Answer::of(broken).await?.problem("bad-request", 400)?;
    for (number, piece) in PIECES.iter().enumerate().skip(1) {
        let taken = chunk(&services, &id, number, piece).await?;
        ensure!(taken.status == 200, "{taken:?}");
    }
    ensure!(complete(&services, &id, 3).await?.status == 200);
    ensure!(services.disk("local").digest("a.csv")? == sha256(PIECES));
    Ok(())
}

#[tokio::test]
async fn a_chunk_out_of_order_or_with_other_bytes_is_refused() -> Result<()> {
    let services = Services::start().await?;
    let id = init(&services, "a.csv").await?;
    let early = chunk(&services, &id, 1, PIECES[1]).await?;
    let early = early.problem("chunk-mismatch", 409)?;
    ensure!(early["expected"] == 0, "{early}");
    ensure!(chunk(&services, &id, 0, PIECES[0]).await?.status == 200);
    let other = chunk(&services, &id, 0, PIECES[1]).await?;
    other.problem("chunk-mismatch", 409)?;
    let empty = chunk(&services, &id, 1, "").await?;
    empty.problem("bad-request", 400)?;
    let short = complete(&services, &id, 2).await?;
    short.problem("chunk-mismatch", 409)?;
    let unknown = chunk(&services, &"0".repeat(32), 0, PIECES[0]).await?;
    unknown.problem("not-found", 404)?;
    let nothing = urlencoded(&services, "action=begin&path=a.csv").await?;
    nothing.problem("bad-request", 400)?;
    ensure!(services.disk("local").files()?.is_empty());
    ensure!(complete(&services, &id, 1).await?.status == 200);
    let after = chunk(&services, &id, 1, PIECES[1]).await?;
    after.problem("upload-ended", 409)?;
    Ok(())
}

#[tokio::test]
async fn what_nobody_goes_on_with_is_cleaned_up() -> Result<()> {
    let services = Services::start().await?;
    let id = init(&services, "a.csv").await?;
    ensure!(chunk(&services, &id, 0, PIECES[0]).await?.status == 200);
    let cleanup = async |body: &str| -> Result<Value> {
        let request = call(&services, Method::POST, "cleanup")?.body(body.to_owned());
        Answer::of(request).await?.json()
    };
    for (body, found, gone) in [
        (r#"{"hours": 1}"#, 0, false),
        (r#"{"hours": 0, "dry_run": true}"#, 1, false),
        (r#"{"hours": 0}"#, 1, true),
        (r#"{"hours": 0}"#, 0, true),
    ] {
        let cleaned = cleanup(body).await?;
        ensure!(cleaned["result"]["found"] == found, "{body}: {cleaned}");
        ensure!(cleaned["result"]["cleaned"] == found, "{body}: {cleaned}");
        let next = complete(&services, &id, 9).await?;
        next.problem(
            if gone {
                "upload-ended"
            } else {
                "chunk-mismatch"
            },
            409,
        )?;
    }
    let wrong = call(&services, Method::POST, "cleanup")?.body(r#"{"hours": -1}"#);
    Answer::of(wrong).await?.problem("bad-request", 400)?;
    Ok(())
}
