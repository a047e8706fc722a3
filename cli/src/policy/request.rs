//! The upload that a policy is shown, as arguments or a fixture describe it.

use anyhow::{Context, Result};
use portcullis_engine::Upload;
use portcullis_types::{Attributes, Principal, Timestamp, UploadId};
use serde::{Deserialize, Serialize};

/// The headers of an upload. Everything has a value that never changes, so that two runs agree.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Request {
    /// The file name as a client gives it.
    pub(crate) filename: String,
    /// The declared media type; none unless given.
    pub(crate) media_type: Option<String>,
    /// The declared length in bytes; none unless given.
    pub(crate) length: Option<u64>,
    /// The account; `(anonymous)` unless given.
    pub(crate) subject: Option<String>,
    /// The groups that it belongs to.
    pub(crate) groups: Vec<String>,
    /// When the upload was created (RFC 3339); 2024-05-06T07:08:09Z unless given.
    pub(crate) received_at: Option<String>,
    /// Form fields.
    pub(crate) attributes: std::collections::BTreeMap<String, String>,
    /// What validation policies learned, for a routing policy.
    pub(crate) facts: std::collections::BTreeMap<String, String>,
    /// The disks that a routing policy may name; `local` unless given.
    pub(crate) disks: Vec<portcullis_types::DiskName>,
}

/// 2024-05-06T07:08:09Z.
const RECEIVED_AT_MS: i64 = 1_714_979_289_000;
/// An upload's id, of which clocks and random numbers follow.
const ID: &str = "0190b7a27c3e70008000000000000000";

impl Request {
    /// The upload.
    pub(crate) fn upload(&self) -> Result<Upload> {
        let mut attributes = Attributes::default();
        for (name, value) in &self.attributes {
            attributes.insert(name, value).with_context(|| {
                format!("the attribute `{name}` is not one that an upload can have")
            })?;
        }
        let principal = match &self.subject {
            None => Principal::anonymous(),
            Some(subject) => Principal::new(subject, self.groups.iter().map(String::as_str))
                .context("`subject` or `groups` are not ones that an account can have")?,
        };
        let received_at = match &self.received_at {
            None => Timestamp::from_ms(RECEIVED_AT_MS),
            Some(text) => text.parse(),
        };
        Ok(Upload {
            id: ID.parse::<UploadId>().context("the id is one")?,
            filename: self.filename.clone(),
            media_type: self.media_type.clone(),
            length: self.length,
            attributes,
            principal,
            received_at: received_at
                .context("`received-at` is no time; write it like 2024-05-06T07:08:09Z")?,
        })
    }

    /// What validation policies learned, as a routing policy is told.
    pub(crate) fn facts(&self) -> Vec<(String, String)> {
        self.facts.clone().into_iter().collect()
    }
}
