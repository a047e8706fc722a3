//! More bytes of an upload, and its end.

use std::sync::Arc;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use http::StatusCode;
use portcullis_hop::{Problem, ProblemKind, StoreError, UploadRecord, UploadState};
use portcullis_server::body_headers;
use portcullis_telemetry::Span;
use portcullis_types::{Principal, UploadId};

use super::body::Wanted;
use super::call::{self, Call};
use super::checksum::Checksum;
use super::header as said;
use super::{parts, restore, standing};
use crate::answer;
use crate::gateway::Failure;
use crate::linger::{BodyError, LingeringBody, Trailers};
use crate::raw::announced_length;
use crate::session::{Appended, Checked, NotKept, Staged, UploadSession};
use crate::sessions::{Held, Turn};

/// Appends a body. It goes on when the client goes away, so that what came is kept and what is complete is committed.
pub(super) async fn append(call: Call, id: UploadId, body: Body) -> Response {
    let tasks = call.site.gateway.tasks().clone();
    let answered = tasks.spawn(async move {
        let answered = answer_to(&call, id, body).await;
        call.answer(answered)
    });
    answered.await.unwrap_or_else(|_| {
        let detail = "The web host failed while it took these bytes; ask how far the upload has come and go on from there.";
        answer::problem_response(Problem::new(ProblemKind::Internal, detail))
    })
}

async fn answer_to(call: &Call, id: UploadId, body: Body) -> Result<Response, Problem> {
    let body = call.body(body);
    said::check_version(&call.headers)?;
    body_headers::check(&call.headers)?;
    said::check_body_type(&call.headers)?;
    let from = said::offset(&call.headers)?;
    let owner = call.principal().await?;
    // What it takes to find the upload is not to be held for as long as the bytes come.
    let (mut turn, span) = match Box::pin(turn(call, id, &owner, from)).await? {
        Found::Turn(turn, span) => (turn, span),
        Found::Part(turn, part, span) => {
            return Box::pin(parts::append(call, turn, *part, from, body, &span)).await;
        }
        Found::Answer(response) => return Ok(response),
    };
    match turn.take() {
        Some(Held::Passed(staged)) => Box::pin(commit_again(turn, staged, from, &span)).await,
        Some(Held::UnderWay(session)) => more(call, turn, session, from, body, &span).await,
        None => Err(waits()),
    }
}

/// What a request finds.
enum Found {
    Turn(Turn, Arc<Span>),
    /// A part of another upload, and the turn on it.
    Part(Turn, Box<UploadRecord>, Arc<Span>),
    /// The upload is over, and this is the answer.
    Answer(Response),
}

/// The turn on an upload, with the upload in it.
async fn turn(call: &Call, id: UploadId, owner: &Principal, from: u64) -> Result<Found, Problem> {
    let gateway = &call.site.gateway;
    let known = gateway.sessions().known(id);
    let trace = match known {
        Some((held_for, trace)) if held_for.subject() == owner.subject() => trace,
        Some(_) => return Err(call::unknown()),
        None => {
            let record = call.owned(id, owner).await?;
            if !record.status.state.takes_bytes() {
                return over(&record, from).map(Found::Answer);
            }
            record.upload.traceparent
        }
    };
    let span = call.span();
    let turn = gateway.sessions().turn(id, owner, &trace).await;
    let mut turn = turn.ok_or_else(waits)?;
    if let Some(held) = turn.take()
        && held.is_judged_by(gateway)
    {
        turn.put(held);
        return Ok(Found::Turn(turn, span));
    }
    let record = call.taken_over(id, owner).await?;
    match record.status.state {
        UploadState::Open => {
            let turn = restore::restored(call, turn, record, &span).await?;
            Ok(Found::Turn(turn, span))
        }
        UploadState::Held => Ok(Found::Part(turn, Box::new(record), span)),
        _ => over(&record, from).map(Found::Answer),
    }
}

/// The answer to bytes for an upload that is over.
pub(super) fn over(record: &UploadRecord, from: u64) -> Result<Response, Problem> {
    let trace = record.upload.traceparent.trace_id();
    match record.status.state {
        UploadState::Committed | UploadState::Quarantined => {
            let length = record.status.offset.bytes();
            if from == length {
                Ok(stored(length))
            } else {
                Err(mismatch(length))
            }
        }
        UploadState::Rejected => match &record.conclusion {
            Some(conclusion) => Err(answer::concluded_problem(conclusion).with_support_id(trace)),
            None => Err(StoreError::Ended(UploadState::Rejected).problem()),
        },
        UploadState::Cancelled | UploadState::Expired => Err(call::gone()),
        UploadState::Committing | UploadState::Open | UploadState::Held => Err(waits()),
    }
}

/// What a request with bytes wants of an upload under way.
enum Wish {
    /// To append them; all of them or none, if they are to have a checksum.
    Append(Option<Checksum>),
    /// To hear the verdict, of which nothing but the last byte keeps a client: it sends that again.
    Verdict,
}

async fn more(
    call: &Call,
    mut turn: Turn,
    mut session: UploadSession,
    from: u64,
    body: LingeringBody,
    span: &Arc<Span>,
) -> Result<Response, Problem> {
    let wish = match wish(call, &mut session, from, &body.trailers(), span).await {
        Ok(wish) => wish,
        Err(problem) => {
            turn.put(Held::UnderWay(session));
            return Err(problem);
        }
    };
    let id = session.created_as().id;
    let most = most(call, session.length());
    let mut body = Wanted::new(body, turn.overtaken(), most - from);
    let ended = |failure| answer::failed(id, failure, span);
    let (session, problem) = match wish {
        Wish::Verdict => {
            let same = same_byte(&mut body, session.last_byte(), session.offset()).await;
            (session, same.err())
        }
        Wish::Append(None) => {
            let Appended { session, broken } = session.append(body, span).await.map_err(ended)?;
            let problem = broken.map(|error| broke_off(error, session.offset(), most));
            (session, problem)
        }
        Wish::Append(Some(checksum)) => {
            let checked = Box::pin(session.append_checked(body, checksum, span)).await;
            match checked.map_err(ended)? {
                Checked::Appended(session) => (session, None),
                Checked::Untouched(session, why) => (session, Some(not_kept(why, most))),
                Checked::Undone(why) => return Err(not_kept(why, most)),
            }
        }
    };
    if problem.is_none() && session.is_complete() {
        return Box::pin(finish(call, turn, session, span)).await;
    }
    let response = appended(call, &session);
    turn.put(Held::UnderWay(session));
    if let Some(problem) = problem {
        return Err(problem);
    }
    Ok(response)
}

/// What a request wants, unless something about it is wrong, which costs the upload nothing.
async fn wish(
    call: &Call,
    session: &mut UploadSession,
    from: u64,
    trailers: &Trailers,
    span: &Span,
) -> Result<Wish, Problem> {
    declare_length(call, session, span).await?;
    let (offset, length) = (session.offset(), session.length());
    let is_verdict = session.is_complete() && from + 1 == offset;
    if from != offset && !is_verdict {
        return Err(mismatch(standing::shown(offset, length)));
    }
    let most = most(call, length);
    fits(call, most - from, most)?;
    let checksum = said::checksum(&call.headers, trailers)?;
    Ok(if is_verdict {
        Wish::Verdict
    } else {
        Wish::Append(checksum)
    })
}

/// How many bytes an upload of this length may have.
pub(super) fn most(call: &Call, length: Option<u64>) -> u64 {
    length.unwrap_or(call.site.gateway.limits().upload_bytes)
}

/// Takes the length that a request tells of an upload that had none.
async fn declare_length(
    call: &Call,
    session: &mut UploadSession,
    span: &Span,
) -> Result<(), Problem> {
    let Some(length) = said::length(&call.headers)? else {
        return Ok(());
    };
    let limit = call.site.gateway.limits().upload_bytes;
    match session.length() {
        Some(known) if known == length => Ok(()),
        None if length > limit => Err(answer::problem(Failure::TooLarge { limit })),
        None if length >= session.offset() => {
            let declared = session.declare_length(length, span).await;
            declared.map_err(|error| error.problem())
        }
        _ => Err(said::bad(
            "The length of this upload is another; it cannot be changed, nor be less than what has come.",
        )),
    }
}

/// Refuses a body that is longer than what is missing, before it comes.
pub(super) fn fits(call: &Call, rest: u64, length: u64) -> Result<(), Problem> {
    if announced_length(&call.headers).is_some_and(|announced| announced > rest) {
        return Err(too_long(length));
    }
    Ok(())
}

/// Compares the last byte, which has come before, with that of this body.
async fn same_byte<B>(body: &mut B, last: Option<u8>, offset: u64) -> Result<(), Problem>
where
    B: Stream<Item = Result<Bytes, BodyError>> + Unpin,
{
    while let Some(bytes) = body.next().await {
        match bytes {
            Ok(bytes) if bytes.iter().all(|byte| Some(*byte) == last) => {}
            Ok(_) => {
                let detail = "The last byte is another than the one that came before; send the file that was begun, or start the upload anew.";
                return Err(Problem::new(ProblemKind::DigestMismatch, detail));
            }
            Err(error) => return Err(broke_off(error, offset - 1, offset)),
        }
    }
    Ok(())
}

/// All has come: asks the policies for their last word, and commits what they let pass.
async fn finish(
    call: &Call,
    mut turn: Turn,
    session: UploadSession,
    span: &Arc<Span>,
) -> Result<Response, Problem> {
    if let Err(problem) = call.may_still_store().await {
        turn.put(Held::UnderWay(session));
        return Err(problem);
    }
    let id = session.created_as().id;
    let staged = session.finish(span).await;
    let staged = staged.map_err(|failure| answer::failed(id, failure, span))?;
    commit(turn, staged, span).await
}

/// The same for an upload that one request brings whole: if it cannot be stored now, nothing of it stays.
pub(super) async fn finish_alone(
    call: &Call,
    session: UploadSession,
    span: &Arc<Span>,
) -> Result<Response, Problem> {
    if let Err(problem) = call.may_still_store().await {
        session.cancel().await;
        return Err(problem);
    }
    let id = session.created_as().id;
    let staged = session.finish(span).await;
    let mut staged = staged.map_err(|failure| answer::failed(id, failure, span))?;
    let receipt = answer::ended(id, staged.commit(span).await, span)?;
    Ok(stored(receipt.size))
}

async fn commit_again(
    mut turn: Turn,
    staged: Staged,
    from: u64,
    span: &Arc<Span>,
) -> Result<Response, Problem> {
    let length = staged.length();
    if from != length && from + 1 != length {
        turn.put(Held::Passed(staged));
        return Err(mismatch(standing::shown(length, Some(length))));
    }
    commit(turn, staged, span).await
}

async fn commit(mut turn: Turn, mut staged: Staged, span: &Arc<Span>) -> Result<Response, Problem> {
    let committed = staged.commit(span).await;
    let id = staged.id();
    if let Err(Failure::Store(error)) = &committed
        && may_be_tried_again(error)
    {
        turn.put(Held::Passed(staged));
    }
    let receipt = answer::ended(id, committed, span)?;
    Ok(stored(receipt.size))
}

/// Whether the upload still waits to be committed.
fn may_be_tried_again(error: &StoreError) -> bool {
    !matches!(
        error,
        StoreError::Fenced
            | StoreError::Ended(_)
            | StoreError::NotFound
            | StoreError::DigestMismatch
    )
}

/// The answer to bytes that are appended.
pub(super) fn appended(call: &Call, session: &UploadSession) -> Response {
    let gateway = &call.site.gateway;
    let mut response = standing::empty(StatusCode::NO_CONTENT);
    let offset = standing::shown(session.offset(), session.length());
    standing::offset(&mut response, offset);
    standing::expires(&mut response, gateway.now().plus(gateway.limits().expiry));
    response
}

/// The answer to the last byte of an upload that is stored.
fn stored(length: u64) -> Response {
    let mut response = standing::empty(StatusCode::NO_CONTENT);
    standing::offset(&mut response, length);
    response
}

/// The offset is another.
pub(super) fn mismatch(expected: u64) -> Problem {
    let expected = portcullis_types::Offset::new(expected);
    StoreError::OffsetMismatch { expected }.problem()
}

/// Why a body ended before its end; what came before that is kept.
pub(super) fn broke_off(error: BodyError, offset: u64, length: u64) -> Problem {
    let kept =
        format!("What came is kept up to byte {offset}; ask for the offset and go on from there.");
    ended_early(error, length, &kept).with("offset", offset)
}

/// Bytes with a checksum of which nothing is kept.
pub(super) fn not_kept(why: NotKept, length: u64) -> Problem {
    match why {
        NotKept::Mismatch => Problem::new(
            ProblemKind::ChecksumMismatch,
            "The bytes of this request do not have the checksum that was sent with them, and none of them is kept; send them again.",
        ),
        NotKept::NoChecksum(problem) => problem,
        NotKept::Broken(error) => {
            let kept = "Bytes with a checksum count only as a whole, so none of them is kept; send them again.";
            ended_early(error, length, kept)
        }
    }
}

/// What a request hears whose body ended before its end. `kept` says what stays of it.
fn ended_early(error: BodyError, length: u64, kept: &str) -> Problem {
    let (kind, why) = match error {
        BodyError::ClientGone => (
            ProblemKind::BadRequest,
            "The bytes ended before all of them had come.".to_owned(),
        ),
        BodyError::Idle(idle) => (
            ProblemKind::TooSlow,
            format!("No byte came for {} s.", idle.as_secs()),
        ),
        BodyError::Slow(least) => (
            ProblemKind::TooSlow,
            format!("Less than {least} bytes a second came."),
        ),
        BodyError::Overtaken => (
            ProblemKind::Fenced,
            "Another request goes on with this upload.".to_owned(),
        ),
        BodyError::Stopping => (
            ProblemKind::Stopping,
            "This web host is being stopped.".to_owned(),
        ),
        BodyError::TooLong => return too_long(length),
    };
    Problem::new(kind, format!("{why} {kept}"))
}

/// More bytes than the upload has.
pub(super) fn too_long(length: u64) -> Problem {
    let detail = format!(
        "The upload has {length} bytes, and these would be more; send what is missing, or start the upload anew with its right length."
    );
    Problem::new(ProblemKind::TooLarge, detail)
}

/// The upload is not ready for more.
pub(super) fn waits() -> Problem {
    let detail = "The checks are going through what came of this upload before, or it is being stored; ask for the offset again in a moment and go on from there.";
    Problem::new(ProblemKind::NotReady, detail)
}
