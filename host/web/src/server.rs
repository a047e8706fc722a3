//! The web host as one thing: policies in force, listening, stopped.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use portcullis_engine::{Engine, EngineError};
use portcullis_hop::{ClientError, HopClient};
use portcullis_server::{ConfigError, Cut, Limits, Listener};
use portcullis_telemetry::{Line, log};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::task::TaskTracker;

use crate::answer;
use crate::config::{Config, PolicySource};
use crate::gateway::{GateLimits, Gateway};
use crate::gauges;
use crate::linger::Pace;
use crate::policies::Policies;
use crate::policies::file::PolicyFile;
use crate::policies::services::Follower;
use crate::record;
use crate::routes::{self, Site};
use crate::services;
use crate::shadow::ShadowDesk;
use crate::unread::Unread;

/// How long it may take at the end to write down what policies know.
const LAST_PAUSES: Duration = Duration::from_secs(5);
/// How long what is to be reported may take at the end.
const LAST_REPORTS: Duration = Duration::from_secs(2);

/// How long the policies of an upload are kept in memory while nobody goes on with it, and how often that is looked at.
const IDLE_HELD: Duration = Duration::from_mins(10);
const IDLE_BEAT: Duration = Duration::from_secs(5);

/// A web host that has loaded its policies and listens.
pub struct Server {
    listener: Listener,
    site: Arc<Site>,
    limits: Limits,
    tasks: TaskTracker,
    cut: Cut,
    store: Arc<HopClient>,
    following: Following,
    /// Tells services what shadow policies would have said.
    reporting: Pin<Box<dyn Future<Output = ()> + Send>>,
}

/// What keeps the policies as they are to be.
enum Following {
    File(PolicyFile),
    Services(Follower),
}

/// The web host cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Something in the configuration cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The sandbox cannot be started.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The policy set cannot be used.
    #[error("{0}")]
    Policies(String),
    /// Signals cannot be listened for.
    #[error("cannot listen for SIGHUP: {0}")]
    Signal(std::io::Error),
    /// The client for services cannot be made.
    #[error(transparent)]
    Client(#[from] ClientError),
}

impl Server {
    /// Loads the policies where they come from a file, then listens. Services need not be there yet; where policies
    /// come from them, uploads are told to come again until they do.
    pub async fn start(config: Config) -> Result<Self, StartError> {
        let engine = Arc::new(Engine::start_trusting(config.engine, config.trust)?);
        record::watch_breakers(&engine);
        answer::expect_endings();
        let policies = Arc::new(Policies::new(engine));
        let hangup = signal(SignalKind::hangup()).map_err(StartError::Signal)?;
        let store = HopClient::new(&config.services_url, config.api_key.clone(), config.hop)?;
        let store = Arc::new(store);
        let tasks = TaskTracker::new();
        let limits = GateLimits {
            uploads: config.uploads.at_once,
            upload_bytes: config.uploads.bytes,
            stall: config.hop.stall_timeout,
            expiry: config.uploads.expiry,
            created_per_minute: config.uploads.created_per_minute,
        };
        let engine = Arc::clone(policies.engine());
        let (desk, reporting) = ShadowDesk::new(Arc::clone(&store));
        let gateway = Gateway::new(engine, Arc::clone(&store), limits, tasks.clone(), desk);
        let following = match config.policies {
            PolicySource::File(set) => {
                let started = PolicyFile::start(Arc::clone(&policies), set, hangup).await;
                Following::File(started.map_err(|error| StartError::Policies(error.to_string()))?)
            }
            PolicySource::Services => {
                let store = Arc::clone(&store);
                Following::Services(Follower::new(Arc::clone(&policies), store, hangup))
            }
        };
        let gateway = Arc::new(gateway);
        gauges::show(&gateway);
        let listener = Listener::bind(config.listen).await?;
        let cut = Cut::default();
        Ok(Self {
            listener,
            site: Arc::new(Site {
                gateway,
                policies,
                api_key: config.api_key,
                page: config.page,
                pace: Pace {
                    idle: config.uploads.idle,
                    least: config.uploads.least_bytes_per_second,
                    window: config.uploads.rate_window,
                },
                cut: cut.clone(),
                allow_anonymous: config.allow_anonymous,
                trusted_proxies: config.trusted_proxies,
                cors_origins: config.cors_origins.into(),
                concatenation: config.concatenation,
                unread: Unread::new(),
            }),
            limits: config.limits,
            tasks,
            cut,
            store,
            following,
            reporting: Box::pin(reporting),
        })
    }

    /// Where it listens: the port that was chosen, if any would do.
    pub fn address(&self) -> SocketAddr {
        self.listener.address()
    }

    /// Serves until `stop` is ready; then takes no new connection and gives uploads under way their time.
    pub async fn serve(self, stop: impl Future<Output = ()>) {
        let site = self.site;
        let router = routes::router(Arc::clone(&site));
        let mut reporting = tokio::spawn(self.reporting);
        let following = tokio::spawn(self.following.follow(self.listener.address()));
        let watching = tokio::spawn(services::watch(self.store));
        let idle = tokio::spawn(let_go_of_idle(Arc::clone(&site)));
        let served = self
            .listener
            .serve(router, self.limits, self.tasks, stop, self.cut);
        let served = served.await;
        // Whoever goes on with them elsewhere need not begin again.
        let pausing = site.gateway.let_go_of_idle(Duration::ZERO);
        let _ = tokio::time::timeout(LAST_PAUSES, pausing).await;
        idle.abort();
        // What reports goes on for as long as anything can come to it.
        drop(site);
        following.abort();
        watching.abort();
        // What is reported already goes out; it ends when nothing more can come.
        let _ = tokio::time::timeout(LAST_REPORTS, &mut reporting).await;
        reporting.abort();
        if !served {
            log(Line::CutShort, []);
        }
    }
}

/// Looks again and again which uploads nobody goes on with.
async fn let_go_of_idle(site: Arc<Site>) {
    let mut beat = tokio::time::interval(IDLE_BEAT);
    loop {
        beat.tick().await;
        site.gateway.let_go_of_idle(IDLE_HELD).await;
    }
}

impl Following {
    /// For ever, as the web host that listens at this address.
    async fn follow(self, address: SocketAddr) {
        match self {
            Self::File(file) => file.follow().await,
            Self::Services(follower) => follower.follow(host_name(address)).await,
        }
    }
}

/// What services call this process: the machine and the port.
fn host_name(address: SocketAddr) -> String {
    // A hardened unit does not show all of /proc.
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname");
    let name = name.or_else(|_| std::fs::read_to_string("/etc/hostname"));
    let name = name.unwrap_or_default();
    let name: String = name.trim().chars().take(64).collect();
    format!("{name}:{}", address.port())
}
