//! Where telemetry goes: to the collector that the standard `OTEL_EXPORTER_OTLP_*` variables name, by OTLP over HTTP.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::FutureExt;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{LogExporter, MetricExporter, SpanExporter, WithHttpConfig};
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::trace::SpanExporter as _;
use reqwest::blocking::Client;

use crate::{Signal, TelemetryError};

/// How long an export may take, where no variable says so (OpenTelemetry Protocol Exporter, "Configuration Options").
const TIMEOUT: Duration = Duration::from_secs(10);

/// Sends spans that are written already.
#[derive(Debug)]
pub(crate) struct SpanSender {
    /// It knows where to, with which headers, and what answers mean.
    exporter: SpanExporter,
    written: Arc<Mutex<Bytes>>,
}

/// What sends spans; absent where the environment names no collector.
///
/// # Errors
/// The variables cannot be used.
pub(crate) fn spans() -> Result<Option<SpanSender>, TelemetryError> {
    let Some(client) = Signal::Traces.client()? else {
        return Ok(None);
    };
    let written = Arc::<Mutex<Bytes>>::default();
    let client = Substitute {
        client,
        written: Arc::clone(&written),
    };
    let exporter = SpanExporter::builder().with_http();
    let exporter = exporter.with_http_client(client).build()?;
    Ok(Some(SpanSender { exporter, written }))
}

impl SpanSender {
    /// Sends a request of spans, and blocks until it is answered.
    pub(crate) fn send(&self, request: Vec<u8>) -> OTelSdkResult {
        *lock(&self.written) = request.into();
        // Of no spans, in whose place the client puts those that are written. It blocks, so that the future is ready when it is
        // first asked.
        let sent = self.exporter.export(Vec::new()).now_or_never();
        sent.unwrap_or(Err(OTelSdkError::Timeout(Duration::ZERO)))
    }
}

/// A client that sends what is written instead of what it is given.
#[derive(Debug)]
struct Substitute {
    client: Client,
    written: Arc<Mutex<Bytes>>,
}

#[async_trait]
impl HttpClient for Substitute {
    async fn send_bytes(&self, mut request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        *request.body_mut() = lock(&self.written).clone();
        self.client.send_bytes(request).await
    }
}

fn lock(written: &Mutex<Bytes>) -> MutexGuard<'_, Bytes> {
    written.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What sends metrics; absent where the environment names no collector.
///
/// # Errors
/// The variables cannot be used.
pub(crate) fn metrics() -> Result<Option<MetricExporter>, TelemetryError> {
    let Some(client) = Signal::Metrics.client()? else {
        return Ok(None);
    };
    let exporter = MetricExporter::builder().with_http();
    Ok(Some(exporter.with_http_client(client).build()?))
}

/// What sends lines of the log; absent where the environment names no collector.
///
/// # Errors
/// The variables cannot be used.
pub(crate) fn logs() -> Result<Option<LogExporter>, TelemetryError> {
    let Some(client) = Signal::Logs.client()? else {
        return Ok(None);
    };
    let exporter = LogExporter::builder().with_http();
    Ok(Some(exporter.with_http_client(client).build()?))
}

impl Signal {
    /// A client of its collector; absent where there is none.
    fn client(self) -> Result<Option<Client>, TelemetryError> {
        let disabled =
            read("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true"));
        let Some(endpoint) = self.read("ENDPOINT").filter(|_| !disabled) else {
            return Ok(None);
        };
        let timeout = self.read("TIMEOUT").and_then(|text| text.parse().ok());
        let timeout = timeout.map_or(TIMEOUT, Duration::from_millis);
        let has_tls = endpoint.starts_with("https:");
        let make = move || {
            let client = Client::builder().timeout(timeout);
            // The authorities of this machine are read where they are needed alone: it may have none.
            let client = if has_tls {
                client
            } else {
                client.tls_certs_only([])
            };
            client.build()
        };
        // It has a runtime of its own, which may not be made on a thread of another.
        let made = std::thread::spawn(make).join();
        let made = made.map_err(|_| TelemetryError::Authorities)?;
        made.map(Some).map_err(|_| TelemetryError::Authorities)
    }

    /// The variable for this signal, or the one for all.
    fn read(self, name: &str) -> Option<String> {
        let signal = self.as_str().to_ascii_uppercase();
        let own = read(&format!("OTEL_EXPORTER_OTLP_{signal}_{name}"));
        own.or_else(|| read(&format!("OTEL_EXPORTER_OTLP_{name}")))
    }
}

/// A variable of the environment that says something.
pub(crate) fn read(name: &str) -> Option<String> {
    std::env::var(name)
        .ok()
        .filter(|value| !value.trim().is_empty())
}
