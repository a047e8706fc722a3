//! `portcullis upload`, as somebody at a research site uses it.

use std::path::Path;
use std::process::{Command, Output};

use anyhow::{Context, Result, ensure};
use portcullis_tests::gateway::{Policies, Setup, TestGateway, binary, component, sha256};
use portcullis_tests::{TlsFront, until};
use serde_json::Value;

const ATTRIBUTES: [&str; 6] = [
    "--attr",
    "cohort=c1",
    "--attr",
    "protocol_year=2024",
    "--attr",
    "table=patient",
];

fn command(gateway: &TestGateway, arguments: &[&str]) -> Command {
    let site = format!("http://{}", gateway.web.address());
    command_to(gateway, &site, arguments)
}

fn command_to(gateway: &TestGateway, site: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(binary("portcullis"));
    let state = gateway.folder().join("state");
    command
        .arg("upload")
        .args(arguments)
        .args(ATTRIBUTES)
        .args(["--to", site, "--state"])
        .arg(state);
    command
}

fn upload(gateway: &TestGateway, arguments: &[&str]) -> Result<Output> {
    Ok(command(gateway, arguments).output()?)
}

fn reports(output: &Output) -> Result<Vec<Value>> {
    let said = String::from_utf8_lossy(&output.stderr);
    serde_json::from_slice(&output.stdout).with_context(|| said.into_owned())
}

fn write(path: &Path, content: &str) -> Result<()> {
    std::fs::create_dir_all(path.parent().context("has one")?)?;
    Ok(std::fs::write(path, content)?)
}

fn text(path: &Path) -> Result<&str> {
    path.to_str().context("is UTF-8")
}

#[tokio::test]
async fn a_folder_is_stored_with_its_structure_and_each_file_has_its_receipt() -> Result<()> {
    let gateway = Setup::default()
        .policies(Policies::Set(format!(
            "allow-empty = true\n[[policy]]\nname = 'route'\ncomponent = '{}'\ndisks = ['local']\n\
             settings = {{ template = 'in/{{folder}}/{{filename}}', ignore = ['cohort', 'protocol_year', 'table'] }}\n",
            component("route-by-attributes").display()
        )))
        .start()
        .await?;
    let folder = gateway.folder().join("batch");
    let large = "patid,sex\n".repeat(200_000);
    for (path, content) in [
        ("a.csv", "a\n1\n"),
        ("more/b.csv", &large),
        ("more/empty.csv", ""),
    ] {
        write(&folder.join(path), content)?;
    }
    let output = upload(&gateway, &[text(&folder)?, "--json"])?;
    ensure!(output.status.code() == Some(0), "{output:?}");
    let reports = reports(&output)?;
    ensure!(reports.len() == 3 && reports.iter().all(|report| report["verdict"] == "stored"));
    let disk = gateway.disk("local");
    ensure!(disk.digest("in/batch/more/b.csv")? == sha256([&large]));
    ensure!(disk.files()?.len() == 3, "{:?}", disk.files()?);
    // Nothing is left of what has ended.
    ensure!(
        std::fs::read_dir(gateway.folder().join("state"))?
            .next()
            .is_none()
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_site_with_tls_is_uploaded_to_if_it_is_the_one() -> Result<()> {
    let gateway = TestGateway::start().await?;
    let front = TlsFront::start(gateway.web.address(), &gateway.folder()).await?;
    let file = gateway.folder().join("patient.csv");
    write(&file, "patid,sex\n1,F\n")?;
    let mut upload = command_to(&gateway, &front.address(), &[text(&file)?, "--json"]);
    let stranger = upload.output()?;
    ensure!(stranger.status.code() == Some(1), "{stranger:?}");
    let said = String::from_utf8_lossy(&stranger.stdout);
    ensure!(said.contains("does not prove that it is the one"), "{said}");
    ensure!(gateway.disk("local").files()?.is_empty());
    upload.env("SSL_CERT_FILE", front.certificate());
    let output = upload.output()?;
    ensure!(output.status.code() == Some(0), "{output:?}");
    ensure!(reports(&output)?[0]["verdict"] == "stored");
    ensure!(gateway.disk("local").files()?.len() == 1);
    Ok(())
}

#[tokio::test]
async fn a_refusal_is_a_table_of_findings_and_an_exit_code() -> Result<()> {
    let gateway = Setup::default()
        .policies(Policies::Standard)
        .start()
        .await?;
    let good = "cohortPatientId\n";
    let bad = gateway.folder().join("bad.csv");
    write(&bad, good)?;
    let program = gateway.folder().join("program.csv");
    write(&program, &format!("\x7fELF{}", "x".repeat(20_000)))?;
    let output = upload(&gateway, &[text(&bad)?, text(&program)?])?;
    ensure!(output.status.code() == Some(3), "{output:?}");
    let said = String::from_utf8_lossy(&output.stdout);
    for words in [
        "refused  bad.csv",
        "refused  program.csv",
        "severity",
        "missing-column",
        "2 files: 2 refused",
    ] {
        ensure!(said.contains(words), "{words}: {said}");
    }
    Ok(())
}

#[tokio::test]
async fn an_upload_that_was_killed_goes_on_in_the_next_run() -> Result<()> {
    let gateway = TestGateway::start().await?;
    let (file, disk) = (gateway.folder().join("large.csv"), gateway.disk("local"));
    let table = "patid,sex\n".repeat(20_000_000);
    write(&file, &table)?;
    let mut first = command(&gateway, &[text(&file)?]).spawn()?;
    until("no bytes arrive", || Ok(disk.staged_bytes()? > 0)).await?;
    first.kill()?;
    first.wait()?;
    ensure!(disk.files()?.is_empty(), "it was too fast");
    let state = std::fs::read_dir(gateway.folder().join("state"))?.next();
    let begun = std::fs::read_to_string(state.context("nothing is remembered")??.path())?;
    let output = upload(&gateway, &[text(&file)?, "--json"])?;
    ensure!(output.status.code() == Some(0), "{output:?}");
    let receipt = &reports(&output)?[0]["receipt"];
    let id = receipt["id"].as_str().context("no id")?;
    ensure!(begun.ends_with(id), "{begun} {id}");
    ensure!(disk.digest("submissions/c1/2024/patient/large.csv")? == sha256([&table]));
    Ok(())
}

#[tokio::test]
async fn an_upload_goes_on_when_the_web_host_is_back() -> Result<()> {
    let mut gateway = TestGateway::start().await?;
    let (file, disk) = (gateway.folder().join("large.csv"), gateway.disk("local"));
    let table = "patid,sex\n".repeat(10_000_000);
    write(&file, &table)?;
    let running = command(&gateway, &[text(&file)?, "--json"])
        .stdout(std::process::Stdio::piped())
        .spawn()?;
    until("no bytes arrive", || Ok(disk.staged_bytes()? > 0)).await?;
    gateway.web.kill().await?;
    gateway.web.start_again().await?;
    let output = tokio::task::spawn_blocking(|| running.wait_with_output()).await??;
    ensure!(output.status.code() == Some(0), "{output:?}");
    ensure!(disk.digest("submissions/c1/2024/patient/large.csv")? == sha256([&table]));
    Ok(())
}

#[tokio::test]
async fn what_cannot_be_sent_is_said_in_one_sentence() -> Result<()> {
    let gateway = TestGateway::start().await?;
    let file = gateway.folder().join("a.csv");
    write(&file, "a\n1\n")?;
    let nowhere = Command::new(binary("portcullis"))
        .args([
            "upload",
            text(&file)?,
            "--to",
            "http://127.0.0.1:9",
            "--give-up-after",
            "0",
            "--state",
        ])
        .arg(gateway.folder().join("state"))
        .output()?;
    ensure!(nowhere.status.code() == Some(1), "{nowhere:?}");
    let said = String::from_utf8_lossy(&nowhere.stdout);
    ensure!(
        said.contains("not sent  a.csv: the site cannot be reached"),
        "{said}"
    );
    for (arguments, says) in [
        (vec!["/nowhere/at/all"], "/nowhere/at/all cannot be read"),
        (vec![text(&file)?, "--attr", "cohort"], "is not KEY=VALUE"),
        (
            vec![text(&file)?, "--token-file", "/nowhere"],
            "the token file /nowhere cannot be read",
        ),
    ] {
        let refused = upload(&gateway, &arguments)?;
        let said = String::from_utf8_lossy(&refused.stderr);
        ensure!(
            refused.status.code() == Some(1) && said.contains(says),
            "{said}"
        );
        ensure!(said.trim().lines().count() == 1, "{said}");
    }
    Ok(())
}
