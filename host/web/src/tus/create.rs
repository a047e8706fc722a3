//! A new upload, which may bring its first bytes or all of them.

use std::sync::Arc;

use axum::body::Body;
use axum::response::Response;
use http::request::Parts;
use http::{HeaderValue, StatusCode, header};
use portcullis_hop::{Composition, Problem};
use portcullis_server::body_headers;
use portcullis_telemetry::{Attribute, Span, SpanName};
use portcullis_types::UploadId;

use super::append::{self, appended, finish_alone};
use super::body::Wanted;
use super::call::Call;
use super::header as said;
use super::{compose, parts};
use crate::found::Found;
use crate::gateway::Failure;
use crate::linger::LingeringBody;
use crate::metadata::Headers;
use crate::raw::announced_length;
use crate::routes::Site;
use crate::session::{Appended, Checked, Source, UploadSession};
use crate::sessions::Held;
use crate::{announced_digest, answer};

/// Creates an upload.
pub(crate) async fn create(site: Arc<Site>, parts: Parts, body: Body) -> Response {
    let call = Call::new(site, parts, SpanName::Upload);
    let mut body = call.body(body);
    let created = match kind(&call, &mut body).await {
        Err(problem) => Err(problem),
        Ok(None) => begin(&call, body).await,
        Ok(Some(Composition::Part)) => parts::create(&call, body).await,
        Ok(Some(Composition::Of(parts))) => return compose::create(call, parts).await,
    };
    call.answer(created)
}

/// What is created: an upload by itself, a part of one, or one of parts.
async fn kind(call: &Call, body: &mut LingeringBody) -> Result<Option<Composition>, Problem> {
    said::check_version(&call.headers)?;
    body_headers::check(&call.headers)?;
    let kind = said::composition(&call.headers)?;
    if kind.is_some() && !call.site.concatenation {
        return Err(said::bad(
            "Parts of uploads are not taken here; send each file by itself, without `Upload-Concat`.",
        ));
    }
    if matches!(kind, Some(Composition::Of(_))) && !is_empty(body).await? {
        return Err(said::bad(
            "An upload of parts has no bytes of its own; send `Upload-Concat: final` without a body.",
        ));
    }
    Ok(kind)
}

async fn is_empty(body: &mut LingeringBody) -> Result<bool, Problem> {
    let empty = body.is_over() || body.is_empty().await.map_err(answer::broken)?;
    Ok(empty)
}

/// How much of an upload its first request brings.
pub(super) enum First {
    Nothing,
    Some,
    All,
}

impl First {
    /// What the headers say of the body, or the body itself: over HTTP/2 a request with a body need not announce it.
    pub(super) async fn of(
        call: &Call,
        body: &mut LingeringBody,
        length: Option<u64>,
    ) -> Result<Self, Problem> {
        let headers = &call.headers;
        let announced = announced_length(headers);
        if length == Some(0) {
            return Ok(Self::All);
        }
        if announced == Some(0) || body.is_over() {
            return Ok(Self::Nothing);
        }
        if !said::has_bytes(headers) && announced.is_none() && is_empty(body).await? {
            return Ok(Self::Nothing);
        }
        said::check_body_type(headers)?;
        match (announced, length) {
            (Some(announced), Some(length)) if announced > length => Err(append::too_long(length)),
            (Some(announced), Some(length)) if announced == length => Ok(Self::All),
            _ => Ok(Self::Some),
        }
    }
}

async fn begin(call: &Call, mut body: LingeringBody) -> Result<Response, Problem> {
    let length = said::creation_length(&call.headers)?;
    let (pairs, metadata) = said::metadata(&call.headers)?;
    let described = Headers::of_pairs(pairs, length)?;
    let announced = announced_digest::of_file(&call.headers)?;
    let sha256 = announced_digest::agreed(described.sha256, announced)?;
    let checksum = said::checksum(&call.headers, &body.trailers())?;
    let first = First::of(call, &mut body, length).await?;
    let principal = call.principal().await?;
    let (site, span) = (&call.site, call.span());
    let upload = site.gateway.receive(described, principal.clone());
    let id = upload.id;
    span.set(Attribute::UploadId(id));
    let source = Source {
        client: call.client,
        span: Arc::clone(&span),
        metadata: Some(said::with_digest(metadata, announced)),
        composition: None,
        sha256,
    };
    let ended = |failure: Failure| answer::failed(id, failure, &span);
    let found = Found::default();
    let listener = Some(found.listener());
    let session = UploadSession::create(&site.gateway, upload, &source, listener).await;
    let session = session.map_err(&ended)?;
    if let (First::All, None) = (&first, &checksum) {
        return whole(call, session, body, &span).await;
    }
    let session = session.open(&span).await.map_err(&ended)?;
    let most = append::most(call, length);
    let body = Wanted::new(body, std::future::pending(), most);
    let mut session = match (first, checksum) {
        (First::Nothing, _) => session,
        (_, Some(checksum)) => {
            let checked = session.append_checked(body, checksum, &span).await;
            match checked.map_err(&ended)? {
                Checked::Appended(session) => session,
                Checked::Untouched(session, why) => {
                    session.cancel().await;
                    return Err(append::not_kept(why, most));
                }
                Checked::Undone(why) => return Err(append::not_kept(why, most)),
            }
        }
        (_, None) => {
            let appended = session.append(body, &span).await.map_err(&ended)?;
            kept_whole(appended, id, &span).await?
        }
    };
    let mut response = if session.is_complete() {
        finish_alone(call, session, &span).await?
    } else {
        let response = appended(call, &session);
        // Its client hears of it in this answer: from now on it outlives whoever sends.
        session.outlive();
        let trace = span.context();
        let turn = site.gateway.sessions().turn(id, &principal, &trace);
        let mut turn = turn.await.ok_or_else(append::waits)?;
        turn.tell(found);
        turn.put(Held::UnderWay(session));
        response
    };
    *response.status_mut() = StatusCode::CREATED;
    Ok(located(call, response, id))
}

/// An upload that one request brings whole.
async fn whole(
    call: &Call,
    session: UploadSession,
    body: LingeringBody,
    span: &Arc<Span>,
) -> Result<Response, Problem> {
    let id = session.created_as().id;
    let ended = |failure: Failure| answer::failed(id, failure, span);
    let appended = session.append_whole(body, span).await.map_err(&ended)?;
    let session = kept_whole(appended, id, span).await?;
    let mut response = finish_alone(call, session, span).await?;
    *response.status_mut() = StatusCode::CREATED;
    Ok(located(call, response, id))
}

/// An upload of whose first request nothing is missing. Otherwise its client does not know it, and it is given up.
async fn kept_whole(
    appended: Appended,
    id: UploadId,
    span: &Arc<Span>,
) -> Result<UploadSession, Problem> {
    let Appended { session, broken } = appended;
    match broken {
        None => Ok(session),
        Some(error) => {
            session.cancel().await;
            Err(answer::failed(id, Failure::Body(error), span))
        }
    }
}

/// Says where the upload is, relative to the address of the request: a proxy may serve this host below a path (RFC 9110,
/// section 10.2.2).
pub(super) fn located(call: &Call, mut response: Response, id: UploadId) -> Response {
    let folder = if call.ends_in_slash { "" } else { "uploads/" };
    let location = HeaderValue::from_str(&format!("{folder}{id}"));
    if let Ok(location) = location {
        response.headers_mut().insert(header::LOCATION, location);
    }
    response
}
