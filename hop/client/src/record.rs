use std::net::IpAddr;

use portcullis_telemetry::{Outcome, TraceContext};
use portcullis_types::{
    Attributes, DiskName, DiskPath, Offset, Principal, Sha256Digest, Timestamp, UploadId,
};
use serde::{Deserialize, Serialize};

use crate::{Conclusion, Receipt};

/// An upload to be created: all that is known before its first byte.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewUpload {
    /// Chosen by the web host, so that creating may be retried.
    pub id: UploadId,
    /// Who sends it.
    pub principal: Principal,
    /// The address that it is sent from, as far as the web host knows it: for the audit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<IpAddr>,
    /// The name of the file as the client gave it: untrusted, possibly empty.
    pub filename: String,
    /// The folder that it lies in, within the one that the client chose.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folder: Option<DiskPath>,
    /// The media type that the client declared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// What the client says about it.
    #[serde(default)]
    pub attributes: Attributes,
    /// Which place it has among uploads that make up one file; none for one that stands for itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub composition: Option<Composition>,
    /// The same as it came, where the protocol has it that the client may ask for it again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<String>,
    /// The length in bytes, when it is known beforehand: services refuse at once what cannot fit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub length: Option<u64>,
    /// The disk that the routing policy named. The stage lies there too. None for an upload that was refused
    /// before it had one: it takes no bytes, and is created only to be concluded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk: Option<DiskName>,
    /// The policy-set revision that judges it; none for a file that came by `/internal/storage/`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<Sha256Digest>,
    /// The trace that all requests of this upload are in.
    pub traceparent: TraceContext,
    /// When it came in: the only time that policies see.
    pub received_at: Timestamp,
    /// When it is given up unless it has ended before.
    pub expires_at: Timestamp,
}

/// Which place an upload has among others that make up one file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Composition {
    /// It is a part: held without having been judged, never to be stored by itself. Services choose its disk where it names
    /// none.
    Part,
    /// It is put together from these parts, in this order.
    Of(Vec<UploadId>),
}

impl NewUpload {
    /// Whether it is a part of another one.
    pub fn is_part(&self) -> bool {
        self.composition == Some(Composition::Part)
    }
}

/// Which request an upload belongs to: raised each time that one takes it over. Appends and checkpoints
/// carry it, and services refuse an older one.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Epoch(u64);

impl Epoch {
    /// The epoch of an upload that was just created.
    pub const FIRST: Self = Self(1);

    /// The epoch with this number.
    pub fn new(number: u64) -> Self {
        Self(number)
    }

    /// Its number.
    pub fn number(self) -> u64 {
        self.0
    }
}

/// How an upload stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UploadState {
    /// It takes bytes.
    Open,
    /// A part of a parallel upload: it takes bytes, and waits to be composed and judged. It cannot be committed.
    Held,
    /// It is stored apart, until an administrator releases or discards it.
    Quarantined,
    /// Its bytes are being made durable and visible.
    Committing,
    /// It is stored at its path.
    Committed,
    /// A policy refused it.
    Rejected,
    /// Its owner gave it up.
    Cancelled,
    /// Nothing came for too long.
    Expired,
}

impl UploadState {
    /// All states.
    pub const ALL: [Self; 8] = [
        Self::Open,
        Self::Held,
        Self::Quarantined,
        Self::Committing,
        Self::Committed,
        Self::Rejected,
        Self::Cancelled,
        Self::Expired,
    ];

    /// Whether an upload takes bytes.
    pub fn takes_bytes(self) -> bool {
        matches!(self, Self::Open | Self::Held)
    }

    /// How an upload ended that is in this state; absent while it has not.
    pub fn outcome(self) -> Option<Outcome> {
        match self {
            Self::Open | Self::Held | Self::Committing => None,
            Self::Committed => Some(Outcome::Stored),
            Self::Quarantined => Some(Outcome::Quarantined),
            Self::Rejected => Some(Outcome::Rejected),
            Self::Cancelled => Some(Outcome::Cancelled),
            Self::Expired => Some(Outcome::Expired),
        }
    }

    /// The word for it in JSON, rows and telemetry.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Held => "held",
            Self::Quarantined => "quarantined",
            Self::Committing => "committing",
            Self::Committed => "committed",
            Self::Rejected => "rejected",
            Self::Cancelled => "cancelled",
            Self::Expired => "expired",
        }
    }

    /// The state with this word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == word)
    }
}

impl std::fmt::Display for UploadState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How far an upload has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UploadStatus {
    /// The upload.
    pub id: UploadId,
    /// How it stands.
    pub state: UploadState,
    /// Whose it is.
    pub epoch: Epoch,
    /// Up to here its bytes are acknowledged: durable and recorded. It never goes back.
    pub offset: Offset,
}

/// All that is known about an upload, also after it has ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UploadRecord {
    /// How far it has come.
    pub status: UploadStatus,
    /// What it was created as.
    pub upload: NewUpload,
    /// Its length in bytes, as soon as it is known: from the beginning, or told later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub length: Option<u64>,
    /// When it is given up unless something comes or it ends: later than what it was created with, as it goes on.
    pub expires_at: Timestamp,
    /// What the client was told, when it was stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receipt: Option<Receipt>,
    /// What the client was told, when it was not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conclusion: Option<Conclusion>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_is_found_by_its_word_which_is_its_json() {
        for state in UploadState::ALL {
            assert_eq!(UploadState::from_word(state.as_str()), Some(state));
            let json = serde_json::to_value(state).expect("is JSON");
            assert_eq!(json, state.as_str());
        }
    }
}
