//! `portcullis dev`, as a newcomer runs it.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use portcullis_tests::gateway::{Answer, binary};
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

const LIMIT: Duration = Duration::from_mins(2);

fn dev(storage: &tempfile::TempDir) -> Command {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let mut command = Command::new(binary("portcullis"));
    command
        .current_dir(root)
        .args([
            "dev",
            "--web-port",
            "0",
            "--services-port",
            "0",
            "--traces-port",
            "0",
            "--web-metrics-port",
            "0",
            "--services-metrics-port",
            "0",
            "--storage",
        ])
        .arg(storage.path())
        .env_remove("OTEL_EXPORTER_OTLP_ENDPOINT")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

#[tokio::test]
async fn the_smoke_test_passes_against_the_pair_that_it_starts() -> Result<()> {
    let storage = tempfile::tempdir()?;
    let output = dev(&storage).arg("--run-tests").output();
    let output = tokio::time::timeout(LIMIT, output)
        .await
        .context("it hangs")??;
    let said = String::from_utf8_lossy(&output.stdout);
    ensure!(
        output.status.success(),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    ensure!(
        said.contains("all well") && !said.contains("FAIL"),
        "{said}"
    );
    Ok(())
}

#[tokio::test]
async fn it_says_where_everything_is_shows_each_trace_and_stops_both_on_ctrl_c() -> Result<()> {
    let storage = tempfile::tempdir()?;
    let mut child = dev(&storage).spawn()?;
    let mut lines = BufReader::new(child.stdout.take().context("is piped")?).lines();
    let mut seen = Vec::new();
    let mut next = async |wanted: &str| -> Result<String> {
        let find = async {
            while let Some(line) = lines.next_line().await? {
                seen.push(line.clone());
                if line.contains(wanted) {
                    return Ok(line);
                }
            }
            anyhow::bail!("it ended without saying {wanted}")
        };
        tokio::time::timeout(LIMIT, find)
            .await
            .context("it does not say so")?
    };
    let web = next("web host").await?;
    let web = web
        .split_whitespace()
        .last()
        .context("an address")?
        .to_owned();
    let services = next("services").await?;
    let services = services
        .split_whitespace()
        .last()
        .context("an address")?
        .to_owned();
    next("Ctrl-C").await?;

    let client = portcullis_tests::http_client()?;
    let request = client
        .post(format!(
            "{web}?cohort=c1&table=diagnosis&protocol_year=2024"
        ))
        .header("content-disposition", "attachment; filename=patient.csv")
        .body("cohortPatientId,diagnosis,diagnosisDate,source\nP1,PCP,2024-02-29,D1\n");
    let trace = Answer::of(request).await?.receipt()?["trace_id"].to_string();
    next("POST /uploads 201").await?;
    next("services: PUT /internal/uploads/{id}").await?;
    next(trace.trim_matches('"')).await?;

    let pid = Pid::from_raw(i32::try_from(child.id().context("runs")?)?).context("is a pid")?;
    kill_process(pid, Signal::INT)?;
    let ended = tokio::time::timeout(LIMIT, child.wait())
        .await
        .context("it runs on")??;
    ensure!(ended.success(), "{ended}");
    for address in [web, services] {
        let refused = client.get(&address).send().await;
        ensure!(refused.is_err(), "{address} still answers");
    }
    Ok(())
}

#[tokio::test]
async fn what_is_missing_is_one_sentence() -> Result<()> {
    let storage = tempfile::tempdir()?;
    for (arguments, says) in [
        (
            ["--policies", "/nowhere"],
            "there is no /nowhere/policies.toml",
        ),
        (["--api-key", "short"], "16 to 512"),
    ] {
        let output = dev(&storage).args(arguments).output().await?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(!output.status.success() && said.contains(says), "{said}");
        ensure!(said.trim().lines().count() == 1, "{said}");
    }
    Ok(())
}
