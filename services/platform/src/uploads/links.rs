//! Visible links that were made a moment ago. An upload is stored once its catalog row is; what it shows may be lost
//! with the power until its folder is synced, and its row says so until then, so that the next start makes the link
//! again. Links that are made within a moment share that: one fsync for each folder, one look into the catalog.

use std::collections::BTreeMap;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use portcullis_types::{DiskName, DiskPath, UploadId};
use tokio::runtime::Handle;

use super::Inner;
use crate::blocking::blocking;
use crate::catalog::{CatalogError, Rows, VersionRow};
use crate::fault::Fault;

/// How long links gather.
const GATHER: Duration = Duration::from_millis(100);

/// A path, and the version that it was made to show.
type Links = BTreeMap<(DiskName, DiskPath), UploadId>;

/// The links that are not settled yet.
#[derive(Debug, Default)]
pub(super) struct FreshLinks(Mutex<Fresh>);

#[derive(Debug, Default)]
struct Fresh {
    links: Links,
    /// Whether there is a task that will settle them.
    is_awaited: bool,
}

impl FreshLinks {
    fn fresh(&self) -> MutexGuard<'_, Fresh> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a link, in place of an earlier one at its path. Says whether somebody must see to it that it is settled.
    fn add(&self, disk: DiskName, path: DiskPath, version: UploadId) -> bool {
        let mut fresh = self.fresh();
        fresh.links.insert((disk, path), version);
        !mem::replace(&mut fresh.is_awaited, true)
    }

    /// All that have gathered. Where there are none, nobody awaits them any more.
    fn take(&self) -> Links {
        let mut fresh = self.fresh();
        fresh.is_awaited = !fresh.links.is_empty();
        mem::take(&mut fresh.links)
    }
}

impl Inner {
    /// Has a link settled that was just made. Nobody waits for that: until it is done, the next start looks at the link
    /// again.
    pub(super) fn settle_later(
        self: &Arc<Self>,
        disk: DiskName,
        path: DiskPath,
        version: UploadId,
    ) {
        if self.fresh_links.add(disk, path, version) {
            // Not kept alive: whoever ends leaves its links to the next start.
            Handle::current().spawn(settle(Arc::downgrade(self)));
        }
    }

    fn settle_links(&self, links: Links) {
        let mut folders: BTreeMap<_, Vec<(DiskPath, UploadId)>> = BTreeMap::new();
        for ((disk, path), version) in links {
            let folder = (disk, path.folder());
            folders.entry(folder).or_default().push((path, version));
        }
        for ((disk, _), links) in folders {
            // What fails has been told, and is left to the next start.
            let _ = self.settle_folder(&disk, links);
        }
    }

    /// Settles links in one folder.
    fn settle_folder(
        &self,
        disk: &DiskName,
        links: Vec<(DiskPath, UploadId)>,
    ) -> Result<(), Fault> {
        let disk = self.disks.holding(disk)?;
        if let Some((path, _)) = links.first() {
            let synced = disk.disk().sync_folder(path);
            synced.map_err(Fault::of_disk(disk))?;
        }
        let mut settled = Vec::new();
        for (path, version, shown) in self.look_at(&disk.name, links)? {
            if shown == Some(version) {
                settled.push((path, version));
            } else {
                // Another process may have changed what is to be shown while the link was made.
                let _publishing = self.publishing.lock(&disk.name, &path);
                self.derive_link(disk, &path)?;
            }
        }
        let disk = disk.name.clone();
        self.catalog.run_later(move |rows| {
            settled.iter().try_for_each(|(path, version)| {
                VersionRow::set_linked(rows, &disk, path, Some(*version))
            })
        });
        Ok(())
    }

    /// What the catalog says that these paths show.
    fn look_at(
        &self,
        disk: &DiskName,
        links: Vec<(DiskPath, UploadId)>,
    ) -> Result<Vec<(DiskPath, UploadId, Option<UploadId>)>, Fault> {
        let disk = disk.clone();
        let look = move |rows: &Rows| {
            let look = |(path, version)| {
                let shown = VersionRow::latest(rows, &disk, &path)?.map(|shown| shown.upload);
                Ok((path, version, shown))
            };
            let looked = links.into_iter().map(look);
            looked.collect::<Result<_, CatalogError>>()
        };
        Ok(self.catalog.read_blocking(look)?)
    }
}

/// Settles links until none is left.
async fn settle(inner: Weak<Inner>) {
    loop {
        tokio::time::sleep(GATHER).await;
        let Some(inner) = inner.upgrade() else { return };
        let links = inner.fresh_links.take();
        if links.is_empty() {
            return;
        }
        // A panic has been told, and leaves them to the next start.
        let _ = blocking(move || inner.settle_links(links)).await;
    }
}
