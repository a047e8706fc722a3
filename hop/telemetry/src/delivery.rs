//! What a collector is not sent is counted: spans and lines for which there is no room in their queue, and whatever it does not
//! take. The log says when it begins and when it ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::logs::{LogBatch, LogExporter};
use opentelemetry_sdk::metrics::Temporality;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;

use crate::exporter::{SpanSender, read};
use crate::metrics::count;
use crate::{Label, Line, Metric, Signal, log};

/// How many spans or lines wait to be sent, where no variable says so (OpenTelemetry, "Batch Span Processor" and "Batch `LogRecord`
/// Processor").
const QUEUE: usize = 2_048;

/// The exporter, and what watches the queue before it.
pub(crate) fn watched<E>(signal: Signal, exporter: E) -> (Watched<E>, Queue) {
    let queue = Queue::of(signal);
    let waiting = Arc::clone(&queue.waiting);
    (Watched::new(signal, exporter, waiting), queue)
}

/// The exporter of what does not wait in a queue.
pub(crate) fn watched_alone<E>(signal: Signal, exporter: E) -> Watched<E> {
    Watched::new(signal, exporter, Arc::default())
}

/// How full a queue is.
#[derive(Debug)]
pub(crate) struct Queue {
    signal: Signal,
    waiting: Arc<AtomicUsize>,
    most: usize,
}

impl Queue {
    fn of(signal: Signal) -> Self {
        let variable = match signal {
            Signal::Logs => "OTEL_BLRP_MAX_QUEUE_SIZE",
            _ => "OTEL_BSP_MAX_QUEUE_SIZE",
        };
        let most = read(variable).and_then(|text| text.parse().ok());
        Self::with_room(signal, most.unwrap_or(QUEUE))
    }

    /// An empty one, for so many.
    pub(crate) fn with_room(signal: Signal, most: usize) -> Self {
        Self {
            signal,
            waiting: Arc::default(),
            most,
        }
    }

    /// Whether there is room for one more, which then takes it. Without room it counts as dropped.
    pub(crate) fn has_room(&self) -> bool {
        let has_room = self.waiting.fetch_add(1, Ordering::Relaxed) < self.most;
        if !has_room {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            dropped(self.signal, 1);
        }
        has_room
    }
}

/// Sends, and counts what was not taken.
#[derive(Debug)]
pub(crate) struct Watched<E> {
    signal: Signal,
    exporter: E,
    waiting: Arc<AtomicUsize>,
    is_away: AtomicBool,
}

impl<E> Watched<E> {
    fn new(signal: Signal, exporter: E, waiting: Arc<AtomicUsize>) -> Self {
        Self {
            signal,
            exporter,
            waiting,
            is_away: AtomicBool::new(false),
        }
    }

    /// So many are no longer waiting.
    fn took(&self, items: usize) {
        self.waiting.fetch_sub(items, Ordering::Relaxed);
    }

    fn sent(&self, items: usize, sent: OTelSdkResult) -> OTelSdkResult {
        if sent.is_err() {
            dropped(self.signal, items);
        }
        let line = match (self.is_away.swap(sent.is_err(), Ordering::Relaxed), &sent) {
            (false, Err(_)) => Some(Line::CollectorAway),
            (true, Ok(())) => Some(Line::CollectorBack),
            _ => None,
        };
        if let Some(line) = line {
            log(line, [Label::Signal(self.signal).into()]);
        }
        sent
    }
}

impl Watched<SpanSender> {
    /// Sends a request of so many spans.
    pub(crate) fn send(&self, spans: usize, request: Vec<u8>) -> OTelSdkResult {
        self.took(spans);
        self.sent(spans, self.exporter.send(request))
    }
}

impl<E: LogExporter> LogExporter for Watched<E> {
    async fn export(&self, batch: LogBatch<'_>) -> OTelSdkResult {
        let lines = batch.iter().count();
        self.took(lines);
        self.sent(lines, self.exporter.export(batch).await)
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

/// Of metrics nothing is lost but the moment: they add up.
impl<E: PushMetricExporter> PushMetricExporter for Watched<E> {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        self.sent(1, self.exporter.export(metrics).await)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn temporality(&self) -> Temporality {
        self.exporter.temporality()
    }
}

pub(crate) fn dropped(signal: Signal, items: usize) {
    count(Metric::Dropped, items as u64, [Label::Signal(signal)]);
}
