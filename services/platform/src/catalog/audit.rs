use portcullis_telemetry::TraceId;
use portcullis_types::{DiskName, DiskPath, Timestamp, UploadId};
use rusqlite::named_params;

use super::{CatalogError, Rows};

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// A file was stored at its path.
    Created,
    /// A file was stored apart.
    Quarantined,
    /// A file that was kept apart is shown at its path.
    Released,
    /// A file that was kept apart is gone.
    Discarded,
    /// An upload was refused.
    Rejected,
    /// An upload was given up by its owner.
    Cancelled,
    /// An upload was given up because nothing came for too long.
    Expired,
    /// An upload ended because storage failed.
    Failed,
    /// A file was read.
    Read,
    /// A file was deleted.
    Deleted,
    /// The last deletion of a file was taken back.
    Undeleted,
    /// All versions of a file are gone for good.
    Purged,
    /// Another disk takes the place of one that is gone.
    DiskAdopted,
    /// A token was made.
    TokenAdded,
    /// A token was revoked.
    TokenRevoked,
    /// A revision of the policies was sent.
    PoliciesSent,
    /// A revision of the policies became active.
    PoliciesActivated,
    /// A revision of the policies judges in the shadow before it may become active.
    PoliciesOnTrial,
    /// A revision of the policies will not become active by itself.
    PoliciesTrialDropped,
}

impl Action {
    fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Quarantined => "quarantined",
            Self::Released => "released",
            Self::Discarded => "discarded",
            Self::Rejected => "rejected",
            Self::Cancelled => "cancelled",
            Self::Expired => "expired",
            Self::Failed => "failed",
            Self::Read => "read",
            Self::Deleted => "deleted",
            Self::Undeleted => "undeleted",
            Self::Purged => "purged",
            Self::DiskAdopted => "disk-adopted",
            Self::TokenAdded => "token-added",
            Self::TokenRevoked => "token-revoked",
            Self::PoliciesSent => "policies-sent",
            Self::PoliciesActivated => "policies-activated",
            Self::PoliciesOnTrial => "policies-on-trial",
            Self::PoliciesTrialDropped => "policies-trial-dropped",
        }
    }
}

/// One action, to be written in the transaction that does it.
#[derive(Clone, Debug)]
pub struct AuditEntry {
    /// When.
    pub at: Timestamp,
    /// What.
    pub action: Action,
    /// Who.
    pub subject: String,
    /// On which upload.
    pub upload: Option<UploadId>,
    /// On which file.
    pub file: Option<(DiskName, DiskPath, Option<u64>)>,
    /// In which trace.
    pub trace: Option<TraceId>,
    /// What else an auditor asks, as JSON.
    pub details: Option<serde_json::Value>,
}

impl AuditEntry {
    /// An action of somebody, about which nothing else is known yet.
    pub fn new(at: Timestamp, action: Action, subject: &str) -> Self {
        Self {
            at,
            action,
            subject: subject.to_owned(),
            upload: None,
            file: None,
            trace: None,
            details: None,
        }
    }

    /// Writes the row.
    pub fn write(&self, rows: &Rows) -> Result<(), CatalogError> {
        let file = self.file.as_ref();
        let mut insert = rows.prepare_cached(
            "INSERT INTO audit (at, action, subject, upload, disk, path, version, trace_id, details)
             VALUES (:at, :action, :subject, :upload, :disk, :path, :version, :trace_id, :details)",
        )?;
        insert.execute(named_params! {
            ":at": self.at.as_ms(),
            ":action": self.action.as_str(),
            ":subject": self.subject,
            ":upload": self.upload.map(|id| id.to_string()),
            ":disk": file.map(|(disk, ..)| disk.as_str()),
            ":path": file.map(|(_, path, _)| path.as_str()),
            ":version": file.and_then(|(.., version)| *version).map(u64::cast_signed),
            ":trace_id": self.trace.map(|trace| trace.to_string()),
            ":details": self.details.as_ref().map(ToString::to_string),
        })?;
        Ok(())
    }
}
