//! The tus protocol 1.0 on `/uploads` (<https://tus.io/protocols/resumable-upload>): uploads that are gone on with where
//! they stopped, by another connection, another web host, after another start of either server.
//!
//! What an upload has is what services acknowledged. Two things are as real clients need them, and no other reading of the
//! protocol would do: they start from the beginning when a `HEAD` is refused, and they take an upload for stored when its
//! offset is its length. So `HEAD` is answered for every upload that is known, and the offset that is told stays below the
//! length until the upload is committed.

mod append;
mod body;
mod call;
pub(crate) mod checksum;
mod compose;
mod create;
mod header;
mod parts;
mod restore;
mod standing;

use std::sync::Arc;

use axum::extract::{Path, Request, State};
use axum::response::Response;
use http::{HeaderValue, Method, StatusCode};
use portcullis_hop::{Problem, ProblemKind, StoreError, UploadState, UploadStore};
use portcullis_telemetry::SpanName;
use portcullis_types::UploadId;

use self::call::Call;
pub(crate) use self::create::create;
pub(crate) use self::header::is_spoken;
use self::standing::Standing;
use crate::answer;
use crate::routes::Site;
use crate::session;

/// What of the protocol we speak.
const EXTENSIONS: &str = "creation,creation-with-upload,creation-defer-length,expiration,checksum,checksum-trailer,termination";

/// The same where parts are taken.
const WITH_CONCATENATION: &str = "creation,creation-with-upload,creation-defer-length,expiration,checksum,checksum-trailer,termination,concatenation,concatenation-unfinished";

/// Says what this address can do.
pub(crate) async fn options(State(site): State<Arc<Site>>) -> Response {
    let most = site.gateway.limits().upload_bytes;
    let mut response = standing::empty(StatusCode::NO_CONTENT);
    let headers = response.headers_mut();
    headers.insert(header::VERSION, HeaderValue::from_static(header::PROTOCOL));
    let extensions = if site.concatenation {
        WITH_CONCATENATION
    } else {
        EXTENSIONS
    };
    headers.insert(header::EXTENSION, HeaderValue::from_static(extensions));
    headers.insert(header::MAX_SIZE, HeaderValue::from(most));
    let algorithms = HeaderValue::from_static(checksum::ALGORITHMS);
    headers.insert(header::CHECKSUM_ALGORITHM, algorithms);
    response
}

/// A request about one upload.
pub(crate) async fn upload(
    state: State<Arc<Site>>,
    Path(id): Path<String>,
    request: Request,
) -> Response {
    let method = header::method(&request);
    if method == Method::OPTIONS {
        return options(state).await;
    }
    let name = match method {
        Method::HEAD => SpanName::UploadOffset,
        Method::PATCH => SpanName::UploadMore,
        Method::DELETE => SpanName::UploadCancel,
        Method::GET => SpanName::UploadRecord,
        _ => return answer::problem_response(no_method()),
    };
    let (parts, body) = request.into_parts();
    let call = Call::new(state.0, parts, name);
    let Ok(id) = id.parse() else {
        return call.refuse(&call::unknown());
    };
    match method {
        Method::HEAD => offset(&call, id)
            .await
            .unwrap_or_else(|problem| call.refuse(&problem)),
        Method::PATCH => append::append(call, id, body).await,
        Method::DELETE => cancel(&call, id)
            .await
            .unwrap_or_else(|problem| call.refuse(&problem)),
        _ => record(&call, id)
            .await
            .unwrap_or_else(|problem| call.refuse(&problem)),
    }
}

fn no_method() -> Problem {
    let detail = "This address does not take this method; go on with an upload with HEAD and PATCH, look at it with GET, or give it up with DELETE.";
    Problem::new(ProblemKind::MethodNotAllowed, detail)
}

/// How far an upload has come. Whoever sent before is stopped: what they send from now on would only confuse the answer.
async fn offset(call: &Call, id: UploadId) -> Result<Response, Problem> {
    header::check_version(&call.headers)?;
    let owner = call.principal().await.map_err(call::instead_of_losing_it)?;
    let record = call
        .owned(id, &owner)
        .await
        .map_err(call::instead_of_losing_it)?;
    let standing = match record.status.state {
        UploadState::Open | UploadState::Committing => restore::look(call, &record, &owner)
            .await
            .map_err(call::instead_of_losing_it)?,
        UploadState::Held => {
            let standing = parts::look(call, &record, &owner).await;
            standing.map_err(call::instead_of_losing_it)?
        }
        _ => Standing::of(&record),
    };
    call.done(StatusCode::OK);
    standing.head().ok_or_else(call::gone)
}

/// Everything about an upload, for whoever sends it.
async fn record(call: &Call, id: UploadId) -> Result<Response, Problem> {
    let owner = call.principal().await?;
    let record = call.owned(id, &owner).await?;
    call.done(StatusCode::OK);
    Ok(standing::record(&record))
}

/// Gives an upload up.
async fn cancel(call: &Call, id: UploadId) -> Result<Response, Problem> {
    header::check_version(&call.headers)?;
    let owner = call.principal().await?;
    let record = call.owned(id, &owner).await?;
    match record.status.state {
        UploadState::Open | UploadState::Held => {}
        UploadState::Cancelled | UploadState::Expired => return Err(call::gone()),
        state => return Err(StoreError::Ended(state).problem()),
    }
    let span = call.work(&record.upload.traceparent);
    let sessions = call.site.gateway.sessions();
    let turn = sessions.turn(id, &owner, &record.upload.traceparent, call::TURN_WAIT);
    let turn = turn.await;
    // Nobody else may have it: not a request that goes on here, and not another web host.
    let taken = call.site.gateway.store().take_over(id, &span).await;
    let status = taken.map_err(|error| error.problem())?;
    let cancelled = session::cancellation(status.epoch);
    let concluded = call.site.gateway.store().conclude(id, &cancelled, &span);
    concluded.await.map_err(|error| error.problem())?;
    if let Some(mut turn) = turn {
        drop(turn.take());
    }
    call.done(StatusCode::NO_CONTENT);
    Ok(standing::empty(StatusCode::NO_CONTENT))
}
