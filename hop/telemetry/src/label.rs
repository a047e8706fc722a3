//! What tells the values of a metric apart. Labels come from closed lists, or from the configuration: there are never more of them
//! than somebody wrote down.

use opentelemetry::KeyValue;
use portcullis_types::{CounterName, DiskName, PolicyName, Verdict};

use crate::{ErrorType, Outcome};

// Their keys, and those of attributes of spans that say the same.

pub(crate) const METHOD: &str = "http.request.method";
pub(crate) const ROUTE: &str = "http.route";
pub(crate) const TEMPLATE: &str = "url.template";
pub(crate) const STATUS: &str = "http.response.status_code";
pub(crate) const ERROR: &str = "error.type";
pub(crate) const OUTCOME: &str = "portcullis.upload.outcome";
pub(crate) const DIRECTION: &str = "portcullis.direction";
pub(crate) const POLICY: &str = "portcullis.policy.name";
pub(crate) const COUNTER: &str = "portcullis.policy.counter";
pub(crate) const VERDICT: &str = "portcullis.policy.verdict";
pub(crate) const FAILURE: &str = "portcullis.policy.failure";
pub(crate) const STEP: &str = "portcullis.storage.step";
pub(crate) const DISK: &str = "portcullis.disk";
pub(crate) const RESULT: &str = "portcullis.result";
pub(crate) const CHANGE: &str = "portcullis.shadow.change";
pub(crate) const SIGNAL: &str = "portcullis.signal";

/// Where bytes of an upload go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From a client to the web host.
    Received,
    /// From the web host on to services.
    Forwarded,
    /// They arrived at services.
    Staged,
}

/// Why a policy failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PolicyFault {
    /// It said that it cannot judge.
    Declared,
    /// It panicked or trapped.
    Trap,
    /// It used too much time.
    Time,
    /// It wanted too much memory, stack or tables.
    Memory,
    /// Its answer breaks the contract.
    Answer,
    /// It failed so often that it was not asked.
    Breaker,
}

/// What became of something that was tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Attempted {
    /// It is as it was to be.
    Done,
    /// It is as it was before.
    Refused,
}

/// What a verdict in the shadow would have changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ShadowChange {
    /// Nothing.
    None,
    /// The upload would have been refused.
    NewlyRefused,
    /// It would have been set apart.
    NewlySetApart,
    /// It would have been stored.
    NewlyPassed,
}

/// A step of storing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// Bytes are written.
    StageWrite,
    /// A file is made durable.
    Fsync,
    /// A file gets its visible name.
    Publish,
    /// The catalog records something.
    Catalog,
}

/// What is sent to a collector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Signal {
    /// Spans.
    Traces,
    /// What stands here.
    Metrics,
    /// Lines of the log.
    Logs,
}

/// What tells the values of a metric apart.
#[derive(Clone, Debug, PartialEq)]
pub enum Label {
    /// How an upload ended.
    Outcome(Outcome),
    /// Why something failed.
    Error(ErrorType),
    /// Where bytes go.
    Direction(Direction),
    /// A policy of the set.
    Policy(PolicyName),
    /// What it counts.
    Counter(CounterName),
    /// What it said.
    Verdict(Verdict),
    /// Why it failed.
    Failure(PolicyFault),
    /// A disk of the configuration.
    Disk(DiskName),
    /// A step of storing.
    Step(Step),
    /// What became of an attempt.
    Attempted(Attempted),
    /// What would have changed.
    Change(ShadowChange),
    /// What was to be sent.
    Signal(Signal),
    /// Method and route of a request, which a span's name has.
    Request(&'static str, &'static str),
    /// Method and target of a call.
    Call(&'static str, &'static str),
    /// The status of an answer.
    Status(u16),
}

impl Label {
    /// What OpenTelemetry has for it.
    pub(crate) fn write(self, into: &mut Vec<KeyValue>) {
        let (key, value) = match self {
            Self::Outcome(outcome) => (OUTCOME, outcome.as_str()),
            Self::Error(error) => (ERROR, error.as_str()),
            Self::Direction(direction) => (DIRECTION, direction.as_str()),
            Self::Verdict(verdict) => (VERDICT, verdict.as_str()),
            Self::Failure(fault) => (FAILURE, fault.as_str()),
            Self::Step(step) => (STEP, step.as_str()),
            Self::Attempted(attempted) => (RESULT, attempted.as_str()),
            Self::Change(change) => (CHANGE, change.as_str()),
            Self::Signal(signal) => (SIGNAL, signal.as_str()),
            Self::Policy(policy) => {
                return into.push(KeyValue::new(POLICY, policy.as_str().to_owned()));
            }
            Self::Counter(counter) => {
                return into.push(KeyValue::new(COUNTER, counter.as_str().to_owned()));
            }
            Self::Disk(disk) => {
                return into.push(KeyValue::new(DISK, disk.as_str().to_owned()));
            }
            Self::Status(status) => {
                return into.push(KeyValue::new(STATUS, i64::from(status)));
            }
            Self::Request(method, route) => {
                into.push(KeyValue::new(METHOD, method));
                (ROUTE, route)
            }
            Self::Call(method, target) => {
                into.push(KeyValue::new(METHOD, method));
                (TEMPLATE, target)
            }
        };
        into.push(KeyValue::new(key, value));
    }
}

impl Direction {
    fn as_str(self) -> &'static str {
        match self {
            Self::Received => "received",
            Self::Forwarded => "forwarded",
            Self::Staged => "staged",
        }
    }
}

impl PolicyFault {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Declared,
        Self::Trap,
        Self::Time,
        Self::Memory,
        Self::Answer,
        Self::Breaker,
    ];

    fn as_str(self) -> &'static str {
        match self {
            Self::Declared => "declared",
            Self::Trap => "trap",
            Self::Time => "time",
            Self::Memory => "memory",
            Self::Answer => "answer",
            Self::Breaker => "breaker",
        }
    }
}

impl Attempted {
    fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Refused => "refused",
        }
    }
}

impl ShadowChange {
    fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::NewlyRefused => "newly-refused",
            Self::NewlySetApart => "newly-set-apart",
            Self::NewlyPassed => "newly-passed",
        }
    }
}

impl Step {
    fn as_str(self) -> &'static str {
        match self {
            Self::StageWrite => "stage-write",
            Self::Fsync => "fsync",
            Self::Publish => "publish",
            Self::Catalog => "catalog",
        }
    }
}

impl Signal {
    pub(crate) const ALL: [Self; 3] = [Self::Traces, Self::Metrics, Self::Logs];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Traces => "traces",
            Self::Metrics => "metrics",
            Self::Logs => "logs",
        }
    }
}
