//! Which span is being worked on, so that a line written deep below knows its trace. It follows a future from thread to thread, and
//! [`carry`] takes it along to another thread.

use std::future::Future;

use opentelemetry::context::FutureExt;
use opentelemetry::trace::TraceContextExt;
use opentelemetry::{Context, ContextGuard};

use crate::{Span, TraceContext};

/// The span that is being worked on here.
pub(crate) fn current() -> Option<TraceContext> {
    Context::map_current(|context| {
        context
            .has_active_span()
            .then(|| TraceContext::of(context.span().span_context()))
    })
}

/// The same work on another thread: what it writes into the log has the trace of whoever calls this.
pub fn carry<R>(work: impl FnOnce() -> R) -> impl FnOnce() -> R {
    let context = Context::current();
    move || {
        let _guard: ContextGuard = context.attach();
        work()
    }
}

impl Span {
    /// Does something within this span: lines of the log that are written meanwhile have its trace.
    pub fn within<F: Future>(&self, work: F) -> impl Future<Output = F::Output> + use<F> {
        work.with_context(self.as_parent())
    }
}
