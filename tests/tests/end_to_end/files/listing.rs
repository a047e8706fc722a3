//! What there is: lists with and without metadata, page by page, and what a prefix means.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use portcullis_tests::gateway::{Answer, Services};
use reqwest::Method;
use serde_json::{Value, json};

use super::{TEXT, call, form};

const PATHS: [&str; 6] = ["a", "b-2/x.csv", "b.csv", "b/x.csv", "b/y/z.csv", "b0"];

async fn filled() -> Result<Services> {
    let services = Services::start().await?;
    for path in PATHS {
        let upload = form(
            call(&services, Method::POST, "upload")?,
            &[("path", path)],
            TEXT,
        );
        let stored = Answer::of(upload).await?;
        ensure!(stored.status == 200, "{stored:?}");
    }
    Ok(services)
}

async fn get(services: &Services, target: &str) -> Result<Value> {
    Answer::of(call(services, Method::GET, target)?)
        .await?
        .json()
}

#[tokio::test]
async fn a_list_is_of_paths_or_of_what_is_known_of_each() -> Result<()> {
    let services = filled().await?;
    let all = get(&services, "list").await?;
    ensure!(
        all["files"] == json!(PATHS) && all["count"] == PATHS.len(),
        "{all}"
    );
    // As `requests` of Python writes its booleans.
    let known = get(&services, "list?prefix=b/&include_metadata=True").await?;
    ensure!(known["count"] == 2, "{known}");
    let first = &known["files"][0];
    ensure!(
        first["path"] == "b/x.csv" && first["size"] == TEXT.len(),
        "{known}"
    );
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs_f64();
    let age = now - first["mtime"].as_f64().context("is a number")?;
    ensure!(age.abs() < 600.0, "{known}");
    let one = get(&services, "metadata?path=b/x.csv").await?;
    ensure!(one["metadata"] == *first, "{one}");
    Ok(())
}

#[tokio::test]
async fn a_prefix_is_a_folder_or_a_file_and_never_half_a_name() -> Result<()> {
    let services = filled().await?;
    for (prefix, files) in [
        ("b", json!(["b/x.csv", "b/y/z.csv"])),
        ("b/", json!(["b/x.csv", "b/y/z.csv"])),
        ("b/y", json!(["b/y/z.csv"])),
        ("a", json!(["a"])),
        ("b/x", json!([])),
    ] {
        let list = get(&services, &format!("list?prefix={prefix}")).await?;
        ensure!(list["files"] == files, "{prefix}: {list}");
    }
    let outside = Answer::of(call(&services, Method::GET, "list?prefix=../")?).await?;
    outside.problem("unsafe-path", 400)?;
    Ok(())
}

#[tokio::test]
async fn pages_follow_one_another_without_gap_or_repetition() -> Result<()> {
    let services = filled().await?;
    for limit in 1..=PATHS.len() + 1 {
        let (mut found, mut after) = (Vec::new(), String::new());
        loop {
            let page = get(&services, &format!("list?limit={limit}&after={after}")).await?;
            let files = page["files"].as_array().context("is a list")?;
            ensure!(files.len() <= limit && !files.is_empty(), "{page}");
            found.extend(files.clone());
            match page["next"].as_str() {
                Some(next) => next.clone_into(&mut after),
                None => break,
            }
        }
        ensure!(json!(found) == json!(PATHS), "{limit}: {found:?}");
    }
    for wrong in [
        "limit=0",
        "limit=10001",
        "limit=x",
        "include_metadata=maybe",
    ] {
        let answer = Answer::of(call(&services, Method::GET, &format!("list?{wrong}"))?).await?;
        answer.problem("bad-request", 400)?;
    }
    Ok(())
}

#[tokio::test]
async fn a_file_exists_or_does_not() -> Result<()> {
    let services = filled().await?;
    for (path, exists) in [("a", true), ("b/x.csv", true), ("b", false), ("c", false)] {
        let answer = get(&services, &format!("exists?path={path}")).await?;
        ensure!(
            answer["success"] == true && answer["exists"] == exists,
            "{answer}"
        );
    }
    let missing = Answer::of(call(&services, Method::GET, "metadata?path=c")?).await?;
    missing.problem("not-found", 404)?;
    Ok(())
}

#[tokio::test]
async fn a_prefix_is_deleted_at_once_and_tried_before() -> Result<()> {
    let services = filled().await?;
    let delete = async |body: Value| -> Result<Value> {
        let request = call(&services, Method::POST, "delete_prefix")?.body(body.to_string());
        Answer::of(request).await?.json()
    };
    let tried = delete(json!({ "prefix": "b", "dry_run": true })).await?;
    ensure!(
        tried["found_count"] == 2 && tried["deleted_count"] == 0,
        "{tried}"
    );
    ensure!(tried["paths"] == json!(["b/x.csv", "b/y/z.csv"]), "{tried}");
    ensure!(get(&services, "list").await?["count"] == PATHS.len());
    let deleted = delete(json!({ "prefix": "b" })).await?;
    ensure!(
        deleted["success"] == true && deleted["deleted_count"] == 2,
        "{deleted}"
    );
    let left = get(&services, "list").await?;
    ensure!(
        left["files"] == json!(["a", "b-2/x.csv", "b.csv", "b0"]),
        "{left}"
    );
    ensure!(services.disk("local").files()?.len() == 4);
    for whole_disk in [json!({}), json!({ "prefix": "" }), json!({ "prefix": "/" })] {
        let refused = call(&services, Method::POST, "delete_prefix")?.body(whole_disk.to_string());
        Answer::of(refused).await?.problem("bad-request", 400)?;
    }
    Ok(())
}
