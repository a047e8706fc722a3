//! How an upload stands, as its client is told.

use std::time::{Duration, SystemTime};

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use portcullis_hop::{Problem, UploadRecord, UploadState};
use portcullis_types::{Finding, Timestamp};
use serde_json::{Value, json};

use super::header::{
    CONCAT, DEFER_LENGTH, EXPIRES, LENGTH, METADATA, OFFSET, PROTOCOL, RESUMABLE, VERSION,
    composition_text,
};
use crate::answer;

/// The answer to whoever asks how far an upload has come; absent where it was given up.
pub(super) fn head(record: &UploadRecord) -> Option<Response> {
    let (upload, offset) = (&record.upload, record.status.offset.bytes());
    let offset = match record.status.state {
        UploadState::Cancelled | UploadState::Expired => return None,
        // A part is nothing by itself, and has no verdict to wait for.
        UploadState::Committed | UploadState::Quarantined | UploadState::Held => offset,
        UploadState::Open | UploadState::Committing | UploadState::Rejected => {
            shown(offset, record.length)
        }
    };
    let mut response = empty(StatusCode::OK);
    let headers = response.headers_mut();
    headers.insert(OFFSET, HeaderValue::from(offset));
    match record.length {
        Some(length) => headers.insert(LENGTH, HeaderValue::from(length)),
        None => headers.insert(DEFER_LENGTH, HeaderValue::from_static("1")),
    };
    let concat = upload.composition.as_ref().map(composition_text);
    let metadata = upload.metadata.clone().filter(|text| !text.is_empty());
    for (name, text) in [(CONCAT, concat), (METADATA, metadata)] {
        if let Some(value) = text.and_then(|text| HeaderValue::from_str(&text).ok()) {
            headers.insert(name, value);
        }
    }
    if record.status.state.takes_bytes() {
        expires(&mut response, record.expires_at);
    }
    Some(response)
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

/// All that is known of an upload. While it is under way here, that is also what its policies have found so far.
pub(super) fn record(record: &UploadRecord, found: Option<Vec<Finding>>) -> Response {
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
        if let Some(found) = found {
            shown["findings"] = json!(found);
        }
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
