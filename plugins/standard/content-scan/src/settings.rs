use serde::Deserialize;

use crate::kind::Kind;

/// What an administrator sets.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Settings {
    /// What is looked for.
    pub find: Vec<Kind>,
    /// The columns of tables that are looked at, by name in any case; empty for all.
    pub columns: Vec<String>,
    /// Columns that are not looked at.
    pub ignore_columns: Vec<String>,
    /// Words behind which a medical record number stands, beside the usual ones.
    pub record_labels: Vec<String>,
    /// How many there may be before the action is taken.
    pub max_matches: u64,
    /// What becomes of an upload with more.
    pub action: Action,
}

/// What becomes of an upload in which more is found than may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// It is refused.
    Reject,
    /// It is set apart.
    Quarantine,
    /// It passes, with its findings.
    Warn,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            find: Kind::ALL.to_vec(),
            columns: Vec::new(),
            ignore_columns: Vec::new(),
            record_labels: Vec::new(),
            max_matches: 0,
            action: Action::Reject,
        }
    }
}

/// The longest label of a record number in bytes.
const MAX_LABEL_BYTES: usize = 40;

impl Settings {
    /// What is wrong with them, if something is.
    pub(crate) fn problem(&self) -> Option<String> {
        if self.find.is_empty() {
            return Some("setting `find`: name at least one kind, or leave the key out".to_owned());
        }
        let is_odd = |label: &String| {
            let starts = label
                .as_bytes()
                .first()
                .is_some_and(u8::is_ascii_alphabetic);
            !starts || !label.is_ascii() || label.len() > MAX_LABEL_BYTES
        };
        let mut labels = self.record_labels.iter().enumerate();
        let odd = labels.find(|(_, label)| is_odd(label));
        odd.map(|(index, _)| {
            format!("setting `record-labels[{index}]`: must begin with a letter and be ASCII of at most {MAX_LABEL_BYTES} bytes")
        })
    }
}
