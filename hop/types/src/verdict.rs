use serde::{Deserialize, Serialize};

use crate::{PolicyName, Sha256Digest};

/// What one policy said in the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// The upload may pass.
    Accept,
    /// The upload is to be stored apart.
    Quarantine,
    /// The upload may not pass.
    Reject,
    /// The policy failed (trap, limit, time, or it cannot judge); what that means is set by its
    /// `on-failure`.
    Failed,
    /// Another policy ended the upload before this one had decided.
    Undecided,
}

impl Verdict {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Accept,
        Self::Quarantine,
        Self::Reject,
        Self::Failed,
        Self::Undecided,
    ];

    /// The word for it in receipts, rows and telemetry.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Accept => "accept",
            Self::Quarantine => "quarantine",
            Self::Reject => "reject",
            Self::Failed => "failed",
            Self::Undecided => "undecided",
        }
    }
}

/// Why a shadow policy has not judged an upload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Incomplete {
    /// It was slower than the upload.
    Behind,
    /// There was no room for it.
    NoRoom,
    /// The upload ended before it had decided.
    Ended,
}

/// Which policy said what: the part of a receipt that an auditor reads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyVerdict {
    /// Its name in the policy set.
    pub name: PolicyName,
    /// The version that the component gives itself.
    pub version: String,
    /// The digest of the component.
    pub digest: Sha256Digest,
    /// What it said.
    pub verdict: Verdict,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_word_is_the_same_in_json_and_elsewhere() {
        for verdict in [
            Verdict::Accept,
            Verdict::Quarantine,
            Verdict::Reject,
            Verdict::Failed,
            Verdict::Undecided,
        ] {
            let json = serde_json::to_value(verdict).expect("is JSON");
            assert_eq!(json, verdict.as_str());
        }
    }
}
