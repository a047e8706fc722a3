//! Calls with a key are done once, however often they are sent.

use anyhow::{Result, ensure};
use portcullis_tests::gateway::{Answer, Services};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use super::{TEXT, call, form};

fn keyed(request: RequestBuilder, key: &str) -> RequestBuilder {
    request.header("idempotency-key", key)
}

async fn count(services: &Services) -> Result<Value> {
    let list = call(services, Method::GET, "list?include_metadata=true")?;
    Ok(Answer::of(list).await?.json()?["files"].take())
}

#[tokio::test]
async fn a_file_that_is_sent_again_under_its_key_is_stored_once() -> Result<()> {
    let services = Services::start().await?;
    let upload = async |key: &str, path: &str, text: &str| -> Result<Answer> {
        let request = form(
            call(&services, Method::POST, "upload")?,
            &[("path", path)],
            text,
        );
        Answer::of(keyed(request, key)).await
    };
    let first = upload("one", "a.csv", TEXT).await?.json()?;
    let again = upload("one", "a.csv", TEXT).await?.json()?;
    ensure!(first == again && first["version"] == 1, "{first} {again}");
    let quoted = upload("\"one\"", "a.csv", TEXT).await?.json()?;
    ensure!(quoted == first, "{quoted}");
    for (path, text) in [("b.csv", TEXT), ("a.csv", "other")] {
        let reused = upload("one", path, text).await?;
        reused.problem("idempotency-key-reused", 422)?;
    }
    ensure!(upload("two", "a.csv", TEXT).await?.json()?["success"] == true);
    let wrong = upload("a b", "a.csv", TEXT).await?;
    wrong.problem("bad-request", 400)?;
    ensure!(
        count(&services)
            .await?
            .as_array()
            .is_some_and(|files| files.len() == 1)
    );
    Ok(())
}

#[tokio::test]
async fn a_file_that_was_not_stored_is_sent_again_under_the_same_key() -> Result<()> {
    let services = Services::start().await?;
    let digest = [("path", "a.csv"), ("sha256", &"0".repeat(64))];
    let wrong = form(call(&services, Method::POST, "upload")?, &digest, TEXT);
    Answer::of(keyed(wrong, "k"))
        .await?
        .problem("digest-mismatch", 422)?;
    let right = form(
        call(&services, Method::POST, "upload")?,
        &[("path", "a.csv")],
        TEXT,
    );
    ensure!(Answer::of(keyed(right, "k")).await?.status == 200);
    Ok(())
}

#[tokio::test]
async fn deleting_and_beginning_again_give_the_first_answer() -> Result<()> {
    let services = Services::start().await?;
    for path in ["a/1", "a/2", "b"] {
        let upload = form(
            call(&services, Method::POST, "upload")?,
            &[("path", path)],
            TEXT,
        );
        ensure!(Answer::of(upload).await?.status == 200);
    }
    for (target, body) in [
        ("delete", json!({ "path": "b" })),
        ("delete_prefix", json!({ "prefix": "a" })),
    ] {
        let send = async |key: &str| -> Result<Answer> {
            let request = call(&services, Method::POST, target)?.body(body.to_string());
            Answer::of(keyed(request, key)).await
        };
        let first = send(target).await?;
        ensure!(first.status == 200, "{first:?}");
        ensure!(send(target).await?.body == first.body, "{first:?}");
    }
    let mut ids = Vec::new();
    for key in ["x", "x", "y"] {
        let request = call(&services, Method::POST, "upload_chunked")?
            .header("content-type", "application/x-www-form-urlencoded")
            .body("action=init&path=c");
        let begun = Answer::of(keyed(request, key)).await?.json()?;
        ids.push(begun["upload_id"].clone());
    }
    ensure!(ids[0] == ids[1] && ids[1] != ids[2], "{ids:?}");
    Ok(())
}
