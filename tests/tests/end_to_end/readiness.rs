//! Whether an upload would be taken now, as balancers and operators ask.

use anyhow::{Result, ensure};
use portcullis_tests::gateway::{Answer, Contents, Form, Setup, TestGateway};
use portcullis_tests::{LIMIT, until};
use reqwest::Method;

async fn ask(gateway: &TestGateway, target: &str) -> Result<Answer> {
    Answer::of(gateway.web_request(Method::GET, target)).await
}

/// Waits until the web host answers with this status.
async fn becomes(gateway: &TestGateway, status: u16) -> Result<Answer> {
    let wait = async {
        loop {
            let answer = ask(gateway, "/readyz").await?;
            if answer.status == status {
                return Ok(answer);
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(LIMIT, wait).await?
}

fn file(contents: impl Into<Contents>) -> Form {
    Form::submission("patient").file("a.csv", contents)
}

#[tokio::test]
async fn who_has_the_key_is_told_how_the_disks_are_and_nobody_else_is() -> Result<()> {
    let gateway = TestGateway::start().await?;
    let ready = gateway.ready().await?;
    for disk in ["local", "workspace"] {
        let disk = &ready["details"]["disks"][disk];
        ensure!(disk["free-bytes"].as_u64() > Some(0), "{ready}");
        ensure!(disk["write-ms"].is_u64(), "{ready}");
    }
    ensure!(ready["details"]["uploads-open"] == 0, "{ready}");
    let public = ask(&gateway, "/readyz").await?.json()?;
    ensure!(public["status"] == "ready", "{public}");
    ensure!(public.get("details").is_none(), "{public}");
    Ok(())
}

/// The disk can be looked at, and has room; only whoever writes to it finds out.
#[tokio::test]
async fn a_disk_that_takes_nothing_is_found_before_an_upload_comes() -> Result<()> {
    let mut gateway = TestGateway::start().await?;
    becomes(&gateway, 200).await?;
    let disk = gateway.disk("workspace");
    let stages = disk.root().join(".portcullis/stages");
    std::fs::remove_dir_all(&stages)?;
    becomes(&gateway, 500)
        .await?
        .problem("storage-failed", 500)?;
    let alive = ask(&gateway, "/healthz").await?;
    ensure!(alive.status == 200, "{alive:?}");
    gateway.services.stop().await?;
    gateway.services.start_again().await?;
    becomes(&gateway, 200).await?;
    gateway.upload(file("a\n1\n")).await?.receipt()?;
    Ok(())
}

#[tokio::test]
async fn a_web_host_that_has_no_room_says_so_until_it_has() -> Result<()> {
    let setup = Setup::default().web_config("[limits]\nuploads = 1\n");
    let gateway = setup.start().await?;
    let disk = gateway.disk("local");
    let mut upload = Box::pin(gateway.upload(file(Contents::stuck(3 << 20))));
    tokio::select! {
        begun = until("bytes arrive", || Ok(!disk.staged()?.is_empty())) => begun?,
        answer = &mut upload => anyhow::bail!("it ended: {answer:?}"),
    }
    ask(&gateway, "/readyz").await?.problem("overloaded", 503)?;
    drop(upload);
    becomes(&gateway, 200).await?;
    Ok(())
}
