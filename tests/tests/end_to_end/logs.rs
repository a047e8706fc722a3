//! The log of the two real servers, as whoever reads their standard output and a collector find it.

use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use portcullis_telemetry::collector::{Collector, ExportedLine, ExportedSpan};
use portcullis_tests::gateway::{
    Form, KEY, Policies, Setup, TestGateway, binary, guest, refuses_to_start,
};
use portcullis_tests::{LIMIT, http_client, until};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

const ENDED: &str = "portcullis.upload.ended";

/// What is said of a trace.
fn of(trace: &Value) -> impl Fn(&Value) -> bool {
    let trace = trace.clone();
    move |line| line["trace_id"] == trace
}

/// The line about an event in a trace that a collector was sent, once there is one.
async fn exported(
    collector: &Collector,
    service: &str,
    event: &str,
    trace: &Value,
) -> Result<ExportedLine> {
    let found = || {
        let mut lines = collector.lines().into_iter();
        lines
            .find(|line| line.service == service && line.event == event && *trace == *line.trace_id)
    };
    until("there is no such line", || Ok(found().is_some())).await?;
    found().context("was there")
}

fn file(name: &str, bytes: &str) -> Form {
    Form::submission("patient").file(name, bytes)
}

#[tokio::test]
async fn each_server_has_one_line_for_an_upload_here_and_there_in_its_span() -> Result<()> {
    let collector = Collector::start().await?;
    let setup = Setup::default().collector(collector.endpoint());
    let gateway = setup.start().await?;
    let stored = gateway.upload(file("a.csv", "a\n1\n")).await?.receipt()?;
    let refused = gateway.upload(file("a.exe", "MZ")).await?;
    let refused = refused.problem("policy-rejected", 422)?;
    let uploads = [
        (&stored["id"], &stored["trace_id"], "stored"),
        (&refused["id"], &refused["support_id"], "rejected"),
    ];
    for (id, trace, outcome) in uploads {
        for (server, service) in [
            (&gateway.web, "portcullis-web"),
            (&gateway.services, "portcullis-services"),
        ] {
            let found = server.lines_about(ENDED, of(trace)).await?;
            ensure!(found.len() == 1, "{found:?}");
            let line = &found[0];
            ensure!(line["portcullis.upload.id"] == *id, "{line}");
            ensure!(line["portcullis.upload.outcome"] == outcome, "{line}");
            ensure!(line["level"] == "INFO" && line["message"] == "upload ended");
            let sent = exported(&collector, service, ENDED, trace).await?;
            ensure!(line["span_id"] == sent.span_id.as_str(), "{line} {sent:?}");
            let its_own = |spans: &[ExportedSpan]| {
                let mut spans = spans.iter();
                spans.any(|span| span.span_id == sent.span_id && *trace == *span.trace_id)
            };
            let span = collector.wait_for(LIMIT, its_own).await;
            ensure!(span.is_some(), "no span of {service} has this line: {line}");
            let upload = (
                "portcullis.upload.id".to_owned(),
                id.as_str().map(Into::into),
            );
            ensure!(
                sent.attributes
                    .iter()
                    .any(|(key, value)| (key, Some(value)) == (&upload.0, upload.1.as_ref())),
                "{sent:?}"
            );
        }
    }
    Ok(())
}

#[tokio::test]
async fn everything_that_a_server_writes_to_standard_output_is_json() -> Result<()> {
    let mut gateway = TestGateway::start().await?;
    gateway.upload(file("a.csv", "a\n1\n")).await?.receipt()?;
    gateway.web.stop().await?;
    gateway.services.stop().await?;
    for server in [&gateway.web, &gateway.services] {
        let log = server.log();
        for line in log.lines() {
            let line: Value = serde_json::from_str(line).with_context(|| line.to_owned())?;
            ensure!(line["timestamp"].is_string() && line["event"].is_string());
        }
        ensure!(log.contains("portcullis.listening") && log.contains("portcullis.stopping"));
    }
    Ok(())
}

/// What a policy writes is counted under its name, once for each upload, however much it is.
#[tokio::test]
async fn what_a_policy_writes_is_one_line_without_its_words() -> Result<()> {
    let hostile = guest("hostile");
    let settings = "{ do = 'log-flood:5000', when = 'admit' }";
    let policies = Policies::none().and("talks", &hostile, settings, "");
    let gateway = Setup::default().policies(policies).start().await?;
    let form = Form::default().file("a.csv", "a\n1\n");
    let receipt = gateway.upload(form).await?.receipt()?;
    let wrote = "portcullis.policy.wrote";
    let of_it = of(&receipt["trace_id"]);
    let found = gateway.web.lines_about(wrote, of_it).await?;
    ensure!(found.len() == 1, "{found:?}");
    let line = &found[0];
    ensure!(line["portcullis.policy.name"] == "talks", "{line}");
    ensure!(line["portcullis.policy.log.lines"] == 5000, "{line}");
    ensure!(line["portcullis.policy.log.errors"] == 5000, "{line}");
    ensure!(line["portcullis.policy.digest"].is_string(), "{line}");
    Ok(())
}

#[tokio::test]
async fn the_reason_why_policies_are_refused_stays_on_this_machine() -> Result<()> {
    let collector = Collector::start().await?;
    let setup = Setup::default().collector(collector.endpoint());
    let gateway = setup.start().await?;
    let missing = "no-such-file.wasm";
    let broken = Policies::none().and("x", missing.as_ref(), "{}", "");
    gateway.write_policies(&broken)?;
    let refused = "portcullis.policies.refused";
    let line = gateway.web.line(refused, of(&Value::Null)).await?;
    let reason = line["portcullis.reason"].as_str().context("says why")?;
    ensure!(reason.contains(missing), "{reason}");
    let nowhere = Value::from("");
    let sent = exported(&collector, "portcullis-web", refused, &nowhere).await?;
    ensure!(
        sent.level == "ERROR" && sent.attributes.is_empty(),
        "{sent:?}"
    );
    ensure!(memchr::memmem::find(&collector.bytes(), missing.as_bytes()).is_none());
    Ok(())
}

#[tokio::test]
async fn the_level_is_asked_for_and_nonsense_is_refused_in_one_sentence() -> Result<()> {
    let mut gateway = Setup::default().env("LOG_LEVEL", "warn").start().await?;
    gateway.upload(file("a.csv", "a\n1\n")).await?.receipt()?;
    gateway.web.stop().await?;
    let quiet = |line: &Value| line["level"] != "INFO" || line["event"] == "portcullis.listening";
    ensure!(gateway.web.lines().iter().all(quiet));
    for (name, value, says) in [
        (
            "LOG_LEVEL",
            "info,policy=debug",
            "one of error, warn, info and debug",
        ),
        ("LOG_FORMAT", "xml", "it is text or json"),
    ] {
        let environment = [
            ("SERVER_ROLE", "testing"),
            ("INTERNAL_API_KEY", KEY),
            (name, value),
        ];
        let (status, said) = refuses_to_start("portcullis-services", &environment, &[]).await?;
        ensure!(!status.success() && said.contains(says), "{said}");
        ensure!(said.trim().lines().count() == 1, "{said}");
    }
    Ok(())
}

#[tokio::test]
async fn a_reader_of_the_log_who_stands_still_holds_up_no_upload() -> Result<()> {
    let gateway = TestGateway::start().await?;
    let mut web = Command::new(binary("portcullis-web"))
        .env("SERVER_ROLE", "web")
        .env("INTERNAL_API_KEY", KEY)
        .env(
            "SERVICES_URL",
            format!("http://{}", gateway.services.address()),
        )
        .arg("--config")
        .arg(gateway.folder().join("web.toml"))
        .args(["--listen", "127.0.0.1:0", "--policies"])
        .arg(gateway.folder().join("policies.toml"))
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()?;
    let stdout = web.stdout.take().context("is piped")?;
    // It holds ten lines.
    rustix::pipe::fcntl_setpipe_size(&stdout, 4_096)?;
    let mut lines = BufReader::new(stdout).lines();
    let address = loop {
        let line = lines.next_line().await?.context("it ended")?;
        let line: Value = serde_json::from_str(&line)?;
        if let Some(address) = line["server.address"].as_str() {
            break address.to_owned();
        }
    };
    let client = http_client()?;
    for upload in 0..40 {
        let (content_type, body) = file(&format!("{upload}.csv"), "a\n1\n").into_body();
        let request = client.post(format!("http://{address}/uploads"));
        let request = request.header("content-type", content_type).body(body);
        let answer = request.send().await?;
        ensure!(answer.status() == 201, "{answer:?}");
    }
    let pid = i32::try_from(web.id().context("it ended")?)?;
    let pid = rustix::process::Pid::from_raw(pid).context("is one")?;
    rustix::process::kill_process(pid, rustix::process::Signal::TERM)?;
    let status = tokio::time::timeout(LIMIT, web.wait()).await;
    ensure!(status.context("it does not end")??.success());
    drop(lines);
    Ok(())
}

#[tokio::test]
async fn a_policy_that_fails_in_the_shadow_is_told_of_and_the_upload_is_stored() -> Result<()> {
    let hostile = guest("hostile");
    let settings = "{ do = 'panic', when = 'chunk' }";
    let policies = Policies::none().and("beside", &hostile, settings, "mode = 'shadow'");
    let gateway = Setup::default().policies(policies).start().await?;
    let form = Form::default().file("a.csv", "a\n1\n");
    let receipt = gateway.upload(form).await?.receipt()?;
    let failed = "portcullis.policy.failed-in-shadow";
    let line = gateway.web.line(failed, of(&receipt["trace_id"])).await?;
    ensure!(line["portcullis.policy.name"] == "beside", "{line}");
    ensure!(line["portcullis.policy.cause"] == "panic", "{line}");
    Ok(())
}
