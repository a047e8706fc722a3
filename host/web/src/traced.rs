//! Every answer names its trace, so that whoever asks for help can say which request it was.

use std::time::SystemTime;

use axum::extract::{MatchedPath, Request};
use axum::middleware::Next;
use axum::response::Response;
use http::Method;
use portcullis_server::{SERVER_TIMING, join_trace};
use portcullis_telemetry::{ErrorType, Span, SpanName};

use crate::routes;

/// Gives a span to what has none of its own: whatever is no upload.
pub(crate) async fn answered(request: Request, next: Next) -> Response {
    let (name, inbound) = (name(&request), routes::inbound(request.headers()));
    let began = SystemTime::now();
    let mut response = next.run(request).await;
    if !response.headers().contains_key(SERVER_TIMING) {
        let span = Span::root_since(name, inbound.as_ref(), began);
        if response.status().is_server_error() {
            span.fail(ErrorType::Internal);
        }
        join_trace(&mut response, &span);
    }
    response
}

fn name(request: &Request) -> SpanName {
    let route = request.extensions().get().map(MatchedPath::as_str);
    match (request.method(), route) {
        (&Method::OPTIONS, Some("/uploads" | "/uploads/" | "/uploads/{id}" | "/uploads/{id}/")) => {
            SpanName::Options
        }
        (&Method::GET | &Method::HEAD, Some("/")) => SpanName::Page,
        (&Method::GET | &Method::HEAD, Some("/assets/{name}")) => SpanName::Asset,
        (&Method::GET | &Method::HEAD, Some("/healthz")) => SpanName::Alive,
        (&Method::GET | &Method::HEAD, Some("/readyz")) => SpanName::Ready,
        _ => SpanName::Unmatched,
    }
}
