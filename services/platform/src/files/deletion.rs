//! Taking files away. Their versions stay on the disk, marked as deleted.

use portcullis_hop::StoreError;
use portcullis_types::DiskPath;
use serde_json::json;

use super::Prefix;
use crate::blocking::blocking;
use crate::catalog::{Action, Actor, AuditEntry, VersionRow};
use crate::disks::NamedDisk;
use crate::fault::Fault;
use crate::idempotency::Answering;
use crate::uploads::Uploads;

/// How many paths are looked up at once.
const PAGE: u32 = 256;
/// The most paths that are named.
const MAX_NAMED: usize = 1000;

/// What was deleted beneath a prefix, or would have been.
#[derive(Clone, Debug, Default)]
pub struct DeletedMany {
    /// How many files there were.
    pub found: u64,
    /// How many of them are gone now.
    pub deleted: u64,
    /// The first of them.
    pub paths: Vec<DiskPath>,
}

impl Uploads {
    /// Takes the file at a path away.
    ///
    /// # Errors
    /// There is none, or storage failed.
    pub async fn delete(
        &self,
        disk: &NamedDisk,
        path: &DiskPath,
        actor: Actor,
        answering: Option<Answering>,
    ) -> Result<(), Fault> {
        let entry = self.entry(Action::Deleted, disk, path, actor);
        let (uploads, disk, path) = (self.clone(), disk.clone(), path.clone());
        let delete = move || uploads.delete_path(&disk, &path, entry, answering);
        let deleted = blocking(delete).await??;
        if deleted {
            Ok(())
        } else {
            Err(StoreError::NotFound.into())
        }
    }

    /// Takes every file at and beneath a prefix away, one after the other; on a dry run none.
    pub async fn delete_prefix(
        &self,
        disk: &NamedDisk,
        prefix: &Prefix,
        dry_run: bool,
        actor: Actor,
    ) -> Result<DeletedMany, Fault> {
        if dry_run {
            let (name, path) = (Some(&disk.name), prefix.path());
            self.audit_listing("delete_prefix", name, path, actor.clone())
                .await?;
        }
        let mut many = DeletedMany::default();
        let mut after = None;
        loop {
            let page = self.page(&disk.name, prefix, after.take(), PAGE).await?;
            let Some(last) = page.last() else {
                return Ok(many);
            };
            after = Some(last.path.clone());
            many.found += page.len() as u64;
            let room = MAX_NAMED - many.paths.len();
            many.paths
                .extend(page.iter().take(room).map(|file| file.path.clone()));
            if !dry_run {
                many.deleted += self.delete_each(disk, page, &actor).await?;
            }
        }
    }

    async fn delete_each(
        &self,
        disk: &NamedDisk,
        files: Vec<VersionRow>,
        actor: &Actor,
    ) -> Result<u64, Fault> {
        let (uploads, disk, actor) = (self.clone(), disk.clone(), actor.clone());
        let delete = move || {
            let mut deleted = 0;
            for file in files {
                let entry = uploads.entry(Action::Deleted, &disk, &file.path, actor.clone());
                deleted += u64::from(uploads.delete_path(&disk, &file.path, entry, None)?);
            }
            Ok(deleted)
        };
        blocking(delete).await?
    }

    /// What somebody does to all of a path.
    pub(super) fn entry(
        &self,
        action: Action,
        disk: &NamedDisk,
        path: &DiskPath,
        actor: Actor,
    ) -> AuditEntry {
        AuditEntry::new(self.clock().now(), action, actor).at_path(&disk.name, path)
    }
}

/// What a client of the file API is told about a path at which something was done.
pub(crate) fn changed(disk: &NamedDisk, path: &DiskPath) -> serde_json::Value {
    json!({ "success": true, "disk": disk.name, "path": path })
}
