//! The other end of the hop: each call of the web host becomes one call of [`UploadStore`].

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use bytes::Bytes;
use http::{HeaderMap, StatusCode, Uri, header};
use portcullis_hop::{
    AppendMode, Build, Commit, Conclusion, Epoch, MAX_STATE_BYTES, MAX_WHOLE_BYTES, NewUpload,
    Receipt, StoreError, UploadStore, wire,
};
use portcullis_telemetry::{Attribute, Detail, Line, Span, SpanName};
use portcullis_types::{DiskName, Offset, UploadId};
use serde::Deserialize;

use super::{Failure, Head, Site, bad, json, parsed, query, stream, upload_of};
use crate::catalog::{Rows, TokenRow};
use crate::fault::Fault;
use crate::health::DiskHealth;
use crate::keys::Scope;

pub(super) fn routes() -> Router<Site> {
    Router::new()
        .route(wire::READY, get(ready))
        .route(wire::PRINCIPALS, post(authenticate))
        .route(wire::UPLOADS, post(create))
        .route(wire::UPLOAD, get(record).patch(append).put(store))
        .route(wire::EPOCH, post(take_over))
        .route(wire::LENGTH, post(declare_length))
        .route(wire::CHECKPOINT, post(checkpoint))
        .route(wire::CONTENT, get(read))
        .route(wire::STATE, get(suspended).put(suspend))
        .route(wire::COMMIT, post(commit))
        .route(wire::CONCLUSION, post(conclude))
}

async fn ready(State(site): State<Site>, head: Head) -> Response {
    let call = async |_, _| {
        let health = site.health().await?;
        if health.is_well() {
            Ok(json(&wire::Ready {
                status: "ready".to_owned(),
                build: Build::this(),
                disks: health.disks.iter().map(ready_disk).collect(),
            }))
        } else {
            Err(Failure::Store(StoreError::StorageFailed))
        }
    };
    site.answer(SpanName::ServicesReady, &head, Scope::Stages, call)
        .await
}

fn ready_disk((name, disk): (&DiskName, &DiskHealth)) -> (DiskName, wire::ReadyDisk) {
    let took = disk.write_latency.map(|took| took.as_millis());
    let disk = wire::ReadyDisk {
        free_bytes: disk.space.map(|space| space.free_bytes),
        write_ms: took.map(|took| u64::try_from(took).unwrap_or(u64::MAX)),
    };
    (name.clone(), disk)
}

async fn authenticate(State(site): State<Site>, head: Head, body: Body) -> Response {
    let call = async |_, _| {
        let wire::TokenToCheck { token } = parsed(body).await?;
        let find = move |rows: &Rows| TokenRow::principal_of(rows, &token).map_err(Fault::from);
        let principal = site.uploads().catalog().read(find).await?;
        Ok(json(&principal.ok_or(StoreError::NotFound)?))
    };
    site.answer(SpanName::Authenticate, &head, Scope::Stages, call)
        .await
}

async fn create(State(site): State<Site>, head: Head, body: Body) -> Response {
    let call = async |_, span: Arc<Span>| {
        let upload: NewUpload = parsed(body).await?;
        span.set(Attribute::UploadId(upload.id));
        Ok(json(&site.uploads().create(&upload, &span).await?))
    };
    site.answer(SpanName::Create, &head, Scope::Stages, call)
        .await
}

async fn record(State(site): State<Site>, Path(id): Path<String>, head: Head) -> Response {
    let call = async |id, span: Arc<Span>| Ok(json(&site.uploads().record(id, &span).await?));
    site.on_upload(SpanName::Status, &head, &id, call).await
}

async fn take_over(State(site): State<Site>, Path(id): Path<String>, head: Head) -> Response {
    let call = async |id, span: Arc<Span>| Ok(json(&site.uploads().take_over(id, &span).await?));
    site.on_upload(SpanName::TakeOver, &head, &id, call).await
}

async fn append(
    State(site): State<Site>,
    Path(id): Path<String>,
    head: Head,
    body: Body,
) -> Response {
    let call = async |id, span: Arc<Span>| {
        let epoch = Epoch::new(number(&head, wire::UPLOAD_EPOCH)?);
        let from = Offset::new(number(&head, wire::UPLOAD_OFFSET)?);
        let mode = mode(&head)?;
        let appended = site
            .uploads()
            .append(id, epoch, from, mode, stream(body), &span)
            .await;
        Ok(json(&appended?))
    };
    site.on_upload(SpanName::Append, &head, &id, call).await
}

async fn declare_length(
    State(site): State<Site>,
    Path(id): Path<String>,
    head: Head,
    body: Body,
) -> Response {
    let call = async |id, span: Arc<Span>| {
        let wire::Length { epoch, length } = parsed(body).await?;
        let status = site.uploads().declare_length(id, epoch, length, &span);
        Ok(json(&status.await?))
    };
    site.on_upload(SpanName::Length, &head, &id, call).await
}

async fn checkpoint(
    State(site): State<Site>,
    Path(id): Path<String>,
    head: Head,
    body: Body,
) -> Response {
    let call = async |id, span: Arc<Span>| {
        let wire::Checkpoint { epoch, offset } = parsed(body).await?;
        let status = site.uploads().checkpoint(id, epoch, offset, &span).await;
        Ok(json(&status?))
    };
    site.on_upload(SpanName::Checkpoint, &head, &id, call).await
}

/// Where to read from.
#[derive(Deserialize)]
struct From {
    from: u64,
}

async fn read(State(site): State<Site>, Path(id): Path<String>, uri: Uri, head: Head) -> Response {
    let call = async |id, span: Arc<Span>| {
        let From { from } = query(&uri)?;
        let bytes = site.uploads().read(id, Offset::new(from), &span).await?;
        let octets = [(header::CONTENT_TYPE, "application/octet-stream")];
        Ok((octets, Body::from_stream(bytes)).into_response())
    };
    site.on_upload(SpanName::Read, &head, &id, call).await
}

async fn suspend(
    State(site): State<Site>,
    Path(id): Path<String>,
    head: Head,
    body: Body,
) -> Response {
    let call = async |id, span: Arc<Span>| {
        let epoch = Epoch::new(number(&head, wire::UPLOAD_EPOCH)?);
        let offset = Offset::new(number(&head, wire::UPLOAD_OFFSET)?);
        let state = axum::body::to_bytes(body, MAX_STATE_BYTES).await;
        let state = state.map_err(|_| StoreError::Aborted)?;
        let kept = site.uploads().suspend(id, epoch, offset, state, &span);
        Ok(json(&kept.await?))
    };
    site.on_upload(SpanName::Suspend, &head, &id, call).await
}

async fn suspended(State(site): State<Site>, Path(id): Path<String>, head: Head) -> Response {
    let call = async |id, span: Arc<Span>| {
        let octets = [(header::CONTENT_TYPE, "application/octet-stream")];
        Ok(match site.uploads().suspended(id, &span).await? {
            Some(state) => (octets, state).into_response(),
            None => StatusCode::NO_CONTENT.into_response(),
        })
    };
    site.on_upload(SpanName::Suspended, &head, &id, call).await
}

async fn commit(
    State(site): State<Site>,
    Path(id): Path<String>,
    head: Head,
    body: Body,
) -> Response {
    let call = async |id, span: Arc<Span>| {
        let commit: Commit = parsed(body).await?;
        let receipt = site.uploads().commit(id, &commit, &span).await?;
        Ok(committed(&receipt, &span))
    };
    site.on_upload(SpanName::Commit, &head, &id, call).await
}

async fn store(
    State(site): State<Site>,
    Path(id): Path<String>,
    head: Head,
    body: Body,
) -> Response {
    let call = async |id, span: Arc<Span>| {
        let (wire::Whole { upload, commit }, bytes) = whole(body).await?;
        if upload.id != id {
            return Err(bad(
                "The address of the call names another upload than its body.",
            ));
        }
        let receipt = site.uploads().store(&upload, &commit, bytes, &span).await?;
        Ok(committed(&receipt, &span))
    };
    site.on_upload(SpanName::Store, &head, &id, call).await
}

/// An upload with its bytes.
async fn whole(body: Body) -> Result<(wire::Whole, Bytes), Failure> {
    let most = wire::MAX_JSON_BYTES + MAX_WHOLE_BYTES;
    let body = axum::body::to_bytes(body, most).await;
    let body = body.map_err(|_| StoreError::Aborted)?;
    let parsed = wire::Whole::from_body(&body);
    let (whole, bytes) = parsed.and_then(Result::ok).ok_or_else(|| {
        bad("The body of the call is not what this version expects; compare the versions of both servers.")
    })?;
    if bytes.len() > MAX_WHOLE_BYTES {
        let detail = format!(
            "The upload is larger than the {MAX_WHOLE_BYTES} bytes that are stored in one call."
        );
        return Err(bad(&detail));
    }
    Ok((whole, bytes))
}

async fn conclude(
    State(site): State<Site>,
    Path(id): Path<String>,
    head: Head,
    body: Body,
) -> Response {
    let call = async |id, span: Arc<Span>| {
        let conclusion: Conclusion = parsed(body).await?;
        let status = site.uploads().conclude(id, &conclusion, &span).await?;
        if let Some(outcome) = status.state.outcome() {
            span.set(Attribute::Outcome(outcome));
            let details = [Attribute::UploadId(id), Attribute::Outcome(outcome)];
            span.log(Line::UploadEnded, details.map(Detail::from));
        }
        Ok(json(&status))
    };
    site.on_upload(SpanName::Conclude, &head, &id, call).await
}

/// The answer about an upload that was stored, of which span and log say as much as they may.
fn committed(receipt: &Receipt, span: &Span) -> Response {
    span.set(Attribute::Disk(receipt.disk.clone()));
    span.set(Attribute::Bytes(receipt.size));
    span.set(Attribute::Outcome(receipt.status.outcome()));
    stored(receipt, span);
    json(receipt)
}

/// The one line of an upload that was stored.
pub(super) fn stored(receipt: &Receipt, span: &Span) {
    let details = [
        Attribute::UploadId(receipt.id),
        Attribute::Outcome(receipt.status.outcome()),
        Attribute::Disk(receipt.disk.clone()),
        Attribute::Bytes(receipt.size),
    ];
    span.log(Line::UploadEnded, details.map(Detail::from));
}

impl Site {
    /// Answers a call of the web host on one upload.
    async fn on_upload(
        &self,
        name: SpanName,
        head: &Head,
        id: &str,
        call: impl AsyncFnOnce(UploadId, Arc<Span>) -> Result<Response, Failure>,
    ) -> Response {
        let identified = async |_, span: Arc<Span>| call(upload_of(id, &span)?, span).await;
        self.answer(name, head, Scope::Stages, identified).await
    }
}

fn number(headers: &HeaderMap, name: &'static str) -> Result<u64, Failure> {
    let value = headers.get(name).and_then(|value| value.to_str().ok());
    let number = value.and_then(|text| text.parse().ok());
    number.ok_or_else(|| bad_header(name))
}

fn mode(headers: &HeaderMap) -> Result<AppendMode, Failure> {
    let value = headers.get(wire::UPLOAD_MODE);
    let word = value.and_then(|value| value.to_str().ok());
    let mode = word.and_then(wire::mode_from_word);
    mode.ok_or_else(|| bad_header(wire::UPLOAD_MODE))
}

fn bad_header(name: &'static str) -> Failure {
    let detail =
        format!("The call has no usable header `{name}`; compare the versions of both servers.");
    bad(&detail)
}
