//! What time does: uploads to which nothing comes any more expire, and idle stages are closed.

use portcullis_hop::{StoreError, UploadState};

use super::Uploads;
use crate::catalog::{Action, AuditEntry, Rows, UploadRow};
use crate::fault::Fault;

impl Uploads {
    /// Ends the uploads whose time has come, as the clock says. Gives their number.
    pub async fn sweep(&self) -> Result<usize, Fault> {
        self.0.active.close_idle();
        let now = self.0.clock.now();
        let expired = move |rows: &Rows| UploadRow::expired(rows, now).map_err(Fault::from);
        let rows = self.0.catalog.run(expired).await?;
        for row in &rows {
            self.expire(row).await?;
        }
        Ok(rows.len())
    }

    async fn expire(&self, row: &UploadRow) -> Result<(), Fault> {
        let upload = &row.record.upload;
        let (id, now) = (upload.id, self.0.clock.now());
        let entry = AuditEntry {
            upload: Some(id),
            trace: Some(upload.traceparent.trace_id()),
            ..AuditEntry::new(now, Action::Expired, upload.principal.subject())
        };
        let ended = move |rows: &Rows| {
            let row = UploadRow::find(rows, id)?.ok_or(Fault(StoreError::NotFound))?;
            let waits = matches!(row.status().state, UploadState::Open | UploadState::Held);
            if waits {
                UploadRow::conclude(rows, id, UploadState::Expired, None)?;
                entry.write(rows)?;
            }
            Ok::<_, Fault>(waits)
        };
        if self.0.catalog.run(ended).await? {
            self.0.forget_stage(row).await?;
        }
        Ok(())
    }
}
