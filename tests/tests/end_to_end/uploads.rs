//! Files cross both hops and lie where the policies say.

use anyhow::{Context, Result, ensure};
use portcullis_tests::gateway::{Answer, Form, TestGateway, sha256};

const GOOD: &str = "patid,sex\n1,F\n2,M\n";
const PATH: &str = "submissions/c1/2024/patient/patient.csv";

#[tokio::test]
async fn a_form_with_a_csv_is_judged_stored_and_answered_with_a_receipt() -> Result<()> {
    let gateway = TestGateway::start().await?;
    let form = Form::submission("patient").file("patient.csv", GOOD);
    let receipt = gateway.upload(form).await?.receipt()?;
    ensure!(receipt["status"] == "accepted", "{receipt}");
    ensure!(
        receipt["disk"] == "local" && receipt["path"] == PATH,
        "{receipt}"
    );
    ensure!(
        receipt["version"] == 1 && receipt["size"] == GOOD.len(),
        "{receipt}"
    );
    ensure!(receipt["sha256"] == sha256([GOOD]), "{receipt}");
    ensure!(receipt["findings"] == serde_json::json!([]), "{receipt}");
    let policies = receipt["policies"].as_array().map(Vec::len);
    ensure!(
        policies == Some(2) && receipt["policies"][0]["name"] == "file-type",
        "{receipt}"
    );
    ensure!(receipt["policies"][0]["verdict"] == "accept", "{receipt}");
    ensure!(
        receipt["trace_id"]
            .as_str()
            .is_some_and(|id| id.len() == 32),
        "{receipt}"
    );
    ensure!(gateway.disk("local").digest(PATH)? == sha256([GOOD]));
    Ok(())
}

#[tokio::test]
async fn a_raw_body_is_an_upload_with_its_attributes_in_the_query() -> Result<()> {
    let gateway = TestGateway::start().await?;
    let query = "cohort=c1&protocol_year=2024&table=patient";
    let receipt = gateway
        .upload_raw(query, "patient.csv", GOOD)
        .await?
        .receipt()?;
    ensure!(receipt["path"] == PATH, "{receipt}");
    ensure!(gateway.disk("local").digest(PATH)? == sha256([GOOD]));
    Ok(())
}

#[tokio::test]
async fn several_files_of_a_form_are_committed_together_after_its_end() -> Result<()> {
    let gateway = TestGateway::start().await?;
    let form = Form::submission("patient")
        .file("a.csv", GOOD)
        .file("b.csv", "x\n1\n");
    let answer = gateway.upload(form).await?;
    ensure!(answer.status == 201, "{answer:?}");
    let uploads = answer.json()?["uploads"].take();
    ensure!(uploads.as_array().map(Vec::len) == Some(2), "{uploads}");
    ensure!(gateway.disk("local").files()?.len() == 2);
    Ok(())
}

#[tokio::test]
async fn an_elf_that_is_called_csv_is_refused_with_a_sentence_and_nothing_is_visible() -> Result<()>
{
    let gateway = TestGateway::start().await?;
    let elf = [b"\x7fELF\x02\x01\x01\0".to_vec(), vec![0; 100_000]].concat();
    let form = Form::submission("patient").file("patient.csv", elf);
    let problem = gateway
        .upload(form)
        .await?
        .problem("policy-rejected", 422)?;
    ensure!(
        problem["policy"] == "file-type" && problem["rule"] == "executable",
        "{problem}"
    );
    ensure!(problem["policies"][0]["verdict"] == "reject", "{problem}");
    ensure!(gateway.disk("local").files()?.is_empty());
    ensure!(gateway.disk("local").staged()?.is_empty());
    Ok(())
}

#[tokio::test]
async fn the_record_of_a_refusal_stays_on_services() -> Result<()> {
    let gateway = TestGateway::start().await?;
    for form in [
        Form::submission("patient").file("patient.exe", "MZ"),
        Form::submission("patient").file("patient.csv", "\x7fELF"),
    ] {
        let problem = gateway
            .upload(form)
            .await?
            .problem("policy-rejected", 422)?;
        let record = gateway.record(&problem["id"]).await?;
        ensure!(record["status"]["state"] == "rejected", "{record}");
        ensure!(gateway.disk("local").files()?.is_empty());
        ensure!(
            record["conclusion"]["refusal"]["rule"] == problem["rule"],
            "{record}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn an_upload_to_an_existing_path_becomes_its_next_version() -> Result<()> {
    let gateway = TestGateway::start().await?;
    for (version, text) in [(1, "a\n1\n"), (2, "a\n2\n")] {
        let form = Form::submission("patient").file("patient.csv", text);
        let receipt = gateway.upload(form).await?.receipt()?;
        ensure!(receipt["version"] == version, "{receipt}");
        ensure!(gateway.disk("local").digest(PATH)? == sha256([text]));
    }
    Ok(())
}

#[tokio::test]
async fn the_audit_says_who_sent_an_upload_and_from_where() -> Result<()> {
    let gateway = TestGateway::start().await?;
    let form = Form::submission("patient").file("patient.csv", "patid,sex\n1,F\n");
    let request = gateway.upload_request(form);
    // The proxy on the same machine is believed, and whoever it names first is not.
    let request = request.header("x-forwarded-for", "198.51.100.1, 203.0.113.7");
    let receipt = Answer::of(request).await?.receipt()?;
    let id = receipt["id"].as_str().context("no id")?;
    let output = gateway.on_services("audit", &["export", "--upload", id])?;
    let row: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    ensure!(row["action"] == "created", "{row}");
    ensure!(row["client"] == "203.0.113.7", "{row}");
    ensure!(row["path"] == receipt["path"], "{row}");
    ensure!(row["trace_id"] == receipt["trace_id"], "{row}");
    ensure!(!row["details"]["policies"].is_null(), "{row}");
    let verified = gateway.on_services("audit", &["verify"])?;
    ensure!(verified.status.success(), "{verified:?}");
    Ok(())
}
