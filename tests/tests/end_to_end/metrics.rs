//! What is counted, as Prometheus and a collector read it from the two real servers.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use portcullis_telemetry::collector::Collector;
use portcullis_tests::gateway::{Form, Setup, TestGateway};

const LIMIT: Duration = Duration::from_mins(2);
const LISTEN: &str = "metrics-listen = '127.0.0.1:0'\n";
const NAME: &str = "planted-name-of-a-patient";

/// The value of the series with this name and all of these labels.
fn value(text: &str, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
    let labels: Vec<_> = labels
        .iter()
        .map(|(label, value)| format!("{label}=\"{value}\""))
        .collect();
    let of_it = |line: &&str| {
        let rest = line.strip_prefix(name);
        rest.is_some_and(|rest| rest.starts_with(['{', ' ']))
            && labels.iter().all(|label| line.contains(label))
    };
    let line = text.lines().find(of_it)?;
    line.rsplit_once(' ')?.1.parse().ok()
}

/// A pair that shows what it counts, and has stored two uploads and refused one.
async fn used(setup: Setup) -> Result<TestGateway> {
    let setup = setup.web_config(LISTEN).services_config(LISTEN);
    let gateway = setup.start().await?;
    let table = "a\n1\n".repeat(100_000);
    for (name, body) in [("small.csv", "a\n1\n"), (&format!("{NAME}.csv"), &table)] {
        gateway
            .upload(Form::submission("patient").file(name, body))
            .await?
            .receipt()?;
    }
    let program = Form::submission("patient").file("program.csv", "\x7fELF");
    gateway
        .upload(program)
        .await?
        .problem("policy-rejected", 422)?;
    Ok(gateway)
}

#[tokio::test]
async fn both_servers_show_what_they_count() -> Result<()> {
    let gateway = used(Setup::default()).await?;
    let (web, services) = (
        gateway.web.scrape().await?,
        gateway.services.scrape().await?,
    );
    let of_web = |name: &str, labels: &[(&str, &str)]| value(&web, name, labels);
    let of_services = |name: &str, labels: &[(&str, &str)]| value(&services, name, labels);
    let stored = [("portcullis_upload_outcome", "stored")];
    let rejected = [
        ("portcullis_upload_outcome", "rejected"),
        ("error_type", "rejected"),
    ];
    ensure!(
        of_web("portcullis_uploads_total", &stored) == Some(2.0),
        "{web}"
    );
    ensure!(
        of_web("portcullis_uploads_total", &rejected) == Some(1.0),
        "{web}"
    );
    ensure!(of_web("portcullis_uploads_open", &[]) == Some(0.0), "{web}");
    let judged = |policy, verdict| {
        let labels = [
            ("portcullis_policy_name", policy),
            ("portcullis_policy_verdict", verdict),
        ];
        of_web("portcullis_policy_verdicts_total", &labels)
    };
    ensure!(judged("file-type", "accept") == Some(2.0), "{web}");
    ensure!(judged("file-type", "reject") == Some(1.0), "{web}");
    let timed = [("portcullis_policy_name", "file-type")];
    ensure!(
        of_web("portcullis_policy_time_seconds_count", &timed) == Some(3.0),
        "{web}"
    );
    let posted = [("http_route", "/uploads"), ("http_request_method", "POST")];
    let name = "http_server_request_duration_seconds_count";
    let created = [("http_response_status_code", "201")];
    ensure!(
        of_web(name, &[posted, [created[0]; 2]].concat()) == Some(2.0),
        "{web}"
    );
    let bytes = |direction| [("portcullis_direction", direction)];
    let large = Some(400_004.0);
    ensure!(
        of_web("portcullis_upload_io_bytes_total", &bytes("forwarded")) == large,
        "{web}"
    );
    ensure!(
        of_services("portcullis_upload_io_bytes_total", &bytes("staged")) == large,
        "{services}"
    );
    for step in ["stage-write", "fsync", "publish", "catalog"] {
        let steps = of_services(
            "portcullis_storage_time_seconds_count",
            &[("portcullis_storage_step", step)],
        );
        ensure!(steps.is_some_and(|steps| steps > 0.0), "{step}: {services}");
    }
    let free = of_services(
        "portcullis_disk_free_bytes",
        &[("portcullis_disk", "local")],
    );
    let size = of_services(
        "portcullis_disk_size_bytes",
        &[("portcullis_disk", "local")],
    );
    ensure!(free > Some(0.0) && size >= free, "{services}");
    ensure!(!web.contains("planted") && !services.contains("planted"));
    Ok(())
}

#[tokio::test]
async fn a_collector_is_sent_metrics_too() -> Result<()> {
    let collector = Collector::start().await?;
    let setup = Setup::default().collector(collector.endpoint());
    let _gateway = used(setup.env("OTEL_METRIC_EXPORT_INTERVAL", "200")).await?;
    let has = |service: &str, name: &str| {
        collector
            .metrics()
            .contains(&(format!("portcullis-{service}"), name.to_owned()))
    };
    let all_there = |_: &[_]| {
        has("web", "portcullis.uploads")
            && has("web", "http.server.request.duration")
            && has("services", "portcullis.storage.time")
    };
    let arrived = collector.wait_for(LIMIT, all_there).await;
    ensure!(arrived.is_some(), "{:?}", collector.metrics());
    let found = memchr::memmem::find(&collector.bytes(), NAME.as_bytes());
    ensure!(found.is_none(), "the name of a file was exported");
    Ok(())
}

#[tokio::test]
async fn what_a_collector_does_not_take_is_counted_and_costs_no_upload() -> Result<()> {
    // Nobody listens there.
    let setup = Setup::default().collector("http://127.0.0.1:9".to_owned());
    let gateway = used(setup.env("OTEL_EXPORTER_OTLP_TIMEOUT", "300")).await?;
    let dropped = async {
        loop {
            let text = gateway.web.scrape().await?;
            let traces = [("portcullis_signal", "traces")];
            if value(&text, "portcullis_telemetry_dropped_total", &traces) > Some(0.0) {
                return anyhow::Ok(());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(LIMIT, dropped)
        .await
        .context("nothing is counted as dropped")?
}
