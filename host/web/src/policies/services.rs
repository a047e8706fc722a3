//! Policies from services: this web host follows the revision that is active there. While services cannot be reached
//! it goes on with its last good one, which it holds in memory.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use portcullis_engine::{LoadError, SetFiles};
use portcullis_hop::policies::{HostStatus, KeptRevision, Poll, RefusedRevision, Running, Wanted};
use portcullis_hop::{HopClient, StoreError};
use portcullis_telemetry::{Detail, Line, Span, SpanName, log};
use portcullis_types::Sha256Digest;
use tokio::signal::unix::Signal;
use tokio::time::sleep;

use crate::policies::{Policies, TakeError};

/// How long services may wait for the next change before they answer. On a line that is broken without a word, a web
/// host notices after this and the time of a call.
const WAIT_SECONDS: u32 = 10;
/// How long it is waited before services are asked again that could not be reached, at first and at most.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// Why nothing came of an attempt that is made again.
#[derive(Debug, thiserror::Error)]
enum FollowError {
    /// Services cannot be asked.
    #[error("services cannot be asked for others ({})", .0.kind().slug())]
    Services(#[from] StoreError),
    /// A revision is still being compiled that took too long.
    #[error("another revision is still being compiled")]
    Busy,
}

/// A web host that follows services.
pub(crate) struct Follower {
    policies: Arc<Policies>,
    store: Arc<HopClient>,
    hangup: Signal,
    /// The last change that was dealt with.
    known: u64,
    running: Option<Running>,
    /// What judges in the shadow.
    trial: Option<Running>,
    refused: Option<RefusedRevision>,
    /// The files of the revisions in force and on trial, so that only what changed is fetched.
    files: BTreeMap<Sha256Digest, Bytes>,
}

impl Follower {
    /// Will follow these services. Nothing is in force before they have answered.
    pub(crate) fn new(policies: Arc<Policies>, store: Arc<HopClient>, hangup: Signal) -> Self {
        Self {
            policies,
            store,
            hangup,
            known: 0,
            running: None,
            trial: None,
            refused: None,
            files: BTreeMap::new(),
        }
    }

    /// Takes every revision that becomes active, for ever. `name` is what services call this process.
    pub(crate) async fn follow(mut self, name: String) {
        let mut pause = FIRST_PAUSE;
        loop {
            let poll = self.poll(&name);
            let asked = tokio::select! {
                asked = ask(&self.store, &poll) => asked,
                _ = self.hangup.recv() => {
                    // Whatever is active is looked at once more, even if it was refused before.
                    self.known = 0;
                    continue;
                }
            };
            let taken = match asked {
                Ok(None) => Ok(()),
                Ok(Some(wanted)) => self.take(wanted).await,
                Err(error) => Err(error.into()),
            };
            pause = match taken {
                Ok(()) => FIRST_PAUSE,
                Err(error) => {
                    if pause == FIRST_PAUSE {
                        log(Line::PoliciesNotAsked, [Detail::reason(&error)]);
                    }
                    sleep(pause).await;
                    LONGEST_PAUSE.min(pause * 2)
                }
            };
        }
    }

    fn poll(&self, name: &str) -> Poll {
        Poll {
            host: HostStatus {
                name: name.to_owned(),
                running: self.running,
                trial: self.trial,
                refused: self.refused.clone(),
            },
            known: self.known,
            wait_seconds: WAIT_SECONDS,
        }
    }

    /// Brings about what is wanted, or notes why not. What services cannot give is asked for again.
    async fn take(&mut self, wanted: Wanted) -> Result<(), FollowError> {
        let mut files = BTreeMap::new();
        self.refused = None;
        if let Some(active) = &wanted.active {
            let there = self.running;
            self.running = self
                .settle(active, there, Place::InForce, &mut files)
                .await?;
        }
        if let Some(trial) = &wanted.trial {
            let there = self.trial;
            self.trial = self
                .settle(trial, there, Place::OnTrial, &mut files)
                .await?;
        } else {
            self.policies.engine().put_on_trial(None);
            self.trial = None;
        }
        self.files = files;
        self.known = wanted.change;
        Ok(())
    }

    /// Has a revision take the place of what is there, unless that is the same, and keeps its files. Gives what is there
    /// then.
    async fn settle(
        &mut self,
        wanted: &KeptRevision,
        there: Option<Running>,
        place: Place,
        files: &mut BTreeMap<Sha256Digest, Bytes>,
    ) -> Result<Option<Running>, FollowError> {
        if there.is_some_and(|there| there.number == wanted.number) {
            self.keep(wanted, files);
            return Ok(there);
        }
        let fetched = self.fetch(wanted).await?;
        let is_taken = self.put(wanted, &fetched, place).await?;
        files.extend(fetched);
        Ok(if is_taken {
            Some(running(wanted))
        } else {
            there
        })
    }

    /// Has a revision take its place. Says whether it could, or that it has to be asked for again: what is wanted may be
    /// another one by the time in which the last one is compiled.
    async fn put(
        &mut self,
        revision: &KeptRevision,
        files: &BTreeMap<Sha256Digest, Bytes>,
        place: Place,
    ) -> Result<bool, FollowError> {
        let (number, digest) = (revision.number, revision.digest);
        let named = revision.manifest.all();
        let named = named.map(|(name, digest)| (name.clone(), files[&digest].clone()));
        let set = SetFiles::held(named.collect());
        let taken = match place {
            Place::InForce => self.policies.take(set, Some((number, digest))).await,
            Place::OnTrial => self.policies.try_out(set, number, digest).await,
        };
        match taken {
            Ok(()) => Ok(true),
            Err(TakeError::Load(LoadError::Busy)) => Err(FollowError::Busy),
            Err(error) => {
                let reason = Detail::reason(&error);
                log(Line::PoliciesRefused, [Detail::Revision(number.0), reason]);
                let error = error.to_string();
                self.refused = Some(RefusedRevision { number, error });
                Ok(false)
            }
        }
    }

    /// Keeps the files of a revision that stays.
    fn keep(&self, revision: &KeptRevision, files: &mut BTreeMap<Sha256Digest, Bytes>) {
        for (_, digest) in revision.manifest.all() {
            if let Some(bytes) = self.files.get(&digest) {
                files.insert(digest, bytes.clone());
            }
        }
    }

    /// All files of a revision.
    async fn fetch(
        &self,
        revision: &KeptRevision,
    ) -> Result<BTreeMap<Sha256Digest, Bytes>, StoreError> {
        let span = Span::root(SpanName::PolicyFollow, None);
        let mut files = BTreeMap::new();
        for (_, digest) in revision.manifest.all() {
            if files.contains_key(&digest) {
                continue;
            }
            let bytes = match self.files.get(&digest) {
                Some(known) => known.clone(),
                None => self.store.policy_file(digest, &span).await?,
            };
            files.insert(digest, bytes);
        }
        Ok(files)
    }
}

/// What a revision is to do.
#[derive(Clone, Copy)]
enum Place {
    InForce,
    OnTrial,
}

fn running(revision: &KeptRevision) -> Running {
    Running {
        number: revision.number,
        digest: revision.digest,
    }
}

async fn ask(store: &HopClient, poll: &Poll) -> Result<Option<Wanted>, StoreError> {
    let span = Span::root(SpanName::PolicyFollow, None);
    Ok(store.poll_policies(poll, &span).await?.wanted)
}
