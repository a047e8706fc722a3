use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use portcullis_types::{PolicyName, Sha256Digest, Trust};
use wasmtime::component::Linker;
use wasmtime::{Config, Enabled, InstanceAllocationStrategy, PoolingAllocationConfig};

use crate::breaker::{BreakerChange, BreakerSettings, Breakers};
use crate::budget::Budget;
use crate::clock::Ticker;
use crate::collected::FindingListener;
use crate::executor::Executor;
use crate::guest::Guest;
use crate::inspection::Admission;
use crate::judgement::Judgement;
use crate::loader::{Loader, Prepared};
use crate::mode::Mode;
use crate::revision::{Policy, Revision};
use crate::set_files::SetFiles;
use crate::shadow::{Room, Shadow, ShadowPolicy};
use crate::suspension::{Resumed, Suspension};
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
    /// When a policy that keeps failing is no longer asked.
    pub breaker: BreakerSettings,
    /// How long a policy set may take to load. Default 2 min.
    pub load_time: Duration,
}

impl Default for EngineSettings {
    fn default() -> Self {
        Self {
            uploads: 64,
            max_instances: 2_048,
            max_memory_bytes: 1 << 30,
            guest_bytes: 2 << 30,
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            breaker: BreakerSettings::default(),
            load_time: Duration::from_mins(2),
        }
    }
}

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
    /// A revision that judges in the shadow before it may come into force.
    trial: ArcSwapOption<Revision>,
    /// Every revision that was in force: those that nobody needs any more are gone.
    known: Mutex<Vec<Weak<Revision>>>,
    loader: Loader,
    executor: Arc<Executor>,
    /// Where shadow policies run.
    beside: Executor,
    room: Arc<Room>,
    // Last: guests stop being timed after everything else is gone.
    _ticker: Ticker,
}

/// What all components share.
pub(crate) struct Sandbox {
    pub(crate) wasmtime: wasmtime::Engine,
    pub(crate) linker: Arc<Linker<Guest>>,
    pub(crate) budget: Arc<Budget>,
    pub(crate) breakers: Arc<Breakers>,
    pub(crate) trust: Trust,
    pub(crate) settings: EngineSettings,
}

impl Sandbox {
    /// Starts it, and what times its guests for as long as it is kept.
    pub(crate) fn start(
        settings: EngineSettings,
        trust: Trust,
    ) -> Result<(Self, Ticker), EngineError> {
        let wasmtime = wasmtime::Engine::new(&config(&settings)).map_err(EngineError::Sandbox)?;
        let linker = component::linker(&wasmtime).map_err(EngineError::Sandbox)?;
        let ticker = Ticker::start(wasmtime.clone()).map_err(EngineError::Threads)?;
        let sandbox = Self {
            wasmtime,
            linker,
            budget: Budget::new(settings.guest_bytes),
            breakers: Arc::new(Breakers::new(settings.breaker)),
            trust,
            settings,
        };
        Ok((sandbox, ticker))
    }

    /// Instances that those that decide under a revision never need; absent where there are too few for them.
    fn spare_instances(&self, revision: &Revision) -> Option<usize> {
        let needed = revision
            .deciding()
            .count()
            .checked_mul(self.settings.uploads)?;
        (self.settings.max_instances as usize).checked_sub(needed)
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
        let policies = revision.deciding().count();
        if self.spare_instances(revision).is_none() {
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

impl Engine {
    /// Starts the sandbox, without any policy yet. Every component may run.
    ///
    /// # Errors
    /// There is no room for it on this machine.
    pub fn start(settings: EngineSettings) -> Result<Self, EngineError> {
        Self::start_trusting(settings, Trust::default())
    }

    /// The same where only components may run that somebody vouches for.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn start_trusting(settings: EngineSettings, trust: Trust) -> Result<Self, EngineError> {
        let (sandbox, ticker) = Sandbox::start(settings, trust)?;
        let executor = Executor::start(settings.threads).map_err(EngineError::Threads)?;
        let beside = Executor::start_in_shadow(1).map_err(EngineError::Threads)?;
        Ok(Self {
            sandbox: Arc::new(sandbox),
            current: ArcSwapOption::empty(),
            trial: ArcSwapOption::empty(),
            known: Mutex::default(),
            loader: Loader::default(),
            executor: Arc::new(executor),
            beside,
            room: Arc::default(),
            _ticker: ticker,
        })
    }

    /// Loads the policy set in this file and puts it in force; [`prepare`](Self::prepare) and
    /// [`put_in_force`](Self::put_in_force) in one.
    ///
    /// # Errors
    /// As `prepare`; whatever was in force stays so.
    pub async fn load(&self, set: &Path) -> Result<Arc<Revision>, LoadError> {
        let prepared = self.prepare(SetFiles::beside(set)).await?;
        self.put_in_force(&prepared);
        Ok(prepared.revision)
    }

    /// Makes a revision of a policy set and lets it show that it could serve: read, parsed, compiled, linked,
    /// asked what it is, configured. All of it happens on a thread of its own, within its time, and nothing that
    /// is in force is touched. Components of the revisions in force and on trial are not compiled again.
    ///
    /// # Errors
    /// What is wrong with the set, or [`LoadError::Busy`] while another is being prepared.
    pub async fn prepare(&self, files: SetFiles) -> Result<Prepared, LoadError> {
        let known = [self.revision(), self.trial()].into_iter().flatten();
        let sandbox = Arc::clone(&self.sandbox);
        self.loader.prepare(sandbox, files, known.collect()).await
    }

    /// Puts a revision in force: whatever is admitted from now on is judged by it to its end. Uploads under way keep
    /// theirs, which goes with the last of them.
    pub fn put_in_force(&self, prepared: &Prepared) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|revision| revision.strong_count() > 0);
        known.push(Arc::downgrade(&prepared.revision));
        let spare = self.sandbox.spare_instances(&prepared.revision);
        self.room.allow(spare.unwrap_or(0));
        self.current.store(Some(Arc::clone(&prepared.revision)));
    }

    /// Lets a revision say about each upload what it would have said, from now on, or no longer does. Only what differs
    /// from the revision in force is asked.
    pub fn put_on_trial(&self, prepared: Option<&Prepared>) {
        let revision = prepared.map(|prepared| Arc::clone(&prepared.revision));
        self.trial.store(revision);
    }

    /// The revision on trial, if there is one.
    pub fn trial(&self) -> Option<Arc<Revision>> {
        self.trial.load_full()
    }

    /// How many revisions are no longer in force and still judge uploads, or are held by somebody who asked.
    pub fn retired(&self) -> usize {
        let current = self.revision();
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let known = known.iter().filter_map(Weak::upgrade);
        let is_current = |revision: &Arc<Revision>| {
            current
                .as_ref()
                .is_some_and(|current| Arc::ptr_eq(current, revision))
        };
        known.filter(|revision| !is_current(revision)).count()
    }

    /// Has somebody hear when a policy that keeps failing is asked no longer, and when it is asked again. Only the first who asks
    /// does.
    pub fn on_breaker_change(
        &self,
        listener: impl Fn(&PolicyName, BreakerChange) + Send + Sync + 'static,
    ) {
        self.sandbox.breakers.tell(Box::new(listener));
    }

    /// The revision in force; absent before the first was loaded.
    pub fn revision(&self) -> Option<Arc<Revision>> {
        self.current.load_full()
    }

    /// Shows the headers of an upload to every validation policy and asks where it is to be kept. The
    /// revision in force now judges the upload to its end. `listener` hears of findings as they are made.
    pub async fn admit(&self, upload: &Upload, listener: Option<FindingListener>) -> Admission {
        self.begin(upload, listener).await.0
    }

    /// The same, and beside it the policies that only say what they would have said.
    pub async fn begin(
        &self,
        upload: &Upload,
        listener: Option<FindingListener>,
    ) -> (Admission, Shadow) {
        let revision = self.revision();
        let candidates = self.candidates(revision.as_ref(), upload);
        let shadow = Shadow::start(candidates, upload, &self.beside, &self.room);
        (self.decide(revision, upload, listener).await, shadow)
    }

    /// The policies that judge an upload in the shadow: those of the revision in force that are set to, and what differs
    /// in the one on trial.
    fn candidates(&self, revision: Option<&Arc<Revision>>, upload: &Upload) -> Vec<ShadowPolicy> {
        let Some(revision) = revision else {
            return Vec::new();
        };
        let candidate = |set: &Arc<Revision>, policy: &Arc<Policy>| ShadowPolicy {
            set: Arc::clone(set),
            policy: Arc::clone(policy),
        };
        let own = revision.validation_for(Mode::Shadow, upload);
        let mut candidates: Vec<_> = own.map(|policy| candidate(revision, policy)).collect();
        if let Some(trial) = self.trial() {
            let changed = trial.changed_for(revision, upload);
            candidates.extend(changed.map(|policy| candidate(&trial, policy)));
        }
        candidates
    }

    async fn decide(
        &self,
        revision: Option<Arc<Revision>>,
        upload: &Upload,
        listener: Option<FindingListener>,
    ) -> Admission {
        let upload = upload.clone();
        let digest = revision.as_ref().map(|revision| revision.digest());
        let account = Arc::default();
        let admit = async move { judgement::admit(revision, &upload, listener).await };
        let admitted = self.executor.run(&account, admit).await;
        let digest = digest.unwrap_or_else(|| Sha256Digest::of(&[]));
        Admission::new(admitted, Arc::clone(&self.executor), account, digest)
    }

    /// Goes on with an upload from what its policies knew. The revision must still be in force. Policies in the shadow did
    /// not see its beginning, and say nothing.
    pub async fn resume(
        &self,
        upload: &Upload,
        suspension: Suspension,
        listener: Option<FindingListener>,
    ) -> Resumed {
        let Some(revision) = self.revision() else {
            return Resumed::Impossible;
        };
        let (digest, upload) = (revision.digest(), upload.clone());
        let account = Arc::default();
        let resume =
            async move { Judgement::resume(revision, &upload, suspension, listener).await };
        let admitted = self.executor.run(&account, resume).await;
        let admission = admitted
            .map(|admitted| Admission::new(admitted, Arc::clone(&self.executor), account, digest));
        match admission {
            Some(Admission::Inspect(inspection)) => Resumed::Inspect(inspection),
            Some(Admission::Refused(refused)) => Resumed::Refused(refused),
            None => Resumed::Impossible,
        }
    }

    /// Instances that there are now.
    pub fn instances(&self) -> u64 {
        let pool = self.sandbox.wasmtime.pooling_allocator_metrics();
        pool.map_or(0, |pool| pool.component_instances())
    }

    /// Linear memory in bytes that no guest has now, of [`EngineSettings::guest_bytes`].
    pub fn free_guest_bytes(&self) -> usize {
        self.sandbox.budget.free()
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
