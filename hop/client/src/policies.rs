//! Revisions of the policies, as administrators send them to services, services keep them, and web hosts follow them.

pub mod shadow;
pub mod trial;

use std::fmt;

use portcullis_types::{PolicyManifest, Sha256Digest, Timestamp};
use serde::{Deserialize, Serialize};

use self::trial::{Trial, TrialTerms};

/// The longest name of an author or a web host in bytes.
pub const MAX_NAME_BYTES: usize = 100;
/// The longest note in bytes.
pub const MAX_NOTE_BYTES: usize = 1024;
/// The largest file of a revision in bytes: the largest component that a web host takes.
pub const MAX_FILE_BYTES: usize = 64 << 20;
/// How long a web host may wait for the next change, in seconds.
pub const MAX_WAIT_SECONDS: u32 = 60;

/// The number of a revision: 1, 2, 3, in the order in which they were sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RevisionNumber(pub u64);

impl fmt::Display for RevisionNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// Who changed the policies, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// When services took it.
    pub at: Timestamp,
    /// The key that was shown, as `key:NAME`.
    pub subject: String,
    /// Who says that they did it.
    pub author: String,
    /// Why.
    pub note: String,
}

/// A revision that services keep. It never changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyRevision {
    /// Its number.
    pub number: RevisionNumber,
    /// The digest of code, settings and resources together.
    pub digest: Sha256Digest,
    /// Its files.
    pub manifest: PolicyManifest,
    /// The revision that was active when it was sent: what its author knew.
    pub base: Option<RevisionNumber>,
    /// Who sent it, when and why.
    pub sent: Change,
    /// Whether it is the one that web hosts are to run.
    pub active: bool,
}

/// A revision that an administrator sends.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewRevision {
    /// Its files, which services have already.
    pub manifest: PolicyManifest,
    /// The revision that its author believes to be active; another one is a conflict. None before the first.
    pub base: Option<RevisionNumber>,
    /// Who sends it.
    pub author: String,
    /// Why.
    pub note: String,
    /// That it is to judge in the shadow first, and becomes active by itself when the numbers hold. Without it, it
    /// becomes active at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trial: Option<TrialTerms>,
}

/// What became of a revision that was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sent {
    /// Its number.
    pub number: RevisionNumber,
    /// Until when it is on trial; absent where it is active.
    pub on_trial_until: Option<Timestamp>,
}

/// That another revision that services keep is to be active.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Activate {
    /// The revision.
    pub number: RevisionNumber,
    /// The revision that its author believes to be active; another one is a conflict.
    pub base: Option<RevisionNumber>,
    /// Who asks for it.
    pub author: String,
    /// Why.
    pub note: String,
}

/// That a revision became active.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Activation {
    /// Counts all activations, from 1.
    pub sequence: u64,
    /// The revision.
    pub number: RevisionNumber,
    /// Who asked for it, when and why.
    pub change: Change,
}

/// Which of these files services have not.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Digests {
    /// Files by their digests.
    pub digests: Vec<Sha256Digest>,
}

/// A web host says what it runs and asks what it is to run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Poll {
    /// How it is.
    pub host: HostStatus,
    /// The last change that it knows; 0 before the first.
    pub known: u64,
    /// How long services may wait for another, at most [`MAX_WAIT_SECONDS`].
    pub wait_seconds: u32,
}

/// What one web host runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HostStatus {
    /// Its name, one for each process.
    pub name: String,
    /// What it runs; none before it has anything.
    pub running: Option<Running>,
    /// What it runs in the shadow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trial: Option<Running>,
    /// Why it does not run what it was last asked to.
    pub refused: Option<RefusedRevision>,
}

/// What a web host runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Running {
    /// The number of the revision.
    pub number: RevisionNumber,
    /// The digest of what it runs, as it computed it.
    pub digest: Sha256Digest,
}

/// A revision that a web host does not take.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RefusedRevision {
    /// Its number.
    pub number: RevisionNumber,
    /// Why, in one sentence.
    pub error: String,
}

/// A web host as services last heard of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownHost {
    /// What it said.
    #[serde(flatten)]
    pub status: HostStatus,
    /// When.
    pub seen_at: Timestamp,
}

/// What a web host is to run, if that is another than what it knows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PollAnswer {
    /// Absent when nothing changed since.
    pub wanted: Option<Wanted>,
}

/// What web hosts are to run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wanted {
    /// Counts all changes, from 1.
    pub change: u64,
    /// The revision that is active; none before the first.
    pub active: Option<KeptRevision>,
    /// The revision that is on trial.
    pub trial: Option<KeptRevision>,
}

/// A revision to be fetched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptRevision {
    /// Its number.
    pub number: RevisionNumber,
    /// Its digest.
    pub digest: Sha256Digest,
    /// Its files.
    pub manifest: PolicyManifest,
}

/// All revisions, newest first, and which web hosts run what.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Revisions {
    /// The revisions, without their files.
    pub revisions: Vec<RevisionSummary>,
    /// The activations, newest first.
    pub activations: Vec<Activation>,
    /// The web hosts that were heard of lately, by name.
    pub hosts: Vec<KnownHost>,
}

/// A revision without its files.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RevisionSummary {
    /// Its number.
    pub number: RevisionNumber,
    /// The digest of code, settings and resources together.
    pub digest: Sha256Digest,
    /// Who sent it, when and why.
    pub sent: Change,
    /// Whether it is active.
    pub active: bool,
    /// The revision that was active when it was sent.
    pub base: Option<RevisionNumber>,
    /// Its trial, if it has or had one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trial: Option<Trial>,
}
