//! What policies set apart: listed, released and discarded by those whose key has the scope `admin`.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::{get, post};
use http::HeaderMap;
use portcullis_telemetry::{Span, SpanName};
use portcullis_types::UploadId;
use serde::Deserialize;
use serde_json::json;

use super::{Failure, Site, json as answer_json, parsed, upload_of};
use crate::keys::{Key, Scope};
use crate::quarantine::{Decision, MAX_LISTED};

pub(super) fn routes() -> Router<Site> {
    Router::new()
        .route("/internal/quarantine", get(list))
        .route("/internal/quarantine/{id}/release", post(release))
        .route("/internal/quarantine/{id}/discard", post(discard))
}

/// What a decision must come with.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Reason {
    reason: String,
}

async fn list(State(site): State<Site>, headers: HeaderMap) -> Response {
    let call = async |_, _| {
        let files = site.uploads().quarantined().await?;
        Ok(answer_json(&json!({
            "success": true,
            "truncated": files.len() == MAX_LISTED as usize,
            "files": files,
        })))
    };
    site.answer(SpanName::QuarantineList, &headers, Scope::Admin, call)
        .await
}

async fn release(
    State(site): State<Site>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let call = async |key, span: Arc<Span>| {
        let (id, decision) = decision(&id, body, &key, &span).await?;
        let released = site.uploads().release(id, decision).await?;
        Ok(answer_json(
            &json!({ "success": true, "released": released }),
        ))
    };
    site.answer(SpanName::QuarantineRelease, &headers, Scope::Admin, call)
        .await
}

async fn discard(
    State(site): State<Site>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let call = async |key, span: Arc<Span>| {
        let (id, decision) = decision(&id, body, &key, &span).await?;
        site.uploads().discard(id, decision).await?;
        Ok(answer_json(&json!({ "success": true, "id": id })))
    };
    site.answer(SpanName::QuarantineDiscard, &headers, Scope::Admin, call)
        .await
}

async fn decision(
    id: &str,
    body: Body,
    key: &Key,
    span: &Span,
) -> Result<(UploadId, Decision), Failure> {
    let id = upload_of(id, span)?;
    let Reason { reason } = parsed(body).await?;
    let trace = span.context().trace_id();
    let decision = Decision::new(key.principal().subject(), &reason, Some(trace))?;
    Ok((id, decision))
}
