//! The web host as one thing: policies in force, listening, stopped.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;

use portcullis_engine::{Engine, EngineError, Revision};
use portcullis_hop::{ClientError, HopClient};
use portcullis_server::{ConfigError, Limits, Listener};
use tokio_util::task::TaskTracker;

use crate::config::Config;
use crate::gateway::{GateLimits, Gateway};
use crate::policies::Policies;
use crate::policies::file::{FirstLoadError, PolicyFile};
use crate::routes::{self, Site};

/// A web host that has loaded its policies and listens.
pub struct Server {
    listener: Listener,
    site: Arc<Site>,
    limits: Limits,
    tasks: TaskTracker,
    policy_file: PolicyFile,
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
    #[error(transparent)]
    Policies(#[from] FirstLoadError),
    /// The client for services cannot be made.
    #[error(transparent)]
    Client(#[from] ClientError),
}

impl Server {
    /// Loads the policies, then listens: nothing is taken before it can be judged. Services need not be
    /// there yet.
    pub async fn start(config: Config) -> Result<Self, StartError> {
        let engine = Arc::new(Engine::start(config.engine)?);
        let policies = Arc::new(Policies::new(engine));
        let policy_file = PolicyFile::start(Arc::clone(&policies), config.policies).await?;
        let store = HopClient::new(&config.services_url, config.api_key.clone(), config.hop)?;
        let tasks = TaskTracker::new();
        let limits = GateLimits {
            uploads: config.uploads.at_once,
            upload_bytes: config.uploads.bytes,
            stall: config.hop.stall_timeout,
        };
        let engine = Arc::clone(policies.engine());
        let gateway = Gateway::new(engine, Arc::new(store), limits, tasks.clone());
        let listener = Listener::bind(config.listen).await?;
        Ok(Self {
            listener,
            site: Arc::new(Site {
                gateway,
                policies,
                api_key: config.api_key,
                page: config.page,
                idle: config.uploads.idle,
                allow_anonymous: config.allow_anonymous,
            }),
            limits: config.limits,
            tasks,
            policy_file,
        })
    }

    /// Where it listens: the port that was chosen, if any would do.
    pub fn address(&self) -> SocketAddr {
        self.listener.address()
    }

    /// The policies in force.
    pub fn revision(&self) -> Option<Arc<Revision>> {
        self.site.gateway.engine().revision()
    }

    /// Serves until `stop` is ready; then takes no new connection and gives uploads under way their time.
    pub async fn serve(self, stop: impl Future<Output = ()>) {
        let router = routes::router(self.site);
        let following = tokio::spawn(self.policy_file.follow());
        let served = self.listener.serve(router, self.limits, self.tasks, stop);
        let served = served.await;
        following.abort();
        if !served {
            tracing::warn!(
                "uploads that were still under way are cut off; their clients get no receipt"
            );
        }
    }
}
