//! `undelete` and `purge`: a deletion taken back, and one that cannot be.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use http::HeaderMap;
use portcullis_telemetry::{Span, SpanName};
use serde::Deserialize;

use super::{Begun, Failure, Site, Target, answer_json, begin};
use crate::http::parsed;
use crate::idempotency::Asked;
use crate::keys::{Key, Scope};
use crate::quarantine::Decision;

pub(super) async fn undelete(State(site): State<Site>, headers: HeaderMap, body: Body) -> Response {
    let call = async |key: Key, span: Arc<Span>| {
        let target: Target = parsed(body).await?;
        let (disk, path) = target.file(&site)?;
        let asked = Asked::new("undelete")
            .with(disk.name.as_str())
            .with(path.as_str());
        let answering = match begin(&site, &headers, &key, asked).await? {
            Begun::Answered(answer) => return Ok(answer_json(&answer)),
            Begun::New(answering) => answering,
        };
        let (principal, trace) = (key.principal(), span.context().trace_id());
        let undeleted = site
            .uploads()
            .undelete(disk, &path, principal.subject(), trace, answering);
        Ok::<_, Failure>(answer_json(&undeleted.await?))
    };
    site.answer(SpanName::StorageUndelete, &headers, Scope::Files, call)
        .await
}

/// What is to be removed for good, and why.
#[derive(Deserialize)]
struct Purge {
    #[serde(flatten)]
    target: Target,
    reason: String,
}

pub(super) async fn purge(State(site): State<Site>, headers: HeaderMap, body: Body) -> Response {
    let call = async |key: Key, span: Arc<Span>| {
        let Purge { target, reason } = parsed(body).await?;
        let (disk, path) = target.file(&site)?;
        let asked = Asked::new("purge")
            .with(disk.name.as_str())
            .with(path.as_str())
            .with(&reason);
        let answering = match begin(&site, &headers, &key, asked).await? {
            Begun::Answered(answer) => return Ok(answer_json(&answer)),
            Begun::New(answering) => answering,
        };
        let trace = Some(span.context().trace_id());
        let decision = Decision::new(key.principal().subject(), &reason, trace)?;
        let purged = site.uploads().purge(disk, &path, decision, answering);
        Ok::<_, Failure>(answer_json(&purged.await?))
    };
    site.answer(SpanName::StoragePurge, &headers, Scope::Admin, call)
        .await
}
