//! An OTLP/HTTP collector for tests and for trying things: it keeps what it is sent, and every byte of it.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::routing::post;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value};
use opentelemetry_proto::tonic::metrics::v1::ResourceMetrics;
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

/// A collector on a free port of the loopback address, until it is dropped.
#[derive(Debug)]
pub struct Collector {
    address: SocketAddr,
    received: Arc<Received>,
    server: JoinHandle<()>,
}

/// A span as it arrived.
#[derive(Clone, Debug, PartialEq)]
pub struct ExportedSpan {
    /// `service.name` of whoever sent it.
    pub service: String,
    /// Its name.
    pub name: String,
    /// Its trace in hexadecimal.
    pub trace_id: String,
    /// Its identifier in hexadecimal.
    pub span_id: String,
    /// Its parent in hexadecimal, empty for a root.
    pub parent_id: String,
    /// Its kind: 1 internal, 2 server, 3 client.
    pub kind: i32,
    /// Its attributes as text.
    pub attributes: Vec<(String, String)>,
    /// The traces it is linked with.
    pub links: Vec<String>,
    /// Whether its status is an error.
    pub failed: bool,
    /// From when to when, in nanoseconds since 1970.
    pub times: (u64, u64),
}

/// A line of the log as it arrived.
#[derive(Clone, Debug, PartialEq)]
pub struct ExportedLine {
    /// `service.name` of whoever sent it.
    pub service: String,
    /// Its name.
    pub event: String,
    /// Its level as text.
    pub level: String,
    /// Its trace in hexadecimal, empty where it is in none.
    pub trace_id: String,
    /// Its span in hexadecimal, empty where it is in none.
    pub span_id: String,
    /// What stands beside its sentence, as text.
    pub attributes: Vec<(String, String)>,
}

#[derive(Debug, Default)]
struct Received {
    traces: Mutex<Vec<Bytes>>,
    metrics: Mutex<Vec<Bytes>>,
    logs: Mutex<Vec<Bytes>>,
    arrived: Notify,
}

impl Collector {
    /// Starts listening.
    pub async fn start() -> std::io::Result<Self> {
        Self::start_at(SocketAddr::from(([127, 0, 0, 1], 0))).await
    }

    /// Starts listening at an address.
    pub async fn start_at(address: SocketAddr) -> std::io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let received = Arc::new(Received::default());
        let router = Router::new()
            .route("/v1/traces", post(take_traces))
            .route("/v1/metrics", post(take_metrics))
            .route("/v1/logs", post(take_logs))
            .with_state(Arc::clone(&received));
        let server = tokio::spawn(async move {
            // It ends when the collector is dropped; a test that needs it longer fails by itself.
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self {
            address,
            received,
            server,
        })
    }

    /// The value for `OTEL_EXPORTER_OTLP_ENDPOINT`.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// All spans so far.
    pub fn spans(&self) -> Vec<ExportedSpan> {
        spans(&lock(&self.received.traces))
    }

    /// All requests with spans since the last time, which are then forgotten.
    pub fn drain(&self) -> Vec<Bytes> {
        std::mem::take(&mut *lock(&self.received.traces))
    }

    /// Every byte so far: whatever must not be exported must not be found in them.
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = lock(&self.received.traces).concat();
        bytes.extend(lock(&self.received.metrics).concat());
        bytes.extend(lock(&self.received.logs).concat());
        bytes
    }

    /// The metrics so far, each as who sent it and its name.
    pub fn metrics(&self) -> BTreeSet<(String, String)> {
        let requests = lock(&self.received.metrics);
        let decode = |request: &Bytes| ExportMetricsServiceRequest::decode(request.clone()).ok();
        requests
            .iter()
            .filter_map(decode)
            .flat_map(metrics)
            .collect()
    }

    /// The lines of the log so far.
    pub fn lines(&self) -> Vec<ExportedLine> {
        let requests = lock(&self.received.logs);
        let decode = |request: &Bytes| ExportLogsServiceRequest::decode(request.clone()).ok();
        requests.iter().filter_map(decode).flat_map(lines).collect()
    }

    /// Waits until the spans satisfy a condition. Absent when they do not within the time.
    pub async fn wait_for(
        &self,
        limit: Duration,
        satisfied: impl Fn(&[ExportedSpan]) -> bool,
    ) -> Option<Vec<ExportedSpan>> {
        let wait = async {
            loop {
                let arrived = self.received.arrived.notified();
                let spans = self.spans();
                if satisfied(&spans) {
                    return spans;
                }
                arrived.await;
            }
        };
        tokio::time::timeout(limit, wait).await.ok()
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl ExportedSpan {
    /// The value of an attribute.
    pub fn attribute(&self, key: &str) -> Option<&str> {
        self.attributes
            .iter()
            .find(|(known, _)| known == key)
            .map(|(_, value)| value.as_str())
    }
}

/// The spans of these requests.
pub fn spans(requests: &[Bytes]) -> Vec<ExportedSpan> {
    let decode = |request: &Bytes| ExportTraceServiceRequest::decode(request.clone()).ok();
    let decoded = requests.iter().filter_map(decode);
    decoded.flat_map(spans_of_one).collect()
}

fn metrics(request: ExportMetricsServiceRequest) -> Vec<(String, String)> {
    let of_one = |all: ResourceMetrics| {
        let service = service(all.resource);
        let scopes = all.scope_metrics.into_iter();
        let metrics = scopes.flat_map(|scope| scope.metrics);
        metrics
            .map(move |metric| (service.clone(), metric.name))
            .collect::<Vec<_>>()
    };
    request
        .resource_metrics
        .into_iter()
        .flat_map(of_one)
        .collect()
}

/// Who sent something.
fn service(resource: Option<Resource>) -> String {
    let resource = resource.map(|resource| attributes(resource.attributes));
    let mut pairs = resource.unwrap_or_default().into_iter();
    let name = pairs.find(|(key, _)| key == "service.name");
    name.map(|(_, name)| name).unwrap_or_default()
}

async fn take_traces(State(received): State<Arc<Received>>, body: Bytes) {
    received.take(&received.traces, body);
}

async fn take_metrics(State(received): State<Arc<Received>>, body: Bytes) {
    received.take(&received.metrics, body);
}

async fn take_logs(State(received): State<Arc<Received>>, body: Bytes) {
    received.take(&received.logs, body);
}

impl Received {
    fn take(&self, requests: &Mutex<Vec<Bytes>>, body: Bytes) {
        lock(requests).push(body);
        self.arrived.notify_one();
    }
}

fn lock(requests: &Mutex<Vec<Bytes>>) -> MutexGuard<'_, Vec<Bytes>> {
    requests.lock().unwrap_or_else(PoisonError::into_inner)
}

fn spans_of_one(request: ExportTraceServiceRequest) -> Vec<ExportedSpan> {
    let mut found = Vec::new();
    for resource_spans in request.resource_spans {
        let service = service(resource_spans.resource);
        for span in resource_spans
            .scope_spans
            .into_iter()
            .flat_map(|scope| scope.spans)
        {
            found.push(ExportedSpan {
                service: service.clone(),
                name: span.name,
                trace_id: hex::encode(span.trace_id),
                span_id: hex::encode(span.span_id),
                parent_id: hex::encode(span.parent_span_id),
                kind: span.kind,
                attributes: attributes(span.attributes),
                links: span
                    .links
                    .into_iter()
                    .map(|link| hex::encode(link.trace_id))
                    .collect(),
                failed: span.status.is_some_and(|status| status.code == 2),
                times: (span.start_time_unix_nano, span.end_time_unix_nano),
            });
        }
    }
    found
}

fn lines(request: ExportLogsServiceRequest) -> Vec<ExportedLine> {
    let mut found = Vec::new();
    for all in request.resource_logs {
        let service = service(all.resource);
        for record in all
            .scope_logs
            .into_iter()
            .flat_map(|scope| scope.log_records)
        {
            found.push(ExportedLine {
                service: service.clone(),
                event: record.event_name,
                level: record.severity_text,
                trace_id: hex::encode(record.trace_id),
                span_id: hex::encode(record.span_id),
                attributes: attributes(record.attributes),
            });
        }
    }
    found
}

fn attributes(pairs: Vec<KeyValue>) -> Vec<(String, String)> {
    let text = |pair: KeyValue| {
        let value = match pair.value.and_then(|value| value.value) {
            Some(Value::StringValue(text)) => text,
            Some(Value::IntValue(number)) => number.to_string(),
            Some(Value::DoubleValue(number)) => number.to_string(),
            Some(Value::BoolValue(yes)) => yes.to_string(),
            other => format!("{other:?}"),
        };
        (pair.key, value)
    };
    pairs.into_iter().map(text).collect()
}
