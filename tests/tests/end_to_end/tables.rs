//! Tables against their definitions, through the real pair with the policies that ship.

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use portcullis_generator::{Csv, Definition, Expected};
use portcullis_tests::LIMIT;
use portcullis_tests::gateway::{Answer, Form, Policies, Setup, TestGateway, sha256};
use reqwest::Method;
use serde_json::Value;
use tokio::sync::oneshot;

async fn gateway() -> Result<TestGateway> {
    Setup::default().policies(Policies::Standard).start().await
}

fn table(name: &str) -> Result<Csv> {
    Ok(Csv::of(&Definition::shipped(name)?))
}

/// The errors among the findings of an answer, by row.
fn errors(answer: &Value) -> Result<Vec<(u64, Option<String>, String)>> {
    let findings = answer["findings"].as_array().context("no findings")?;
    let errors = findings
        .iter()
        .filter(|finding| finding["severity"] == "error");
    let mut errors: Vec<_> = errors
        .map(|finding| {
            let text = |key: &str| finding[key].as_str().map(str::to_owned);
            (
                finding["row"].as_u64().unwrap_or(0),
                text("column"),
                text("rule").unwrap_or_default(),
            )
        })
        .collect();
    errors.sort();
    Ok(errors)
}

fn planted(csv: &Csv) -> Vec<(u64, Option<String>, String)> {
    let place = |expected: Expected| (expected.row, expected.column, expected.rule.to_owned());
    csv.expected().into_iter().map(place).collect()
}

#[tokio::test]
async fn a_table_that_fits_is_stored_and_what_was_not_checked_is_said() -> Result<()> {
    let gateway = gateway().await?;
    let file = table("laboratory")?.rows(20_000).quoted().whole();
    let form = Form::submission("laboratory").file("laboratory.csv", file.clone());
    let receipt = gateway.upload(form).await?.receipt()?;
    ensure!(receipt["sha256"] == sha256([&file]), "{receipt}");
    let findings = receipt["findings"].as_array().context("no findings")?;
    let not_checked = findings
        .iter()
        .find(|finding| finding["rule"] == "not-checked");
    let not_checked = not_checked.context("the reference to another file is not mentioned")?;
    ensure!(not_checked["column"] == "cohortPatientId", "{not_checked}");
    // Totals are true, however many findings are listed.
    let tallies = receipt["tallies"].as_array().context("no tallies")?;
    let recommended: u64 = tallies
        .iter()
        .filter(|tally| tally["rule"] == "recommended")
        .filter_map(|tally| tally["count"].as_u64())
        .sum();
    ensure!(recommended > 5_000, "{tallies:?}");
    Ok(())
}

#[tokio::test]
async fn every_planted_error_is_in_the_answer_and_nothing_is_stored() -> Result<()> {
    let gateway = gateway().await?;
    for name in ["patient", "census", "diagnosis"] {
        let csv = table(name)?.rows(5_000).seed(3).plant_some(11);
        let form = Form::submission(name).file("table.csv", csv.whole());
        let problem = gateway
            .upload(form)
            .await?
            .problem("policy-rejected", 422)?;
        ensure!(
            problem["policy"] == "csv-schema" && problem["rule"] == "table",
            "{problem}"
        );
        ensure!(errors(&problem)? == planted(&csv), "{name}: {problem}");
        let quotes = problem["findings"].as_array().into_iter().flatten();
        ensure!(
            quotes
                .into_iter()
                .all(|finding| finding["excerpt"].is_null()),
            "{problem}"
        );
    }
    ensure!(gateway.disk("local").files()?.is_empty());
    Ok(())
}

#[tokio::test]
async fn a_table_without_a_definition_is_refused_before_it_is_sent() -> Result<()> {
    let gateway = gateway().await?;
    let form = Form::submission("nowhere").file("table.csv", "a\n1\n");
    let problem = gateway
        .upload(form)
        .await?
        .problem("policy-rejected", 422)?;
    ensure!(problem["rule"] == "table", "{problem}");
    Ok(())
}

#[tokio::test]
async fn findings_come_while_the_file_is_still_being_sent() -> Result<()> {
    let gateway = gateway().await?;
    let head =
        "cohortPatientId,diagnosis,diagnosisDate,source\nP1,PCP,2024-01-01,D1\nP2,PCP,soon,D1\n";
    let tail = "P3,PCP,2024-13-01,D1\n";
    let (go_on, wait) = oneshot::channel::<()>();
    let rest = stream::once(async move {
        // The rest is sent only after the first finding was read.
        let _ = wait.await;
        Ok::<_, std::io::Error>(Bytes::from(tail))
    });
    let body = stream::iter([Ok(Bytes::from(head))]).chain(rest);
    let target = "/uploads?cohort=c1&protocol_year=2024&table=diagnosis";
    let request = gateway
        .web_request(Method::POST, target)
        .header("content-disposition", "attachment; filename=diagnosis.csv")
        .header("content-type", "text/csv")
        .header("accept", "application/x-ndjson")
        .body(reqwest::Body::wrap_stream(body));
    let response = request.send().await?;
    ensure!(response.status() == 200, "{response:?}");
    ensure!(response.headers()["content-type"] == "application/x-ndjson");
    let mut lines = Lines::of(response);

    let first = tokio::time::timeout(LIMIT, lines.next()).await??;
    let finding = &first["finding"];
    ensure!(
        finding["row"] == 2 && finding["column"] == "diagnosisDate",
        "{first}"
    );
    ensure!(
        finding["rule"] == "date" && finding["id"].as_str().map(str::len) == Some(32),
        "{first}"
    );
    ensure!(go_on.send(()).is_ok(), "the upload has ended");

    let second = lines.next().await?;
    ensure!(second["finding"]["row"] == 3, "{second}");
    // What is not checked is said at the end.
    ensure!(lines.next().await?["finding"]["severity"] == "info");
    let last = lines.next().await?;
    ensure!(
        last["problem"]["type"] == "urn:portcullis:problem:policy-rejected",
        "{last}"
    );
    ensure!(last["problem"]["id"] == finding["id"], "{last}");
    ensure!(lines.next().await.is_err(), "more lines");
    Ok(())
}

#[tokio::test]
async fn a_form_is_answered_in_lines_with_a_receipt_or_a_problem_for_each_file() -> Result<()> {
    let gateway = gateway().await?;
    let good = table("diagnosis")?.rows(10).whole();
    let form = Form::submission("diagnosis")
        .file("a.csv", good)
        .file("b.csv", "x\n");
    let request = gateway
        .upload_request(form)
        .header("accept", "application/x-ndjson");
    let answer = Answer::of(request).await?;
    let text = String::from_utf8(answer.body.to_vec())?;
    let lines: Vec<Value> = text
        .lines()
        .map(serde_json::from_str)
        .collect::<Result<_, _>>()?;
    ensure!(
        lines
            .iter()
            .filter(|line| line["stored"].is_object())
            .count()
            == 1,
        "{text}"
    );
    let refused = lines.last().context("no lines")?;
    ensure!(
        refused["problem"]["filename"] == "b.csv" && refused["problem"]["rule"] == "header",
        "{text}"
    );
    Ok(())
}

#[tokio::test]
async fn a_form_with_more_findings_than_an_answer_holds_is_not_judged_further() -> Result<()> {
    let gateway = gateway().await?;
    let head = "cohortPatientId,diagnosis,diagnosisDate,source\n";
    let wrong = format!("{head}{}", "P1,PCP,soon,D1\n".repeat(200));
    let form = (0..80).fold(Form::submission("diagnosis"), |form, file| {
        form.file(&format!("{file}.csv"), wrong.as_str())
    });
    let problem = gateway.upload(form).await?.problem("some-rejected", 422)?;
    let uploads = problem["uploads"].as_array().context("no list")?;
    ensure!((40..70).contains(&uploads.len()), "{}", uploads.len());
    let last = uploads.last().context("is empty")?;
    let detail = last["detail"].as_str().unwrap_or_default();
    ensure!(detail.contains("over 5000 findings together"), "{last}");
    Ok(())
}

/// The lines of an answer, as they come.
struct Lines {
    response: reqwest::Response,
    read: Vec<u8>,
}

impl Lines {
    fn of(response: reqwest::Response) -> Self {
        Self {
            response,
            read: Vec::new(),
        }
    }

    async fn next(&mut self) -> Result<Value> {
        loop {
            if let Some(end) = self.read.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.read.drain(..=end).collect();
                return Ok(serde_json::from_slice(&line)?);
            }
            let more = self.response.chunk().await?.context("no more lines")?;
            self.read.extend_from_slice(&more);
        }
    }
}
