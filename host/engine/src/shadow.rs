//! Policies that judge an upload beside those that decide: they see the same blocks, on threads that get what time is
//! left, and nobody ever waits for them. One that falls behind, or for which there is no room, has not judged.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use portcullis_types::{Findings, Incomplete, Sha256Digest, Verdict};
use tokio::sync::Notify;

use crate::answer::{Admission, Conclusion, Progress};
use crate::contract::v0_1::ValidationPolicy;
use crate::executor::{Account, Executor, Running};
use crate::instance::{Failed, Instance};
use crate::judgement::MAX_CHUNK_BYTES;
use crate::policy_set::OnFailure;
use crate::record::PolicyRecord;
use crate::revision::{Policy, Revision};
use crate::{End, FailureCause, PolicyFailure, Upload};

/// How many bytes may wait for shadow policies; with more they have fallen behind. In bytes.
const MAX_BEHIND_BYTES: usize = 1 << 20;

/// A policy that judges in the shadow, and the set that it belongs to.
#[derive(Clone)]
pub(crate) struct ShadowPolicy {
    pub(crate) set: Arc<Revision>,
    pub(crate) policy: Arc<Policy>,
}

/// One upload before its shadow policies; there may be none. Dropped before its end, they end with it.
#[derive(Default)]
pub struct Shadow(Option<Cast>);

struct Cast {
    shared: Arc<Shared>,
    candidates: Vec<ShadowPolicy>,
    running: Running<Vec<ShadowRecord>>,
}

/// What a shadow policy would have said.
#[derive(Clone, Debug)]
pub struct ShadowRecord {
    /// The digest of the set that it belongs to.
    pub set: Sha256Digest,
    /// What it did; undecided where it has not judged.
    pub record: PolicyRecord,
    /// The rule of its refusal or quarantine.
    pub rule: Option<String>,
    /// How often each rule was broken.
    pub rules: BTreeMap<String, u64>,
    /// Whether it would have let the upload pass, its `on-failure` included; absent where it has not judged.
    pub passes: Option<bool>,
    /// Why it has not judged.
    pub incomplete: Option<Incomplete>,
}

#[derive(Default)]
struct Shared {
    feed: Mutex<Feed>,
    changed: Notify,
}

/// What shadow policies are shown.
#[derive(Default)]
struct Feed {
    blocks: VecDeque<Bytes>,
    bytes: usize,
    /// What comes after the blocks.
    ending: Option<Ending>,
    /// Nobody wants to see anything more.
    is_over: bool,
}

#[derive(Clone)]
enum Ending {
    Complete(End),
    Incomplete(Incomplete),
}

enum Next {
    Block(Bytes),
    Ending(Ending),
}

impl Shadow {
    pub(crate) fn start(
        candidates: Vec<ShadowPolicy>,
        upload: &Upload,
        executor: &Executor,
        room: &Arc<Room>,
    ) -> Self {
        if candidates.is_empty() {
            return Self(None);
        }
        let shared = Arc::<Shared>::default();
        let (feed, upload) = (Arc::clone(&shared), upload.clone());
        let (cast, room) = (candidates.clone(), Arc::clone(room));
        let judge = async move { judge(cast, &upload, &feed, &room).await };
        let running = executor.run(&Arc::<Account>::default(), judge);
        Self(Some(Cast {
            shared,
            candidates,
            running,
        }))
    }

    /// Whether there is any.
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Shows the next block, as it is shown to those that decide.
    pub fn show(&self, block: &Bytes) {
        let Some(Cast { shared, .. }) = &self.0 else {
            return;
        };
        let mut feed = shared.lock();
        if feed.is_over || feed.ending.is_some() {
            return;
        }
        if feed.bytes + block.len() > MAX_BEHIND_BYTES {
            feed.end(Ending::Incomplete(Incomplete::Behind));
        } else {
            feed.bytes += block.len();
            feed.blocks.push_back(block.clone());
        }
        drop(feed);
        shared.changed.notify_one();
    }

    /// Says that the upload is complete.
    pub fn end(&self, end: &End) {
        self.conclude(Ending::Complete(*end));
    }

    /// What they said, once they have; nobody but who reports it waits. An upload that has not been said to be complete
    /// has ended before. What takes longer than this is given up.
    pub async fn records(self, longest: Duration) -> Vec<ShadowRecord> {
        self.conclude(Ending::Incomplete(Incomplete::Ended));
        let Some(Cast {
            candidates,
            running,
            ..
        }) = self.0
        else {
            return Vec::new();
        };
        let late = |candidate: &ShadowPolicy| not_judged(candidate, Incomplete::Behind);
        let records = tokio::time::timeout(longest, running).await;
        records.unwrap_or_else(|_| candidates.iter().map(late).collect())
    }

    fn conclude(&self, ending: Ending) {
        let Some(Cast { shared, .. }) = &self.0 else {
            return;
        };
        let mut feed = shared.lock();
        // What was said first counts.
        feed.ending.get_or_insert(ending);
        drop(feed);
        shared.changed.notify_one();
    }
}

impl Feed {
    /// Nothing that waits is looked at any more.
    fn end(&mut self, ending: Ending) {
        self.blocks.clear();
        self.bytes = 0;
        self.ending = Some(ending);
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Feed> {
        self.feed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn next(&self) -> Next {
        loop {
            {
                let mut feed = self.lock();
                if let Some(block) = feed.blocks.pop_front() {
                    feed.bytes -= block.len();
                    return Next::Block(block);
                }
                if let Some(ending) = &feed.ending {
                    return Next::Ending(ending.clone());
                }
            }
            self.changed.notified().await;
        }
    }

    fn close(&self) {
        let mut feed = self.lock();
        feed.is_over = true;
        feed.blocks.clear();
    }
}

/// How many shadow instances there may be, so that those that decide always have theirs.
#[derive(Debug, Default)]
pub(crate) struct Room {
    most: AtomicUsize,
    taken: AtomicUsize,
}

/// One of them.
struct Place(Arc<Room>);

impl Room {
    /// Sets how many there may be from now on.
    pub(crate) fn allow(&self, most: usize) {
        self.most.store(most, Ordering::Relaxed);
    }

    fn take(self: &Arc<Self>) -> Option<Place> {
        let most = self.most.load(Ordering::Relaxed);
        let more = |taken: usize| (taken < most).then_some(taken + 1);
        let taken = self
            .taken
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
        taken.ok().map(|_| Place(Arc::clone(self)))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.taken.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A shadow policy that has not decided yet.
struct Seat {
    nth: usize,
    instance: Instance<ValidationPolicy>,
    _place: Place,
}

async fn judge(
    candidates: Vec<ShadowPolicy>,
    upload: &Upload,
    shared: &Shared,
    room: &Arc<Room>,
) -> Vec<ShadowRecord> {
    let mut records: Vec<Option<ShadowRecord>> = Vec::new();
    let mut seats = Vec::new();
    for (nth, candidate) in candidates.iter().enumerate() {
        let seated = match room.take() {
            Some(place) => seat(candidate, upload, nth, place).await,
            None => Err(not_judged(candidate, Incomplete::NoRoom)),
        };
        match seated {
            Ok(seat) => {
                seats.push(seat);
                records.push(None);
            }
            Err(record) => records.push(Some(record)),
        }
    }
    let mut offset = 0;
    while !seats.is_empty() {
        match shared.next().await {
            Next::Block(block) => {
                for piece in block.chunks(MAX_CHUNK_BYTES) {
                    let mut next = 0;
                    while next < seats.len() {
                        let seat: &mut Seat = &mut seats[next];
                        let said = match seat.instance.chunk(offset, piece).await {
                            Ok(Progress::More) => {
                                next += 1;
                                continue;
                            }
                            Ok(Progress::Decided(conclusion)) => Ok(conclusion),
                            Err(failure) => Err(failure),
                        };
                        let seat = seats.remove(next);
                        let nth = seat.nth;
                        records[nth] = Some(decided(&candidates[nth], seat, said));
                    }
                    offset += piece.len() as u64;
                }
            }
            Next::Ending(Ending::Complete(end)) => {
                for mut seat in seats.drain(..) {
                    let said = seat.instance.finish(&end).await;
                    let nth = seat.nth;
                    records[nth] = Some(decided(&candidates[nth], seat, said));
                }
            }
            Next::Ending(Ending::Incomplete(why)) => {
                for seat in seats.drain(..) {
                    records[seat.nth] = Some(not_judged(&candidates[seat.nth], why));
                }
            }
        }
    }
    shared.close();
    records.into_iter().flatten().collect()
}

/// Makes an instance and shows it the headers. There is a record when it has decided.
async fn seat(
    candidate: &ShadowPolicy,
    upload: &Upload,
    nth: usize,
    place: Place,
) -> Result<Seat, ShadowRecord> {
    let made = Instance::<ValidationPolicy>::in_shadow(&candidate.policy, upload).await;
    let mut instance = match made {
        Ok(instance) => instance,
        Err(Failed { failure, record }) => {
            let findings = Findings::default();
            return Err(record_of(candidate, record, &findings, Err(failure)));
        }
    };
    let admitted = instance.admit(upload).await;
    let seat = Seat {
        nth,
        instance,
        _place: place,
    };
    let said = match admitted {
        Ok(Admission::Inspect(_)) => return Ok(seat),
        Ok(Admission::Accept) => Ok(Conclusion::Accept),
        Ok(Admission::Reject(refusal)) => Ok(Conclusion::Reject(refusal)),
        Err(failure) => Err(failure),
    };
    Err(decided(candidate, seat, said))
}

/// Takes a policy's last word, and drops its instance.
fn decided(
    candidate: &ShadowPolicy,
    seat: Seat,
    said: Result<Conclusion, PolicyFailure>,
) -> ShadowRecord {
    let (record, collected) = seat.instance.into_parts();
    let (mut findings, mut facts) = (Findings::default(), Vec::new());
    collected.hand_over(&candidate.policy.name, &mut findings, &mut facts);
    record_of(candidate, record, &findings, said)
}

fn record_of(
    candidate: &ShadowPolicy,
    mut record: PolicyRecord,
    findings: &Findings,
    said: Result<Conclusion, PolicyFailure>,
) -> ShadowRecord {
    let (verdict, rule, passes) = match said {
        Ok(Conclusion::Accept) => (Verdict::Accept, None, true),
        Ok(Conclusion::Quarantine(refusal)) => (Verdict::Quarantine, Some(refusal.rule), true),
        Ok(Conclusion::Reject(refusal)) => (Verdict::Reject, Some(refusal.rule), false),
        // The fault of whatever else runs on this machine.
        Err(failure) if failure.cause == FailureCause::NoRoom => {
            return not_judged(candidate, Incomplete::NoRoom);
        }
        Err(_) => {
            let passes = candidate.policy.on_failure == OnFailure::Accept;
            (Verdict::Failed, None, passes)
        }
    };
    record.verdict = verdict;
    ShadowRecord {
        set: candidate.set.digest(),
        record,
        rule,
        rules: rules(findings),
        passes: Some(passes),
        incomplete: None,
    }
}

fn not_judged(candidate: &ShadowPolicy, why: Incomplete) -> ShadowRecord {
    ShadowRecord {
        set: candidate.set.digest(),
        record: PolicyRecord::of(&candidate.policy),
        rule: None,
        rules: BTreeMap::new(),
        passes: None,
        incomplete: Some(why),
    }
}

/// How often each rule was broken: a tally counts those that are listed too.
fn rules(findings: &Findings) -> BTreeMap<String, u64> {
    let mut rules = BTreeMap::new();
    for tally in &findings.tallies {
        *rules.entry(tally.rule.clone()).or_default() += tally.count;
    }
    for finding in &findings.listed {
        let is_tallied = findings
            .tallies
            .iter()
            .any(|tally| (&tally.rule, &tally.column) == (&finding.rule, &finding.column));
        if !is_tallied {
            *rules.entry(finding.rule.clone()).or_default() += 1;
        }
    }
    rules
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_room_for_so_many_and_it_comes_back() {
        let room = Arc::<Room>::default();
        assert!(room.take().is_none());
        room.allow(2);
        let (one, two) = (room.take(), room.take());
        assert!(one.is_some() && two.is_some() && room.take().is_none());
        drop(one);
        assert!(room.take().is_some());
        room.allow(1);
        assert!(room.take().is_none(), "the other one is still there");
    }
}
