use serde::Deserialize;

/// What an administrator sets.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Settings {
    /// The most entries of all archives in an upload together.
    pub max_entries: u64,
    /// The most bytes that they unpack to, together.
    pub max_expanded_bytes: u64,
    /// How many times the bytes of the upload they may unpack to.
    pub max_ratio: u64,
    /// How deep archives may lie in archives: 0 for none.
    pub max_depth: u32,
    /// Whether entries may be encrypted, and so unread.
    pub allow_encrypted: bool,
    /// Whether links may be among the entries.
    pub allow_links: bool,
    /// Whether archives and entries may pass that cannot be read as a stream, or not at all.
    pub allow_unread: bool,
    /// Extensions that no entry may have, in lower case.
    pub forbid_extensions: Vec<String>,
    /// What becomes of an archive that breaks a rule.
    pub action: Action,
}

/// What becomes of an archive that breaks a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// It is refused.
    Reject,
    /// It is set apart.
    Quarantine,
}

/// The most entries that can be remembered, for finding those that overlap.
pub(crate) const MOST_ENTRIES: u64 = 200_000;
/// The deepest archives that can be read.
pub(crate) const MOST_DEPTH: u32 = 8;

impl Default for Settings {
    fn default() -> Self {
        Self {
            max_entries: 10_000,
            max_expanded_bytes: 10_000_000_000,
            max_ratio: 100,
            max_depth: 2,
            allow_encrypted: false,
            allow_links: false,
            allow_unread: false,
            forbid_extensions: Vec::new(),
            action: Action::Reject,
        }
    }
}

impl Settings {
    /// What is wrong with them, if something is.
    pub(crate) fn problem(&self) -> Option<String> {
        if !(1..=MOST_ENTRIES).contains(&self.max_entries) {
            return Some(format!(
                "setting `max-entries`: must be 1 to {MOST_ENTRIES}"
            ));
        }
        if self.max_depth > MOST_DEPTH {
            return Some(format!("setting `max-depth`: must be at most {MOST_DEPTH}"));
        }
        if self.max_ratio == 0 {
            return Some("setting `max-ratio`: must be more than 0".to_owned());
        }
        let is_odd = |extension: &String| {
            extension.is_empty()
                || extension.starts_with('.')
                || extension.to_lowercase() != *extension
        };
        let mut extensions = self.forbid_extensions.iter().enumerate();
        let odd = extensions.find(|(_, extension)| is_odd(extension));
        odd.map(|(index, _)| {
            format!("setting `forbid-extensions[{index}]`: must be in lower case and without a dot, such as \"exe\"")
        })
    }
}
