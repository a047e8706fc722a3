use std::time::Duration;

use opentelemetry::{KeyValue, Value};

use portcullis_types::{CounterName, DiskName, Sha256Digest, UploadId, Verdict};

use crate::ComponentVersion;
use crate::label::{DISK, OUTCOME, STATUS, VERDICT};

pub(crate) const UPLOAD: &str = "portcullis.upload.id";
pub(crate) const BYTES: &str = "portcullis.bytes";
pub(crate) const POLICY_VERSION: &str = "portcullis.policy.version";
pub(crate) const POLICY_DIGEST: &str = "portcullis.policy.digest";

/// Everything that a span may say. What is not a number comes from configuration, from a closed list, or is
/// random; there is no variant for free text, and there must never be one.
#[derive(Clone, Debug, PartialEq)]
pub enum Attribute {
    /// The status code of an HTTP answer.
    StatusCode(u16),
    /// Which try of a repeated call this is, from 1.
    Attempt(u32),
    /// The upload.
    UploadId(UploadId),
    /// Bytes that passed.
    Bytes(u64),
    /// The disk.
    Disk(DiskName),
    /// The version of a policy's component.
    PolicyVersion(ComponentVersion),
    /// The digest of a policy's component.
    PolicyDigest(Sha256Digest),
    /// What a policy said.
    PolicyVerdict(Verdict),
    /// Calls of a policy.
    PolicyCalls(u64),
    /// Time within the calls of a policy.
    PolicyBusy(Duration),
    /// The most memory that a policy had, in bytes.
    PolicyMemoryBytes(u64),
    /// What a policy counted of the upload.
    PolicyCounted(CounterName, u64),
    /// How many findings there are.
    Findings(u64),
    /// How the upload ended.
    Outcome(Outcome),
}

/// How an upload ended: `portcullis.upload.outcome`, a closed list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It is stored in its place.
    Stored,
    /// It is stored apart.
    Quarantined,
    /// A policy refused it, or failed.
    Rejected,
    /// It could not be stored, or did not come whole.
    Failed,
    /// It was given up.
    Cancelled,
    /// Nothing came any more.
    Expired,
}

impl Outcome {
    /// The value of the attribute.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stored => "stored",
            Self::Quarantined => "quarantined",
            Self::Rejected => "rejected",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Expired => "expired",
        }
    }
}

/// Why something failed: `error.type`, a closed list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorType {
    /// A policy refused the upload.
    Rejected,
    /// A policy failed.
    PolicyFailed,
    /// The request cannot be used.
    BadRequest,
    /// No key, or a wrong one.
    Unauthorized,
    /// There is no such thing.
    NotFound,
    /// Something is there already, or in other hands.
    Conflict,
    /// Bytes are not what was said.
    DigestMismatch,
    /// The client went away.
    ClientGone,
    /// Something took too long.
    Timeout,
    /// Too much at once.
    Overloaded,
    /// Services cannot be reached.
    ServicesUnavailable,
    /// The two servers do not fit together.
    VersionSkew,
    /// No room on a disk.
    DiskFull,
    /// A disk failed.
    StorageFailed,
    /// The catalog failed.
    CatalogFailed,
    /// A fault of ours.
    Internal,
}

impl ErrorType {
    /// All of them.
    pub const ALL: [Self; 16] = [
        Self::Rejected,
        Self::PolicyFailed,
        Self::BadRequest,
        Self::Unauthorized,
        Self::NotFound,
        Self::Conflict,
        Self::DigestMismatch,
        Self::ClientGone,
        Self::Timeout,
        Self::Overloaded,
        Self::ServicesUnavailable,
        Self::VersionSkew,
        Self::DiskFull,
        Self::StorageFailed,
        Self::CatalogFailed,
        Self::Internal,
    ];

    /// The value of `error.type`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rejected => "rejected",
            Self::PolicyFailed => "policy_failed",
            Self::BadRequest => "bad_request",
            Self::Unauthorized => "unauthorized",
            Self::NotFound => "not_found",
            Self::Conflict => "conflict",
            Self::DigestMismatch => "digest_mismatch",
            Self::ClientGone => "client_gone",
            Self::Timeout => "timeout",
            Self::Overloaded => "overloaded",
            Self::ServicesUnavailable => "services_unavailable",
            Self::VersionSkew => "version_skew",
            Self::DiskFull => "disk_full",
            Self::StorageFailed => "storage_failed",
            Self::CatalogFailed => "catalog_failed",
            Self::Internal => "internal",
        }
    }
}

impl Attribute {
    pub(crate) fn key_value(self) -> KeyValue {
        let number = |number: u64| Value::I64(i64::try_from(number).unwrap_or(i64::MAX));
        let (key, value): (_, Value) = match self {
            Self::PolicyCounted(counter, n) => {
                let key = format!("portcullis.policy.counted.{counter}");
                return KeyValue::new(key, number(n));
            }
            Self::StatusCode(code) => (STATUS, Value::I64(code.into())),
            Self::Attempt(attempt) => ("portcullis.attempt", Value::I64(attempt.into())),
            Self::UploadId(id) => (UPLOAD, id.to_string().into()),
            Self::Bytes(bytes) => (BYTES, number(bytes)),
            Self::Disk(disk) => (DISK, disk.as_str().to_owned().into()),
            Self::PolicyVersion(version) => (POLICY_VERSION, version.as_str().to_owned().into()),
            Self::PolicyDigest(digest) => (POLICY_DIGEST, digest.to_string().into()),
            Self::PolicyVerdict(verdict) => (VERDICT, verdict.as_str().into()),
            Self::PolicyCalls(calls) => ("portcullis.policy.calls", number(calls)),
            Self::PolicyBusy(busy) => (
                "portcullis.policy.busy_ms",
                Value::F64(busy.as_secs_f64() * 1e3),
            ),
            Self::PolicyMemoryBytes(bytes) => ("portcullis.policy.memory_bytes", number(bytes)),
            Self::Outcome(outcome) => (OUTCOME, outcome.as_str().into()),
            Self::Findings(count) => ("portcullis.findings", number(count)),
        };
        KeyValue::new(key, value)
    }
}
