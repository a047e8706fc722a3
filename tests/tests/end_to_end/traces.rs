//! One trace across both hops, as a collector receives it from the two real exporters.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use portcullis_telemetry::collector::{Collector, ExportedSpan};
use portcullis_tests::gateway::{Form, Setup, TestGateway};

const LIMIT: Duration = Duration::from_secs(30);
const NAME: &str = "planted-name-of-a-patient";

/// Each span as `service: name < name of its parent`, sorted.
fn tree(spans: &[ExportedSpan]) -> Vec<String> {
    let names: BTreeMap<&str, &str> = spans
        .iter()
        .map(|span| (span.span_id.as_str(), span.name.as_str()))
        .collect();
    let line = |span: &ExportedSpan| {
        let parent = names.get(span.parent_id.as_str());
        let service = span.service.trim_start_matches("portcullis-");
        let parent = parent.copied().unwrap_or("nothing");
        format!("{service}: {} < {parent}", span.name)
    };
    let mut lines: Vec<String> = spans.iter().map(line).collect();
    lines.sort();
    lines
}

/// The spans of one trace once both servers have ended theirs.
async fn of_trace(collector: &Collector, trace: &str, last: &str) -> Result<Vec<ExportedSpan>> {
    let mine = |spans: &[ExportedSpan]| -> Vec<ExportedSpan> {
        let mine = spans.iter().filter(|span| span.trace_id == trace);
        mine.cloned().collect()
    };
    let complete = |spans: &[ExportedSpan]| {
        let mine = mine(spans);
        let has = |name: &str| mine.iter().any(|span| span.name == name);
        let root = mine.iter().any(|span| span.parent_id.is_empty());
        // Every parent has arrived too.
        let whole = mine.iter().all(|span| {
            span.parent_id.is_empty() || mine.iter().any(|other| other.span_id == span.parent_id)
        });
        root && whole && has(last)
    };
    let spans = collector.wait_for(LIMIT, complete).await;
    let seen = tree(&mine(&collector.spans()));
    Ok(mine(
        &spans.with_context(|| format!("incomplete: {seen:#?}"))?,
    ))
}

/// The spans of an upload with this body.
async fn of_upload(
    gateway: &TestGateway,
    collector: &Collector,
    body: &str,
) -> Result<Vec<ExportedSpan>> {
    let form = Form::submission("patient").file(&format!("{NAME}.csv"), body);
    let receipt = gateway.upload(form).await?.receipt()?;
    let trace = receipt["trace_id"].as_str().context("has one")?;
    of_trace(collector, trace, "publish").await
}

#[tokio::test]
async fn an_upload_is_one_trace_with_one_root_and_no_orphan() -> Result<()> {
    let collector = Collector::start().await?;
    let gateway = Setup::default()
        .collector(collector.endpoint())
        .start()
        .await?;
    // Small enough to be stored in one call.
    let spans = of_upload(&gateway, &collector, "a\n1\n").await?;
    let store = "PUT /internal/uploads/{id}";
    let expected = [
        format!("services: {store} < {store}"),
        format!("services: catalog < {store}"),
        format!("services: fsync < {store}"),
        format!("services: publish < {store}"),
        "web: POST /uploads < nothing".to_owned(),
        format!("web: {store} < POST /uploads"),
        "web: policy file-type < POST /uploads".to_owned(),
        "web: policy route-by-attributes < POST /uploads".to_owned(),
    ];
    ensure!(tree(&spans) == expected, "{:#?}", tree(&spans));
    let spans = of_upload(&gateway, &collector, &"a\n1\n".repeat(100_000)).await?;
    let commit = "POST /internal/uploads/{id}/commit";
    let expected = [
        "services: PATCH /internal/uploads/{id} < PATCH /internal/uploads/{id}".to_owned(),
        "services: POST /internal/uploads < POST /internal/uploads".to_owned(),
        format!("services: {commit} < {commit}"),
        "services: catalog < PATCH /internal/uploads/{id}".to_owned(),
        format!("services: catalog < {commit}"),
        "services: fsync < PATCH /internal/uploads/{id}".to_owned(),
        format!("services: fsync < {commit}"),
        format!("services: publish < {commit}"),
        "services: stage write < PATCH /internal/uploads/{id}".to_owned(),
        "web: PATCH /internal/uploads/{id} < POST /uploads".to_owned(),
        "web: POST /internal/uploads < POST /uploads".to_owned(),
        format!("web: {commit} < POST /uploads"),
        "web: POST /uploads < nothing".to_owned(),
        "web: policy file-type < POST /uploads".to_owned(),
        "web: policy route-by-attributes < POST /uploads".to_owned(),
    ];
    ensure!(tree(&spans) == expected, "{:#?}", tree(&spans));
    let policy = spans.iter().find(|span| span.name == "policy file-type");
    let verdict = policy.and_then(|span| span.attribute("portcullis.policy.verdict"));
    ensure!(verdict == Some("accept"), "{policy:?}");
    let bytes = collector.bytes();
    let found = memchr::memmem::find(&bytes, NAME.as_bytes());
    ensure!(found.is_none(), "the name of the file was exported");
    Ok(())
}

#[tokio::test]
async fn a_refusal_is_a_trace_too_and_says_which_policy_and_why() -> Result<()> {
    let collector = Collector::start().await?;
    let gateway = Setup::default()
        .collector(collector.endpoint())
        .start()
        .await?;
    let form = Form::submission("patient").file("patient.csv", "\x7fELF");
    let problem = gateway
        .upload(form)
        .await?
        .problem("policy-rejected", 422)?;
    let trace = problem["support_id"].as_str().context("has one")?;
    let concluded = "POST /internal/uploads/{id}/conclusion";
    let spans = of_trace(&collector, trace, concluded).await?;
    let root = spans.iter().find(|span| span.parent_id.is_empty());
    let root = root.context("there is a root")?;
    ensure!(
        root.failed && root.attribute("error.type") == Some("rejected"),
        "{root:?}"
    );
    ensure!(
        root.attribute("http.response.status_code") == Some("422"),
        "{root:?}"
    );
    let policy = spans.iter().find(|span| span.name == "policy file-type");
    let verdict = policy.and_then(|span| span.attribute("portcullis.policy.verdict"));
    ensure!(verdict == Some("reject"), "{policy:?}");
    Ok(())
}

#[tokio::test]
async fn the_clients_own_trace_becomes_a_link() -> Result<()> {
    let collector = Collector::start().await?;
    let gateway = Setup::default()
        .collector(collector.endpoint())
        .start()
        .await?;
    let theirs = "0af7651916cd43dd8448eb211c80319c";
    let request = gateway
        .web_request(
            reqwest::Method::POST,
            "/uploads?cohort=c1&protocol_year=2024&table=t",
        )
        .header("traceparent", format!("00-{theirs}-b7ad6b7169203331-01"))
        .header("tracestate", "planted=planted-state")
        .header("baggage", "planted=planted-baggage")
        .header("content-disposition", "attachment; filename=a.csv")
        .body("a\n1\n");
    let answer = portcullis_tests::gateway::Answer::of(request).await?;
    let receipt = answer.receipt()?;
    let trace = receipt["trace_id"].as_str().context("has one")?;
    ensure!(trace != theirs);
    let spans = of_trace(&collector, trace, "publish").await?;
    let root = spans.iter().find(|span| span.parent_id.is_empty());
    ensure!(root.is_some_and(|root| root.links == [theirs]), "{root:?}");
    let found = memchr::memmem::find(&collector.bytes(), b"planted-");
    ensure!(found.is_none(), "tracestate or baggage was exported");
    Ok(())
}

#[tokio::test]
async fn each_server_has_one_line_for_an_upload_and_it_names_no_file() -> Result<()> {
    let gateway = Setup::default().start().await?;
    let form = Form::submission("patient").file(&format!("{NAME}.csv"), "a\n1\n");
    let receipt = gateway.upload(form).await?.receipt()?;
    let id = receipt["id"].as_str().context("has one")?;
    for server in [&gateway.web, &gateway.services] {
        let lines = async {
            loop {
                let log = server.log();
                if log.contains(id) {
                    return log;
                }
                tokio::task::yield_now().await;
            }
        };
        let log = tokio::time::timeout(LIMIT, lines)
            .await
            .context("no line")?;
        let count = log.lines().filter(|line| line.contains(id)).count();
        ensure!(count == 1 && !log.contains(NAME), "{log}");
        let trace = receipt["trace_id"].as_str().context("has one")?;
        ensure!(log.contains(trace), "{log}");
    }
    Ok(())
}
