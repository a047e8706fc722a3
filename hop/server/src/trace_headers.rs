//! Which trace an answer is from, in its headers.

use http::{HeaderMap, HeaderValue};
use portcullis_telemetry::Span;

/// What tells a browser, and whoever watches it, which trace an answer is from (Server Timing, section 3).
pub const SERVER_TIMING: &str = "server-timing";
/// What somebody who asks for help says of it: the trace, as problems have it under `support_id`.
const SUPPORT_ID: &str = "support-id";

/// Names the trace of a request in the headers of its answer.
pub fn name_trace(headers: &mut HeaderMap, span: &Span) {
    let context = span.context();
    let timing = format!("traceparent;desc=\"{context}\"");
    let trace = context.trace_id().to_string();
    for (name, text) in [(SERVER_TIMING, timing), (SUPPORT_ID, trace)] {
        if let Ok(value) = HeaderValue::from_str(&text) {
            headers.insert(name, value);
        }
    }
}
