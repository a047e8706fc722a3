use std::sync::{PoisonError, RwLock, mpsc};
use std::time::Duration;

use opentelemetry::trace::TracerProvider;
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_otlp::ExporterBuildError;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::logs::SdkLoggerProvider;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};

use crate::batches::Batches;
use crate::otlp::Envelope;
use crate::sampling::{InvalidSampler, Noteworthy, TracesShare};
use crate::{Label, Metric, Signal, delivery, exporter, log, metrics};

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
    logs: SdkLoggerProvider,
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
    /// `LOG_LEVEL` cannot be used.
    #[error("LOG_LEVEL cannot be used; it is one of error, warn, info and debug")]
    LogLevel,
    /// `LOG_FORMAT` cannot be used.
    #[error("LOG_FORMAT cannot be used; it is text or json")]
    LogFormat,
    /// No thread for spans.
    #[error(
        "the thread that sends spans cannot be started; look at the limits of this process (`ulimit -u`)"
    )]
    SpansThread,
    /// No thread for the log.
    #[error(
        "the thread that writes the log cannot be started; look at the limits of this process (`ulimit -u`)"
    )]
    LogThread,
}

/// How a shut-down ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShutdownOutcome {
    /// Everything was sent, or there was nothing to send to.
    Flushed,
    /// The collector was too slow or away: what waited is lost.
    Dropped,
}

/// Where spans go. Before anything is started they go nowhere, with identifiers as real as ever.
static PROVIDER: RwLock<Option<SdkTracerProvider>> = RwLock::new(None);

impl Telemetry {
    /// Sets up traces, metrics and the log as the standard `OTEL_*` variables, `LOG_LEVEL` and `LOG_FORMAT` ask. Without
    /// `OTEL_EXPORTER_OTLP_ENDPOINT`, or the same for one signal, nothing is sent. `OTEL_TRACES_SAMPLER` says which
    /// share of the traces is; those in which something fails or is refused are sent in any case.
    ///
    /// Spans and lines wait in bounded queues for threads that send them; when one is full they are dropped. No caller ever waits
    /// for the collector. From now on a panic says where it was, and never with what.
    pub fn start(service: Service) -> Result<Self, TelemetryError> {
        let resource = resource(service);
        let metrics = metrics::start(exporter::metrics()?, resource.clone())?;
        for signal in Signal::ALL {
            metrics::expect(Metric::Dropped, [Label::Signal(signal)]);
        }
        let logs = log::start(exporter::logs()?, resource.clone())?;
        let share = TracesShare::of(
            exporter::read("OTEL_TRACES_SAMPLER").as_deref(),
            exporter::read("OTEL_TRACES_SAMPLER_ARG").as_deref(),
        )?;
        let mut provider = SdkTracerProvider::builder().with_sampler(share.sampler());
        if let Some(exporter) = exporter::spans()? {
            let (exporter, queue) = delivery::watched(Signal::Traces, exporter);
            let envelope = Envelope::new(&resource, &scope());
            let send = move |spans, request| exporter.send(spans, request);
            let batches = Batches::start(envelope, send)?;
            provider = provider.with_span_processor(Noteworthy::new(batches, queue));
        }
        let provider = provider.build();
        *PROVIDER.write().unwrap_or_else(PoisonError::into_inner) = Some(provider.clone());
        Ok(Self {
            provider,
            metrics,
            logs,
        })
    }

    /// Sends what waits, for at most so long. Call it outside of asynchronous code.
    pub fn shutdown(self, deadline: Duration) -> ShutdownOutcome {
        let (done, outcome) = mpsc::channel();
        let Self {
            provider,
            metrics,
            logs,
        } = self;
        // On a thread of its own: an exporter that hangs is left behind.
        let flush = move || {
            let flushed = provider.shutdown_with_timeout(deadline).is_ok();
            let flushed = metrics.shutdown_with_timeout(deadline).is_ok() && flushed;
            // Last, for what the others have to say.
            let flushed = logs.shutdown_with_timeout(deadline).is_ok() && flushed;
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
        let flushed = outcome.recv_timeout(deadline);
        log::flush(deadline);
        match flushed {
            Ok(true) => ShutdownOutcome::Flushed,
            _ => ShutdownOutcome::Dropped,
        }
    }
}

pub(crate) fn tracer() -> SdkTracer {
    if let Some(provider) = &*PROVIDER.read().unwrap_or_else(PoisonError::into_inner) {
        return provider.tracer_with_scope(scope());
    }
    let mut provider = PROVIDER.write().unwrap_or_else(PoisonError::into_inner);
    provider
        .get_or_insert_with(|| SdkTracerProvider::builder().build())
        .tracer_with_scope(scope())
}

/// Of all spans.
fn scope() -> InstrumentationScope {
    InstrumentationScope::builder("portcullis").build()
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
