use std::io::IsTerminal;
use std::sync::{PoisonError, RwLock, mpsc};
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::ExporterBuildError;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::trace::{BatchSpanProcessor, SdkTracer, SdkTracerProvider};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::sampling::{InvalidSampler, Noteworthy, TracesShare};
use crate::{drops, exporter, metrics};

/// Which process this is: `service.name`, unless `OTEL_SERVICE_NAME` says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// The web host.
    Web,
    /// Services.
    Services,
}

/// The owner of what is sent. Whoever starts it shuts it down.
#[derive(Debug)]
pub struct Telemetry {
    provider: SdkTracerProvider,
    metrics: SdkMeterProvider,
}

/// Telemetry cannot be set up as the environment asks.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The `OTEL_EXPORTER_OTLP_*` variables cannot be used.
    #[error("the OTEL_EXPORTER_OTLP_* variables cannot be used: {0}")]
    Exporter(#[from] ExporterBuildError),
    /// The collector is reached by TLS, and there is nothing to tell it by.
    #[error(
        "OTEL_EXPORTER_OTLP_ENDPOINT begins with https, and no certificates of authorities are to be found on this machine; install them \
         (ca-certificates), name a file of them in SSL_CERT_FILE, or send to a collector without TLS"
    )]
    Authorities,
    /// Metrics cannot be set up: a fault of ours.
    #[error("metrics cannot be set up, which is a fault of this program; tell its makers")]
    Metrics,
    /// The variables that say which traces are sent cannot be used.
    #[error(transparent)]
    Sampler(#[from] InvalidSampler),
    /// `RUST_LOG` cannot be used.
    #[error("RUST_LOG cannot be used: {0}; write it as in RUST_LOG=info,policy=debug")]
    Log(String),
}

/// How a shut-down ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShutdownOutcome {
    /// Everything was sent, or there was nothing to send to.
    Flushed,
    /// The collector was too slow or away: what waited is lost.
    Dropped,
}

/// What is logged without `RUST_LOG`. The exporter's own lines may hold addresses; only its warnings show.
const DEFAULT_LOG: &str = "info,opentelemetry=warn,opentelemetry_sdk=warn,opentelemetry-otlp=warn,hyper=warn,hyper_util=warn,reqwest=warn";

/// Where spans go. Before anything is started they go nowhere, with identifiers as real as ever.
static PROVIDER: RwLock<Option<SdkTracerProvider>> = RwLock::new(None);

impl Telemetry {
    /// Sets up traces and the log as the standard `OTEL_*` variables and `RUST_LOG` ask. Without
    /// `OTEL_EXPORTER_OTLP_ENDPOINT` or `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT` nothing is sent. `OTEL_TRACES_SAMPLER` says which
    /// share of the traces is; those in which something fails or is refused are sent in any case.
    ///
    /// Spans wait in a bounded queue for a thread that sends them; when it is full they are dropped. No
    /// caller ever waits for the collector.
    pub fn start(service: Service) -> Result<Self, TelemetryError> {
        start_log()?;
        let resource = resource(service);
        let metrics = metrics::start(exporter::metrics()?, resource.clone())?;
        let share = TracesShare::of(
            exporter::read("OTEL_TRACES_SAMPLER").as_deref(),
            exporter::read("OTEL_TRACES_SAMPLER_ARG").as_deref(),
        )?;
        let mut provider = SdkTracerProvider::builder()
            .with_sampler(share.sampler())
            .with_resource(resource);
        if let Some(exporter) = exporter::spans()? {
            let (exporter, queue) = drops::counted(exporter);
            let batches = BatchSpanProcessor::builder(exporter).build();
            provider = provider.with_span_processor(Noteworthy::new(batches, queue));
        }
        let provider = provider.build();
        *PROVIDER.write().unwrap_or_else(PoisonError::into_inner) = Some(provider.clone());
        Ok(Self { provider, metrics })
    }

    /// Sends what waits, for at most so long. Call it outside of asynchronous code.
    pub fn shutdown(self, deadline: Duration) -> ShutdownOutcome {
        let (done, outcome) = mpsc::channel();
        let Self { provider, metrics } = self;
        // On a thread of its own: an exporter that hangs is left behind.
        let flush = move || {
            let flushed = provider.shutdown_with_timeout(deadline).is_ok();
            let flushed = metrics.shutdown_with_timeout(deadline).is_ok() && flushed;
            // Nobody listens any more when the deadline has passed.
            let _ = done.send(flushed);
        };
        if std::thread::Builder::new()
            .name("telemetry-flush".to_owned())
            .spawn(flush)
            .is_err()
        {
            return ShutdownOutcome::Dropped;
        }
        match outcome.recv_timeout(deadline) {
            Ok(true) => ShutdownOutcome::Flushed,
            _ => ShutdownOutcome::Dropped,
        }
    }
}

pub(crate) fn tracer() -> SdkTracer {
    const SCOPE: &str = "portcullis";
    if let Some(provider) = &*PROVIDER.read().unwrap_or_else(PoisonError::into_inner) {
        return provider.tracer(SCOPE);
    }
    let mut provider = PROVIDER.write().unwrap_or_else(PoisonError::into_inner);
    provider
        .get_or_insert_with(|| SdkTracerProvider::builder().build())
        .tracer(SCOPE)
}

/// Who sends: no host name, no command line, no path.
fn resource(service: Service) -> Resource {
    let name = match service {
        Service::Web => "portcullis-web",
        Service::Services => "portcullis-services",
    };
    let name = std::env::var("OTEL_SERVICE_NAME").unwrap_or_else(|_| name.to_owned());
    Resource::builder_empty()
        .with_attributes([
            KeyValue::new("service.namespace", "portcullis"),
            KeyValue::new("service.name", name),
            KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
            KeyValue::new("service.instance.id", instance_id()),
        ])
        .build()
}

/// 128 random bits: one process is told from another, and nothing else.
fn instance_id() -> String {
    portcullis_types::UploadId::generate().to_string()
}

fn start_log() -> Result<(), TelemetryError> {
    let filter = match std::env::var("RUST_LOG") {
        Ok(filter) => {
            EnvFilter::try_new(filter).map_err(|error| TelemetryError::Log(error.to_string()))?
        }
        Err(_) => EnvFilter::new(DEFAULT_LOG),
    };
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    // A process that has a log already, as a test may, keeps it.
    let _ = tracing_subscriber::registry()
        .with(filter)
        .with(lines)
        .try_init();
    Ok(())
}
