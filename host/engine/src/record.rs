use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use portcullis_types::{CounterName, PolicyName, PolicyVerdict, Sha256Digest, Verdict};

use crate::revision::Policy;
use serde::{Deserialize, Serialize};

use crate::{Call, FailureCause};

/// What one policy did for one upload.
#[derive(Clone, Debug)]
pub struct PolicyRecord {
    /// Its name in the set.
    pub name: PolicyName,
    /// The version that the component gives itself.
    pub version: String,
    /// The digest of the component.
    pub digest: Sha256Digest,
    /// What it said.
    pub verdict: Verdict,
    /// In which call it failed, if it did, and why: for the operator.
    pub failure: Option<(Call, FailureCause)>,
    /// When its instance was made.
    pub started: SystemTime,
    /// When its last call ended.
    pub ended: SystemTime,
    /// CPU time of its calls.
    pub busy: Duration,
    /// How often it was called.
    pub calls: u64,
    /// The bytes that it was shown.
    pub bytes: u64,
    /// The most linear memory that it had.
    pub memory_bytes: u64,
    /// How many findings it had, listed or not.
    pub findings: u64,
    /// What it counted, by the names that it declared; each at most the bytes that it was shown and one for each call.
    pub counters: BTreeMap<CounterName, u64>,
    /// How much it wrote into its log.
    pub log: LogTally,
}

/// How much a policy wrote into its log: the words themselves may be of a patient.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct LogTally {
    /// Lines.
    pub lines: u64,
    /// Those of them that are warnings.
    pub warnings: u64,
    /// Those of them that are errors.
    pub errors: u64,
    /// Bytes of their words.
    pub bytes: u64,
}

impl LogTally {
    pub(crate) fn add(&mut self, level: tracing::Level, bytes: usize) {
        self.lines += 1;
        self.warnings += u64::from(level == tracing::Level::WARN);
        self.errors += u64::from(level == tracing::Level::ERROR);
        self.bytes += bytes as u64;
    }
}

impl PolicyRecord {
    pub(crate) fn of(policy: &Policy) -> Self {
        let now = SystemTime::now();
        Self {
            name: policy.name.clone(),
            version: policy.description.version.clone(),
            digest: policy.component.digest,
            verdict: Verdict::Undecided,
            failure: None,
            started: now,
            ended: now,
            busy: Duration::ZERO,
            calls: 0,
            bytes: 0,
            memory_bytes: 0,
            findings: 0,
            counters: BTreeMap::new(),
            log: LogTally::default(),
        }
    }

    pub(crate) fn fail(&mut self, call: Call, cause: FailureCause) {
        self.verdict = Verdict::Failed;
        self.failure = Some((call, cause));
    }

    /// The part of it that goes into receipts.
    pub fn verdict(&self) -> PolicyVerdict {
        PolicyVerdict {
            name: self.name.clone(),
            version: self.version.clone(),
            digest: self.digest,
            verdict: self.verdict,
        }
    }
}
