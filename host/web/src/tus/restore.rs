//! An upload that nobody here holds: taken over from whoever had it, and shown to the policies again.

use std::sync::Arc;
use std::time::Duration;

use portcullis_hop::{Problem, UploadRecord, UploadState};
use portcullis_telemetry::Span;
use portcullis_types::Principal;
use tokio::task::JoinHandle;

use super::append::waits;
use super::call::Call;
use crate::answer;
use crate::found::Found;
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
    record: UploadRecord,
    owner: &Principal,
) -> Result<UploadRecord, Problem> {
    let id = record.status.id;
    let span = call.span();
    let Some(mut turn) = call.turn(&record).await else {
        // It is being committed, or shown to the policies.
        return call.owned(id, owner).await;
    };
    if let Some(held) = turn.take() {
        // Again: whoever had the turn may have gone on, or another web host has.
        let record = call.owned(id, owner).await?;
        if held.is_current(&call.site.gateway, record.status.epoch) {
            turn.put(held);
            return Ok(record);
        }
    }
    let record = call.taken_over(id, owner).await?;
    if record.status.state == UploadState::Open {
        begin(&call.site, turn, record.clone(), &span);
    }
    Ok(record)
}

/// The turn, with the upload in it that nobody here holds and that was just taken over.
pub(super) async fn restored(
    call: &Call,
    turn: Turn,
    record: UploadRecord,
    span: &Arc<Span>,
) -> Result<Turn, Problem> {
    let id = record.status.id;
    let restoring = begin(&call.site, turn, record, span);
    match tokio::time::timeout(RESTORE_WAIT, restoring).await {
        Ok(Ok(Ok(turn))) => Ok(turn),
        Ok(Ok(Err(failure))) => Err(answer::failed(id, failure, span)),
        // It goes on without this request.
        Ok(Err(_)) | Err(_) => Err(waits()),
    }
}

/// Shows it to the policies in a task of its own, which outlives the request.
fn begin(
    site: &Arc<Site>,
    mut turn: Turn,
    record: UploadRecord,
    span: &Arc<Span>,
) -> JoinHandle<Result<Turn, Failure>> {
    let (gateway, span) = (Arc::clone(&site.gateway), Arc::clone(span));
    site.gateway.tasks().spawn(async move {
        let _room = gateway.restores().begin(&record.upload.principal).await;
        let found = Found::default();
        turn.tell(found.clone());
        let session = UploadSession::resume(&gateway, record, &found, &span).await?;
        turn.put(Held::UnderWay(session));
        Ok(turn)
    })
}
