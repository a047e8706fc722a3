//! An upload that is put together from parts: judged in their order, stored, and only then answered.
//!
//! Parts may still be on their way; each is taken when it is complete. The id follows from those of the parts, so that a
//! client that asks again gets the result of the same upload. Clients time out long before a large upload is put together:
//! the work goes on without the request, and the next request for the same parts waits for it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use axum::response::Response;
use http::StatusCode;
use portcullis_hop::{Composition, Problem, ProblemKind, UploadRecord, UploadState};
use portcullis_telemetry::{Attribute, Span};
use portcullis_types::{Principal, Sha256Hasher, UploadId};
use tokio::sync::OwnedMutexGuard;

use super::append::{finish_alone, over, waits};
use super::call::{self, Call};
use super::create::located;
use super::header as said;
use crate::linger::STOPPING;
use crate::metadata::Headers;
use crate::session::{Appended, Source, UploadSession, read_back};
use crate::{announced_digest, answer};

/// How often it is looked whether the next part is complete.
const BEAT: Duration = Duration::from_millis(200);
/// How often putting the same parts together may have failed before: the server died, or a part did not come.
const MAX_ATTEMPTS: u8 = u8::MAX;

/// Uploads that are being put together, each by one request at a time.
#[derive(Default)]
pub(crate) struct Compositions(Mutex<HashMap<UploadId, Weak<tokio::sync::Mutex<()>>>>);

impl Compositions {
    /// Waits until no other request puts the same upload together.
    async fn turn(&self, id: UploadId) -> OwnedMutexGuard<()> {
        let turn = {
            let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            all.retain(|_, turn| turn.strong_count() > 0);
            let known = all.get(&id).and_then(Weak::upgrade);
            known.unwrap_or_else(|| {
                let new = Arc::default();
                all.insert(id, Arc::downgrade(&new));
                new
            })
        };
        turn.lock_owned().await
    }
}

/// Puts an upload together, or waits until another request has.
pub(super) async fn create(call: Call, ids: Vec<UploadId>) -> Response {
    let begun = async {
        let owner = call.principal().await?;
        let compositions = call.site.gateway.compositions();
        let turn = compositions.turn(id_at(0, &ids, &owner)).await;
        Ok((owner, turn))
    };
    let (owner, turn) = match begun.await {
        Ok(begun) => begun,
        Err(problem) => return call.answer(Err(problem)),
    };
    let tasks = call.site.gateway.tasks().clone();
    let answered = tasks.spawn(async move {
        let answered = tokio::select! {
            answered = compose(&call, ids, &owner) => answered,
            () = call.site.cut.wait() => Err(Problem::new(ProblemKind::Stopping, STOPPING)),
        };
        drop(turn);
        call.answer(answered)
    });
    answered.await.unwrap_or_else(|_| {
        let detail =
            "The web host failed while it put the parts together; ask again, all parts are kept.";
        answer::problem_response(Problem::new(ProblemKind::Internal, detail))
    })
}

async fn compose(
    call: &Call,
    ids: Vec<UploadId>,
    principal: &Principal,
) -> Result<Response, Problem> {
    if said::length(&call.headers)?.is_some() {
        return Err(said::bad(
            "The length of an upload that is put together follows from its parts; leave `Upload-Length` out.",
        ));
    }
    let (pairs, metadata) = said::metadata(&call.headers)?;
    let id = match id_of(call, &ids, principal).await? {
        Id::Free(id) => id,
        Id::Over(record) => {
            // It was put together before, and its answer got lost.
            let mut response = over(&record, record.status.offset.bytes())?;
            *response.status_mut() = StatusCode::CREATED;
            return Ok(located(call, response, record.status.id));
        }
    };
    let mut parts = Vec::new();
    for part in &ids {
        parts.push(held(call, *part, principal).await?);
    }
    let length: Option<u64> = parts.iter().map(|part| part.length).sum();
    let described = Headers::of_pairs(pairs, length)?;
    let announced = announced_digest::of_file(&call.headers)?;
    let sha256 = announced_digest::agreed(described.sha256, announced)?;
    let span = call.span();
    span.set(Attribute::UploadId(id));
    let mut upload = call.site.gateway.receive(described, principal.clone());
    upload.id = id;
    let source = Source {
        client: call.client,
        span: Arc::clone(&span),
        metadata: Some(metadata),
        composition: Some(Composition::Of(ids.clone())),
        sha256,
    };
    let session = UploadSession::create(&call.site.gateway, upload, &source, None).await;
    let session = session.map_err(|failure| answer::failed(id, failure, &span))?;
    let session = session.open(&span).await;
    let mut session = session.map_err(|failure| answer::failed(id, failure, &span))?;
    for part in &ids {
        session = take(call, session, *part, principal, &span).await?;
    }
    session.complete();
    let mut response = finish_alone(call, session, &span).await?;
    for part in ids {
        forget(call, part).await;
    }
    *response.status_mut() = StatusCode::CREATED;
    Ok(located(call, response, id))
}

/// Which id the upload of these parts has.
enum Id {
    /// One that no upload has.
    Free(UploadId),
    /// That of an upload which is over.
    Over(Box<UploadRecord>),
}

async fn id_of(call: &Call, parts: &[UploadId], owner: &Principal) -> Result<Id, Problem> {
    for attempt in 0..MAX_ATTEMPTS {
        let id = id_at(attempt, parts, owner);
        let record = match call.owned(id, owner).await {
            Ok(record) => record,
            Err(problem) if problem.kind == ProblemKind::NotFound => return Ok(Id::Free(id)),
            Err(problem) => return Err(problem),
        };
        match record.status.state {
            UploadState::Committing => return Err(waits()),
            // No other request here is working on it, so a server died while it did.
            UploadState::Open | UploadState::Held => forget(call, id).await,
            UploadState::Cancelled | UploadState::Expired => {}
            UploadState::Committed | UploadState::Quarantined | UploadState::Rejected => {
                return Ok(Id::Over(Box::new(record)));
            }
        }
    }
    Err(call::gone())
}

/// The id of an upload of these parts, at the first attempt to put it together, the second, and so on.
fn id_at(attempt: u8, parts: &[UploadId], owner: &Principal) -> UploadId {
    let mut hasher = Sha256Hasher::default();
    hasher.update(&[attempt]);
    for part in parts {
        hasher.update(part.as_bytes());
    }
    hasher.update(owner.subject().as_bytes());
    let digest = hasher.finish();
    let (bits, _) = digest
        .as_bytes()
        .split_first_chunk()
        .unwrap_or((&[0; 16], &[]));
    UploadId::from_bits(*bits)
}

/// A part of one's own.
async fn held(call: &Call, id: UploadId, owner: &Principal) -> Result<UploadRecord, Problem> {
    let record = call.owned(id, owner).await?;
    match record.status.state {
        UploadState::Held => Ok(record),
        UploadState::Cancelled | UploadState::Expired => Err(call::gone()),
        _ => Err(said::bad(
            "One of the addresses in `Upload-Concat` is that of an upload by itself; name parts only, each created with `Upload-Concat: partial`.",
        )),
    }
}

/// Shows the policies a part as soon as it is complete.
async fn take(
    call: &Call,
    session: UploadSession,
    part: UploadId,
    owner: &Principal,
    span: &Arc<Span>,
) -> Result<UploadSession, Problem> {
    let id = session.created_as().id;
    complete(call, part, owner).await?;
    let bytes = read_back(call.site.gateway.store(), part, span).await;
    let bytes = bytes.map_err(|error| error.problem())?;
    let appended = session.append(bytes, span).await;
    let Appended { session, broken } =
        appended.map_err(|failure| answer::failed(id, failure, span))?;
    if broken.is_some() {
        session.cancel().await;
        return Err(waits());
    }
    Ok(session)
}

/// Waits until a part is complete, for as long as it goes on.
async fn complete(call: &Call, part: UploadId, owner: &Principal) -> Result<(), Problem> {
    let (mut last, mut still) = (None, Duration::ZERO);
    loop {
        let record = held(call, part, owner).await?;
        let offset = record.status.offset.bytes();
        if record.length == Some(offset) {
            return Ok(());
        }
        if last != Some(offset) {
            (last, still) = (Some(offset), Duration::ZERO);
        }
        if still >= call.site.pace.idle {
            let detail = format!(
                "A part of the upload is not complete, and nothing came of it for {} s; send the rest of it and ask again.",
                call.site.pace.idle.as_secs()
            );
            return Err(Problem::new(ProblemKind::TooSlow, detail));
        }
        tokio::time::sleep(BEAT).await;
        still += BEAT;
    }
}

/// Lets go of an upload. What cannot be now goes when it expires.
async fn forget(call: &Call, id: UploadId) {
    let _ = call.give_up(id).await;
}
