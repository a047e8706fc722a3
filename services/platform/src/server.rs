//! Services as one thing: opened, recovered, listening, closed.

use std::collections::BTreeMap;
use std::future::Future;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use portcullis_server::{ConfigError, Limits, Listener, Role};
use portcullis_storage::{Disk, DiskError, LocalDisk};
use portcullis_types::{Clock, DiskName};
use tokio_util::task::TaskTracker;

use crate::catalog::{Catalog, CatalogError, CatalogThread};
use crate::config::{Config, DiskConfig};
use crate::disks::Disks;
use crate::http::Site;
use crate::policies::Policies;
use crate::uploads::{UploadLimits, Uploads};

/// How often what has expired is looked for.
const SWEEP: Duration = Duration::from_mins(1);
/// How often it is looked whether a trial is over.
const LOOK_AT_TRIALS: Duration = Duration::from_secs(1);

/// Services that have recovered and listen.
pub struct Server {
    listener: Listener,
    uploads: Uploads,
    policies: Policies,
    site: Site,
    limits: Limits,
    catalog: CatalogThread,
    /// The disk and catalog of the role `testing`; they go with it.
    scratch: Option<tempfile::TempDir>,
}

/// Services cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Something in the configuration cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A disk cannot be used.
    #[error("the disk `{name}` at {root} cannot be used: {why}", root = root.display())]
    Disk {
        /// Its name.
        name: DiskName,
        /// Its root.
        root: PathBuf,
        /// Why.
        why: DiskError,
    },
    /// The catalog cannot be used.
    #[error("the catalog at {path} cannot be used: {why}", path = path.display())]
    Catalog {
        /// Its file.
        path: PathBuf,
        /// Why.
        why: CatalogError,
    },
    /// What a crash left undone cannot be done.
    #[error(
        "what an earlier crash left undone cannot be done ({0}); the log says which disk or row"
    )]
    Recovery(portcullis_hop::StoreError),
    /// The temporary folder of the role `testing` cannot be made.
    #[error("a temporary folder cannot be made: {0}")]
    Scratch(std::io::ErrorKind),
}

impl Server {
    /// Opens disks and catalog, does what a crash left undone, then listens.
    pub async fn start(mut config: Config) -> Result<Self, StartError> {
        let scratch = match config.role {
            Role::Testing => Some(scratch(&mut config)?),
            _ => None,
        };
        let opened = tokio::task::spawn_blocking(move || open(config)).await;
        let Opened {
            config,
            uploads,
            policies,
            thread,
        } = opened
            .map_err(|_| StartError::Recovery(portcullis_hop::StoreError::StorageFailed))??;
        let listener = Listener::bind(config.listen).await?;
        Ok(Self {
            listener,
            site: Site::new(uploads.clone(), policies.clone(), config.keys),
            uploads,
            policies,
            limits: config.limits,
            catalog: thread,
            scratch,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.listener.address()
    }

    /// Serves until `stop` is ready, gives calls under way their time, and closes the catalog.
    pub async fn serve(self, stop: impl Future<Output = ()>) {
        let cut = self.uploads.cut().clone();
        let sweep = tokio::spawn(sweep(self.uploads, self.policies.clone()));
        let trials = tokio::spawn(judge_trials(self.policies.clone()));
        let router = self.site.router();
        let tasks = TaskTracker::new();
        let policies = self.policies;
        let stop = async move {
            stop.await;
            // Web hosts that wait for a change need not wait for the end.
            policies.close();
        };
        let drained = self.listener.serve(router, self.limits, tasks, stop, cut);
        let drained = drained.await;
        if !drained {
            tracing::warn!(
                "calls that were still under way were ended; their uploads go on from what is acknowledged"
            );
        }
        for task in [sweep, trials] {
            task.abort();
            // It holds the catalog until it has really ended.
            let _ = task.await;
        }
        if drained {
            // What was answered is durable already; this only lets the log file be folded in.
            let join = tokio::task::spawn_blocking(move || self.catalog.join());
            let _ = tokio::time::timeout(self.limits.drain, join).await;
        }
        drop(self.scratch);
    }
}

/// What services work with.
struct Opened {
    config: Config,
    uploads: Uploads,
    policies: Policies,
    thread: CatalogThread,
}

/// Judges each trial of a revision when its time has come.
async fn judge_trials(policies: Policies) {
    loop {
        tokio::time::sleep(LOOK_AT_TRIALS).await;
        if let Err(error) = policies.judge_trial().await {
            tracing::error!(%error, "a revision on trial could not be judged; it is tried again");
        }
    }
}

/// Does again and again what time does.
async fn sweep(uploads: Uploads, policies: Policies) {
    let mut ticks = tokio::time::interval(SWEEP);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        // Errors have been told; the next sweep tries again.
        let _ = uploads.sweep().await;
        let _ = policies.sweep().await;
    }
}

fn open(config: Config) -> Result<Opened, StartError> {
    let (uploads, thread) = open_uploads(&config.catalog, &config.disks, config.uploads)?;
    uploads
        .recover()
        .map_err(|fault| StartError::Recovery(fault.0))?;
    let policies = Policies::open(
        uploads.catalog().clone(),
        uploads.clock().clone(),
        config.trust.clone(),
    );
    let policies = policies.map_err(|why| StartError::Catalog {
        path: config.catalog.clone(),
        why,
    })?;
    Ok(Opened {
        config,
        uploads,
        policies,
        thread,
    })
}

/// Opens disks and catalog, and leaves everything as it is. The thread ends once every clone of the uploads
/// is gone.
///
/// # Errors
/// A disk or the catalog cannot be used.
pub fn open_uploads(
    catalog: &Path,
    disks: &BTreeMap<DiskName, DiskConfig>,
    limits: UploadLimits,
) -> Result<(Uploads, CatalogThread), StartError> {
    let mut opened = Vec::new();
    for (name, DiskConfig::Local { root }) in disks {
        let disk = LocalDisk::open(root).map_err(|why| StartError::Disk {
            name: name.clone(),
            root: root.clone(),
            why,
        })?;
        opened.push((name.clone(), Arc::new(disk) as Arc<dyn Disk>));
    }
    let (catalog, thread) = Catalog::open(catalog).map_err(|why| StartError::Catalog {
        path: catalog.to_owned(),
        why,
    })?;
    let uploads = Uploads::new(catalog, Disks::new(opened), Clock::system(), limits);
    Ok((uploads, thread))
}

/// A disk and a catalog in a temporary folder.
fn scratch(config: &mut Config) -> Result<tempfile::TempDir, StartError> {
    let failed = |error: std::io::Error| StartError::Scratch(error.kind());
    let folder = tempfile::Builder::new()
        .prefix("portcullis-testing-")
        .tempdir()
        .map_err(failed)?;
    let root = folder.path().join("local");
    std::fs::create_dir(&root).map_err(failed)?;
    config.catalog = folder.path().join("catalog.sqlite");
    let name = "local".parse().expect("is a disk's name");
    config.disks = [(name, DiskConfig::Local { root })].into();
    Ok(folder)
}
