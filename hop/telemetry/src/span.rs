use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use opentelemetry::trace::{Link, Span as _, SpanContext, Status, TraceContextExt, Tracer};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::Span as SdkSpan;

use crate::label::ERROR;
use crate::{Attribute, Detail, ErrorType, Line, SpanName, TraceContext, log, setup};

/// A span under way. It ends when it is dropped: at the end, on an error, and when a client goes away.
///
/// Its identifiers are real even where nothing is exported, because receipts carry the trace.
#[derive(Debug)]
pub struct Span {
    inner: Mutex<Inner>,
    context: SpanContext,
    name: SpanName,
    began: Instant,
    /// How long it had been under way then.
    before: Duration,
}

#[derive(Debug)]
struct Inner {
    span: SdkSpan,
    status: Option<u16>,
    error: Option<ErrorType>,
}

impl Span {
    /// A span that begins a trace of its own, as at the public edge: whatever trace the client is in becomes
    /// a link.
    pub fn root(name: SpanName, inbound: Option<&TraceContext>) -> Self {
        Self::start(name, &Context::new(), links(inbound), None)
    }

    /// The same for one that began earlier: of a request that turned out to be worth one.
    pub fn root_since(name: SpanName, inbound: Option<&TraceContext>, started: SystemTime) -> Self {
        Self::start(name, &Context::new(), links(inbound), Some(started))
    }

    /// A span whose parent is known only by name, as one in another process or thread. Without a parent it
    /// begins a trace.
    pub fn child_of(name: SpanName, parent: Option<&TraceContext>) -> Self {
        let parent = parent.map_or_else(Context::new, remote);
        Self::start(name, &parent, Vec::new(), None)
    }

    /// The same for one that began earlier, and of which others know that are no parents of it.
    pub fn child_since(
        name: SpanName,
        parent: &TraceContext,
        started: SystemTime,
        linked: &[TraceContext],
    ) -> Self {
        Self::start(name, &remote(parent), links(linked), Some(started))
    }

    /// A span within this one.
    #[must_use]
    pub fn child(&self, name: SpanName) -> Self {
        Self::start(name, &self.as_parent(), Vec::new(), None)
    }

    /// A span within this one that began earlier.
    #[must_use]
    pub fn child_at(&self, name: SpanName, started: SystemTime) -> Self {
        Self::start(name, &self.as_parent(), Vec::new(), Some(started))
    }

    /// Ends the span at a time that has passed.
    pub fn end_at(self, ended: SystemTime) {
        self.inner().span.end_with_timestamp(ended);
    }

    /// Says something about it.
    pub fn set(&self, attribute: Attribute) {
        let mut inner = self.inner();
        if let Attribute::StatusCode(status) = attribute {
            inner.status = Some(status);
        }
        inner.span.set_attribute(attribute.key_value());
    }

    /// Says that it failed, and why.
    pub fn fail(&self, error: ErrorType) {
        let mut inner = self.inner();
        inner.error = Some(error);
        let span = &mut inner.span;
        span.set_attribute(KeyValue::new(ERROR, error.as_str()));
        span.set_status(Status::error(error.as_str()));
    }

    /// Writes a line about it into the log.
    pub fn log(&self, line: Line, details: impl IntoIterator<Item = Detail>) {
        log::write(line, details, Some(self.context()));
    }

    /// The span as other processes name it.
    pub fn context(&self) -> TraceContext {
        TraceContext::of(&self.context)
    }

    fn start(
        name: SpanName,
        parent: &Context,
        links: Vec<Link>,
        started: Option<SystemTime>,
    ) -> Self {
        let tracer = setup::tracer();
        let (text, kind, attributes) = name.parts();
        let mut builder = tracer
            .span_builder(text)
            .with_kind(kind)
            .with_attributes(attributes)
            .with_links(links);
        builder.start_time = started;
        let inner = tracer.build_with_context(builder, parent);
        let context = inner.span_context().clone();
        let before = started.and_then(|started| started.elapsed().ok());
        Self {
            inner: Mutex::new(Inner {
                span: inner,
                status: None,
                error: None,
            }),
            context,
            name,
            began: Instant::now(),
            before: before.unwrap_or_default(),
        }
    }

    pub(crate) fn as_parent(&self) -> Context {
        Context::new().with_remote_span_context(self.context.clone())
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn remote(parent: &TraceContext) -> Context {
    Context::new().with_remote_span_context(parent.remote())
}

fn links<'a>(linked: impl IntoIterator<Item = &'a TraceContext>) -> Vec<Link> {
    let link = |linked: &TraceContext| Link::with_context(linked.remote());
    linked.into_iter().map(link).collect()
}

/// What a span says is measured, too: whether it is sent or not.
impl Drop for Span {
    fn drop(&mut self) {
        let taken = self.before + self.began.elapsed();
        let inner = self.inner.get_mut().unwrap_or_else(PoisonError::into_inner);
        self.name.measure(taken, inner.status, inner.error);
    }
}
