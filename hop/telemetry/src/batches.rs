//! Spans wait here, written, for the thread that sends them: many at once, or whatever there is after a while.

use std::collections::VecDeque;
use std::mem;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use opentelemetry::Context;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::trace::{Span, SpanData, SpanProcessor};

use crate::TelemetryError;
use crate::exporter::read;
use crate::otlp::{self, Envelope};

/// How many spans one request has at most, and how long one waits for others, where no variable says so (OpenTelemetry, "Batch
/// Span Processor").
const MOST: usize = 512;
const DELAY: Duration = Duration::from_secs(5);

/// Takes spans that have ended. Whoever has room for them keeps count of it.
#[derive(Debug)]
pub(crate) struct Batches {
    waiting: Arc<Waiting>,
    most: usize,
}

#[derive(Debug, Default)]
struct Waiting {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    full: VecDeque<Batch>,
    open: Batch,
    asked: Asked,
    thread: Doing,
    /// The last one that was sent was not taken.
    has_failed: bool,
}

/// What is wanted of the thread, the less before the more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Asked {
    #[default]
    Nothing,
    /// Somebody waits until all is sent.
    Flush,
    /// There will be no more.
    End,
}

/// What it does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Doing {
    #[default]
    Waiting,
    Sending,
    Ended,
}

/// Spans, one after another as they are sent.
#[derive(Debug, Default)]
struct Batch {
    spans: usize,
    written: Vec<u8>,
}

impl Batches {
    /// Begins to send requests, each with so many spans.
    pub(crate) fn start(
        envelope: Envelope,
        send: impl Fn(usize, Vec<u8>) -> OTelSdkResult + Send + 'static,
    ) -> Result<Self, TelemetryError> {
        let number = |variable| read(variable).and_then(|text| text.parse().ok());
        let delay = number("OTEL_BSP_SCHEDULE_DELAY").map_or(DELAY, Duration::from_millis);
        let most = number("OTEL_BSP_MAX_EXPORT_BATCH_SIZE").and_then(|most| most.try_into().ok());
        let waiting = Arc::<Waiting>::default();
        let sent = Arc::clone(&waiting);
        let send_all = move || {
            while let Some(batch) = sent.next(delay) {
                let outcome = send(batch.spans, envelope.request(&batch.written));
                sent.end_one(outcome.is_err());
            }
        };
        let started = thread::Builder::new()
            .name("spans".to_owned())
            .spawn(send_all);
        started.map_err(|_| TelemetryError::SpansThread)?;
        Ok(Self {
            waiting,
            most: most.unwrap_or(MOST).max(1),
        })
    }
}

impl SpanProcessor for Batches {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        let mut state = self.waiting.lock();
        state.open.add(&span);
        if state.open.spans >= self.most {
            let room = state.open.written.len();
            let full = mem::replace(&mut state.open, Batch::with_room(room));
            state.full.push_back(full);
            self.waiting.changed.notify_all();
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.waiting.ask(DELAY, Asked::Flush, State::is_idle)
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        let is_over = |state: &State| state.thread == Doing::Ended;
        self.waiting.ask(timeout, Asked::End, is_over)
    }
}

impl Waiting {
    /// The next batch, once it is time for one; none when there will be no more.
    fn next(&self, delay: Duration) -> Option<Batch> {
        loop {
            let is_early =
                |state: &mut State| state.full.is_empty() && state.asked == Asked::Nothing;
            let waited = self
                .changed
                .wait_timeout_while(self.lock(), delay, is_early);
            let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
            if let Some(batch) = state.take() {
                state.thread = Doing::Sending;
                return Some(batch);
            }
            self.changed.notify_all();
            if state.asked == Asked::End {
                state.thread = Doing::Ended;
                return None;
            }
            state.asked = Asked::Nothing;
        }
    }

    /// The one that was taken is sent, or lost.
    fn end_one(&self, has_failed: bool) {
        let mut state = self.lock();
        state.thread = Doing::Waiting;
        state.has_failed = has_failed;
        self.changed.notify_all();
    }

    /// Has the thread do something, and waits until it is done, for at most so long.
    fn ask(
        &self,
        timeout: Duration,
        asked: Asked,
        is_done: impl Fn(&State) -> bool,
    ) -> OTelSdkResult {
        let mut state = self.lock();
        state.asked = state.asked.max(asked);
        self.changed.notify_all();
        let waited = self
            .changed
            .wait_timeout_while(state, timeout, |state| !is_done(state));
        let (state, waited) = waited.unwrap_or_else(PoisonError::into_inner);
        if waited.timed_out() {
            Err(OTelSdkError::Timeout(timeout))
        } else if state.has_failed {
            let why = "the collector did not take them".to_owned();
            Err(OTelSdkError::InternalFailure(why))
        } else {
            Ok(())
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The oldest batch, which may be the one that is not full.
    fn take(&mut self) -> Option<Batch> {
        let full = self.full.pop_front();
        full.or_else(|| (self.open.spans > 0).then(|| mem::take(&mut self.open)))
    }

    fn is_idle(&self) -> bool {
        self.full.is_empty() && self.open.spans == 0 && self.thread == Doing::Waiting
    }
}

impl Batch {
    /// For about as many bytes as the one before had.
    fn with_room(bytes: usize) -> Self {
        Self {
            spans: 0,
            written: Vec::with_capacity(bytes),
        }
    }

    fn add(&mut self, span: &SpanData) {
        otlp::write(span, &mut self.written);
        self.spans += 1;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use opentelemetry::InstrumentationScope;
    use opentelemetry::trace::{Tracer, TracerProvider};
    use opentelemetry_sdk::Resource;
    use opentelemetry_sdk::trace::SdkTracerProvider;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(30);

    fn provider(
        send: impl Fn(usize, Vec<u8>) -> OTelSdkResult + Send + 'static,
    ) -> SdkTracerProvider {
        let scope = InstrumentationScope::builder("test").build();
        let envelope = Envelope::new(&Resource::builder_empty().build(), &scope);
        let batches = Batches::start(envelope, send).expect("there is a thread");
        let provider = SdkTracerProvider::builder().with_span_processor(batches);
        provider.build()
    }

    fn end(provider: &SdkTracerProvider, spans: usize) {
        let tracer = provider.tracer("test");
        (0..spans).for_each(|_| drop(tracer.start("any")));
    }

    #[test]
    fn a_full_batch_is_sent_at_once_and_the_rest_when_it_is_asked_for() {
        let (sent, batches) = mpsc::channel();
        let provider = provider(move |spans, _| {
            sent.send(spans).expect("is waited for");
            Ok(())
        });
        end(&provider, 2 * MOST + 1);
        assert_eq!(batches.recv_timeout(LIMIT), Ok(MOST));
        assert_eq!(batches.recv_timeout(LIMIT), Ok(MOST));
        provider.force_flush().expect("is sent");
        assert_eq!(batches.try_recv(), Ok(1));
        end(&provider, 2);
        provider.shutdown().expect("is sent");
        assert_eq!(batches.try_recv(), Ok(2));
        assert_eq!(
            batches.recv_timeout(LIMIT),
            Err(mpsc::RecvTimeoutError::Disconnected)
        );
    }

    #[test]
    fn what_was_not_taken_last_is_said_at_the_end() {
        let refuse = |_, _| Err(OTelSdkError::InternalFailure("no".to_owned()));
        let provider = provider(refuse);
        end(&provider, 1);
        assert!(provider.shutdown().is_err());
    }

    #[test]
    fn the_end_does_not_wait_for_long() {
        let (release, held) = mpsc::channel::<()>();
        let provider = provider(move |_, _| {
            let _ = held.recv();
            Ok(())
        });
        end(&provider, 1);
        assert!(
            provider
                .shutdown_with_timeout(Duration::from_millis(50))
                .is_err()
        );
        drop(release);
    }
}
