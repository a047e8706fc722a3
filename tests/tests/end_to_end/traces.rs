//! One trace across both hops, as a collector receives it from the two real exporters.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use portcullis_telemetry::collector::{Collector, ExportedSpan};
use portcullis_tests::gateway::{
    Answer, Contents, Form, KEY, Policies, Setup, TestGateway, TusUpload, guest,
};
use reqwest::Method;

const LIMIT: Duration = Duration::from_mins(2);
const NAME: &str = "planted-name-of-a-patient";

/// Each span as `service: name < name of its parent`, sorted.
fn tree(spans: &[ExportedSpan]) -> Vec<String> {
    let names: BTreeMap<&str, &str> = spans
        .iter()
        .map(|span| (span.span_id.as_str(), span.name.as_str()))
        .collect();
    let line = |span: &ExportedSpan| {
        let parent = names.get(span.parent_id.as_str());
        let parent = parent.copied().unwrap_or("nothing");
        format!("{} < {parent}", label(span))
    };
    let mut lines: Vec<String> = spans.iter().map(line).collect();
    lines.sort();
    lines
}

/// A span as `service: name`.
fn label(span: &ExportedSpan) -> String {
    let service = span.service.trim_start_matches("portcullis-");
    format!("{service}: {}", span.name)
}

/// A pair, and the collector that both send to.
async fn watched(setup: Setup) -> Result<(Collector, TestGateway)> {
    let collector = Collector::start().await?;
    let gateway = setup.collector(collector.endpoint()).start().await?;
    Ok((collector, gateway))
}

/// The spans of one trace, once all parents and these have arrived, each as `service: name`. The two servers send theirs at
/// different times, and both ends of a call have its name.
async fn of_trace(
    collector: &Collector,
    trace: &str,
    awaited: &[&str],
) -> Result<Vec<ExportedSpan>> {
    let mine = |spans: &[ExportedSpan]| -> Vec<ExportedSpan> {
        let mine = spans.iter().filter(|span| span.trace_id == trace);
        mine.cloned().collect()
    };
    let complete = |spans: &[ExportedSpan]| {
        let mine = mine(spans);
        let all = awaited
            .iter()
            .all(|awaited| mine.iter().any(|span| label(span) == *awaited));
        let root = mine.iter().any(|span| span.parent_id.is_empty());
        // Every parent has arrived too.
        let whole = mine.iter().all(|span| {
            span.parent_id.is_empty() || mine.iter().any(|other| other.span_id == span.parent_id)
        });
        root && whole && all
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
    of_trace(collector, trace, &["services: publish"]).await
}

#[tokio::test]
async fn an_upload_is_one_trace_with_one_root_and_no_orphan() -> Result<()> {
    let (collector, gateway) = watched(Setup::default()).await?;
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
    let (collector, gateway) = watched(Setup::default()).await?;
    let form = Form::submission("patient").file("patient.csv", "\x7fELF");
    let problem = gateway
        .upload(form)
        .await?
        .problem("policy-rejected", 422)?;
    let trace = problem["support_id"].as_str().context("has one")?;
    let concluded = "services: POST /internal/uploads/{id}/conclusion";
    let spans = of_trace(&collector, trace, &[concluded]).await?;
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
    let (collector, gateway) = watched(Setup::default()).await?;
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
    let spans = of_trace(&collector, trace, &["services: publish"]).await?;
    let root = spans.iter().find(|span| span.parent_id.is_empty());
    ensure!(root.is_some_and(|root| root.links == [theirs]), "{root:?}");
    let found = memchr::memmem::find(&collector.bytes(), b"planted-");
    ensure!(found.is_none(), "tracestate or baggage was exported");
    Ok(())
}

/// The trace that an answer names.
fn trace_of(answer: &Answer) -> Result<String> {
    let timing = answer.header("server-timing");
    let timing = timing.with_context(|| format!("no trace: {answer:?}"))?;
    let trace = timing.split('-').nth(1).context("is no traceparent")?;
    ensure!(answer.header("support-id") == Some(trace), "{answer:?}");
    Ok(trace.to_owned())
}

#[tokio::test]
async fn whatever_services_answer_names_its_trace() -> Result<()> {
    let gateway = TestGateway::start().await?;
    for (method, target, status) in [
        (Method::GET, "/internal/storage/list", 200),
        (Method::GET, "/internal/storage/download?path=none", 404),
        (Method::GET, "/nowhere", 404),
        (Method::PATCH, "/internal/storage/list", 405),
    ] {
        let request = gateway.services_request(method, target);
        let answer = Answer::of(request.header("x-api-key", KEY)).await?;
        ensure!(answer.status == status, "{target}: {answer:?}");
        let trace = trace_of(&answer)?;
        if status != 200 {
            ensure!(answer.json()?["support_id"] == trace, "{answer:?}");
        }
    }
    let keyless = gateway.services_request(Method::GET, "/internal/storage/list");
    let answer = Answer::of(keyless).await?;
    ensure!(answer.status == 401, "{answer:?}");
    trace_of(&answer)?;
    Ok(())
}

#[tokio::test]
async fn every_request_of_an_upload_is_in_its_trace() -> Result<()> {
    let (collector, gateway) = watched(Setup::default()).await?;
    let table = "a\n1\n".repeat(100_000);
    let (first, rest) = table.split_at(table.len() / 2);
    let created = Answer::of(
        gateway
            .tus_create("patient.csv")
            .header("upload-length", table.len()),
    );
    let created = created.await?;
    let trace = trace_of(&created)?;
    let upload = TusUpload::of(&created)?;
    let theirs = "0af7651916cd43dd8448eb211c80319c";
    let half = upload
        .bytes(&gateway, 0, first.as_bytes().to_vec())
        .header("traceparent", format!("00-{theirs}-b7ad6b7169203331-01"));
    for answer in [
        Answer::of(half).await?,
        upload.head(&gateway).await?,
        upload
            .send(&gateway, first.len() as u64, rest.as_bytes().to_vec())
            .await?,
        upload.head(&gateway).await?,
        Answer::of(upload.request(&gateway, Method::GET)).await?,
    ] {
        ensure!((200..300).contains(&answer.status), "{answer:?}");
        ensure!(trace_of(&answer)? == trace, "{answer:?}");
    }
    let awaited = ["web: GET /uploads/{id}", "services: publish"];
    let spans = of_trace(&collector, &trace, &awaited).await?;
    let of = |name: &'static str| spans.iter().filter(move |span| span.name == name);
    ensure!(of("PATCH /uploads/{id}").count() == 2 && of("HEAD /uploads/{id}").count() == 2);
    ensure!(of("publish").count() == 1, "{:#?}", tree(&spans));
    // A policy lives from the first request to the last: none of those between is its parent.
    let policy = "web: policy file-type < POST /uploads".to_owned();
    ensure!(tree(&spans).contains(&policy), "{:#?}", tree(&spans));
    let linked = of("PATCH /uploads/{id}").filter(|span| span.links.contains(&theirs.to_owned()));
    ensure!(linked.count() == 1, "the client's own trace is not linked");
    Ok(())
}

#[tokio::test]
async fn what_is_refused_is_sent_by_both_hops_however_few_traces_are() -> Result<()> {
    let settings = "{ do = 'reject', when = 'finish' }";
    let more = "match = { hostile = 'reject' }";
    let setup = Setup::default()
        .env("OTEL_TRACES_SAMPLER", "always_off")
        .policies(Policies::one("says-no", &guest("hostile"), settings, more));
    let (collector, gateway) = watched(setup).await?;
    // Long enough to be stored by several calls.
    let table = "a\n1\n".repeat(100_000);
    let form = Form::default().file("good.csv", table.as_str());
    let stored = gateway.upload(form).await?;
    stored.receipt()?;
    let form = Form::default().field("hostile", "reject");
    let refused = gateway.upload(form.file("bad.csv", table.as_str())).await?;
    let problem = refused.problem("policy-rejected", 422)?;
    let trace = problem["support_id"].as_str().context("has one")?;
    let awaited = [
        "web: POST /uploads",
        "web: policy says-no",
        "services: POST /internal/uploads",
        "services: PATCH /internal/uploads/{id}",
        "services: POST /internal/uploads/{id}/conclusion",
    ];
    of_trace(&collector, trace, &awaited).await?;
    let other = trace_of(&stored)?;
    ensure!(collector.spans().iter().all(|span| span.trace_id != other));
    Ok(())
}

#[tokio::test]
async fn a_long_upload_is_seen_while_it_comes() -> Result<()> {
    let (collector, gateway) = watched(Setup::default()).await?;
    let (piece, pieces) = ("a,b\n1,2\n".repeat(10_000), 2);
    let upload = gateway.tus_begin("slow.csv", pieces * piece.len()).await?;
    let (bytes, body) = Contents::by_hand();
    let request = upload.bytes(&gateway, 0, body);
    let sending = tokio::spawn(Answer::of(request));
    bytes.send(piece.clone().into()).await?;
    let is_alive = |spans: &[ExportedSpan]| {
        let mut named = spans.iter().filter(|span| span.name == "progress");
        named.any(|span| span.attribute("portcullis.bytes") == Some(&piece.len().to_string()))
    };
    let seen = collector.wait_for(LIMIT, is_alive).await;
    let seen = seen.context("nothing is seen of it")?;
    ensure!(!sending.is_finished());
    ensure!(
        seen.iter().any(|span| span.name == "stage write"),
        "{:#?}",
        tree(&seen)
    );
    bytes.send(piece.clone().into()).await?;
    drop(bytes);
    ensure!(sending.await??.status == 204);
    Ok(())
}

#[tokio::test]
async fn every_answer_names_its_trace() -> Result<()> {
    let (collector, gateway) = watched(Setup::default().tokens_only()).await?;
    let unknown = "/uploads/00000000000000000000000000000000";
    for (method, target, status) in [
        (Method::GET, "/", 200),
        (Method::GET, "/assets/licenses.md", 200),
        (Method::GET, "/assets/nothing", 404),
        (Method::GET, "/healthz", 200),
        (Method::GET, "/readyz", 200),
        (Method::OPTIONS, "/uploads", 204),
        (Method::POST, "/uploads", 401),
        (Method::HEAD, unknown, 423),
        (Method::GET, unknown, 401),
        (Method::PUT, unknown, 405),
        (Method::GET, "/uploads/planted-name", 404),
        (Method::GET, "/planted-name", 404),
        (Method::DELETE, "/", 405),
    ] {
        let request = gateway.web_request(method.clone(), target);
        let request = if target == unknown {
            request.header("tus-resumable", "1.0.0")
        } else {
            request
        };
        let answer = Answer::of(request).await?;
        ensure!(answer.status == status, "{method} {target}: {answer:?}");
        let trace = trace_of(&answer)?;
        let arrived = |spans: &[ExportedSpan]| {
            let root = spans
                .iter()
                .find(|span| span.trace_id == trace && span.parent_id.is_empty());
            root.is_some_and(|root| {
                root.attribute("http.response.status_code") == Some(&status.to_string())
            })
        };
        let arrived = collector.wait_for(LIMIT, arrived).await;
        ensure!(arrived.is_some(), "{method} {target} is in no trace");
    }
    let found = memchr::memmem::find(&collector.bytes(), b"planted-name");
    ensure!(found.is_none(), "an address was exported");
    Ok(())
}
