//! An answer and the span of its request know of each other.

use http::{HeaderValue, Response};
use portcullis_telemetry::{Attribute, Span};

/// What tells a browser, and whoever watches it, which trace an answer is from (Server Timing, section 3).
pub const SERVER_TIMING: &str = "server-timing";
/// What somebody who asks for help says of it: the trace, as problems have it under `support_id`.
const SUPPORT_ID: &str = "support-id";

/// Tells the span of a request the status of its answer, and names the trace in the answer's headers.
pub fn join_trace<B>(answer: &mut Response<B>, span: &Span) {
    span.set(Attribute::StatusCode(answer.status().as_u16()));
    let context = span.context();
    let timing = format!("traceparent;desc=\"{context}\"");
    let trace = context.trace_id().to_string();
    for (name, text) in [(SERVER_TIMING, timing), (SUPPORT_ID, trace)] {
        if let Ok(value) = HeaderValue::from_str(&text) {
            answer.headers_mut().insert(name, value);
        }
    }
}
