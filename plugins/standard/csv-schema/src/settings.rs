use portcullis_csv::Separator;
use portcullis_policy::{Setting, Severity, Upload};
use serde::Deserialize;

use crate::seen::Limits;

/// What an administrator sets.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Settings {
    /// The attribute that names the table.
    pub attribute: String,
    /// What becomes of a table without a definition.
    pub without_definition: WithoutDefinition,
    /// What stands between cells.
    pub separator: SeparatorSetting,
    /// What becomes of columns that the definition does not have.
    pub extra_columns: ExtraColumns,
    /// How many values of a column without duplicates are kept for comparison.
    pub max_unique_values: usize,
    /// After how many errors the rest of the file is not wanted any more; absent for never.
    pub stop_after_errors: Option<u64>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            attribute: "table".to_owned(),
            without_definition: WithoutDefinition::Reject,
            separator: SeparatorSetting::Auto,
            extra_columns: ExtraColumns::Error,
            max_unique_values: 1_000_000,
            stop_after_errors: None,
        }
    }
}

/// The keys, for the administrator's eyes.
pub(crate) const DESCRIBED: &[Setting] = &[
    Setting::optional(
        "attribute",
        "The attribute of the upload that names its table, a text; `table` unless set.",
    ),
    Setting::optional(
        "without-definition",
        "What becomes of a table that has no definition: `reject` (unless set), or `accept`, which lets it pass and says that it was not checked.",
    ),
    Setting::optional(
        "separator",
        "What stands between cells: `auto` (unless set: tabs when the name ends in .tsv or .tab or the media type says so, commas otherwise), `comma`, `tab`, `semicolon` or `pipe`.",
    ),
    Setting::optional(
        "extra-columns",
        "What a column means that the definition does not have: `error` (unless set), `warning`, or `ignore`.",
    ),
    Setting::optional(
        "max-unique-values",
        "How many values of columns with `no_duplicates` are kept for comparison, a number; 1000000 unless set. Each takes its length and about 15 bytes of the policy's memory, 32 MiB at most.",
    ),
    Setting::optional(
        "stop-after-errors",
        "After how many errors the upload is refused without waiting for its end, a number; never unless set.",
    ),
];

/// What becomes of a table without a definition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WithoutDefinition {
    /// It is refused.
    Reject,
    /// It passes, and a finding says that it was not checked.
    Accept,
}

/// What a column means that the definition does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ExtraColumns {
    /// The table does not fit.
    Error,
    /// It is worth a warning.
    Warning,
    /// Nothing.
    Ignore,
}

impl ExtraColumns {
    pub(crate) fn severity(self) -> Option<Severity> {
        match self {
            Self::Error => Some(Severity::Error),
            Self::Warning => Some(Severity::Warning),
            Self::Ignore => None,
        }
    }
}

/// What stands between cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SeparatorSetting {
    /// What the name and the media type of the file say.
    Auto,
    /// `,`
    Comma,
    /// A tab.
    Tab,
    /// `;`
    Semicolon,
    /// `|`
    Pipe,
}

impl SeparatorSetting {
    pub(crate) fn of(self, upload: &Upload) -> Separator {
        match self {
            Self::Comma => Separator::Comma,
            Self::Tab => Separator::Tab,
            Self::Semicolon => Separator::Semicolon,
            Self::Pipe => Separator::Pipe,
            Self::Auto => {
                let named = matches!(upload.extension().as_deref(), Some("tsv" | "tab"));
                let declared = upload.media_type.as_deref() == Some("text/tab-separated-values");
                if named || declared {
                    Separator::Tab
                } else {
                    Separator::Comma
                }
            }
        }
    }
}

/// The most bytes of values without duplicates: half of the memory that a policy has unless set otherwise.
const MAX_UNIQUE_BYTES: usize = 32 << 20;

impl Settings {
    /// What is wrong with them, if something is.
    pub(crate) fn problem(&self) -> Option<String> {
        if self.attribute.is_empty() {
            return Some("setting `attribute`: name the attribute that names the table".to_owned());
        }
        if self.stop_after_errors == Some(0) {
            return Some(
                "setting `stop-after-errors`: must be 1 or more, or not be there".to_owned(),
            );
        }
        None
    }

    pub(crate) fn seen(&self) -> Limits {
        Limits {
            values: self.max_unique_values,
            bytes: MAX_UNIQUE_BYTES,
        }
    }
}
