//! Files that policies set apart: a version without a visible link, until somebody with the scope `admin`
//! releases or discards it. Each decision has a reason, and an audit row in the transaction that makes it.

use portcullis_hop::{Commit, Conclusion, Ending, Receipt, Status, StoreError, UploadState};
use portcullis_storage::{CrashPoint, crash_point};
use portcullis_types::UploadId;
use serde::Serialize;

use crate::blocking::blocking;
use crate::catalog::{Action, Actor, AuditEntry, Rows, UploadRow, VersionRow};
use crate::fault::Fault;
use crate::uploads::Uploads;

/// The longest reason for a decision, in bytes.
pub const MAX_REASON_BYTES: usize = 1024;
/// The most files of one list, oldest first.
pub const MAX_LISTED: u32 = 10_000;

/// A file in quarantine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Quarantined {
    /// What the uploader was told: where a release would show it, and why it is set apart.
    #[serde(flatten)]
    pub receipt: Receipt,
    /// Who sent it.
    pub subject: String,
    /// The name that they gave it.
    pub filename: String,
}

/// What somebody decides, and why.
#[derive(Clone, Debug)]
pub struct Decision {
    /// Who.
    pub actor: Actor,
    /// Why: one sentence for the audit.
    pub reason: String,
}

/// A file that was released.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Released {
    /// Its receipt from now on.
    #[serde(flatten)]
    pub receipt: Receipt,
    /// Whether it is what its path shows: a newer version of the path stays where it is.
    pub shown: bool,
}

impl Decision {
    /// A decision with a reason of 1 to [`MAX_REASON_BYTES`] bytes.
    ///
    /// # Errors
    /// A sentence for whoever decides.
    pub fn new(actor: Actor, reason: &str) -> Result<Self, StoreError> {
        let reason = reason.trim();
        if reason.is_empty() || reason.len() > MAX_REASON_BYTES {
            let detail = format!(
                "Say why, in 1 to {MAX_REASON_BYTES} bytes: the reason stands in the audit."
            );
            return Err(StoreError::Invalid(detail));
        }
        Ok(Self {
            actor,
            reason: reason.to_owned(),
        })
    }

    fn entry(
        &self,
        action: Action,
        now: portcullis_types::Timestamp,
        version: &VersionRow,
    ) -> AuditEntry {
        let details = serde_json::json!({
            "reason": self.reason,
            "size": version.size,
            "sha256": version.sha256,
        });
        let entry = AuditEntry::new(now, action, self.actor.clone());
        entry.of_version(version).with(details)
    }
}

/// A version in quarantine and the upload that it came from.
struct Held {
    version: VersionRow,
    receipt: Receipt,
    commit: Commit,
}

impl Held {
    /// Of an upload that is in quarantine now.
    fn find(rows: &Rows, id: UploadId) -> Result<Self, Fault> {
        let row = UploadRow::find(rows, id)?.ok_or(Fault(StoreError::NotFound))?;
        if row.status().state != UploadState::Quarantined {
            return Err(StoreError::Ended(row.status().state).into());
        }
        let version = VersionRow::of_upload(rows, id)?;
        match (version, row.record.receipt, row.commit) {
            (Some(version), Some(receipt), Some(commit)) => Ok(Self {
                version,
                receipt,
                commit,
            }),
            _ => Err(StoreError::StorageFailed.into()),
        }
    }
}

impl Uploads {
    /// What is in quarantine, oldest first; at most [`MAX_LISTED`].
    pub async fn quarantined(&self, actor: Actor) -> Result<Vec<Quarantined>, Fault> {
        self.audit_listing("quarantine", None, None, actor).await?;
        let list = |rows: &Rows| {
            let rows = UploadRow::in_state(rows, UploadState::Quarantined, MAX_LISTED)?;
            let listed = rows.into_iter().filter_map(|row| {
                let upload = row.record.upload;
                Some(Quarantined {
                    receipt: row.record.receipt?,
                    subject: upload.principal.subject().to_owned(),
                    filename: upload.filename,
                })
            });
            Ok::<_, Fault>(listed.collect())
        };
        self.catalog().read(list).await
    }

    /// Releases a file: it becomes a version like any other, and its path shows it unless it has a newer one.
    ///
    /// # Errors
    /// It is not in quarantine, or something that is not ours stands at its path: then it stays.
    pub async fn release(&self, id: UploadId, decision: Decision) -> Result<Released, Fault> {
        let uploads = self.clone();
        let release = move || uploads.release_blocking(id, &decision);
        blocking(release).await?
    }

    /// Discards a file: its bytes go, its record stays, as that of a refused upload.
    ///
    /// # Errors
    /// It is not in quarantine.
    pub async fn discard(&self, id: UploadId, decision: Decision) -> Result<(), Fault> {
        let uploads = self.clone();
        let discard = move || uploads.discard_blocking(id, &decision);
        blocking(discard).await?
    }

    fn release_blocking(&self, id: UploadId, decision: &Decision) -> Result<Released, Fault> {
        let catalog = self.catalog();
        let held = catalog.read_blocking(move |rows| Held::find(rows, id))?;
        let disk = self.disks().holding(&held.version.disk)?;
        let path = held.version.path.clone();
        let _publishing = self.lock_path(&disk.name, &path);
        self.check_path(disk, &path)?;
        let (now, decision) = (self.clock().now(), decision.clone());
        let receipt = catalog.run_blocking(move |rows| {
            // Again, in the transaction that decides.
            let mut held = Held::find(rows, id)?;
            held.receipt.status = Status::Accepted;
            VersionRow::release(rows, id)?;
            UploadRow::commit(rows, &held.commit, &held.receipt, UploadState::Committed)?;
            decision
                .entry(Action::Released, now, &held.version)
                .write(rows)?;
            Ok::<_, Fault>(held.receipt)
        })?;
        crash_point(CrashPoint::FileReleased);
        // From here on it is released; what is not done now, recovery does.
        let shown = self.derive_link(disk, &path)?;
        Ok(Released {
            receipt,
            shown: shown == Some(id),
        })
    }

    fn discard_blocking(&self, id: UploadId, decision: &Decision) -> Result<(), Fault> {
        let (now, decision) = (self.clock().now(), decision.clone());
        let version = self.catalog().run_blocking(move |rows| {
            let held = Held::find(rows, id)?;
            let conclusion = Conclusion {
                epoch: held.commit.epoch,
                ending: Ending::Rejected,
                refusal: held.receipt.refusal,
                policies: held.commit.policies.clone(),
                findings: held.commit.findings.clone(),
            };
            VersionRow::discard(rows, id, now)?;
            UploadRow::conclude(rows, id, UploadState::Rejected, Some(&conclusion))?;
            decision
                .entry(Action::Discarded, now, &held.version)
                .write(rows)?;
            Ok::<_, Fault>(held.version)
        })?;
        crash_point(CrashPoint::FileDiscarded);
        // From here on it is discarded; should its bytes stay, recovery removes them.
        let disk = self.disks().holding(&version.disk)?;
        let dropped = disk.disk().drop_version(id);
        dropped.map_err(Fault::of_disk(disk))
    }
}
