//! Revisions that must hold in the shadow before they become active.

use portcullis_types::Timestamp;
use serde::{Deserialize, Serialize};

use super::RevisionNumber;

/// The longest trial in seconds: as long as verdicts of the shadow are kept.
pub const MAX_TRIAL_SECONDS: u64 = 30 * 24 * 3_600;

/// What a trial is about.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrialTerms {
    /// How long it is, 1 to [`MAX_TRIAL_SECONDS`].
    pub seconds: u64,
    /// Of 100 uploads that it has judged, how many it may newly refuse; 0 to 100.
    pub max_new_rejections_percent: f64,
    /// How many uploads it must have judged; at least 1.
    pub min_uploads: u64,
}

/// How a trial stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trial {
    /// What it is about.
    pub terms: TrialTerms,
    /// When it began.
    pub started_at: Timestamp,
    /// When it is judged.
    pub ends_at: Timestamp,
    /// Where it is.
    pub state: TrialState,
    /// Why it ended as it did.
    pub reason: Option<String>,
    /// Uploads that it has judged so far.
    pub judged: u64,
    /// Of those that were stored: it would have refused them.
    pub newly_refused: u64,
}

/// Where a trial is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TrialState {
    /// It goes on.
    Running,
    /// The numbers held, and the revision became active.
    Enforced,
    /// They did not, or somebody ended it.
    Dropped,
}

impl TrialState {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Enforced => "enforced",
            Self::Dropped => "dropped",
        }
    }

    /// The state with this word.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Running, Self::Enforced, Self::Dropped]
            .into_iter()
            .find(|state| state.as_str() == word)
    }
}

/// That a trial is to end without its revision becoming active.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DropTrial {
    /// Its revision.
    pub number: RevisionNumber,
    /// Who asks for it.
    pub author: String,
    /// Why.
    pub note: String,
}
