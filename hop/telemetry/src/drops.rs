//! What a collector is not sent is counted: spans for which there is no room in the queue, and those that it does not take.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use opentelemetry_otlp::MetricExporter;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::metrics::Temporality;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::trace::{SpanData, SpanExporter};

use crate::exporter::read;
use crate::metrics::count;
use crate::{Label, Metric, Signal};

/// How many spans wait to be sent, where `OTEL_BSP_MAX_QUEUE_SIZE` does not say so (OpenTelemetry, "Batch Span Processor").
const QUEUE: usize = 2_048;

/// The exporter, and what watches the queue before it.
pub(crate) fn counted<E: SpanExporter>(exporter: E) -> (Counted<E>, Queue) {
    let most = read("OTEL_BSP_MAX_QUEUE_SIZE").and_then(|text| text.parse().ok());
    let queue = Queue::of(most.unwrap_or(QUEUE));
    let waiting = Arc::clone(&queue.waiting);
    (Counted { exporter, waiting }, queue)
}

/// How full the queue is.
#[derive(Debug)]
pub(crate) struct Queue {
    waiting: Arc<AtomicUsize>,
    most: usize,
}

impl Queue {
    /// An empty one, for so many spans.
    pub(crate) fn of(most: usize) -> Self {
        Self {
            waiting: Arc::default(),
            most,
        }
    }

    /// Whether there is room for one more span, which then takes it. Without room the span counts as dropped.
    pub(crate) fn has_room(&self) -> bool {
        let has_room = self.waiting.fetch_add(1, Ordering::Relaxed) < self.most;
        if !has_room {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            dropped(Signal::Traces, 1);
        }
        has_room
    }
}

/// Sends spans, and counts those that were not taken.
#[derive(Debug)]
pub(crate) struct Counted<E> {
    exporter: E,
    waiting: Arc<AtomicUsize>,
}

impl<E: SpanExporter> SpanExporter for Counted<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len();
        self.waiting.fetch_sub(spans, Ordering::Relaxed);
        let sent = self.exporter.export(batch).await;
        if sent.is_err() {
            dropped(Signal::Traces, spans);
        }
        sent
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

/// Sends metrics, and counts how often they were not taken. Nothing is lost by that but the moment: they add up.
#[derive(Debug)]
pub(crate) struct CountedMetrics(pub(crate) MetricExporter);

impl PushMetricExporter for CountedMetrics {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        let sent = self.0.export(metrics).await;
        if sent.is_err() {
            dropped(Signal::Metrics, 1);
        }
        sent
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.0.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.0.shutdown_with_timeout(timeout)
    }

    fn temporality(&self) -> Temporality {
        self.0.temporality()
    }
}

fn dropped(signal: Signal, items: usize) {
    count(Metric::Dropped, items as u64, [Label::Signal(signal)]);
}
