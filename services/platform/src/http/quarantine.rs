//! What policies set apart: listed, released and discarded by those whose key has the scope `admin`.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::{get, post};
use portcullis_telemetry::{Span, SpanName};
use portcullis_types::UploadId;
use serde::Deserialize;
use serde_json::json;

use super::{Caller, Failure, Head, Site, json as answer_json, parsed, upload_of};
use crate::keys::Scope;
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

async fn list(State(site): State<Site>, head: Head) -> Response {
    let call = async |caller: Caller, _| {
        let files = site.uploads().quarantined(caller.actor()).await?;
        Ok(answer_json(&json!({
            "success": true,
            "truncated": files.len() == MAX_LISTED as usize,
            "files": files,
        })))
    };
    site.answer(SpanName::QuarantineList, &head, Scope::Admin, call)
        .await
}

async fn release(
    State(site): State<Site>,
    Path(id): Path<String>,
    head: Head,
    body: Body,
) -> Response {
    let call = async |caller, span: Arc<Span>| {
        let (id, decision) = decision(&id, body, &caller, &span).await?;
        let released = site.uploads().release(id, decision).await?;
        Ok(answer_json(
            &json!({ "success": true, "released": released }),
        ))
    };
    site.answer(SpanName::QuarantineRelease, &head, Scope::Admin, call)
        .await
}

async fn discard(
    State(site): State<Site>,
    Path(id): Path<String>,
    head: Head,
    body: Body,
) -> Response {
    let call = async |caller, span: Arc<Span>| {
        let (id, decision) = decision(&id, body, &caller, &span).await?;
        site.uploads().discard(id, decision).await?;
        Ok(answer_json(&json!({ "success": true, "id": id })))
    };
    site.answer(SpanName::QuarantineDiscard, &head, Scope::Admin, call)
        .await
}

async fn decision(
    id: &str,
    body: Body,
    caller: &Caller,
    span: &Span,
) -> Result<(UploadId, Decision), Failure> {
    let id = upload_of(id, span)?;
    let Reason { reason } = parsed(body).await?;
    let decision = Decision::new(caller.actor(), &reason)?;
    Ok((id, decision))
}
