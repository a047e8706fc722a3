//! Whether traces arrive.

use std::time::Duration;

use portcullis_telemetry::{Collected, probe};

use super::Check;

const CHECK: &str = "collector";
/// How long the collector may take to answer.
const ANSWER: Duration = Duration::from_secs(10);

/// Sends nothing to the collector, in the way in which spans are sent.
pub async fn collector() -> Check {
    let probed = tokio::task::spawn_blocking(|| probe(ANSWER)).await;
    match probed.unwrap_or(Collected::TooSlow) {
        Collected::NotConfigured => Check::ok(
            CHECK,
            "no collector is set (OTEL_EXPORTER_OTLP_ENDPOINT); traces and metrics go nowhere",
        ),
        Collected::Taken => Check::ok(CHECK, "the collector takes traces"),
        Collected::TooSlow => {
            not_taken(&format!("it did not answer within {} s", ANSWER.as_secs()))
        }
        Collected::Failed(why) => not_taken(&why),
    }
}

/// Uploads do not notice, so it is none of their problems.
fn not_taken(why: &str) -> Check {
    Check::warning(
        CHECK,
        format!(
            "the collector does not take traces ({why}); uploads go on, and their traces are lost"
        ),
        "see that it runs and takes OTLP over HTTP at OTEL_EXPORTER_OTLP_ENDPOINT (usually port 4318)",
    )
}
