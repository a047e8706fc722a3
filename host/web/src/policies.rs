//! The policies in force: where they come from, and what came of the last change. Whatever asks for other ones, they
//! come into force in one way.

pub(crate) mod file;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use portcullis_engine::{Engine, LoadError, Revision, SetFiles};
use portcullis_types::{Clock, Sha256Digest, Timestamp};
use serde::Serialize;

/// What decides which policies are in force.
pub(crate) struct Policies {
    engine: Arc<Engine>,
    clock: Clock,
    last: Mutex<Option<Change>>,
}

/// An attempt to put other policies in force.
#[derive(Clone)]
struct Change {
    at: Timestamp,
    outcome: Result<Sha256Digest, String>,
}

/// How the policies stand, for those who may know.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Status {
    /// The digest of code, settings and resources in force.
    pub(crate) revision: Option<Sha256Digest>,
    /// Whether the last attempt to change them succeeded.
    pub(crate) last_change: Option<LastChange>,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<String>,
    /// When that was.
    pub(crate) at: Option<Timestamp>,
    /// Revisions that are not in force any more and judge uploads that began under them.
    pub(crate) retired: usize,
}

/// What came of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum LastChange {
    /// What was asked for is in force.
    InForce,
    /// It was refused, and what was in force before still is.
    Refused,
}

impl Policies {
    pub(crate) fn new(engine: Arc<Engine>) -> Self {
        Self {
            engine,
            clock: Clock::system(),
            last: Mutex::default(),
        }
    }

    /// What runs them.
    pub(crate) fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }

    /// Has a set show that it could serve, and then puts it in force, or says in the status why not.
    /// A set that is in force already stays as it is.
    pub(crate) async fn take(&self, files: SetFiles) -> Result<Arc<Revision>, LoadError> {
        let prepared = match self.engine.prepare(files).await {
            Ok(prepared) => prepared,
            Err(error) => {
                self.note(Err(error.to_string()));
                return Err(error);
            }
        };
        let (revision, current) = (Arc::clone(&prepared.revision), self.engine.revision());
        let digest = revision.digest();
        self.note(Ok(digest));
        if let Some(current) = current.filter(|current| current.digest() == digest) {
            tracing::info!(target: "policy", revision = %digest, "these policies are in force already");
            return Ok(current);
        }
        self.engine.put_in_force(&prepared);
        tracing::info!(target: "policy", revision = %digest, "policies are in force");
        Ok(revision)
    }

    /// How things stand.
    pub(crate) fn status(&self) -> Status {
        let last = self.last().clone();
        let outcome = last.as_ref().map(|change| &change.outcome);
        Status {
            revision: self.engine.revision().map(|revision| revision.digest()),
            last_change: outcome.map(|outcome| match outcome {
                Ok(_) => LastChange::InForce,
                Err(_) => LastChange::Refused,
            }),
            error: outcome.and_then(|outcome| outcome.as_ref().err().cloned()),
            at: last.map(|change| change.at),
            retired: self.engine.retired(),
        }
    }

    fn note(&self, outcome: Result<Sha256Digest, String>) {
        let at = self.clock.now();
        *self.last() = Some(Change { at, outcome });
    }

    fn last(&self) -> MutexGuard<'_, Option<Change>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
