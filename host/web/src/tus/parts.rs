//! Parts of an upload that are sent side by side (tus 1.0, extension `concatenation`). Nobody has judged them: services hold
//! them apart, and they can become nothing but a part of an upload that is judged in order (`compose.rs`).

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::response::Response;
use futures_util::StreamExt;
use http::StatusCode;
use portcullis_hop::{
    AppendMode, ByteStream, Composition, NewUpload, Problem, UploadRecord, UploadStatus,
    UploadStore,
};
use portcullis_telemetry::{Attribute, Span};
use portcullis_types::{Attributes, Offset, UploadId};

use super::append::{self, broke_off, mismatch, not_kept};
use super::body::Wanted;
use super::call::Call;
use super::checksum::Checksum;
use super::create::{First, located};
use super::header as said;
use super::standing;
use crate::answer;
use crate::gateway::Failure;
use crate::linger::{BodyError, LingeringBody};
use crate::session::NotKept;
use crate::sessions::Turn;

/// How long a part waits for its next byte, or for its whole.
const EXPIRY: Duration = Duration::from_hours(6);

/// Creates a part, and takes its first bytes where they come with it.
pub(super) async fn create(call: &Call, mut body: LingeringBody) -> Result<Response, Problem> {
    let length = said::creation_length(&call.headers)?;
    let limit = call.site.gateway.limits().upload_bytes;
    if length.is_some_and(|length| length > limit) {
        return Err(answer::problem(Failure::TooLarge { limit }));
    }
    let (_, metadata) = said::metadata(&call.headers)?;
    let checksum = said::checksum(&call.headers, &body.trailers())?;
    let first = First::of(call, &mut body, length).await?;
    let principal = call.principal().await?;
    call.site
        .gateway
        .may_begin(&principal)
        .map_err(answer::problem)?;
    let span = call.span();
    let now = call.site.gateway.now();
    let part = NewUpload {
        id: UploadId::generate(),
        principal,
        client: call.client,
        filename: String::new(),
        folder: None,
        media_type: None,
        attributes: Attributes::default(),
        composition: Some(Composition::Part),
        metadata: Some(metadata),
        length,
        disk: None,
        revision: None,
        traceparent: span.context(),
        received_at: now,
        expires_at: now.plus(EXPIRY),
    };
    span.set(Attribute::UploadId(part.id));
    let created = call.site.gateway.store().create(&part, &span).await;
    let status = created.map_err(|error| error.problem())?;
    let mut response = match first {
        First::Nothing => taken(call, 0),
        First::Some | First::All => {
            let body = Wanted::new(body, std::future::pending(), append::most(call, length));
            send(call, &status, body, checksum, length, &span).await?
        }
    };
    *response.status_mut() = StatusCode::CREATED;
    Ok(located(call, response, part.id))
}

/// Appends to a part that was just taken over.
pub(super) async fn append(
    call: &Call,
    turn: Turn,
    part: UploadRecord,
    from: u64,
    body: LingeringBody,
    span: &Span,
) -> Result<Response, Problem> {
    let UploadRecord {
        status, mut length, ..
    } = part;
    if let Some(told) = said::length(&call.headers)? {
        let store = call.site.gateway.store();
        let declared = store.declare_length(status.id, status.epoch, told, span);
        declared.await.map_err(|error| error.problem())?;
        length = Some(told);
    }
    let offset = status.offset.bytes();
    if from != offset {
        return Err(mismatch(offset));
    }
    let most = append::most(call, length);
    let rest = most.saturating_sub(from);
    append::fits(call, rest, most)?;
    let checksum = said::checksum(&call.headers, &body.trailers())?;
    let body = Wanted::new(body, turn.overtaken(), rest);
    send(call, &status, body, checksum, length, span).await
}

/// What came of a body, beside its bytes.
#[derive(Default)]
struct Came {
    length: u64,
    checksum: Option<Checksum>,
    broken: Option<BodyError>,
}

/// Sends bytes to services as they come. What came before a body broke off is kept, unless it was to have a checksum.
async fn send(
    call: &Call,
    status: &UploadStatus,
    body: Wanted,
    checksum: Option<Checksum>,
    length: Option<u64>,
    span: &Span,
) -> Result<Response, Problem> {
    let store = call.site.gateway.store();
    let most = append::most(call, length);
    let (id, epoch, from) = (status.id, status.epoch, status.offset);
    let mode = match checksum {
        None => AppendMode::Acknowledged,
        Some(_) => AppendMode::Provisional,
    };
    let came = Arc::new(Mutex::new(Came {
        checksum,
        ..Came::default()
    }));
    let bytes = until_broken(body, Arc::clone(&came));
    let appended = store.append(id, epoch, from, mode, bytes, span).await;
    let mut offset = appended.map_err(|error| error.problem())?.offset.bytes();
    let came = std::mem::take(&mut *came.lock().unwrap_or_else(PoisonError::into_inner));
    match (came.checksum, came.broken) {
        (None, None) => {}
        (None, Some(error)) => {
            return Err(broke_off(error, offset, most));
        }
        (Some(_), Some(error)) => return Err(not_kept(NotKept::Broken(error), most)),
        (Some(checksum), None) => {
            NotKept::unless(checksum).map_err(|why| not_kept(why, most))?;
            offset = from.bytes() + came.length;
            let kept = store.checkpoint(id, epoch, Offset::new(offset), span).await;
            kept.map_err(|error| error.problem())?;
        }
    }
    Ok(taken(call, offset))
}

/// The bytes of a body up to where it breaks off, and beside them what came of it.
fn until_broken(body: Wanted, came: Arc<Mutex<Came>>) -> ByteStream {
    let bytes = body.scan(came, |came, next| {
        let mut came = came.lock().unwrap_or_else(PoisonError::into_inner);
        let next = match next {
            Ok(bytes) => {
                came.length += bytes.len() as u64;
                if let Some(checksum) = &mut came.checksum {
                    checksum.update(&bytes);
                }
                Some(Ok(bytes))
            }
            Err(error) => {
                came.broken = Some(error);
                None
            }
        };
        std::future::ready(next)
    });
    Box::pin(bytes)
}

/// The answer to bytes of a part, which may be told to be complete: it is nothing by itself.
fn taken(call: &Call, offset: u64) -> Response {
    let mut response = standing::empty(StatusCode::NO_CONTENT);
    standing::offset(&mut response, offset);
    standing::expires(&mut response, call.site.gateway.now().plus(EXPIRY));
    response
}
