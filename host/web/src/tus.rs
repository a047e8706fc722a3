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
use portcullis_hop::{Problem, ProblemKind, StoreError, UploadRecord, UploadState};
use portcullis_telemetry::{Label, Metric, Outcome, SpanName, metrics};
use portcullis_types::UploadId;

use self::call::Call;
pub(crate) use self::compose::Compositions;
pub(crate) use self::create::create;
pub(crate) use self::header::{is_spoken, kept_digest};
use crate::answer;
use crate::routes::Site;

/// What of the protocol we speak.
const EXTENSIONS: &str = "creation,creation-with-upload,creation-defer-length,expiration,checksum,checksum-trailer,termination";
/// What more where parts are taken.
const CONCATENATION: &str = ",concatenation,concatenation-unfinished";

/// Says what this address can do.
pub(crate) async fn options(State(site): State<Arc<Site>>) -> Response {
    let most = site.gateway.limits().upload_bytes;
    let mut response = standing::empty(StatusCode::NO_CONTENT);
    let headers = response.headers_mut();
    headers.insert(header::VERSION, HeaderValue::from_static(header::PROTOCOL));
    let more = if site.concatenation {
        CONCATENATION
    } else {
        ""
    };
    if let Ok(extensions) = HeaderValue::from_str(&format!("{EXTENSIONS}{more}")) {
        headers.insert(header::EXTENSION, extensions);
    }
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
    let Ok(id) = id.parse() else {
        return Call::new(state.0, parts, name).answer(Err(call::unknown()));
    };
    let call = Call::about(state.0, parts, name, id);
    match method {
        Method::PATCH => append::append(call, id, body).await,
        // What all others may have to do is much larger than what waits for the bytes of an upload.
        _ => Box::pin(about(call, id, method)).await,
    }
}

async fn about(call: Call, id: UploadId, method: Method) -> Response {
    let answered = match method {
        Method::HEAD => offset(&call, id).await,
        Method::DELETE => cancel(&call, id).await,
        _ => record(&call, id).await,
    };
    call.answer(answered)
}

fn no_method() -> Problem {
    let detail = "This address does not take this method; go on with an upload with HEAD and PATCH, look at it with GET, or give it up with DELETE.";
    Problem::new(ProblemKind::MethodNotAllowed, detail)
}

/// How far an upload has come. Whoever sent before is stopped: what they send from now on would only confuse the answer.
async fn offset(call: &Call, id: UploadId) -> Result<Response, Problem> {
    header::check_version(&call.headers)?;
    let record = standing(call, id).await;
    let record = record.map_err(call::instead_of_losing_it)?;
    standing::head(&record).ok_or_else(call::gone)
}

/// How an upload stands that nobody sends any more.
async fn standing(call: &Call, id: UploadId) -> Result<UploadRecord, Problem> {
    let owner = call.principal().await?;
    let record = call.owned(id, &owner).await?;
    match record.status.state {
        UploadState::Open | UploadState::Held | UploadState::Committing => {
            restore::look(call, record, &owner).await
        }
        _ => Ok(record),
    }
}

/// Everything about an upload, for whoever sends it.
async fn record(call: &Call, id: UploadId) -> Result<Response, Problem> {
    let owner = call.principal().await?;
    let record = call.owned(id, &owner).await?;
    let found = call.site.gateway.sessions().found(id);
    Ok(standing::record(&record, found))
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
    let turn = call.turn(&record).await;
    // Nobody else may have it: not a request that goes on here, and not another web host.
    let given_up = call.give_up(id).await;
    given_up.map_err(|error| error.problem())?;
    if let Some(mut turn) = turn {
        drop(turn.take());
    }
    metrics::count(Metric::Uploads, 1, [Label::Outcome(Outcome::Cancelled)]);
    Ok(standing::empty(StatusCode::NO_CONTENT))
}
