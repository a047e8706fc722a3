use std::path::Path;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use wasmtime::component::Linker;
use wasmtime::{Config, InstanceAllocationStrategy, PoolingAllocationConfig};

use crate::clock::Ticker;
use crate::collected::FindingListener;
use crate::guest::Guest;
use crate::judgement::{self, Admission};
use crate::revision::{self, Revision};
use crate::{EngineError, LoadError, Upload, component};

/// How much the sandbox may use in all.
#[derive(Clone, Copy, Debug)]
pub struct EngineSettings {
    /// Instances that live at once: policies times uploads under way. Default 1,000. Each reserves
    /// address space, not memory.
    pub max_instances: u32,
    /// The most that a policy's `memory-bytes` can be. Default 1 GiB.
    pub max_memory_bytes: usize,
}

impl Default for EngineSettings {
    fn default() -> Self {
        Self {
            max_instances: 1_000,
            max_memory_bytes: 1 << 30,
        }
    }
}

/// Stack of a guest in bytes.
const WASM_STACK_BYTES: usize = 256 << 10;
/// Stack on which an asynchronous guest call runs in bytes: the guest's and what host calls need.
const ASYNC_STACK_BYTES: usize = 512 << 10;
/// Core instances, memories and tables that one component may have: the standard ones have one memory,
/// componentized JavaScript and Python a few.
const CORE_PER_COMPONENT: u32 = 8;
/// Memory of a pool slot that is kept for its next use instead of being given back to the system.
const KEEP_RESIDENT_BYTES: usize = 256 << 10;

/// The sandbox and the policy set in force.
///
/// Judging an upload never waits for a set that is being loaded: the current revision is taken as it is.
pub struct Engine {
    wasmtime: wasmtime::Engine,
    linker: Arc<Linker<Guest>>,
    settings: EngineSettings,
    current: ArcSwapOption<Revision>,
    // Last: guests stop being timed after everything else is gone.
    _ticker: Ticker,
}

impl Engine {
    /// Starts the sandbox, without any policy yet.
    pub fn start(settings: EngineSettings) -> Result<Self, EngineError> {
        let wasmtime = wasmtime::Engine::new(&config(&settings)).map_err(EngineError::Sandbox)?;
        let linker = component::linker(&wasmtime).map_err(EngineError::Sandbox)?;
        let ticker = Ticker::start(wasmtime.clone()).map_err(EngineError::Ticker)?;
        Ok(Self {
            wasmtime,
            linker,
            settings,
            current: ArcSwapOption::empty(),
            _ticker: ticker,
        })
    }

    /// Loads a policy set and puts it in force as one revision. When anything about it is wrong, whatever
    /// was in force stays so. Compiling happens on a thread of its own.
    pub async fn load(&self, path: &Path) -> Result<Arc<Revision>, LoadError> {
        let (wasmtime, linker) = (self.wasmtime.clone(), Arc::clone(&self.linker));
        let (previous, max_memory_bytes) =
            (self.current.load_full(), self.settings.max_memory_bytes);
        let path = path.to_owned();
        let compiled = tokio::task::spawn_blocking(move || {
            revision::compile(
                &wasmtime,
                &linker,
                max_memory_bytes,
                &path,
                previous.as_deref(),
            )
        });
        let draft = compiled.await.map_err(|_| LoadError::Interrupted)??;
        let revision = Arc::new(draft.check().await?);
        self.current.store(Some(Arc::clone(&revision)));
        Ok(revision)
    }

    /// The revision in force; absent before the first was loaded.
    pub fn revision(&self) -> Option<Arc<Revision>> {
        self.current.load_full()
    }

    /// Shows the headers of an upload to every validation policy and asks where it is to be kept. The
    /// revision in force now judges the upload to its end.
    /// `listener` hears of findings as they are made.
    pub async fn admit(&self, upload: &Upload, listener: Option<FindingListener>) -> Admission {
        judgement::admit(self.revision(), upload, listener).await
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
        .table_keep_resident(KEEP_RESIDENT_BYTES);
    let mut config = Config::new();
    config
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool))
        .epoch_interruption(true)
        .max_wasm_stack(WASM_STACK_BYTES)
        .async_stack_size(ASYNC_STACK_BYTES)
        .concurrency_support(false);
    config
}
