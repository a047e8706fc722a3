//! The newest checkpoint of the audit, for those who keep it on another machine.

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use portcullis_hop::StoreError;
use portcullis_telemetry::SpanName;

use super::{Head, Site};
use crate::Fault;
use crate::keys::Scope;

pub(super) fn routes() -> Router<Site> {
    Router::new().route("/internal/audit/checkpoint", get(checkpoint))
}

async fn checkpoint(State(site): State<Site>, head: Head) -> Response {
    let call = async |_, _| {
        let signed = site.uploads().catalog().checkpoint_audit().await;
        let signed = signed.map_err(Fault::from)?.ok_or(StoreError::NotFound)?;
        Ok(signed.to_string().into_response())
    };
    site.answer(SpanName::AuditCheckpoint, &head, Scope::Admin, call)
        .await
}
