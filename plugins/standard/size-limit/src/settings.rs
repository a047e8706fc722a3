use std::collections::BTreeMap;

use portcullis_policy::Upload;
use serde::Deserialize;

/// What an administrator sets.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Settings {
    /// The most bytes of an upload to which no exception applies.
    pub max_bytes: Option<u64>,
    /// The fewest bytes of such an upload.
    #[serde(default)]
    pub min_bytes: u64,
    /// Others for some uploads; the first one that applies counts.
    #[serde(default)]
    pub exceptions: Vec<Exception>,
    /// Whether uploads must declare their length.
    #[serde(default)]
    pub require_length: bool,
}

/// Sizes for uploads with these attributes from these senders.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Exception {
    /// For each of these attributes, the values of which the upload must have one.
    #[serde(default)]
    pub attributes: BTreeMap<String, Vec<String>>,
    /// The accounts of which one must send it; empty for all.
    #[serde(default)]
    pub subjects: Vec<String>,
    /// The groups of which the account must be in one; empty for all.
    #[serde(default)]
    pub groups: Vec<String>,
    /// The most bytes; absent for no limit.
    pub max_bytes: Option<u64>,
    /// The fewest bytes.
    #[serde(default)]
    pub min_bytes: u64,
}

/// What an upload may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sizes {
    pub(crate) min: u64,
    pub(crate) max: u64,
}

impl Sizes {
    fn new(min: u64, max: Option<u64>) -> Self {
        let max = max.unwrap_or(u64::MAX);
        Self { min, max }
    }
}

impl Settings {
    /// What is wrong with them, if something is.
    pub(crate) fn problem(&self) -> Option<String> {
        if self.max_bytes.is_none() && self.min_bytes == 0 && self.exceptions.is_empty() {
            return Some(
                "nothing is limited; give `max-bytes`, `min-bytes` or `exceptions`".to_owned(),
            );
        }
        let none = |min: u64, max: Option<u64>| max.is_some_and(|max| max < min);
        if none(self.min_bytes, self.max_bytes) {
            return Some("setting `max-bytes`: must not be less than `min-bytes`".to_owned());
        }
        let mut exceptions = self.exceptions.iter().enumerate();
        exceptions.find_map(|(index, exception)| {
            if none(exception.min_bytes, exception.max_bytes) {
                return Some(format!(
                    "setting `exceptions[{index}].max-bytes`: must not be less than `min-bytes`"
                ));
            }
            let empty = exception.attributes.iter().find(|(_, values)| values.is_empty());
            empty.map(|(name, _)| {
                format!(
                    "setting `exceptions[{index}].attributes.{name}`: name at least one value, or leave the key out"
                )
            })
        })
    }

    /// What this upload may have.
    pub(crate) fn sizes(&self, upload: &Upload) -> Sizes {
        let exception = self
            .exceptions
            .iter()
            .find(|exception| exception.applies_to(upload));
        match exception {
            Some(exception) => Sizes::new(exception.min_bytes, exception.max_bytes),
            None => Sizes::new(self.min_bytes, self.max_bytes),
        }
    }
}

impl Exception {
    fn applies_to(&self, upload: &Upload) -> bool {
        let one_of = |values: &[String], value: &str| values.iter().any(|known| known == value);
        let principal = &upload.principal;
        let sender = self.subjects.is_empty() || one_of(&self.subjects, &principal.subject);
        let mut groups = principal.groups.iter();
        let group = self.groups.is_empty() || groups.any(|group| one_of(&self.groups, group));
        let mut attributes = self.attributes.iter();
        sender
            && group
            && attributes.all(|(name, values)| {
                upload
                    .attribute(name)
                    .is_some_and(|value| one_of(values, value))
            })
    }
}
