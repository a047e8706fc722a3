//! How an upload stands, as its client is told.

use std::time::{Duration, SystemTime};

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use portcullis_hop::{Composition, Problem, UploadRecord, UploadState};
use portcullis_types::Timestamp;
use serde_json::{Value, json};

use super::header::{
    CONCAT, DEFER_LENGTH, EXPIRES, LENGTH, METADATA, OFFSET, PROTOCOL, RESUMABLE, VERSION,
    composition_text,
};
use crate::answer;

/// How far an upload has come, and what is known of it.
pub(super) struct Standing {
    state: UploadState,
    /// What services acknowledged, in bytes.
    offset: u64,
    length: Option<u64>,
    expires_at: Timestamp,
    metadata: Option<String>,
    composition: Option<Composition>,
}

impl Standing {
    pub(super) fn of(record: &UploadRecord) -> Self {
        Self {
            state: record.status.state,
            offset: record.status.offset.bytes(),
            length: record.length,
            expires_at: record.expires_at,
            metadata: record.upload.metadata.clone(),
            composition: record.upload.composition.clone(),
        }
    }

    /// The same further on.
    pub(super) fn at(self, offset: u64) -> Self {
        Self { offset, ..self }
    }

    /// The answer to whoever asks how far it has come; absent where the upload was given up.
    pub(super) fn head(&self) -> Option<Response> {
        if matches!(self.state, UploadState::Cancelled | UploadState::Expired) {
            return None;
        }
        // A part is nothing by itself, and has no verdict to wait for.
        let is_stored = matches!(
            self.state,
            UploadState::Committed | UploadState::Quarantined | UploadState::Held
        );
        let mut response = empty(StatusCode::OK);
        let headers = response.headers_mut();
        let offset = if is_stored {
            self.offset
        } else {
            shown(self.offset, self.length)
        };
        headers.insert(OFFSET, HeaderValue::from(offset));
        match self.length {
            Some(length) => headers.insert(LENGTH, HeaderValue::from(length)),
            None => headers.insert(DEFER_LENGTH, HeaderValue::from_static("1")),
        };
        if self.state.takes_bytes() {
            expires(&mut response, self.expires_at);
        }
        let concat = self.composition.as_ref().map(composition_text);
        if let Some(concat) = concat.and_then(|text| HeaderValue::from_str(&text).ok()) {
            response.headers_mut().insert(CONCAT, concat);
        }
        let metadata = self.metadata.as_deref().filter(|text| !text.is_empty());
        if let Some(metadata) = metadata.and_then(|text| HeaderValue::from_str(text).ok()) {
            response.headers_mut().insert(METADATA, metadata);
        }
        Some(response)
    }
}

/// The offset that is told of an upload that is not stored: below its length, whatever has come. The last byte is asked
/// for again, which is what makes a client wait for the verdict.
pub(super) fn shown(offset: u64, length: Option<u64>) -> u64 {
    match length {
        Some(length) if length > 0 => offset.min(length - 1),
        _ => offset,
    }
}

/// An answer without a body.
pub(super) fn empty(status: StatusCode) -> Response {
    let headers = [
        (RESUMABLE, HeaderValue::from_static(PROTOCOL)),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    (status, headers, Body::empty()).into_response()
}

/// Says how far the upload has come.
pub(super) fn offset(response: &mut Response, offset: u64) {
    response
        .headers_mut()
        .insert(OFFSET, HeaderValue::from(offset));
}

/// Says until when an upload waits for more.
pub(super) fn expires(response: &mut Response, at: Timestamp) {
    let since_1970 = Duration::from_millis(u64::try_from(at.as_ms()).unwrap_or(0));
    let date = httpdate::fmt_http_date(SystemTime::UNIX_EPOCH + since_1970);
    if let Ok(date) = HeaderValue::from_str(&date) {
        response.headers_mut().insert(EXPIRES, date);
    }
}

/// Says in the protocol's words what a problem says.
pub(super) fn speak(response: &mut Response, problem: &Problem) {
    let headers = response.headers_mut();
    headers.insert(RESUMABLE, HeaderValue::from_static(PROTOCOL));
    if response.status() == StatusCode::PRECONDITION_FAILED {
        let versions = HeaderValue::from_static(PROTOCOL);
        response.headers_mut().insert(VERSION, versions);
    }
    if let Some(at) = problem.extensions.get("offset").and_then(Value::as_u64) {
        offset(response, at);
    }
}

/// All that is known of an upload.
pub(super) fn record(record: &UploadRecord) -> Response {
    let upload = &record.upload;
    let mut shown = json!({
        "id": upload.id,
        "state": record.status.state,
        "filename": upload.filename,
        "offset": record.status.offset,
        "length": record.length,
        "received_at": upload.received_at,
    });
    if record.status.state.takes_bytes() {
        shown["expires_at"] = json!(record.expires_at);
    }
    if let Some(receipt) = &record.receipt {
        shown["verdict"] = json!(receipt.status);
        shown["findings"] = json!(receipt.findings);
        shown["receipt"] = json!(receipt);
    }
    if let Some(conclusion) = &record.conclusion
        && record.status.state == UploadState::Rejected
    {
        let problem = answer::concluded_problem(conclusion);
        let problem = problem.with_support_id(upload.traceparent.trace_id());
        shown["verdict"] = json!(record.status.state);
        shown["findings"] = json!(conclusion.findings.listed);
        shown["problem"] = json!(problem);
    }
    let headers = [(header::CACHE_CONTROL, "no-store")];
    (headers, axum::Json(shown)).into_response()
}
