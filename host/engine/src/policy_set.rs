//! `policies.toml` as an administrator writes it, parsed and checked for itself.

use portcullis_types::{DiskName, PolicyName, Sha256Digest};
use serde::Deserialize;

use crate::Limits;
use crate::matching::Matching;
use crate::mode::{Mode, Percent};

/// The most policies of one set.
pub(crate) const MAX_POLICIES: usize = 64;

/// The whole file: policies in the order in which uploads meet them.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct PolicySet {
    /// Whether it may do without any policy that can refuse an upload.
    #[serde(default)]
    pub(crate) allow_empty: bool,
    #[serde(rename = "policy", default)]
    pub(crate) policies: Vec<PolicyEntry>,
}

/// One `[[policy]]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct PolicyEntry {
    pub(crate) name: PolicyName,
    /// Relative to the file.
    pub(crate) component: String,
    /// The digest that the component must have.
    pub(crate) digest: Option<Sha256Digest>,
    #[serde(default)]
    pub(crate) mode: Mode,
    #[serde(default)]
    pub(crate) percent: Percent,
    #[serde(default)]
    pub(crate) on_failure: OnFailure,
    #[serde(default, rename = "match")]
    pub(crate) matching: Matching,
    #[serde(default)]
    pub(crate) settings: toml::Table,
    #[serde(default)]
    pub(crate) limits: Limits,
    /// Whether findings may carry content of the data.
    #[serde(default)]
    pub(crate) may_quote: bool,
    /// The folder with the cases that it must pass before the set serves, relative to the file.
    pub(crate) fixtures: Option<String>,
    /// The disks that a routing policy may name.
    #[serde(default)]
    pub(crate) disks: Vec<DiskName>,
}

/// What becomes of an upload when a policy fails on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum OnFailure {
    /// It is refused.
    #[default]
    Reject,
    /// It goes on as if the policy had accepted.
    Accept,
}

/// Where in a text an error of TOML is: line and column, from 1, the latter in characters.
pub(crate) fn place(text: &str, error: &toml::de::Error) -> (usize, usize) {
    let before = error.span().and_then(|span| text.get(..span.start));
    let before = before.unwrap_or_default();
    let line = before.rsplit('\n').next().unwrap_or_default();
    (before.matches('\n').count() + 1, line.chars().count() + 1)
}
