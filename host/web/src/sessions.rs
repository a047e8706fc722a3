//! Uploads between their requests. Each has a seat, and whoever has its turn is the only one who works on it: a newer
//! request asks the older one to stop, and waits until it has. No lock outlives its request.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use portcullis_hop::Epoch;
use portcullis_telemetry::TraceContext;
use portcullis_types::{Finding, Principal, UploadId};
use tokio::sync::{OwnedMutexGuard, watch};

use crate::found::Found;
use crate::gateway::Gateway;
use crate::session::{Staged, UploadSession};

/// How long a request waits for the one before it to stop.
const TURN_WAIT: Duration = Duration::from_secs(5);

/// All of them.
#[derive(Default)]
pub(crate) struct Sessions {
    seats: Mutex<HashMap<UploadId, Arc<Seat>>>,
}

/// One upload.
struct Seat {
    owner: Principal,
    /// The trace that all requests of the upload are in.
    trace: TraceContext,
    held: Arc<tokio::sync::Mutex<Option<Held>>>,
    /// The number of the newest request.
    newest: watch::Sender<u64>,
    /// When its last turn ended.
    idle_since: Mutex<Instant>,
    /// What its policies have found, once they were shown it here.
    found: Mutex<Option<Found>>,
}

/// What is kept of an upload between two requests.
pub(crate) enum Held {
    /// Its policies wait for more.
    UnderWay(UploadSession),
    /// They have said their last word; it is to be committed.
    Passed(Staged),
}

impl Held {
    /// Ends it here, for now.
    pub(crate) async fn pause(self) {
        match self {
            Self::UnderWay(session) => session.pause().await,
            // What has been said is said again of the same bytes.
            Self::Passed(_) => {}
        }
    }

    /// Whether the policies in force judge it. A revision that was retired while an upload paused does not go on with it;
    /// what has been said is said.
    pub(crate) fn is_judged_by(&self, gateway: &Gateway) -> bool {
        let current = gateway.engine().revision();
        match self {
            Self::Passed(_) => true,
            Self::UnderWay(session) => {
                current.is_some_and(|current| current.digest() == session.revision())
            }
        }
    }

    /// The same, and whether nobody else has taken the upload over since.
    pub(crate) fn is_current(&self, gateway: &Gateway, epoch: Epoch) -> bool {
        let own = match self {
            Self::Passed(staged) => staged.epoch(),
            Self::UnderWay(session) => session.epoch(),
        };
        own == epoch && self.is_judged_by(gateway)
    }
}

/// The turn on one upload. What is put into it is there for the next one.
pub(crate) struct Turn {
    sessions: Arc<Sessions>,
    id: UploadId,
    seat: Arc<Seat>,
    /// Absent only while it is dropped.
    held: Option<OwnedMutexGuard<Option<Held>>>,
    number: u64,
}

impl Sessions {
    /// Who owns an upload, and its trace, where that is known here.
    pub(crate) fn known(&self, id: UploadId) -> Option<(Principal, TraceContext)> {
        let seats = self.lock();
        let seat = seats.get(&id)?;
        Some((seat.owner.clone(), seat.trace.clone()))
    }

    /// What the policies have found in an upload, where it is under way here.
    pub(crate) fn found(&self, id: UploadId) -> Option<Vec<Finding>> {
        let seats = self.lock();
        let found = seats.get(&id)?.found().clone();
        drop(seats);
        found.map(|found| found.so_far())
    }

    /// Asks whoever works on an upload to stop, and waits for the turn; absent where that takes too long.
    pub(crate) async fn turn(
        self: &Arc<Self>,
        id: UploadId,
        owner: &Principal,
        trace: &TraceContext,
    ) -> Option<Turn> {
        let seat = self.seat(id, owner, trace);
        let mut number = 0;
        seat.newest.send_modify(|newest| {
            *newest += 1;
            number = *newest;
        });
        let held = tokio::time::timeout(TURN_WAIT, Arc::clone(&seat.held).lock_owned()).await;
        held.ok().map(|held| Turn {
            sessions: Arc::clone(self),
            id,
            seat,
            held: Some(held),
            number,
        })
    }

    /// Whether there is an upload that nobody works on now, and that could make room.
    pub(crate) fn has_idle(&self) -> bool {
        let is_idle = |seat: &Arc<Seat>| seat.held.try_lock().is_ok_and(|held| held.is_some());
        self.lock().values().any(is_idle)
    }

    /// What has been idle longest, with the turn on it, if anything is.
    pub(crate) fn longest_idle(self: &Arc<Self>) -> Option<(Turn, Held)> {
        let seats = self.lock();
        let mut idle: Vec<_> = seats
            .iter()
            .map(|(id, seat)| (*seat.idle_since(), *id, seat))
            .collect();
        idle.sort_by_key(|(since, ..)| *since);
        let mut idle = idle.into_iter();
        idle.find_map(|(_, id, seat)| self.if_idle(id, seat, |_| true))
    }

    /// Everything that nobody works on now and these words are true of, how long it has been idle among them; each with the
    /// turn on it.
    pub(crate) fn idle(
        self: &Arc<Self>,
        is_meant: impl Fn(&Held, Duration) -> bool,
    ) -> Vec<(Turn, Held)> {
        let mut seats = self.lock();
        let idle = seats.iter().filter_map(|(id, seat)| {
            let since = seat.idle_since().elapsed();
            self.if_idle(*id, seat, |held| is_meant(held, since))
        });
        let idle = idle.collect();
        seats.retain(|_, seat| !seat.is_empty());
        idle
    }

    fn if_idle(
        self: &Arc<Self>,
        id: UploadId,
        seat: &Arc<Seat>,
        is_meant: impl Fn(&Held) -> bool,
    ) -> Option<(Turn, Held)> {
        let mut held = Arc::clone(&seat.held).try_lock_owned().ok()?;
        let taken = held.take_if(|held| is_meant(held))?;
        let turn = Turn {
            sessions: Arc::clone(self),
            id,
            seat: Arc::clone(seat),
            held: Some(held),
            number: *seat.newest.borrow(),
        };
        Some((turn, taken))
    }

    fn seat(&self, id: UploadId, owner: &Principal, trace: &TraceContext) -> Arc<Seat> {
        let fresh = || {
            Arc::new(Seat {
                owner: owner.clone(),
                trace: trace.clone(),
                held: Arc::default(),
                newest: watch::Sender::new(0),
                idle_since: Mutex::new(Instant::now()),
                found: Mutex::default(),
            })
        };
        Arc::clone(self.lock().entry(id).or_insert_with(fresh))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<UploadId, Arc<Seat>>> {
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seat {
    fn idle_since(&self) -> MutexGuard<'_, Instant> {
        self.idle_since
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn found(&self) -> MutexGuard<'_, Option<Found>> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether nothing is held, and nobody waits for it.
    fn is_empty(self: &Arc<Self>) -> bool {
        Arc::strong_count(self) == 1 && self.held.try_lock().is_ok_and(|held| held.is_none())
    }
}

impl Turn {
    /// Takes what is held.
    pub(crate) fn take(&mut self) -> Option<Held> {
        self.held.as_mut().and_then(|held| held.take())
    }

    /// Leaves this for the next turn.
    pub(crate) fn put(&mut self, next: Held) {
        if let Some(held) = &mut self.held {
            **held = Some(next);
        }
    }

    /// From now on, whoever asks what was found in the upload is told this.
    pub(crate) fn tell(&self, found: Found) {
        *self.seat.found() = Some(found);
    }

    /// Becomes ready when a newer request wants the turn.
    pub(crate) fn overtaken(&self) -> impl Future<Output = ()> + Send + 'static {
        let (mut newest, number) = (self.seat.newest.subscribe(), self.number);
        async move {
            // The sender lives in the seat, which lives as long as the turn; without it nobody is newer.
            if newest.wait_for(|newest| *newest > number).await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        *self.seat.idle_since() = Instant::now();
        self.held = None;
        let mut seats = self.sessions.lock();
        // This one and that of the map.
        let is_last = Arc::strong_count(&self.seat) == 2;
        if is_last && self.seat.held.try_lock().is_ok_and(|held| held.is_none()) {
            seats.remove(&self.id);
        }
    }
}
