//! An upload that nobody here holds: taken over from whoever had it, and shown to the policies again.

use std::sync::Arc;
use std::time::Duration;

use portcullis_hop::{Problem, StoreError, UploadRecord, UploadState, UploadStatus, UploadStore};
use portcullis_telemetry::Span;
use portcullis_types::Principal;
use tokio::task::JoinHandle;

use super::append::{failed, waits};
use super::call::{self, Call, TURN_WAIT};
use super::standing::Standing;
use crate::gateway::Failure;
use crate::routes::Site;
use crate::session::UploadSession;
use crate::sessions::{Held, Turn};

/// How long a request with bytes waits until the policies have seen again what came before.
const RESTORE_WAIT: Duration = Duration::from_secs(2);

/// How an upload stands that is not over. Whoever works on it is asked to stop. Where nobody here holds it, it is taken
/// over, and the policies begin to see it again: by the time its client sends more they are ready, or nearly so.
pub(super) async fn look(
    call: &Call,
    record: &UploadRecord,
    owner: &Principal,
) -> Result<Standing, Problem> {
    let id = record.status.id;
    let span = call.work(&record.upload.traceparent);
    let sessions = call.site.gateway.sessions();
    let turn = sessions.turn(id, owner, &record.upload.traceparent, TURN_WAIT);
    let Some(mut turn) = turn.await else {
        // It is being committed, or shown to the policies.
        return Ok(Standing::of(&call.owned(id, owner).await?));
    };
    // Again: whoever had the turn may have gone on, or ended it.
    let record = call.owned(id, owner).await?;
    let standing = Standing::of(&record);
    if record.status.state != UploadState::Open {
        return Ok(standing);
    }
    match turn.take() {
        Some(held) if held.is_current(&call.site.gateway, record.status.epoch) => {
            turn.put(held);
            Ok(standing)
        }
        _ => {
            let status = take_over(call, &record, &span).await?;
            begin(&call.site, turn, record, status, &span);
            Ok(standing.at(status.offset.bytes()))
        }
    }
}

/// The turn, with the upload in it that nobody here holds.
pub(super) async fn restored(
    call: &Call,
    turn: Turn,
    record: UploadRecord,
    span: &Arc<Span>,
) -> Result<Turn, Problem> {
    let id = record.status.id;
    let status = take_over(call, &record, span).await?;
    let restoring = begin(&call.site, turn, record, status, span);
    match tokio::time::timeout(RESTORE_WAIT, restoring).await {
        Ok(Ok(Ok(turn))) => Ok(turn),
        Ok(Ok(Err(failure))) => Err(failed(id, failure, span)),
        // It goes on without this request.
        Ok(Err(_)) | Err(_) => Err(waits()),
    }
}

async fn take_over(
    call: &Call,
    record: &UploadRecord,
    span: &Span,
) -> Result<UploadStatus, Problem> {
    let store = call.site.gateway.store();
    let status = store.take_over(record.status.id, span).await;
    let status = status.map_err(|error| error.problem())?;
    match status.state {
        UploadState::Open => Ok(status),
        UploadState::Cancelled | UploadState::Expired => Err(call::gone()),
        state => Err(StoreError::Ended(state).problem()),
    }
}

/// Shows it to the policies in a task of its own, which outlives the request.
fn begin(
    site: &Arc<Site>,
    mut turn: Turn,
    record: UploadRecord,
    status: UploadStatus,
    span: &Arc<Span>,
) -> JoinHandle<Result<Turn, Failure>> {
    let (gateway, span) = (Arc::clone(&site.gateway), Arc::clone(span));
    site.gateway.tasks().spawn(async move {
        let _permit = gateway.restoring().await;
        let session = UploadSession::resume(&gateway, &record, &status, &span).await?;
        turn.put(Held::UnderWay(session));
        Ok(turn)
    })
}
