//! Parts of an upload that are sent side by side (tus 1.0, extension `concatenation`). Nobody has judged them: services hold
//! them apart, and they can become nothing but a part of an upload that is judged in order (`compose.rs`).

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::response::Response;
use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use http::StatusCode;
use portcullis_hop::{
    AppendMode, ByteStream, Composition, Epoch, NewUpload, Problem, StoreError, UploadRecord,
    UploadStatus, UploadStore,
};
use portcullis_telemetry::{Attribute, Span};
use portcullis_types::{Attributes, Clock, Offset, Principal, UploadId};

use super::append::{self, broke_off, mismatch, not_kept, waits};
use super::body::Wanted;
use super::call::{self, Call};
use super::create::located;
use super::header as said;
use super::standing::{self, Standing};
use crate::gateway::Failure;
use crate::linger::{BodyError, LingeringBody};
use crate::session::NotKept;
use crate::sessions::Turn;
use crate::{answer, tus::checksum::Checksum};

/// How long a part waits for its next byte, or for its whole.
const EXPIRY: Duration = Duration::from_hours(6);

/// Creates a part, and takes its first bytes where they come with it.
pub(super) async fn create(call: &Call, body: LingeringBody) -> Result<Response, Problem> {
    let length = said::creation_length(&call.headers)?;
    let limit = call.site.gateway.limits().upload_bytes;
    if length.is_some_and(|length| length > limit) {
        return Err(answer::problem(Failure::TooLarge { limit }));
    }
    let (_, metadata) = said::metadata(&call.headers)?;
    let principal = call.principal().await?;
    call.site
        .gateway
        .may_begin(&principal)
        .map_err(answer::problem)?;
    let span = call.span();
    let now = Clock::system().now();
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
    let mut response = if said::has_bytes(&call.headers) {
        let body = Wanted::new(body, std::future::pending(), length.unwrap_or(limit));
        send(call, &status, body, None, length, &span).await?
    } else {
        taken(0)
    };
    *response.status_mut() = StatusCode::CREATED;
    Ok(located(call, response, part.id))
}

/// Appends to a part that is taken over for it: whoever sent before is refused from now on.
pub(super) async fn append(
    call: &Call,
    turn: Turn,
    record: &UploadRecord,
    from: u64,
    body: LingeringBody,
    span: &Arc<Span>,
) -> Result<Response, Problem> {
    let store = call.site.gateway.store();
    let status = store.take_over(record.status.id, span).await;
    let status = status.map_err(|error| error.problem())?;
    let mut length = record.length;
    if let Some(told) = said::length(&call.headers)? {
        let declared = store
            .declare_length(status.id, status.epoch, told, span)
            .await;
        declared.map_err(|error| error.problem())?;
        length = Some(told);
    }
    let offset = status.offset.bytes();
    if from != offset {
        return Err(mismatch(offset));
    }
    let most = length.unwrap_or(call.site.gateway.limits().upload_bytes);
    append::fits(call, most.saturating_sub(from), most)?;
    let checksum = said::checksum(&call.headers, &body.trailers())?;
    let body = Wanted::new(body, turn.overtaken(), most.saturating_sub(from));
    send(call, &status, body, checksum, length, span).await
}

/// How a part stands. Whoever sends is stopped.
pub(super) async fn look(
    call: &Call,
    record: &UploadRecord,
    owner: &Principal,
) -> Result<Standing, Problem> {
    let span = call.work(&record.upload.traceparent);
    let (id, sessions) = (record.status.id, call.site.gateway.sessions());
    let turn = sessions.turn(id, owner, &record.upload.traceparent, call::TURN_WAIT);
    let _turn = turn.await;
    let taken = call.site.gateway.store().take_over(id, &span).await;
    let status = taken.map_err(|error| error.problem())?;
    Ok(Standing::of(record).at(status.offset.bytes()))
}

/// Sends bytes to services as they come. What came before a body broke off is kept, unless it was to have a checksum.
async fn send(
    call: &Call,
    status: &UploadStatus,
    body: Wanted,
    checksum: Option<Checksum>,
    length: Option<u64>,
    span: &Arc<Span>,
) -> Result<Response, Problem> {
    let store = call.site.gateway.store();
    let (id, epoch, from) = (status.id, status.epoch, status.offset);
    let broken = Arc::<OnceLock<BodyError>>::default();
    let Some(checksum) = checksum else {
        let bytes = until_broken(body, Arc::clone(&broken));
        let mode = AppendMode::Acknowledged;
        let appended = store.append(id, epoch, from, mode, bytes, span).await;
        let offset = appended.map_err(|error| error.problem())?.offset.bytes();
        if let Some(error) = broken.get() {
            return Err(broke_off(*error, offset, length.unwrap_or(offset)));
        }
        call.done(StatusCode::NO_CONTENT);
        return Ok(taken(offset));
    };
    let (checked, end) = hashed(body, checksum);
    let bytes = until_broken(checked, Arc::clone(&broken));
    let mode = AppendMode::Provisional;
    let appended = store.append(id, epoch, from, mode, bytes, span).await;
    appended.map_err(|error| error.problem())?;
    if let Some(error) = broken.get() {
        return Err(not_kept(NotKept::Broken(*error)));
    }
    let (checksum, length) = end.lock().await.take().ok_or_else(waits)?;
    NotKept::unless(checksum).map_err(not_kept)?;
    acknowledge(call, id, epoch, from.bytes() + length, span).await
}

async fn acknowledge(
    call: &Call,
    id: UploadId,
    epoch: Epoch,
    offset: u64,
    span: &Span,
) -> Result<Response, Problem> {
    let store = call.site.gateway.store();
    let kept = store.checkpoint(id, epoch, Offset::new(offset), span).await;
    kept.map_err(|error: StoreError| error.problem())?;
    call.done(StatusCode::NO_CONTENT);
    Ok(taken(offset))
}

/// The bytes of a body up to where it breaks off, and why it does.
fn until_broken<B>(body: B, broken: Arc<OnceLock<BodyError>>) -> ByteStream
where
    B: Stream<Item = Result<Bytes, BodyError>> + Send + 'static,
{
    let bytes = body.map(Ok::<_, BodyError>).scan(broken, |broken, next| {
        let next = match next {
            Ok(Ok(bytes)) => Some(Ok(bytes)),
            Ok(Err(error)) | Err(error) => {
                let _ = broken.set(error);
                None
            }
        };
        std::future::ready(next)
    });
    Box::pin(bytes)
}

type End = Arc<tokio::sync::Mutex<Option<(Checksum, u64)>>>;

/// The same bytes, with their checksum and number once they have come to their end.
fn hashed(
    body: Wanted,
    checksum: Checksum,
) -> (impl Stream<Item = Result<Bytes, BodyError>> + Send, End) {
    let end = End::default();
    let told = Arc::clone(&end);
    let state = (body, Some((checksum, 0)), told);
    let bytes = futures_util::stream::unfold(state, async |(mut body, mut sum, told)| {
        match body.next().await {
            Some(Ok(bytes)) => {
                if let Some((checksum, length)) = &mut sum {
                    checksum.update(&bytes);
                    *length += bytes.len() as u64;
                }
                Some((Ok(bytes), (body, sum, told)))
            }
            Some(Err(error)) => Some((Err(error), (body, None, told))),
            None => {
                *told.lock().await = sum;
                None
            }
        }
    });
    (bytes, end)
}

/// The answer to bytes of a part, which may be told to be complete: it is nothing by itself.
fn taken(offset: u64) -> Response {
    let mut response = standing::empty(StatusCode::NO_CONTENT);
    standing::offset(&mut response, offset);
    standing::expires(&mut response, Clock::system().now().plus(EXPIRY));
    response
}
