//! What operators do on the days after: backups, and keys that change.

use anyhow::{Context, Result, ensure};
use portcullis_tests::gateway::{Answer, Form, KEY, TestGateway, sha256};
use reqwest::Method;

const BODY: &str = "patid,sex\n1,F\n";

fn form(name: &str) -> Form {
    Form::submission("patient").file(name, BODY)
}

/// Copies a folder as `rsync -aH` does: hard links stay hard links.
fn copy(from: &std::path::Path, to: &std::path::Path) -> Result<()> {
    let status = std::process::Command::new("cp")
        .arg("--archive")
        .args([from, to])
        .status()?;
    ensure!(status.success(), "cp: {status}");
    Ok(())
}

#[tokio::test]
async fn what_was_backed_up_is_there_again_after_everything_is_lost() -> Result<()> {
    let mut gateway = TestGateway::start().await?;
    let before = gateway.upload(form("before.csv")).await?.receipt()?;
    let safe = tempfile::tempdir()?;
    let catalog = safe.path().join("catalog.sqlite");
    let output = gateway.on_services("backup", &[&catalog.to_string_lossy()])?;
    ensure!(output.status.success(), "{output:?}");
    // Stored between the two copies: the disk has it, and the catalog does not.
    gateway.upload(form("between.csv")).await?.receipt()?;
    copy(&gateway.folder().join("local"), safe.path())?;
    let again = gateway.on_services("backup", &[&catalog.to_string_lossy()])?;
    let said = String::from_utf8_lossy(&again.stderr);
    ensure!(
        !again.status.success() && said.contains("is there already"),
        "{said}"
    );

    gateway.services.kill().await?;
    for name in [
        "local",
        "catalog.sqlite",
        "catalog.sqlite-wal",
        "catalog.sqlite-shm",
    ] {
        let path = gateway.folder().join(name);
        if path.is_dir() {
            std::fs::remove_dir_all(path)?;
        } else if path.exists() {
            std::fs::remove_file(path)?;
        }
    }
    copy(&safe.path().join("local"), &gateway.folder())?;
    copy(&catalog, &gateway.folder())?;
    gateway.services.start_again().await?;

    let path = before["path"].as_str().context("has one")?;
    let request = gateway
        .services_request(Method::GET, "/internal/storage/download")
        .header("x-api-key", KEY)
        .query(&[("path", path)]);
    ensure!(Answer::of(request).await?.body == BODY);
    ensure!(gateway.disk("local").digest(path)? == sha256([BODY]));
    let (code, report) = gateway.services.doctor(&[]).await?;
    ensure!(code == 0, "{report}");
    // What came after the copy of the catalog is still on the disk, and in nobody's way but its own.
    ensure!(gateway.disk("local").staged()?.len() == 2);
    gateway.services.says("the catalog does not know").await?;
    let taken = gateway.upload(form("between.csv")).await?;
    taken.problem("path-taken", 409)?;
    // It goes on from there: these bytes are known again, and others are the next version.
    let other = Form::submission("patient").file("before.csv", "patid,sex\n2,M\n");
    for (form, version) in [(form("before.csv"), 1), (other, 2)] {
        let next = gateway.upload(form).await?.receipt()?;
        ensure!(next["version"] == version, "{next}");
    }
    Ok(())
}
