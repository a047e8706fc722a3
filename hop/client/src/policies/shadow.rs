//! What policies in the shadow would have said: reported by web hosts, summed up for administrators.

use std::collections::BTreeMap;

use portcullis_types::{
    Attributes, Incomplete, PolicyName, PolicyVerdict, Sha256Digest, Timestamp, UploadId,
};
use serde::{Deserialize, Serialize};

/// The most reports of one call.
pub const MAX_SHADOW_REPORTS: usize = 200;

/// What shadow policies would have said about some uploads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShadowReports {
    /// One for each upload, at most [`MAX_SHADOW_REPORTS`].
    pub reports: Vec<ShadowReport>,
    /// How many could not be kept until they were sent.
    pub lost: u64,
}

/// What shadow policies would have said about one upload, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShadowReport {
    /// The upload.
    pub upload: UploadId,
    /// The digest of the revision that decided.
    pub revision: Sha256Digest,
    /// What it decided.
    pub decided: Decided,
    /// The policy that refused it or set it apart, if one did.
    pub by: Option<PolicyName>,
    /// Its attributes.
    pub attributes: Attributes,
    /// What each shadow policy would have said.
    pub verdicts: Vec<ShadowVerdict>,
}

/// What became of an upload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Decided {
    /// It was stored.
    Accept,
    /// It was set apart.
    Quarantine,
    /// It was refused.
    Reject,
}

/// What one shadow policy would have said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShadowVerdict {
    /// The digest of the set that it belongs to: the revision that decided, or one on trial.
    pub set: Sha256Digest,
    /// Which, and its verdict; undecided where it has not judged.
    pub policy: PolicyVerdict,
    /// The rule of its refusal or quarantine.
    pub rule: Option<String>,
    /// How often each rule was broken.
    pub rules: BTreeMap<String, u64>,
    /// Whether the upload would have passed; absent where it has not judged.
    pub passes: Option<bool>,
    /// Why it has not judged.
    pub incomplete: Option<Incomplete>,
}

/// What shadow policies would have done, over many uploads.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShadowSummary {
    /// Whether there are more verdicts than were looked at: the newest ones were.
    pub truncated: bool,
    /// One for each policy, component and set.
    pub policies: Vec<ShadowPolicy>,
}

/// What one shadow policy would have done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShadowPolicy {
    /// Its name.
    pub policy: PolicyName,
    /// The digest of its component.
    pub digest: Sha256Digest,
    /// The digest of its set.
    pub set: Sha256Digest,
    /// Uploads that it has judged.
    pub judged: u64,
    /// Of those: it would have changed nothing.
    pub unchanged: u64,
    /// Of those: stored or set apart, and it would have refused them.
    pub newly_refused: u64,
    /// Of those: stored, and it would have set them apart.
    pub newly_set_apart: u64,
    /// Of those: refused by the policy of the same name, and it would have let them pass.
    pub newly_passed: u64,
    /// Of those: it failed.
    pub failed: u64,
    /// Uploads that it has not judged, and why.
    pub incomplete: BTreeMap<Incomplete, u64>,
    /// Of those that it would newly refuse or set apart: how many for each rule, and examples.
    pub rules: BTreeMap<String, ShadowRule>,
    /// The values of attributes: of how many that it judged, how many it would newly refuse or set apart.
    pub attributes: Vec<ShadowAttribute>,
}

/// What one rule would have done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShadowRule {
    /// Uploads.
    pub uploads: u64,
    /// How often it was broken in them.
    pub findings: u64,
    /// Some of them.
    pub examples: Vec<UploadId>,
}

/// What a shadow policy would have done to uploads with one value of an attribute.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShadowAttribute {
    /// The attribute.
    pub name: String,
    /// The value.
    pub value: String,
    /// Uploads that it has judged.
    pub judged: u64,
    /// Of those: it would newly refuse them or set them apart.
    pub changed: u64,
}

/// Which verdicts are summed up; absent fields limit nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ShadowQuery {
    /// Of this policy.
    pub policy: Option<PolicyName>,
    /// Of this set.
    pub set: Option<Sha256Digest>,
    /// From then on.
    pub since: Option<Timestamp>,
}
