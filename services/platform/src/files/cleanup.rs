//! What clients of the file API left lying: files in chunks that nobody goes on with.

use std::time::Duration;

use super::EXPIRY;
use crate::catalog::{Actor, ChunkRow, Rows};
use crate::fault::Fault;
use crate::uploads::Uploads;
use portcullis_types::UploadId;

/// What was cleaned up, or would have been.
#[derive(Clone, Debug, Default)]
pub struct CleanedUp {
    /// What was found.
    pub found: Vec<UploadId>,
    /// What of it is gone now; on a dry run all of it.
    pub cleaned: Vec<UploadId>,
    /// What could not be removed.
    pub failed: Vec<UploadId>,
}

impl Uploads {
    /// Gives up files in chunks to which nothing came for so long, at most 1000 in one call. Uploads of web hosts are
    /// not meant: their owners are promised that they can go on until they expire.
    pub async fn clean_up(
        &self,
        idle: Duration,
        dry_run: bool,
        actor: Actor,
    ) -> Result<CleanedUp, Fault> {
        // Each chunk puts the end off to then.
        let until = self.clock().now().plus(EXPIRY).minus(idle);
        let find = move |rows: &Rows| Ok(ChunkRow::uploads_expiring(rows, until)?);
        let found: Result<_, Fault> = self.catalog().read(find).await;
        let mut cleaned_up = CleanedUp {
            found: found?,
            ..CleanedUp::default()
        };
        for id in cleaned_up.found.clone() {
            let gone = dry_run || self.give_up(id, actor.clone()).await.is_ok();
            let into = if gone {
                &mut cleaned_up.cleaned
            } else {
                &mut cleaned_up.failed
            };
            into.push(id);
        }
        Ok(cleaned_up)
    }
}
