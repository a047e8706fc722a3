//! What time does: uploads to which nothing comes any more expire, and idle stages are closed.

use portcullis_hop::{StoreError, UploadState};
use portcullis_types::UploadId;

use super::Uploads;
use crate::catalog::{Action, Actor, AuditEntry, ChunkRow, IdempotentCall, Rows, UploadRow};
use crate::fault::Fault;
use crate::idempotency::KEPT;

impl Uploads {
    /// Ends the uploads whose time has come, as the clock says. Gives their number.
    pub async fn sweep(&self) -> Result<usize, Fault> {
        self.0.active.close_idle();
        let now = self.0.clock.now();
        let expired = move |rows: &Rows| {
            IdempotentCall::forget_before(rows, now.minus(KEPT))?;
            ChunkRow::forget_ended(rows)?;
            UploadRow::expired(rows, now).map_err(Fault::from)
        };
        let rows = self.0.catalog.run(expired).await?;
        for row in &rows {
            let owner = Actor::of_upload(&row.record.upload);
            self.expire(row, owner).await?;
        }
        Ok(rows.len())
    }

    /// Ends an open upload before its time.
    pub(crate) async fn give_up(&self, id: UploadId, actor: Actor) -> Result<(), Fault> {
        let row = self.0.row(id).await?;
        self.expire(&row, actor).await
    }

    async fn expire(&self, row: &UploadRow, actor: Actor) -> Result<(), Fault> {
        let upload = &row.record.upload;
        let (id, now) = (upload.id, self.0.clock.now());
        let mut entry = AuditEntry::new(now, Action::Expired, actor).of_upload(id);
        entry.disk.clone_from(&upload.disk);
        let ended = move |rows: &Rows| {
            let row = UploadRow::find(rows, id)?.ok_or(Fault(StoreError::NotFound))?;
            let waits = row.status().state.takes_bytes();
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
