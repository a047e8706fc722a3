//! Pages of other sites that may upload here (Fetch standard, section 3.3, "CORS protocol"): those that the operator names.
//! Nothing is allowed with cookies, of which there are none: who uploads is told by a token.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use serde::Deserialize;

/// What a page may do.
const METHODS: &str = "GET, HEAD, POST, PATCH, DELETE, OPTIONS";
/// Which headers it may send.
const SENT: &str = "Accept, Authorization, Content-Disposition, Content-Type, Traceparent, Tus-Resumable, Upload-Checksum, Upload-Concat, Upload-Defer-Length, Upload-Length, Upload-Metadata, Upload-Offset, X-HTTP-Method-Override, X-Request-ID, X-Requested-With";
/// Headers that tracing libraries in the browser add to every request: those of W3C, Sentry, Zipkin, Datadog, Jaeger,
/// Elastic, New Relic, Microsoft, Amazon and Google. They are allowed and ignored; only `Traceparent` is read.
const OF_INSTRUMENTATION: &str = "Baggage, Tracestate, Sentry-Trace, B3, X-B3-TraceId, X-B3-SpanId, X-B3-ParentSpanId, X-B3-Sampled, X-B3-Flags, X-Datadog-Trace-Id, X-Datadog-Parent-Id, X-Datadog-Origin, X-Datadog-Sampling-Priority, X-Datadog-Tags, Uber-Trace-Id, Elastic-Apm-Traceparent, Newrelic, Request-Id, Request-Context, X-Amzn-Trace-Id, X-Cloud-Trace-Context";
/// Which headers of an answer it may read.
const READ: &str = "Location, Retry-After, Server-Timing, Support-Id, Tus-Checksum-Algorithm, Tus-Extension, Tus-Max-Size, Tus-Resumable, Tus-Version, Upload-Concat, Upload-Defer-Length, Upload-Expires, Upload-Length, Upload-Metadata, Upload-Offset";
/// How long a browser may remember that, in seconds: a day.
const REMEMBERED: &str = "86400";

/// Where a page comes from: a scheme, a host and perhaps a port (RFC 6454, section 6.2), as browsers write it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Origin(String);

/// The text is not an origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "an origin is written as in https://portal.example.org, in lower case, without a path and without the usual port"
)]
pub struct InvalidOrigin;

impl FromStr for Origin {
    type Err = InvalidOrigin;

    fn from_str(text: &str) -> Result<Self, InvalidOrigin> {
        let parsed = reqwest::Url::parse(text).map_err(|_| InvalidOrigin)?;
        let is_web = matches!(parsed.scheme(), "http" | "https");
        // Compared byte by byte with what browsers send: so it must be written as they do.
        if is_web && parsed.origin().ascii_serialization() == text {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidOrigin)
        }
    }
}

impl TryFrom<String> for Origin {
    type Error = InvalidOrigin;

    fn try_from(text: String) -> Result<Self, InvalidOrigin> {
        text.parse()
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Lets pages of these origins read the answer, and tells their browsers beforehand what they may send.
pub(crate) async fn allow(
    State(origins): State<Arc<[Origin]>>,
    request: Request,
    next: Next,
) -> Response {
    let from = request.headers().get(header::ORIGIN).cloned();
    let is_allowed = |from: &HeaderValue| {
        let mut origins = origins.iter();
        origins.any(|origin| origin.0.as_bytes() == from.as_bytes())
    };
    let Some(from) = from.filter(is_allowed) else {
        return next.run(request).await;
    };
    let mut response = if is_preflight(&request) {
        StatusCode::NO_CONTENT.into_response()
    } else {
        next.run(request).await
    };
    permit(response.headers_mut(), from);
    response
}

fn is_preflight(request: &Request) -> bool {
    let asks = request
        .headers()
        .contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    asks && request.method() == Method::OPTIONS
}

fn permit(headers: &mut HeaderMap, from: HeaderValue) {
    let text = HeaderValue::from_static;
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, from);
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, text(METHODS));
    headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, text(SENT));
    let of_instrumentation = text(OF_INSTRUMENTATION);
    headers.append(header::ACCESS_CONTROL_ALLOW_HEADERS, of_instrumentation);
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, text(READ));
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, text(REMEMBERED));
    headers.append(header::VARY, text("Origin"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_written_as_browsers_write_it() {
        for right in ["https://portal.example.org", "http://localhost:3000"] {
            assert!(right.parse::<Origin>().is_ok(), "{right}");
        }
        for wrong in [
            "*",
            "null",
            "portal.example.org",
            "https://portal.example.org/",
            "https://portal.example.org:443",
            "https://Portal.example.org",
            "https://user@portal.example.org",
            "ftp://portal.example.org",
        ] {
            assert_eq!(wrong.parse::<Origin>(), Err(InvalidOrigin), "{wrong}");
        }
    }
}
