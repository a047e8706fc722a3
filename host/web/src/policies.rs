//! The policies in force: where they come from, and what came of the last change. Whatever asks for other ones, they
//! come into force in one way.

pub(crate) mod file;
pub(crate) mod services;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use portcullis_engine::{Engine, LoadError, Policy, Prepared, SetFiles};
use portcullis_hop::policies::RevisionNumber;
use portcullis_telemetry::{Attempted, Detail, Label, Line, Metric, log, metrics};
use portcullis_types::{Clock, PolicyName, Sha256Digest, Timestamp};
use serde::Serialize;

use crate::record;

/// What decides which policies are in force.
pub(crate) struct Policies {
    engine: Arc<Engine>,
    clock: Clock,
    state: Mutex<State>,
}

#[derive(Clone, Default)]
struct State {
    /// The number of the revision in force, where services keep it.
    number: Option<RevisionNumber>,
    last: Option<Attempt>,
}

/// An attempt to put other policies in force.
#[derive(Clone)]
struct Attempt {
    at: Timestamp,
    error: Option<String>,
}

/// A set does not come into force.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TakeError {
    /// It cannot be used.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// It is not what was to run.
    #[error(
        "revision {number} should have the digest {expected}, and what was made of its files has {found}; compare the versions of this web host and of the command that sent it"
    )]
    OtherDigest {
        /// The revision.
        number: RevisionNumber,
        /// Its digest as services have it.
        expected: Sha256Digest,
        /// That of what would run.
        found: Sha256Digest,
    },
}

/// How the policies stand, for those who may know.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Status {
    /// The digest of code, settings and resources in force.
    pub(crate) revision: Option<Sha256Digest>,
    /// Its number, where services keep it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) number: Option<RevisionNumber>,
    /// Whether the last attempt to change them succeeded.
    pub(crate) last_change: Option<LastChange>,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<String>,
    /// When that was.
    pub(crate) at: Option<Timestamp>,
    /// Revisions that are not in force any more and judge uploads that began under them.
    pub(crate) retired: usize,
    /// The digest of what judges in the shadow before it may come into force.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) trial: Option<Sha256Digest>,
    /// Policies that failed lately.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) failing: Vec<Failing>,
}

/// A policy that failed lately.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Failing {
    policy: PolicyName,
    /// Failures in a row.
    failures: u32,
    /// Whether it is not asked now.
    is_open: bool,
    /// How often it came to that.
    opened: u64,
    /// Uploads for which it was not asked.
    not_asked: u64,
    /// When an upload tries it again, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    tries_in_seconds: Option<u64>,
}

impl Failing {
    fn of(policy: &Policy) -> Option<Self> {
        let status = policy.breaker();
        (status.failures > 0 || status.opened > 0).then(|| Self {
            policy: policy.name().clone(),
            failures: status.failures,
            is_open: status.is_open,
            opened: status.opened,
            not_asked: status.not_asked,
            tries_in_seconds: status.tries_in.map(|time| time.as_secs()),
        })
    }
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
        for attempted in [Attempted::Done, Attempted::Refused] {
            metrics::expect(Metric::PolicyLoads, [Label::Attempted(attempted)]);
        }
        Self {
            engine,
            clock: Clock::system(),
            state: Mutex::default(),
        }
    }

    /// What runs them.
    pub(crate) fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }

    /// Has a set show that it could serve, and then puts it in force, or says in the status why not. A set that is in
    /// force already stays as it is. What services keep has a number and a digest, which it must turn out to have.
    pub(crate) async fn take(
        &self,
        files: SetFiles,
        kept: Option<(RevisionNumber, Sha256Digest)>,
    ) -> Result<(), TakeError> {
        let taken = self.put_in_force(files, kept).await;
        let attempted = match &taken {
            Ok(()) => Attempted::Done,
            Err(_) => Attempted::Refused,
        };
        metrics::count(Metric::PolicyLoads, 1, [Label::Attempted(attempted)]);
        let mut state = self.state();
        if taken.is_ok() {
            state.number = kept.map(|(number, _)| number);
        }
        state.last = Some(Attempt {
            at: self.clock.now(),
            error: taken.as_ref().err().map(ToString::to_string),
        });
        taken
    }

    /// The same for a revision that is to judge in the shadow.
    pub(crate) async fn try_out(
        &self,
        files: SetFiles,
        number: RevisionNumber,
        digest: Sha256Digest,
    ) -> Result<(), TakeError> {
        let prepared = self.prepare(files, Some((number, digest))).await?;
        self.engine.put_on_trial(Some(&prepared));
        log(Line::PoliciesOnTrial, [Detail::RevisionDigest(digest)]);
        Ok(())
    }

    async fn prepare(
        &self,
        files: SetFiles,
        kept: Option<(RevisionNumber, Sha256Digest)>,
    ) -> Result<Prepared, TakeError> {
        let prepared = self.engine.prepare(files).await?;
        let found = prepared.revision.digest();
        match kept.filter(|(_, expected)| *expected != found) {
            None => Ok(prepared),
            Some((number, expected)) => Err(TakeError::OtherDigest {
                number,
                expected,
                found,
            }),
        }
    }

    async fn put_in_force(
        &self,
        files: SetFiles,
        kept: Option<(RevisionNumber, Sha256Digest)>,
    ) -> Result<(), TakeError> {
        let prepared = self.prepare(files, kept).await?;
        record::expect(prepared.revision.policies());
        let found = prepared.revision.digest();
        let current = self.engine.revision();
        if current.is_some_and(|current| current.digest() == found) {
            log(Line::PoliciesUnchanged, [Detail::RevisionDigest(found)]);
        } else {
            self.engine.put_in_force(&prepared);
            log(Line::PoliciesInForce, [Detail::RevisionDigest(found)]);
        }
        Ok(())
    }

    /// How things stand.
    pub(crate) fn status(&self) -> Status {
        let State { number, last } = self.state().clone();
        let revision = self.engine.revision();
        let policies = revision.as_ref().map(|revision| revision.policies());
        let failing = policies.unwrap_or_default().iter();
        Status {
            failing: failing.filter_map(|policy| Failing::of(policy)).collect(),
            trial: self.engine.trial().map(|trial| trial.digest()),
            revision: revision.as_ref().map(|revision| revision.digest()),
            number,
            last_change: last.as_ref().map(|attempt| match attempt.error {
                None => LastChange::InForce,
                Some(_) => LastChange::Refused,
            }),
            at: last.as_ref().map(|attempt| attempt.at),
            error: last.and_then(|attempt| attempt.error),
            retired: self.engine.retired(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
