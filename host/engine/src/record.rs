use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use portcullis_types::{PolicyName, PolicyVerdict, Sha256Digest, Verdict};

use crate::FailureCause;
use crate::revision::Policy;

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
    /// Why it failed, if it did: for the operator.
    pub failure: Option<FailureCause>,
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
    /// What it counted, by the names that it declared.
    pub counters: BTreeMap<String, u64>,
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
        }
    }

    pub(crate) fn fail(&mut self, cause: FailureCause) {
        self.verdict = Verdict::Failed;
        self.failure = Some(cause);
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
