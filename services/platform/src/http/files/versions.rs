//! `undelete` and `purge`: a deletion taken back, and one that cannot be.

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use portcullis_telemetry::SpanName;
use serde::Deserialize;

use super::{
    Begun, Caller, Failure, Head, NO_FILE, NOTHING_DELETED, Site, Target, answer_json, begin,
    not_found,
};
use crate::http::parsed;
use crate::idempotency::Asked;
use crate::keys::Scope;
use crate::quarantine::Decision;

pub(super) async fn undelete(State(site): State<Site>, head: Head, body: Body) -> Response {
    let call = async |caller: Caller, _| {
        let target: Target = parsed(body).await?;
        let (disk, path) = target.file(&site)?;
        let asked = Asked::new("undelete")
            .with(disk.name.as_str())
            .with(path.as_str());
        let answering = match begin(&site, &head, &caller, asked).await? {
            Begun::Answered(answer) => return Ok(answer_json(&answer)),
            Begun::New(answering) => answering,
        };
        let undeleted = site
            .uploads()
            .undelete(disk, &path, caller.actor(), answering);
        Ok::<_, Failure>(answer_json(
            &undeleted.await.map_err(not_found(NOTHING_DELETED))?,
        ))
    };
    site.answer(SpanName::StorageUndelete, &head, Scope::Files, call)
        .await
}

/// What is to be removed for good, and why.
#[derive(Deserialize)]
struct Purge {
    #[serde(flatten)]
    target: Target,
    reason: String,
}

pub(super) async fn purge(State(site): State<Site>, head: Head, body: Body) -> Response {
    let call = async |caller: Caller, _| {
        let Purge { target, reason } = parsed(body).await?;
        let (disk, path) = target.file(&site)?;
        let asked = Asked::new("purge")
            .with(disk.name.as_str())
            .with(path.as_str())
            .with(&reason);
        let answering = match begin(&site, &head, &caller, asked).await? {
            Begun::Answered(answer) => return Ok(answer_json(&answer)),
            Begun::New(answering) => answering,
        };
        let decision = Decision::new(caller.actor(), &reason)?;
        let purged = site.uploads().purge(disk, &path, decision, answering);
        Ok::<_, Failure>(answer_json(&purged.await.map_err(not_found(NO_FILE))?))
    };
    site.answer(SpanName::StoragePurge, &head, Scope::Admin, call)
        .await
}
