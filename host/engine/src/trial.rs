//! One upload before one policy, cut and interrupted as the caller likes. The calls and their limits are those
//! of [`judgement`](crate::judgement).

use std::io::{self, Read};
use std::sync::Arc;
use std::time::Duration;

use portcullis_types::{DiskName, DiskPath, Findings, Sha256Digest, Sha256Hasher};

use crate::answer::{Admission, Conclusion, Progress};
use crate::contract::v0_1::{RoutingPolicy, ValidationPolicy};
use crate::instance::{Failed, Instance, Suspended};
use crate::judgement::MAX_CHUNK_BYTES;
use crate::record::PolicyRecord;
use crate::revision::Policy;
use crate::{Call, End, PolicyFailure, PolicyKind, Refusal, Upload};

/// How a body is cut into blocks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cuts {
    /// Into blocks of so many bytes; at least 1 and at most 65,536 are used.
    Every(usize),
    /// At these offsets, ascending, and wherever a block would be longer than 65,536 bytes.
    At(Vec<u64>),
}

impl Cuts {
    /// Into the longest blocks that there are.
    pub const LONGEST: Self = Self::Every(MAX_CHUNK_BYTES);

    /// How long the block that begins at `offset` is, if the body does not end before.
    fn length(&self, offset: u64) -> usize {
        match self {
            Self::Every(bytes) => (*bytes).clamp(1, MAX_CHUNK_BYTES),
            Self::At(offsets) => {
                let next = offsets.partition_point(|cut| *cut <= offset);
                let until = offsets.get(next).map_or(u64::MAX, |cut| cut - offset);
                usize::try_from(until).map_or(MAX_CHUNK_BYTES, |until| until.min(MAX_CHUNK_BYTES))
            }
        }
    }
}

/// What is uploaded, and how.
pub struct Attempt<'a> {
    /// The headers.
    pub upload: &'a Upload,
    /// What validation policies learned; only a routing policy is told.
    pub facts: &'a [(String, String)],
    /// How the body is cut.
    pub cuts: &'a Cuts,
    /// Whether the upload pauses at each cut: the policy is suspended, and another instance goes on. A policy
    /// that cannot be suspended goes on as it is.
    pub pauses: bool,
}

/// What a policy says in the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The upload may pass.
    Accept,
    /// It is to be set apart.
    Quarantine(Refusal),
    /// It may not pass.
    Reject(Refusal),
    /// It goes there: the word of a routing policy.
    Route(DiskName, DiskPath),
}

/// What became of an attempt.
#[derive(Clone, Debug)]
pub struct Trial {
    /// The policy's last word, or how it failed.
    pub outcome: Result<Outcome, PolicyFailure>,
    /// What it noticed.
    pub findings: Findings,
    /// What it learned for the routing policy.
    pub facts: Vec<(String, String)>,
    /// The CPU time of its calls, in the order in which each was first made.
    pub stages: Vec<Stage>,
    /// What it did; of several instances all together, and the most memory of any.
    pub record: PolicyRecord,
    /// How often it was suspended, and another instance went on.
    pub pauses: u64,
}

impl Trial {
    /// CPU time of all calls of a function.
    pub fn busy(&self, call: Call) -> Duration {
        let stages = self.stages.iter().filter(|stage| stage.call == call);
        stages.map(|stage| stage.busy).sum()
    }
}

/// All calls of one function.
#[derive(Clone, Copy, Debug)]
pub struct Stage {
    /// Which.
    pub call: Call,
    /// How often it was called.
    pub calls: u64,
    /// CPU time of all of them.
    pub busy: Duration,
}

/// Lets the policy judge. The body is read as far as the policy wants to see it, and to its end where its digest
/// is needed.
///
/// # Errors
///
/// The body cannot be read.
pub(crate) async fn run(
    policy: &Arc<Policy>,
    attempt: &Attempt<'_>,
    body: &mut (dyn Read + Send),
) -> io::Result<Trial> {
    match policy.kind() {
        PolicyKind::Validation => validate(policy, attempt, body).await,
        PolicyKind::Routing => {
            let end = Body::new(body).end()?;
            Ok(route(policy, attempt, &end).await)
        }
    }
}

/// What was measured so far, of all instances.
#[derive(Default)]
struct Watch {
    stages: Vec<Stage>,
    /// The time of the present instance that is accounted for.
    seen: Duration,
    memory_bytes: u64,
    pauses: u64,
}

impl Watch {
    /// After a call: what it used.
    fn note<E>(&mut self, call: Call, instance: &Instance<E>) {
        let busy = instance.busy();
        let used = busy.saturating_sub(std::mem::replace(&mut self.seen, busy));
        match self.stages.iter_mut().find(|stage| stage.call == call) {
            Some(stage) => {
                stage.calls += 1;
                stage.busy += used;
            }
            None => self.stages.push(Stage {
                call,
                calls: 1,
                busy: used,
            }),
        }
    }

    fn started<E>(&mut self, instance: &Instance<E>) {
        // `configure` is called where the instance is made.
        self.seen = Duration::ZERO;
        self.note(Call::Configure, instance);
    }

    fn over<E>(self, instance: Instance<E>, outcome: Result<Outcome, PolicyFailure>) -> Trial {
        let policy = instance.policy().name.clone();
        let (mut record, collected) = instance.into_parts();
        let (mut findings, mut facts) = (Findings::default(), Vec::new());
        collected.hand_over(&policy, &mut findings, &mut facts);
        record.memory_bytes = record.memory_bytes.max(self.memory_bytes);
        Trial {
            outcome,
            findings,
            facts,
            stages: self.stages,
            record,
            pauses: self.pauses,
        }
    }
}

fn never_started(Failed { failure, record }: Failed) -> Trial {
    Trial {
        outcome: Err(failure),
        findings: Findings::default(),
        facts: Vec::new(),
        stages: Vec::new(),
        record,
        pauses: 0,
    }
}

async fn validate(
    policy: &Arc<Policy>,
    attempt: &Attempt<'_>,
    body: &mut (dyn Read + Send),
) -> io::Result<Trial> {
    let mut instance = match Instance::<ValidationPolicy>::ready(policy, attempt.upload, None).await
    {
        Ok(instance) => instance,
        Err(failed) => return Ok(never_started(failed)),
    };
    let mut watch = Watch::default();
    watch.started(&instance);
    let admitted = instance.admit(attempt.upload).await;
    watch.note(Call::Admit, &instance);
    let early = match admitted {
        Ok(Admission::Inspect(_)) => None,
        Ok(Admission::Accept) => Some(Ok(Outcome::Accept)),
        Ok(Admission::Reject(refusal)) => Some(Ok(Outcome::Reject(refusal))),
        Err(failure) => Some(Err(failure)),
    };
    if let Some(outcome) = early {
        return Ok(watch.over(instance, outcome));
    }
    let mut body = Body::new(body);
    loop {
        let offset = body.offset;
        let block = body.next(attempt.cuts.length(offset))?;
        if block.is_empty() {
            break;
        }
        let progress = instance.chunk(offset, block).await;
        watch.note(Call::Chunk, &instance);
        match progress {
            Ok(Progress::More) => {}
            Ok(Progress::Decided(conclusion)) => {
                return Ok(watch.over(instance, Ok(outcome(conclusion))));
            }
            Err(failure) => return Ok(watch.over(instance, Err(failure))),
        }
        if attempt.pauses {
            match pause(instance, attempt.upload, &mut watch).await {
                Ok(next) => instance = next,
                Err(trial) => return Ok(*trial),
            }
        }
    }
    let finished = instance.finish(&body.end()?).await;
    watch.note(Call::Finish, &instance);
    Ok(watch.over(instance, finished.map(outcome)))
}

/// Suspends the policy and goes on with another instance, if it can be suspended.
async fn pause(
    mut instance: Instance<ValidationPolicy>,
    upload: &Upload,
    watch: &mut Watch,
) -> Result<Instance<ValidationPolicy>, Box<Trial>> {
    let suspended: Suspended = match instance.suspend().await {
        Ok(Some(suspended)) => suspended,
        Ok(None) => return Ok(instance),
        Err(failure) => {
            let watch = std::mem::take(watch);
            return Err(Box::new(watch.over(instance, Err(failure))));
        }
    };
    watch.note(Call::Suspend, &instance);
    let policy = Arc::clone(instance.policy());
    let (record, collected) = instance.into_parts();
    watch.memory_bytes = watch.memory_bytes.max(record.memory_bytes);
    let mut next = match Instance::<ValidationPolicy>::ready(&policy, upload, None).await {
        Ok(next) => next,
        Err(failed) => return Err(Box::new(never_started(failed))),
    };
    next.shown_before(record.bytes);
    next.adopt(collected, record.counters, record.log);
    watch.started(&next);
    let resumed = next.resume(upload, &suspended).await;
    watch.note(Call::Resume, &next);
    watch.pauses += 1;
    match resumed {
        Ok(()) => Ok(next),
        Err(failure) => Err(Box::new(std::mem::take(watch).over(next, Err(failure)))),
    }
}

fn outcome(conclusion: Conclusion) -> Outcome {
    match conclusion {
        Conclusion::Accept => Outcome::Accept,
        Conclusion::Quarantine(refusal) => Outcome::Quarantine(refusal),
        Conclusion::Reject(refusal) => Outcome::Reject(refusal),
    }
}

async fn route(policy: &Arc<Policy>, attempt: &Attempt<'_>, end: &End) -> Trial {
    let started = Instance::<RoutingPolicy>::ready(policy, attempt.upload, None).await;
    let mut instance = match started {
        Ok(instance) => instance,
        Err(failed) => return never_started(failed),
    };
    let mut watch = Watch::default();
    watch.started(&instance);
    let placed = instance.place(attempt.upload).await;
    watch.note(Call::Place, &instance);
    let disk = match placed {
        Ok(Ok(disk)) => disk,
        Ok(Err(refusal)) => return watch.over(instance, Ok(Outcome::Reject(refusal))),
        Err(failure) => return watch.over(instance, Err(failure)),
    };
    let routed = instance.route(attempt.upload, end, attempt.facts).await;
    watch.note(Call::Route, &instance);
    let outcome = routed.map(|path| match path {
        Ok(path) => Outcome::Route(disk, path),
        Err(refusal) => Outcome::Reject(refusal),
    });
    watch.over(instance, outcome)
}

/// A body, read in blocks and hashed.
struct Body<'a> {
    rest: &'a mut (dyn Read + Send),
    offset: u64,
    hasher: Sha256Hasher,
    block: Vec<u8>,
}

impl<'a> Body<'a> {
    fn new(rest: &'a mut (dyn Read + Send)) -> Self {
        Self {
            rest,
            offset: 0,
            hasher: Sha256Hasher::default(),
            block: vec![0; MAX_CHUNK_BYTES],
        }
    }

    /// The next so many bytes; fewer at the end, where there are none any more.
    fn next(&mut self, length: usize) -> io::Result<&[u8]> {
        let mut filled = 0;
        while filled < length {
            match self.rest.read(&mut self.block[filled..length]) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        let block = &self.block[..filled];
        self.offset += filled as u64;
        self.hasher.update(block);
        Ok(block)
    }

    /// Reads to the end.
    fn end(mut self) -> io::Result<End> {
        while !self.next(MAX_CHUNK_BYTES)?.is_empty() {}
        let sha256: Sha256Digest = self.hasher.finish();
        Ok(End {
            length: self.offset,
            sha256,
        })
    }
}
