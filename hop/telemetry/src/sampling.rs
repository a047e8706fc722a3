//! Which traces are sent: a share of all, and of the others those in which something failed or was refused. Whether that is so
//! is known when a span ends, so that the spans of the others wait for it, as far as there is room.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use opentelemetry::trace::{Link, SpanContext, SpanKind, Status, TraceFlags, TraceState};
use opentelemetry::{Context, KeyValue, TraceId};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{
    Sampler, SamplingDecision, SamplingResult, ShouldSample, Span, SpanData, SpanProcessor,
};

use crate::Outcome;
use crate::delivery::Queue;
use crate::label::OUTCOME;

/// How many spans wait, in all traces together; some 4 MiB.
const MOST_WAITING: usize = 8_192;
/// How many traces are remembered that turned out to be worth sending.
const MOST_KEPT: usize = 4_096;

/// How many traces are sent in any case: from 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct TracesShare(f64);

/// The variables that say so cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "OTEL_TRACES_SAMPLER and OTEL_TRACES_SAMPLER_ARG cannot be used: write `always_on`, `always_off`, or `traceidratio` and a number from 0 to 1"
)]
pub struct InvalidSampler;

impl TracesShare {
    /// What `OTEL_TRACES_SAMPLER` and `OTEL_TRACES_SAMPLER_ARG` say (OpenTelemetry, "General SDK Configuration"); all without them.
    /// No trace is ever inherited from the public, so that what is `parentbased_` is the same as without.
    pub(crate) fn of(
        sampler: Option<&str>,
        argument: Option<&str>,
    ) -> Result<Self, InvalidSampler> {
        let sampler = sampler.unwrap_or("always_on").trim();
        match sampler.strip_prefix("parentbased_").unwrap_or(sampler) {
            "always_on" => Ok(Self(1.0)),
            "always_off" => Ok(Self(0.0)),
            "traceidratio" => {
                let share = argument.map_or(Ok(1.0), str::parse);
                let share = share.map_err(|_| InvalidSampler)?;
                if (0.0..=1.0).contains(&share) {
                    Ok(Self(share))
                } else {
                    Err(InvalidSampler)
                }
            }
            _ => Err(InvalidSampler),
        }
    }

    /// What decides when a span begins. One that is not to be sent is written down all the same.
    pub(crate) fn sampler(self) -> RecordAll {
        RecordAll(Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(
            self.0,
        ))))
    }
}

/// Writes everything down, and marks what is to be sent.
#[derive(Clone, Debug)]
pub(crate) struct RecordAll(Sampler);

impl ShouldSample for RecordAll {
    fn should_sample(
        &self,
        parent: Option<&Context>,
        trace: TraceId,
        name: &str,
        kind: &SpanKind,
        attributes: &[KeyValue],
        links: &[Link],
    ) -> SamplingResult {
        let mut result = self
            .0
            .should_sample(parent, trace, name, kind, attributes, links);
        if result.decision == SamplingDecision::Drop {
            result.decision = SamplingDecision::RecordOnly;
        }
        result
    }
}

/// Hands on what is to be sent, as far as there is room in the queue of what comes next.
#[derive(Debug)]
pub(crate) struct Noteworthy<Next> {
    next: Next,
    queue: Queue,
    waiting: Mutex<Waiting>,
}

impl<Next: SpanProcessor> Noteworthy<Next> {
    pub(crate) fn new(next: Next, queue: Queue) -> Self {
        Self {
            next,
            queue,
            waiting: Mutex::default(),
        }
    }

    fn send(&self, span: SpanData) {
        if self.queue.has_room() {
            self.next.on_end(span);
        }
    }
}

impl<Next: SpanProcessor> SpanProcessor for Noteworthy<Next> {
    fn on_start(&self, span: &mut Span, context: &Context) {
        self.next.on_start(span, context);
    }

    fn on_end(&self, span: SpanData) {
        if span.span_context.is_sampled() {
            return self.send(span);
        }
        let worth = self
            .waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .add(span);
        for span in worth {
            self.send(sampled(span));
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.next.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.next.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.next.set_resource(resource);
    }
}

/// Spans of traces of which it is not known yet whether they are worth sending.
#[derive(Debug, Default)]
struct Waiting {
    spans: HashMap<TraceId, Vec<SpanData>>,
    /// The traces, the oldest first.
    order: VecDeque<TraceId>,
    count: usize,
    kept: HashSet<TraceId>,
    kept_order: VecDeque<TraceId>,
}

impl Waiting {
    /// Takes one more span, and gives what is to be sent now.
    fn add(&mut self, span: SpanData) -> Vec<SpanData> {
        let trace = span.span_context.trace_id();
        if self.kept.contains(&trace) {
            return vec![span];
        }
        if is_noteworthy(&span) {
            self.keep(trace);
            let mut all = self.spans.remove(&trace).unwrap_or_default();
            self.count -= all.len();
            all.push(span);
            return all;
        }
        self.wait(trace, span);
        Vec::new()
    }

    fn wait(&mut self, trace: TraceId, span: SpanData) {
        let spans = self.spans.entry(trace).or_default();
        if spans.is_empty() {
            self.order.push_back(trace);
        }
        spans.push(span);
        self.count += 1;
        // The second: a trace that was sent stays in the line until it is its turn.
        while self.count > MOST_WAITING || self.order.len() > MOST_WAITING {
            let Some(oldest) = self.order.pop_front() else {
                break;
            };
            self.count -= self.spans.remove(&oldest).map_or(0, |spans| spans.len());
        }
    }

    fn keep(&mut self, trace: TraceId) {
        self.kept.insert(trace);
        self.kept_order.push_back(trace);
        if self.kept_order.len() > MOST_KEPT
            && let Some(oldest) = self.kept_order.pop_front()
        {
            self.kept.remove(&oldest);
        }
    }
}

/// Whether a trace is worth sending because of this span.
fn is_noteworthy(span: &SpanData) -> bool {
    let rejected = Outcome::Rejected.as_str();
    let says_so = |attribute: &KeyValue| {
        attribute.key.as_str() == OUTCOME && attribute.value.as_str() == rejected
    };
    matches!(span.status, Status::Error { .. }) || span.attributes.iter().any(says_so)
}

fn sampled(mut span: SpanData) -> SpanData {
    let context = &span.span_context;
    span.span_context = SpanContext::new(
        context.trace_id(),
        context.span_id(),
        TraceFlags::SAMPLED,
        context.is_remote(),
        TraceState::NONE,
    );
    span
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use opentelemetry::trace::{Span as _, TraceContextExt, Tracer, TracerProvider};
    use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};

    use super::*;
    use crate::Signal;

    /// What was handed on.
    #[derive(Clone, Debug, Default)]
    struct Sent(Arc<Mutex<Vec<SpanData>>>);

    impl SpanProcessor for Sent {
        fn on_start(&self, _: &mut Span, _: &Context) {}

        fn on_end(&self, span: SpanData) {
            self.0.lock().expect("nobody panics").push(span);
        }

        fn force_flush(&self) -> OTelSdkResult {
            Ok(())
        }

        fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
            Ok(())
        }
    }

    impl Sent {
        fn names(&self) -> Vec<String> {
            let spans = self.0.lock().expect("nobody panics");
            assert!(spans.iter().all(|span| span.span_context.is_sampled()));
            spans.iter().map(|span| span.name.to_string()).collect()
        }
    }

    fn tracer(sampler: &str, argument: Option<&str>) -> (SdkTracer, Sent) {
        let sent = Sent::default();
        let share = TracesShare::of(Some(sampler), argument).expect("is valid");
        let provider = SdkTracerProvider::builder()
            .with_sampler(share.sampler())
            .with_span_processor(Noteworthy::new(
                sent.clone(),
                Queue::with_room(Signal::Traces, MOST_WAITING),
            ))
            .build();
        (provider.tracer("test"), sent)
    }

    fn child(tracer: &SdkTracer, name: &'static str, parent: &SpanContext) {
        let parent = Context::new().with_remote_span_context(parent.clone());
        tracer.start_with_context(name, &parent).end();
    }

    #[test]
    fn a_trace_that_fails_is_sent_whole_and_one_that_does_not_is_not() {
        let (tracer, sent) = tracer("always_off", None);
        let mut good = tracer.start("good");
        child(&tracer, "child of the good", good.span_context());
        let mut bad = tracer.start("bad");
        child(&tracer, "before", bad.span_context());
        good.end();
        assert_eq!(sent.names(), Vec::<String>::new());
        let context = bad.span_context().clone();
        bad.set_status(Status::error("storage_failed"));
        bad.end();
        child(&tracer, "after", &context);
        assert_eq!(sent.names(), ["before", "bad", "after"]);
    }

    #[test]
    fn a_trace_with_a_rejection_is_sent_too() {
        let (tracer, sent) = tracer("traceidratio", Some("0"));
        let mut span = tracer.start("concluded");
        span.set_attribute(KeyValue::new(OUTCOME, Outcome::Stored.as_str()));
        span.end();
        let mut span = tracer.start("rejected");
        span.set_attribute(KeyValue::new(OUTCOME, Outcome::Rejected.as_str()));
        span.end();
        assert_eq!(sent.names(), ["rejected"]);
    }

    #[test]
    fn what_waits_is_bounded_and_the_oldest_go_first() {
        let (tracer, sent) = tracer("always_off", None);
        let mut bad = tracer.start("bad");
        child(&tracer, "forgotten", bad.span_context());
        for _ in 0..MOST_WAITING {
            tracer.start("another").end();
        }
        bad.set_status(Status::error("internal"));
        bad.end();
        assert_eq!(sent.names(), ["bad"]);
    }

    #[test]
    fn without_a_word_all_are_sent() {
        let (tracer, sent) = tracer("parentbased_always_on", None);
        tracer.start("any").end();
        assert_eq!(sent.names(), ["any"]);
        assert_eq!(TracesShare::of(None, None), Ok(TracesShare(1.0)));
    }

    #[test]
    fn a_share_is_a_number_from_0_to_1() {
        let of = |argument| TracesShare::of(Some("parentbased_traceidratio"), Some(argument));
        assert_eq!(of("0.25"), Ok(TracesShare(0.25)));
        for wrong in ["", "2", "-0.1", "NaN", "half"] {
            assert_eq!(of(wrong), Err(InvalidSampler), "{wrong}");
        }
        assert_eq!(
            TracesShare::of(Some("jaeger_remote"), None),
            Err(InvalidSampler)
        );
    }
}
