//! Counting and measuring. Before telemetry is started, and where nobody asks for metrics, it costs next to nothing.

use std::sync::OnceLock;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Histogram, Meter, MeterProvider as _};
use opentelemetry_otlp::MetricExporter;
use opentelemetry_prometheus::PrometheusExporter;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::{PeriodicReader, SdkMeterProvider};
use prometheus::{Registry, TextEncoder};

use crate::delivery;
use crate::label::Label;
use crate::metric::{Declared, Kind, Metric};
use crate::{Signal, TelemetryError};

/// The instruments, once telemetry is started.
static INSTRUMENTS: OnceLock<Instruments> = OnceLock::new();

struct Instruments {
    registry: Registry,
    meter: Meter,
    /// By the place of the metric in its list.
    made: Vec<Instrument>,
}

enum Instrument {
    Counter(Counter<u64>),
    Histogram(Histogram<f64>),
    /// It is made when somebody has something to show.
    Gauge,
}

/// Adds to a counter.
pub fn count(metric: Metric, n: u64, labels: impl IntoIterator<Item = Label>) {
    if let Some(Instrument::Counter(counter)) = made(metric) {
        counter.add(n, &written(metric, labels));
    }
}

/// Has a counter be there before there is anything to count: what only appears with its first event seems never to have grown by it.
pub fn expect(metric: Metric, labels: impl IntoIterator<Item = Label>) {
    count(metric, 0, labels);
}

/// Adds a value to a histogram, in the unit of the metric.
pub fn measure(metric: Metric, value: f64, labels: impl IntoIterator<Item = Label>) {
    if let Some(Instrument::Histogram(histogram)) = made(metric) {
        histogram.record(value, &written(metric, labels));
    }
}

fn made(metric: Metric) -> Option<&'static Instrument> {
    INSTRUMENTS.get()?.made.get(metric as usize)
}

/// Has a gauge ask for its values whenever somebody looks. It is asked on a thread on which it may block for a moment, for as
/// long as the process lives.
pub fn observe(
    metric: Metric,
    look: impl Fn() -> Vec<(u64, Option<Label>)> + Send + Sync + 'static,
) {
    let Some(Instruments { meter, .. }) = INSTRUMENTS.get() else {
        return;
    };
    let Declared {
        name, unit, about, ..
    } = metric.declared();
    let gauge = meter.u64_observable_gauge(name);
    let gauge = gauge.with_unit(unit).with_description(about);
    gauge
        .with_callback(move |observer| {
            for (value, label) in look() {
                observer.observe(value, &written(metric, label));
            }
        })
        .build();
}

/// All values now, as Prometheus reads them (its text format, version 0.0.4).
pub fn text() -> String {
    let families = INSTRUMENTS
        .get()
        .map(|instruments| instruments.registry.gather());
    // It can only fail where a family is not whole, which the exporter sees to.
    let text = TextEncoder::new().encode_to_string(&families.unwrap_or_default());
    text.unwrap_or_default()
}

fn written(metric: Metric, labels: impl IntoIterator<Item = Label>) -> Vec<KeyValue> {
    let mut written = Vec::with_capacity(4);
    for label in labels {
        label.write(&mut written);
    }
    debug_assert!(
        written
            .iter()
            .all(|pair| metric.declared().labels.contains(&pair.key.as_str())),
        "{metric:?} does not declare one of {written:?}"
    );
    written
}

/// Begins to count, for whoever asks: a collector, to which it is sent from time to time, and Prometheus. Whoever has what this
/// gives shuts it down.
pub(crate) fn start(
    exporter: Option<MetricExporter>,
    resource: Resource,
) -> Result<SdkMeterProvider, TelemetryError> {
    let registry = Registry::new();
    let scraped: PrometheusExporter = opentelemetry_prometheus::exporter()
        .with_registry(registry.clone())
        .scope_info_enabled(false)
        .build()
        .map_err(|_| TelemetryError::Metrics)?;
    let mut provider = SdkMeterProvider::builder()
        .with_resource(resource)
        .with_reader(scraped);
    if let Some(exporter) = exporter {
        let exporter = delivery::watched_alone(Signal::Metrics, exporter);
        provider = provider.with_reader(PeriodicReader::builder(exporter).build());
    }
    let provider = provider.build();
    // A process that has them already, as a test may, keeps them.
    let _ = INSTRUMENTS.set(Instruments::of(&provider, registry));
    Ok(provider)
}

impl Instruments {
    fn of(provider: &SdkMeterProvider, registry: Registry) -> Self {
        let meter = provider.meter("portcullis");
        let make = |metric: Metric| {
            let Declared {
                name,
                unit,
                kind,
                about,
                ..
            } = metric.declared();
            match kind {
                Kind::Counter => {
                    let counter = meter.u64_counter(name).with_unit(unit);
                    Instrument::Counter(counter.with_description(about).build())
                }
                Kind::Histogram(bounds) => {
                    let histogram = meter.f64_histogram(name).with_unit(unit);
                    let histogram = histogram.with_description(about);
                    let histogram = histogram.with_boundaries(bounds.to_vec());
                    Instrument::Histogram(histogram.build())
                }
                Kind::Gauge => Instrument::Gauge,
            }
        };
        Self {
            registry,
            made: Metric::ALL.map(make).into(),
            meter,
        }
    }
}
