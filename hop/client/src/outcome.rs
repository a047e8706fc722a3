use portcullis_telemetry::{Outcome, TraceId};
use portcullis_types::{
    DiskName, DiskPath, Finding, Findings, Offset, PolicyVerdict, Sha256Digest, Tally, Timestamp,
    UploadId,
};
use serde::{Deserialize, Serialize};

use crate::{Epoch, UploadState};

/// What becomes of the bytes when they are committed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Disposition {
    /// Shown at the path.
    Publish,
    /// Kept apart for this reason, until an administrator releases or discards them.
    Quarantine(Refusal),
}

/// The end of an upload that the policies let pass: what the web host saw, and what they said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Commit {
    /// Whose the upload is.
    pub epoch: Epoch,
    /// The length in bytes of all that was judged.
    pub length: Offset,
    /// The SHA-256 of all that was judged. Services refuse if theirs is another.
    pub sha256: Sha256Digest,
    /// Where the file goes on the disk of the upload.
    pub path: DiskPath,
    /// What is to become of the bytes.
    pub disposition: Disposition,
    /// Each policy's verdict, in the order of the set.
    pub policies: Vec<PolicyVerdict>,
    /// What the policies noticed.
    #[serde(default)]
    pub findings: Findings,
}

/// Why a policy refuses an upload, or sets it apart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Refusal {
    /// The rule in kebab-case.
    pub rule: String,
    /// One sentence for the uploader.
    pub message: String,
}

/// How an upload ends that is not stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ending {
    /// A policy refused it, or failed.
    Rejected,
    /// Its owner gave it up.
    Cancelled,
}

/// The end of an upload that is not stored. Its bytes go, its record stays until it expires.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Conclusion {
    /// Whose the upload is.
    pub epoch: Epoch,
    /// How it ends.
    pub ending: Ending,
    /// Why, where a policy said no.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refusal: Option<Refusal>,
    /// Each policy's verdict, in the order of the set.
    #[serde(default)]
    pub policies: Vec<PolicyVerdict>,
    /// What the policies noticed.
    #[serde(default)]
    pub findings: Findings,
}

/// How an upload ended well.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// Stored at its path.
    Accepted,
    /// Stored apart, until an administrator releases or discards it.
    Quarantined,
}

impl Status {
    /// The state that such an upload is in.
    pub fn state(self) -> UploadState {
        match self {
            Self::Accepted => UploadState::Committed,
            Self::Quarantined => UploadState::Quarantined,
        }
    }

    /// The same for telemetry.
    pub fn outcome(self) -> Outcome {
        match self {
            Self::Accepted => Outcome::Stored,
            Self::Quarantined => Outcome::Quarantined,
        }
    }
}

/// What services answer once an upload is durable: the file and its folder are on stable storage, and
/// catalog and audit are committed. The same upload always has the same receipt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Receipt {
    /// The upload.
    pub id: UploadId,
    /// How it ended.
    pub status: Status,
    /// The disk that it lies on.
    pub disk: DiskName,
    /// Its path there; for a quarantined upload, where a release would show it.
    pub path: DiskPath,
    /// Which version of that path it is, from 1.
    pub version: u64,
    /// Its length in bytes.
    pub size: u64,
    /// The SHA-256 of the bytes that were received and judged.
    pub sha256: Sha256Digest,
    /// The SHA-256 of the bytes that are stored, as services computed it. Equal today.
    pub stored_sha256: Sha256Digest,
    /// Why it is in quarantine, or was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refusal: Option<Refusal>,
    /// Which policies said what.
    pub policies: Vec<PolicyVerdict>,
    /// What they noticed without refusing the upload.
    #[serde(default)]
    pub findings: Vec<Finding>,
    /// Totals of what is not listed in full.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tallies: Vec<Tally>,
    /// When it became durable.
    pub stored_at: Timestamp,
    /// The trace across both hops.
    pub trace_id: TraceId,
}
