//! The gate: policies before it, services behind it, and how much it takes at once.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::{StreamExt, stream};
use portcullis_engine::{
    Admission, Engine, FindingListener, RefusalCause, Refused, Shadow, Upload,
};
use portcullis_hop::{HopClient, StoreError};
use portcullis_types::{Clock, Principal, Timestamp, UploadId};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::task::TaskTracker;

use crate::linger::BodyError;
use crate::metadata::Headers;
use crate::restores::Restores;
use crate::senders::Senders;
use crate::sessions::{Held, Sessions, Turn};
use crate::shadow::ShadowDesk;
use crate::tus::Compositions;

/// How many uploads are written down at once.
const PAUSES_AT_ONCE: usize = 8;

/// What every upload passes.
pub(crate) struct Gateway {
    engine: Arc<Engine>,
    store: Arc<HopClient>,
    clock: Clock,
    limits: GateLimits,
    permits: Arc<Semaphore>,
    restores: Restores,
    sessions: Arc<Sessions>,
    compositions: Compositions,
    senders: Senders,
    tasks: TaskTracker,
    shadows: ShadowDesk,
}

/// What one gate takes at once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct GateLimits {
    /// Uploads under way at once. Each needs about 2 MiB and one instance of every policy.
    pub(crate) uploads: usize,
    /// The largest upload in bytes.
    pub(crate) upload_bytes: u64,
    /// How long services may take for the next chunk.
    pub(crate) stall: Duration,
    /// How long an upload waits for its next byte.
    pub(crate) expiry: Duration,
    /// How many uploads one sender may begin in a minute.
    pub(crate) created_per_minute: Option<u32>,
}

/// Why an upload was not stored.
pub(crate) enum Failure {
    /// The policies refuse it.
    Refused(Box<Refused>),
    /// Services did not take it.
    Store(StoreError),
    /// The client did not send it.
    Body(BodyError),
    /// The client sent another length than it declared.
    Length {
        /// What it declared, in bytes.
        declared: u64,
        /// What came.
        arrived: u64,
    },
    /// It has another SHA-256 than the client announced.
    Changed,
    /// It is larger than this gate takes.
    TooLarge {
        /// The limit in bytes.
        limit: u64,
    },
    /// Too many uploads are under way.
    Overloaded,
    /// Its sender began too many within a minute.
    TooMany {
        /// How many they may begin.
        most: u32,
    },
}

impl Gateway {
    pub(crate) fn new(
        engine: Arc<Engine>,
        store: Arc<HopClient>,
        limits: GateLimits,
        tasks: TaskTracker,
        shadows: ShadowDesk,
    ) -> Self {
        Self {
            engine,
            store,
            clock: Clock::system(),
            permits: Arc::new(Semaphore::new(limits.uploads)),
            restores: Restores::new(),
            sessions: Arc::default(),
            compositions: Compositions::default(),
            senders: Senders::new(limits.created_per_minute),
            limits,
            tasks,
            shadows,
        }
    }

    /// The policies.
    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Services.
    pub(crate) fn store(&self) -> &Arc<HopClient> {
        &self.store
    }

    /// Tasks that outlive the request that began them: what is concluded, and what is left of refused
    /// bodies.
    pub(crate) fn tasks(&self) -> &TaskTracker {
        &self.tasks
    }

    /// What it takes.
    pub(crate) fn limits(&self) -> &GateLimits {
        &self.limits
    }

    /// Where it is reported what shadow policies would have said.
    pub(crate) fn shadows(&self) -> &ShadowDesk {
        &self.shadows
    }

    /// Uploads between their requests.
    pub(crate) fn sessions(&self) -> &Arc<Sessions> {
        &self.sessions
    }

    /// Uploads that are being put together from parts.
    pub(crate) fn compositions(&self) -> &Compositions {
        &self.compositions
    }

    /// What time it is.
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Whether somebody may begin one more upload now.
    pub(crate) fn may_begin(&self, principal: &Principal) -> Result<(), Failure> {
        let begun = self.senders.begin(principal.subject(), Instant::now());
        begun.map_err(|most| Failure::TooMany { most })
    }

    /// How many uploads it works on, or holds between two of their requests.
    pub(crate) fn open(&self) -> usize {
        self.limits.uploads - self.permits.available_permits()
    }

    /// Whether one more upload would find room.
    pub(crate) fn has_room(&self) -> bool {
        self.permits.available_permits() > 0 || self.sessions.has_idle()
    }

    /// Room for one more upload. Where there is none, the upload makes room that has been idle longest.
    pub(crate) async fn permit(&self) -> Result<OwnedSemaphorePermit, Failure> {
        loop {
            if let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() {
                return Ok(permit);
            }
            if !self.make_room().await {
                return Err(Failure::Overloaded);
            }
        }
    }

    /// Shows the headers of an upload to the policies. Where their memory is used up, uploads make room that nobody works
    /// on, as far as there are any.
    pub(crate) async fn admit(
        &self,
        upload: &Upload,
        listener: Option<FindingListener>,
    ) -> (Admission, Shadow) {
        loop {
            let (admission, shadow) = self.engine.begin(upload, listener.clone()).await;
            if !is_overloaded(&admission) || !self.make_room().await {
                return (admission, shadow);
            }
        }
    }

    /// Lets go of the upload that has been idle longest. Says whether there was one.
    pub(crate) async fn make_room(&self) -> bool {
        match self.sessions.longest_idle() {
            Some((_turn, held)) => {
                held.pause().await;
                true
            }
            None => false,
        }
    }

    /// Lets go of uploads that nobody has gone on with for so long, and of those whose policies were retired.
    pub(crate) async fn let_go_of_idle(&self, longest: Duration) {
        let is_retired = |held: &Held| !held.is_judged_by(self);
        drop(self.sessions.idle(|held, _| is_retired(held)));
        let idle = self.sessions.idle(|_, since| since >= longest);
        stream::iter(idle)
            .for_each_concurrent(PAUSES_AT_ONCE, |(turn, held)| pause(turn, held))
            .await;
    }

    /// Room for showing uploads to the policies again.
    pub(crate) fn restores(&self) -> &Restores {
        &self.restores
    }

    /// A new upload of somebody, received now.
    pub(crate) fn receive(&self, headers: Headers, principal: Principal) -> Upload {
        Upload {
            id: UploadId::generate(),
            filename: headers.filename,
            folder: headers.folder,
            media_type: headers.media_type,
            length: headers.length,
            attributes: headers.attributes,
            principal,
            received_at: self.now(),
        }
    }
}

/// Nobody else works on the upload until it is done.
async fn pause(turn: Turn, held: Held) {
    held.pause().await;
    drop(turn);
}

fn is_overloaded(admission: &Admission) -> bool {
    matches!(admission, Admission::Refused(refused) if refused.cause == RefusalCause::Overloaded)
}
