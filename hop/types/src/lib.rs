//! What both sides of the hop mean by the same word: upload ids, disks, paths, digests, principals,
//! attributes, verdicts, findings, policy manifests, signatures, time.
//!
//! Every value is checked when it is made and cannot be wrong afterwards. This crate does no input or
//! output, knows no protocol, and depends on no other crate of ours.
#![forbid(unsafe_code)]

mod attributes;
mod clock;
mod counter_name;
mod digest;
mod disk_name;
mod disk_path;
mod finding;
mod offset;
mod parsed;
mod policy_manifest;
mod policy_name;
mod principal;
mod signature;
mod upload_id;
mod verdict;

pub use attributes::{AttributeName, Attributes, InvalidAttribute};
pub use clock::{Clock, InvalidTimestamp, ManualClock, Timestamp};
pub use counter_name::{CounterName, InvalidCounterName};
pub use digest::{InvalidDigest, Sha256Digest, Sha256Hasher};
pub use disk_name::{DiskName, InvalidDiskName};
pub use disk_path::{DiskPath, InvalidDiskPath};
pub use finding::{Finding, Findings, Severity, Tally};
pub use offset::Offset;
pub use policy_manifest::{InvalidManifest, PolicyManifest};
pub use policy_name::{InvalidPolicyName, PolicyName};
pub use principal::{InvalidPrincipal, Principal};
pub use signature::{
    ComponentSignature, InvalidKey, InvalidSignature, PublicKey, SigningKey, Trust, Untrusted,
};
pub use upload_id::{InvalidUploadId, UploadId};
pub use verdict::{Incomplete, PolicyVerdict, Verdict};
