//! The audit: who did what. Its rows are a chain, and the newest is signed, so that an edit, a gap or a missing end can
//! be seen. `docs/audit.md` says how to check that without this program.

mod action;
mod chain;
mod checkpoint;
mod erasure;
mod key;
mod query;
mod verify;

use std::net::IpAddr;

use portcullis_hop::NewUpload;
use portcullis_telemetry::TraceId;
use portcullis_types::{DiskName, DiskPath, Timestamp, UploadId};
use serde_json::Value;

pub use self::action::Action;
use self::chain::Payload;
pub(super) use self::chain::{chain_old_rows, sign, take_up};
pub use self::checkpoint::{Checkpoint, InvalidCheckpoint, SignedCheckpoint};
pub(super) use self::key::AuditKey;
pub use self::key::{key_file, public_key};
pub use self::query::{AuditFilter, AuditRow};
pub use self::verify::{AuditFault, AuditFinding, AuditReport, verify};
use super::{CatalogError, Rows, VersionRow};

/// Who does something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    /// Who: a principal's subject, or who in parentheses.
    pub subject: String,
    /// From where, as far as it is known.
    pub client: Option<IpAddr>,
    /// In which trace.
    pub trace: Option<TraceId>,
}

impl Actor {
    /// Whoever works on the services host itself.
    pub fn operator() -> Self {
        Self::itself("(operator)")
    }

    /// A part of services that does something by itself.
    pub fn itself(name: &str) -> Self {
        Self {
            subject: name.to_owned(),
            client: None,
            trace: None,
        }
    }

    /// Whoever sends an upload.
    pub fn of_upload(upload: &NewUpload) -> Self {
        Self {
            subject: upload.principal.subject().to_owned(),
            client: upload.client,
            trace: Some(upload.traceparent.trace_id()),
        }
    }
}

/// One action, to be written in the transaction that does it.
#[derive(Clone, Debug)]
#[must_use = "it is not written yet"]
pub struct AuditEntry {
    /// When.
    pub at: Timestamp,
    /// What.
    pub action: Action,
    /// Who.
    pub actor: Actor,
    /// On which upload.
    pub upload: Option<UploadId>,
    /// On which disk.
    pub disk: Option<DiskName>,
    /// On which file, or beneath which folder.
    pub path: Option<DiskPath>,
    /// On which version of it; none: on all of it.
    pub version: Option<u64>,
    /// What else an auditor asks, as JSON.
    pub details: Option<Value>,
}

impl AuditEntry {
    /// An action of somebody, about which nothing else is known yet.
    pub fn new(at: Timestamp, action: Action, actor: Actor) -> Self {
        Self {
            at,
            action,
            actor,
            upload: None,
            disk: None,
            path: None,
            version: None,
            details: None,
        }
    }

    /// On an upload.
    pub fn of_upload(mut self, id: UploadId) -> Self {
        self.upload = Some(id);
        self
    }

    /// On a file, or whatever is beneath a folder.
    pub fn at_path(mut self, disk: &DiskName, path: &DiskPath) -> Self {
        self.disk = Some(disk.clone());
        self.path = Some(path.clone());
        self
    }

    /// On one version of a file.
    pub fn of_version(mut self, version: &VersionRow) -> Self {
        self.upload = Some(version.upload);
        self.version = Some(version.version);
        self.at_path(&version.disk, &version.path)
    }

    /// What else is to be known.
    pub fn with(mut self, details: Value) -> Self {
        self.details = Some(details);
        self
    }

    /// Writes the row.
    pub fn write(&self, rows: &Rows) -> Result<(), CatalogError> {
        chain::append(rows, self)
    }
}
