//! Services as one thing: opened, recovered, listening, closed.

use std::collections::BTreeMap;
use std::future::Future;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use portcullis_server::{ConfigError, Limits, Listener, Role};
use portcullis_storage::{Disk, DiskError, LocalDisk};
use portcullis_telemetry::{Detail, Line, Note, log};
use portcullis_types::{Clock, DiskName};
use tokio_util::task::TaskTracker;

use crate::catalog::{Catalog, CatalogError, CatalogThread, DiskRow};
use crate::config::{Config, DiskConfig};
use crate::disks::Disks;
use crate::gauges::Gauges;
use crate::http::Site;
use crate::policies::Policies;
use crate::uploads::{UploadLimits, Uploads};

/// How often what has expired is looked for.
const SWEEP: Duration = Duration::from_mins(1);
/// How often the audit is signed for, and the log told.
const SIGN_AUDIT: Duration = Duration::from_hours(1);
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
        let gauges = Gauges::default();
        let signing = sign_audit(self.uploads.catalog().clone(), gauges.clone());
        let signing = tokio::spawn(signing);
        let looking = tokio::spawn(gauges.watch(self.uploads.clone()));
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
            log(Line::CutShort, []);
        }
        for task in [sweep, trials, signing, looking] {
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
            log(Line::TrialNotJudged, [Detail::reason(&error)]);
        }
    }
}

/// Signs for the audit again and again. The log, which is kept elsewhere, has each signature, too.
async fn sign_audit(catalog: Catalog, gauges: Gauges) {
    let mut ticks = tokio::time::interval(SIGN_AUDIT);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        match catalog.checkpoint_audit().await {
            Ok(Some(signed)) => {
                gauges.audit_is_signed();
                log(Line::AuditSigned, [Detail::AuditNote(Note::of(&signed))]);
            }
            Ok(None) => {}
            Err(error) => log(Line::AuditNotSigned, [Detail::reason(&error)]),
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
    let (uploads, thread) = open_storage(
        &config.catalog,
        &config.disks,
        config.default_disk.clone(),
        config.uploads,
    )?;
    probe(uploads.disks(), &config.disks)?;
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

/// Opens disks and catalog, and leaves files as they are. The thread ends once every clone of the uploads is gone.
///
/// # Errors
/// A disk or the catalog cannot be used.
pub async fn open_uploads(
    catalog: PathBuf,
    disks: BTreeMap<DiskName, DiskConfig>,
) -> Result<(Uploads, CatalogThread), StartError> {
    let open = move || open_storage(&catalog, &disks, None, UploadLimits::default());
    tokio::task::spawn_blocking(open)
        .await
        .map_err(|_| StartError::Recovery(portcullis_hop::StoreError::StorageFailed))?
}

/// The same on a thread that may wait.
fn open_storage(
    catalog: &Path,
    disks: &BTreeMap<DiskName, DiskConfig>,
    default_disk: Option<DiskName>,
    limits: UploadLimits,
) -> Result<(Uploads, CatalogThread), StartError> {
    let unusable = |name: &DiskName, root: &Path, why| StartError::Disk {
        name: name.clone(),
        root: root.to_owned(),
        why,
    };
    // Before a catalog is made that nobody can use.
    for (name, DiskConfig::Local(local)) in disks {
        LocalDisk::look(&local.root).map_err(|why| unusable(name, &local.root, why))?;
    }
    let broken = |why| StartError::Catalog {
        path: catalog.to_owned(),
        why,
    };
    let (rows, thread) = Catalog::open(catalog).map_err(broken)?;
    let clock = Clock::system();
    let mut opened = Vec::new();
    for (name, DiskConfig::Local(local)) in disks {
        let wanted = name.clone();
        let known = rows.run_blocking(move |rows| DiskRow::known(rows, &wanted));
        let disk = LocalDisk::open_known(&local.root, local.settings(), known.map_err(broken)?);
        let (disk, id) = disk.map_err(|why| unusable(name, &local.root, why))?;
        if let Some(id) = id {
            let (name, now) = (name.clone(), clock.now());
            let set = rows.run_blocking(move |rows| DiskRow::set(rows, &name, id, now));
            set.map_err(broken)?;
        }
        let disk = Arc::new(disk) as Arc<dyn Disk>;
        opened.push((name.clone(), disk, local.limits(limits.reserve_bytes)));
    }
    let uploads = Uploads::new(
        rows,
        Disks::new(opened).with_default(default_disk),
        clock,
        limits,
    );
    Ok((uploads, thread))
}

/// Tries on each disk whatever will be done with files, so that what it cannot do is known before the first upload.
fn probe(disks: &Disks, configured: &BTreeMap<DiskName, DiskConfig>) -> Result<(), StartError> {
    for disk in disks.iter() {
        let Some(DiskConfig::Local(local)) = configured.get(&disk.name) else {
            continue;
        };
        match disk.disk().probe() {
            // It may have room again before somebody needs it, and what is on it can be read.
            Ok(()) | Err(DiskError::Full(_)) => {}
            Err(why) => {
                return Err(StartError::Disk {
                    name: disk.name.clone(),
                    root: local.root.clone(),
                    why,
                });
            }
        }
    }
    Ok(())
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
    config.disks = [(name, DiskConfig::local(root))].into();
    config.default_disk = None;
    Ok(folder)
}
