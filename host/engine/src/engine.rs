use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use portcullis_types::{PolicyName, Sha256Digest};
use tokio::sync::oneshot;
use wasmtime::component::Linker;
use wasmtime::{Config, Enabled, InstanceAllocationStrategy, PoolingAllocationConfig};

use crate::budget::Budget;
use crate::clock::Ticker;
use crate::collected::FindingListener;
use crate::executor::Executor;
use crate::guest::Guest;
use crate::inspection::Admission;
use crate::revision::{self, Revision};
use crate::{EngineError, LoadError, Upload, component, judgement};

/// How much the sandbox may use in all.
#[derive(Clone, Copy, Debug)]
pub struct EngineSettings {
    /// Uploads under way at once, for each of which there must be room: a set for which there is not enough
    /// is refused. Default 64.
    pub uploads: usize,
    /// Instances that live at once: policies times uploads under way. Default 2,048. Each reserves
    /// address space, not memory.
    pub max_instances: u32,
    /// The most that a policy's `memory-bytes` can be. Default 1 GiB.
    pub max_memory_bytes: usize,
    /// Linear memory of all instances together in bytes. Default 2 GiB. Where it is used up, uploads are
    /// told to come again.
    pub guest_bytes: usize,
    /// Threads on which policies run. Default: as many as there are cores.
    pub threads: usize,
}

impl Default for EngineSettings {
    fn default() -> Self {
        Self {
            uploads: 64,
            max_instances: 2_048,
            max_memory_bytes: 1 << 30,
            guest_bytes: 2 << 30,
            threads: std::thread::available_parallelism().map_or(1, usize::from),
        }
    }
}

/// How long a policy set may take to load. Compiling cannot be stopped: what takes longer goes on by itself,
/// and what comes of it is dropped.
const MAX_LOAD: Duration = Duration::from_mins(2);
/// Stack of a guest in bytes.
pub(crate) const WASM_STACK_BYTES: usize = 256 << 10;
/// Stack on which an asynchronous guest call runs in bytes: the guest's and what host calls need.
const ASYNC_STACK_BYTES: usize = 512 << 10;
/// Core instances, memories and tables that one component may have: the standard ones have one memory,
/// componentized JavaScript and Python a few.
const CORE_PER_COMPONENT: u32 = 8;
/// Memory of a pool slot that is kept for its next use instead of being given back to the system. Where the kernel
/// says which pages were written (decision 006), only those are reset.
const KEEP_RESIDENT_BYTES: usize = 256 << 10;

/// The sandbox and the policy set in force.
///
/// Judging an upload never waits for a set that is being loaded: the current revision is taken as it is.
pub struct Engine {
    sandbox: Arc<Sandbox>,
    current: ArcSwapOption<Revision>,
    /// Held by the thread that loads a set.
    loading: Arc<Mutex<()>>,
    executor: Arc<Executor>,
    // Last: guests stop being timed after everything else is gone.
    _ticker: Ticker,
}

/// What all components share.
pub(crate) struct Sandbox {
    pub(crate) wasmtime: wasmtime::Engine,
    pub(crate) linker: Arc<Linker<Guest>>,
    pub(crate) budget: Arc<Budget>,
    pub(crate) settings: EngineSettings,
}

impl Sandbox {
    /// Starts it, and what times its guests for as long as it is kept.
    pub(crate) fn start(settings: EngineSettings) -> Result<(Self, Ticker), EngineError> {
        let wasmtime = wasmtime::Engine::new(&config(&settings)).map_err(EngineError::Sandbox)?;
        let linker = component::linker(&wasmtime).map_err(EngineError::Sandbox)?;
        let ticker = Ticker::start(wasmtime.clone()).map_err(EngineError::Threads)?;
        let sandbox = Self {
            wasmtime,
            linker,
            budget: Budget::new(settings.guest_bytes),
            settings,
        };
        Ok((sandbox, ticker))
    }

    /// What is wrong with a set of so many policies whose instances begin with so much memory together, if
    /// the uploads that may be under way at once would not all have room.
    pub(crate) fn lack_of_room(&self, revision: &Revision) -> Option<String> {
        let EngineSettings {
            uploads,
            max_instances,
            guest_bytes,
            ..
        } = self.settings;
        let policies = revision.policies().len();
        if policies.saturating_mul(uploads) > max_instances as usize {
            return Some(format!(
                "{uploads} uploads at once with an instance of each of {policies} policies need more than the {max_instances} instances that there are; take fewer policies, or fewer uploads at once (`limits.uploads`)"
            ));
        }
        let needed = revision.least_bytes().saturating_mul(uploads);
        (needed > guest_bytes).then(|| {
            format!(
                "{uploads} uploads at once need at least {needed} bytes of memory for its policies, and {guest_bytes} are allowed; raise `limits.policy-memory-bytes`, or take fewer uploads at once (`limits.uploads`)"
            )
        })
    }
}

/// Which policy is being loaded: for the error when it takes too long.
#[derive(Default)]
pub(crate) struct Progress(Mutex<String>);

impl Progress {
    pub(crate) fn at(&self, policy: &PolicyName) {
        policy.as_str().clone_into(&mut self.lock());
    }

    fn lock(&self) -> MutexGuard<'_, String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Engine {
    /// Starts the sandbox, without any policy yet.
    pub fn start(settings: EngineSettings) -> Result<Self, EngineError> {
        let (sandbox, ticker) = Sandbox::start(settings)?;
        let executor = Executor::start(settings.threads).map_err(EngineError::Threads)?;
        Ok(Self {
            sandbox: Arc::new(sandbox),
            current: ArcSwapOption::empty(),
            loading: Arc::default(),
            executor: Arc::new(executor),
            _ticker: ticker,
        })
    }

    /// Loads a policy set and puts it in force as one revision. When anything about it is wrong, whatever
    /// was in force stays so. All of it happens on a thread of its own, within two minutes.
    pub async fn load(&self, path: &Path) -> Result<Arc<Revision>, LoadError> {
        let (sandbox, loading) = (Arc::clone(&self.sandbox), Arc::clone(&self.loading));
        let (path, previous) = (path.to_owned(), self.revision());
        let progress = Arc::new(Progress::default());
        let told = Arc::clone(&progress);
        let (give, loaded) = oneshot::channel();
        let thread = std::thread::Builder::new().name("policy-loader".to_owned());
        let started = thread.spawn(move || {
            let loaded = match loading.try_lock() {
                Ok(_one_at_a_time) => load(&sandbox, &path, previous.as_deref(), &told),
                Err(_) => Err(LoadError::Busy),
            };
            // When nobody waits any more, it was too slow.
            let _ = give.send(loaded);
        });
        started.map_err(|_| LoadError::Interrupted)?;
        let draft = tokio::time::timeout(MAX_LOAD, loaded).await;
        let draft = draft.map_err(|_| LoadError::TooSlow {
            policy: progress.lock().clone(),
            limit: MAX_LOAD,
        })?;
        let revision = Arc::new(draft.map_err(|_| LoadError::Interrupted)??);
        self.current.store(Some(Arc::clone(&revision)));
        Ok(revision)
    }

    /// The revision in force; absent before the first was loaded.
    pub fn revision(&self) -> Option<Arc<Revision>> {
        self.current.load_full()
    }

    /// Shows the headers of an upload to every validation policy and asks where it is to be kept. The
    /// revision in force now judges the upload to its end. `listener` hears of findings as they are made.
    pub async fn admit(&self, upload: &Upload, listener: Option<FindingListener>) -> Admission {
        let (revision, upload) = (self.revision(), upload.clone());
        let digest = revision.as_ref().map(|revision| revision.digest());
        let account = Arc::default();
        let admit = async move { judgement::admit(revision, &upload, listener).await };
        let admitted = self.executor.run(&account, admit).await;
        let digest = digest.unwrap_or_else(|| Sha256Digest::of(&[]));
        Admission::new(admitted, Arc::clone(&self.executor), account, digest)
    }

    /// Linear memory in bytes that no guest has now, of [`EngineSettings::guest_bytes`].
    pub fn free_guest_bytes(&self) -> usize {
        self.sandbox.budget.free()
    }
}

/// Compiles a set, and asks its components what they are, on this thread alone.
fn load(
    sandbox: &Sandbox,
    path: &Path,
    previous: Option<&Revision>,
    progress: &Progress,
) -> Result<Revision, LoadError> {
    let draft = revision::compile(sandbox, path, previous, progress)?;
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let runtime = runtime.map_err(|_| LoadError::Interrupted)?;
    let revision = runtime.block_on(draft.check(progress))?;
    match sandbox.lack_of_room(&revision) {
        None => Ok(revision),
        Some(reason) => Err(LoadError::Set {
            path: path.to_owned(),
            reason,
        }),
    }
}

fn config(settings: &EngineSettings) -> Config {
    let mut pool = PoolingAllocationConfig::default();
    pool.total_component_instances(settings.max_instances)
        .total_core_instances(settings.max_instances.saturating_mul(4))
        .total_memories(settings.max_instances)
        .total_tables(settings.max_instances.saturating_mul(2))
        .total_stacks(settings.max_instances)
        .max_core_instances_per_component(CORE_PER_COMPONENT)
        .max_memories_per_component(CORE_PER_COMPONENT)
        .max_tables_per_component(CORE_PER_COMPONENT)
        .max_memory_size(settings.max_memory_bytes)
        .linear_memory_keep_resident(KEEP_RESIDENT_BYTES)
        .table_keep_resident(KEEP_RESIDENT_BYTES)
        .pagemap_scan(Enabled::Auto);
    let mut config = Config::new();
    config
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool))
        .epoch_interruption(true)
        .max_wasm_stack(WASM_STACK_BYTES)
        .async_stack_size(ASYNC_STACK_BYTES)
        .concurrency_support(false);
    config
}
