//! Revisions of the policies: administrators send and choose them (scope `admin`), web hosts follow (scope `stages`).

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use http::header;
use portcullis_hop::policies::{Digests, MAX_FILE_BYTES, RevisionNumber};
use portcullis_hop::{Problem, ProblemKind, wire};
use portcullis_telemetry::SpanName;
use portcullis_types::Sha256Digest;

use super::{Caller, Failure, Head, Site, json, parsed};
use crate::fault::Fault;
use crate::keys::Scope;
use crate::policies::PolicyError;

pub(super) fn routes() -> Router<Site> {
    Router::new()
        .route(wire::POLICY_POLL, post(poll))
        .route(wire::POLICY_MISSING, post(missing))
        .route(wire::POLICY_FILE, get(file).put(put_file))
        .route(wire::POLICY_REVISIONS, get(revisions).post(send))
        .route(wire::POLICY_REVISION, get(revision))
        .route(wire::POLICY_ACTIVE, post(activate))
        .route(wire::POLICY_TRIAL_DROP, post(drop_trial))
        .route(wire::POLICY_SHADOW, post(note_shadows))
        .route(wire::POLICY_SHADOW_SUMMARY, post(shadow_summary))
}

async fn poll(State(site): State<Site>, head: Head, body: Body) -> Response {
    let call = async |_, _| Ok(json(&site.policies().poll(parsed(body).await?).await?));
    site.answer(SpanName::PolicyPoll, &head, Scope::Stages, call)
        .await
}

async fn missing(State(site): State<Site>, head: Head, body: Body) -> Response {
    let call = async |_, _| {
        let Digests { digests } = parsed(body).await?;
        let digests = site.policies().missing(digests).await?;
        Ok(json(&Digests { digests }))
    };
    site.answer(SpanName::PolicyMissing, &head, Scope::Admin, call)
        .await
}

async fn file(State(site): State<Site>, Path(digest): Path<String>, head: Head) -> Response {
    let call = async |_, _| {
        let bytes = site.policies().file(digest_of(&digest)?).await?;
        let media_type = (header::CONTENT_TYPE, "application/octet-stream");
        Ok(([media_type], bytes).into_response())
    };
    // Web hosts run them, and administrators look at them.
    let scopes = [Scope::Stages, Scope::Admin];
    site.answer_any(SpanName::PolicyFile, &head, &scopes, call)
        .await
}

async fn put_file(
    State(site): State<Site>,
    Path(digest): Path<String>,
    head: Head,
    body: Body,
) -> Response {
    let call = async |_, _| {
        let digest = digest_of(&digest)?;
        let bytes = axum::body::to_bytes(body, MAX_FILE_BYTES).await;
        let bytes = bytes.map_err(|_| {
            let detail = format!("The file broke off or has more than {MAX_FILE_BYTES} bytes.");
            Problem::new(ProblemKind::TooLarge, detail)
        })?;
        site.policies().put_file(digest, bytes.into()).await?;
        Ok(json(&serde_json::json!({ "sha256": digest })))
    };
    site.answer(SpanName::PolicyPutFile, &head, Scope::Admin, call)
        .await
}

async fn revisions(State(site): State<Site>, head: Head) -> Response {
    let call = async |_, _| Ok(json(&site.policies().revisions().await?));
    site.answer(SpanName::PolicyRevisions, &head, Scope::Admin, call)
        .await
}

async fn revision(State(site): State<Site>, Path(number): Path<u64>, head: Head) -> Response {
    let call = async |_, _| {
        let revision = site.policies().revision(RevisionNumber(number)).await?;
        Ok(json(&revision))
    };
    site.answer(SpanName::PolicyRevision, &head, Scope::Admin, call)
        .await
}

async fn send(State(site): State<Site>, head: Head, body: Body) -> Response {
    let call = async |caller: Caller, _| {
        let new = parsed(body).await?;
        let sent = site.policies().send(new, caller.actor());
        Ok(json(&sent.await?))
    };
    site.answer(SpanName::PolicySend, &head, Scope::Admin, call)
        .await
}

async fn activate(State(site): State<Site>, head: Head, body: Body) -> Response {
    let call = async |caller: Caller, _| {
        let wanted = parsed(body).await?;
        let policies = site.policies();
        let activation = policies.activate(wanted, caller.actor());
        Ok(json(&activation.await?))
    };
    site.answer(SpanName::PolicyActivate, &head, Scope::Admin, call)
        .await
}

async fn drop_trial(State(site): State<Site>, head: Head, body: Body) -> Response {
    let call = async |caller: Caller, _| {
        let wanted = parsed(body).await?;
        let policies = site.policies();
        let dropped = policies.drop_trial(wanted, caller.actor());
        dropped.await?;
        Ok(json(&serde_json::json!({})))
    };
    site.answer(SpanName::PolicyTrialDrop, &head, Scope::Admin, call)
        .await
}

async fn note_shadows(State(site): State<Site>, head: Head, body: Body) -> Response {
    let call = async |_, _| {
        site.policies().note_shadows(parsed(body).await?).await?;
        Ok(json(&serde_json::json!({})))
    };
    site.answer(SpanName::PolicyShadow, &head, Scope::Stages, call)
        .await
}

async fn shadow_summary(State(site): State<Site>, head: Head, body: Body) -> Response {
    let call = async |_, _| {
        let query = parsed(body).await?;
        Ok(json(&site.policies().shadow_summary(query).await?))
    };
    site.answer(SpanName::PolicyShadowSummary, &head, Scope::Admin, call)
        .await
}

fn digest_of(text: &str) -> Result<Sha256Digest, Failure> {
    text.parse().map_err(|_| PolicyError::NoFile.into())
}

impl From<PolicyError> for Failure {
    fn from(error: PolicyError) -> Self {
        let kind = match error {
            PolicyError::Catalog(error) => return Fault::from(error).into(),
            PolicyError::Conflict { .. } | PolicyError::OnTrial { .. } => {
                ProblemKind::RevisionConflict
            }
            PolicyError::NoRevision(_) | PolicyError::NotOnTrial(_) | PolicyError::NoFile => {
                ProblemKind::NotFound
            }
            PolicyError::FilesMissing(_)
            | PolicyError::Manifest(_)
            | PolicyError::Terms
            | PolicyError::Untrusted { .. }
            | PolicyError::Text { .. } => ProblemKind::BadRequest,
            PolicyError::OtherDigest => ProblemKind::DigestMismatch,
        };
        Problem::saying(kind, &error).into()
    }
}
