//! One instance of a policy: for one upload, with every call within its limits.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use portcullis_types::{CounterName, DiskName, DiskPath};
use serde::{Deserialize, Serialize};
use wasmtime::{Store, Trap, UpdateDeadline};

use crate::answer::{Admission, Conclusion, Extent, Failure, Progress, Refusal};
use crate::base64_text;
use crate::collected::{self, Collected, FindingListener};
use crate::component::Exports;
use crate::contract::v0_1::{self, RoutingPolicy, ValidationPolicy};
use crate::executor;
use crate::guest::{Guest, Occasion};
use crate::meter::Meter;
use crate::panic;
use crate::record::{LogTally, PolicyRecord};
use crate::revision::Policy;
use crate::{Call, Description, End, FailureCause, PolicyFailure, Upload};

/// The most bytes of a policy's state, as the contract says.
const MAX_STATE_BYTES: usize = 1 << 20;

/// An instance of type `E` ([`ValidationPolicy`] or [`RoutingPolicy`]) and the record of what it did.
pub(crate) struct Instance<E> {
    policy: Arc<Policy>,
    store: Store<Guest>,
    exports: E,
    record: PolicyRecord,
    /// How many more bytes a validation policy wants to see; absent for all.
    wanted: Option<u64>,
}

/// The state of a policy whose upload pauses.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Suspended {
    /// Its own words.
    #[serde(with = "base64_text")]
    state: Vec<u8>,
    wanted: Option<u64>,
}

/// A failure and the record up to it: the instance is gone.
pub(crate) struct Failed {
    pub(crate) failure: PolicyFailure,
    pub(crate) record: PolicyRecord,
}

/// What both kinds of policy have: they are made from a component, described and configured.
pub(crate) trait Kind: Sized {
    async fn instantiate(exports: &Exports, store: &mut Store<Guest>) -> wasmtime::Result<Self>;
    async fn describe(
        &self,
        store: &mut Store<Guest>,
    ) -> wasmtime::Result<Result<Description, String>>;
    async fn configure(
        &self,
        store: &mut Store<Guest>,
        settings: &str,
    ) -> wasmtime::Result<Result<(), Failure>>;
}

impl<E: Kind> Instance<E> {
    /// Makes an instance, not yet configured.
    pub(crate) async fn start(policy: &Arc<Policy>, occasion: Occasion) -> Result<Self, Failed> {
        let mut store = new_store(policy, occasion);
        let mut record = PolicyRecord::of(policy);
        let meter = Arc::clone(&store.data().meter);
        let made = E::instantiate(&policy.component.exports, &mut store);
        match meter.measure(made).await {
            Ok(exports) => Ok(Self {
                policy: Arc::clone(policy),
                store,
                exports,
                record,
                wanted: None,
            }),
            Err(error) => {
                let cause = cause_of(&error, store.data_mut(), policy);
                record.fail(Call::Instantiate, cause.clone());
                let failure = failure(policy, Call::Instantiate, cause);
                Err(Failed { failure, record })
            }
        }
    }

    /// Makes an instance for an upload, with the settings of the set, which accepted them when it loaded.
    pub(crate) async fn ready(
        policy: &Arc<Policy>,
        upload: &Upload,
        listener: Option<FindingListener>,
    ) -> Result<Self, Failed> {
        Self::made(policy, upload, listener, false).await
    }

    /// The same in the shadow: it is heard by nobody.
    pub(crate) async fn in_shadow(policy: &Arc<Policy>, upload: &Upload) -> Result<Self, Failed> {
        Self::made(policy, upload, None, true).await
    }

    async fn made(
        policy: &Arc<Policy>,
        upload: &Upload,
        listener: Option<FindingListener>,
        in_shadow: bool,
    ) -> Result<Self, Failed> {
        let occasion = Occasion {
            upload: Some(upload.id),
            received_at: upload.received_at,
            in_shadow,
        };
        let mut instance = Self::start(policy, occasion).await?;
        instance.store.data_mut().listen(listener);
        match instance.configure().await {
            Ok(()) => Ok(instance),
            Err(failure) => Err(Failed {
                failure,
                record: instance.into_record(),
            }),
        }
    }

    /// Asks what the component is.
    pub(crate) async fn describe(&mut self) -> Result<Description, PolicyFailure> {
        let meter = self.begin();
        let outcome = meter.measure(self.exports.describe(&mut self.store)).await;
        let described = self.end(Call::Describe, outcome.map(Ok))?;
        described.map_err(|reason| self.wrong_answer(Call::Describe, &reason))
    }

    /// Hands over the settings.
    pub(crate) async fn configure(&mut self) -> Result<(), PolicyFailure> {
        let meter = self.begin();
        let settings = &self.policy.settings;
        let outcome = meter
            .measure(self.exports.configure(&mut self.store, settings))
            .await;
        self.end(Call::Configure, outcome)
    }
}

impl Instance<ValidationPolicy> {
    /// Shows the headers.
    pub(crate) async fn admit(&mut self, upload: &Upload) -> Result<Admission, PolicyFailure> {
        let meter = self.begin();
        let outcome = meter
            .measure(v0_1::admit(&self.exports, &mut self.store, upload))
            .await;
        let admission = self.end(Call::Admit, outcome)?;
        if let Admission::Inspect(Extent::Prefix(bytes)) = admission {
            // Nothing to see is an end that has been reached.
            if bytes == 0 {
                let reason = "it asked for a prefix of 0 bytes and did not decide without them";
                return Err(self.wrong_answer(Call::Admit, reason));
            }
            self.wanted = Some(bytes);
        }
        Ok(admission)
    }

    /// Shows as many of these bytes as the policy asked for.
    pub(crate) async fn chunk(
        &mut self,
        offset: u64,
        bytes: &[u8],
    ) -> Result<Progress, PolicyFailure> {
        let wanted = usize::try_from(self.wanted.unwrap_or(u64::MAX)).unwrap_or(usize::MAX);
        let bytes = &bytes[..bytes.len().min(wanted)];
        let meter = self.begin();
        let outcome = meter
            .measure(v0_1::chunk(&self.exports, &mut self.store, offset, bytes))
            .await;
        self.record.bytes += bytes.len() as u64;
        let progress = self.end(Call::Chunk, outcome)?;
        if let (Progress::More, Some(wanted)) = (&progress, &mut self.wanted) {
            *wanted -= bytes.len() as u64;
            if *wanted == 0 {
                let reason = "it asked for a prefix and did not decide when it had seen it";
                return Err(self.wrong_answer(Call::Chunk, reason));
            }
        }
        Ok(progress)
    }

    /// Says that the upload is complete.
    pub(crate) async fn finish(&mut self, end: &End) -> Result<Conclusion, PolicyFailure> {
        let meter = self.begin();
        let outcome = meter
            .measure(v0_1::finish(&self.exports, &mut self.store, end))
            .await;
        self.end(Call::Finish, outcome)
    }

    /// Asks for its state; absent where the policy must see the upload again from its beginning.
    pub(crate) async fn suspend(&mut self) -> Result<Option<Suspended>, PolicyFailure> {
        let meter = self.begin();
        let outcome = meter
            .measure(v0_1::suspend(&self.exports, &mut self.store))
            .await;
        let Some(state) = self.end(Call::Suspend, outcome)? else {
            return Ok(None);
        };
        if state.len() > MAX_STATE_BYTES {
            let reason = format!(
                "its state has {} bytes; at most {MAX_STATE_BYTES} are possible",
                state.len()
            );
            return Err(self.wrong_answer(Call::Suspend, &reason));
        }
        let wanted = self.wanted;
        Ok(Some(Suspended { state, wanted }))
    }

    /// Goes on from the state of another instance, in place of `admit`. What it reports meanwhile was reported before,
    /// and is dropped.
    pub(crate) async fn resume(
        &mut self,
        upload: &Upload,
        suspended: &Suspended,
    ) -> Result<(), PolicyFailure> {
        let collected = std::mem::take(&mut self.store.data_mut().collected);
        let meter = self.begin();
        let resumed = v0_1::resume(&self.exports, &mut self.store, upload, &suspended.state);
        let outcome = meter.measure(resumed).await;
        self.wanted = suspended.wanted;
        self.store.data_mut().collected = collected;
        self.end(Call::Resume, outcome)
    }
}

impl Instance<RoutingPolicy> {
    /// Asks for the disk.
    pub(crate) async fn place(
        &mut self,
        upload: &Upload,
    ) -> Result<Result<DiskName, Refusal>, PolicyFailure> {
        let meter = self.begin();
        let outcome = meter
            .measure(v0_1::place(&self.exports, &mut self.store, upload))
            .await;
        let disk = match self.end(Call::Place, outcome)? {
            Ok(disk) => disk,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let mut disks = self.policy.disks.iter();
        if let Some(disk) = disks.find(|offered| offered.as_str() == disk) {
            return Ok(Ok(disk.clone()));
        }
        let reason = "it names a disk that is not one of its `disks` in the policy set; add it there, or name another";
        Err(self.wrong_answer(Call::Place, reason))
    }

    /// Asks for the path.
    pub(crate) async fn route(
        &mut self,
        upload: &Upload,
        end: &End,
        facts: &[(String, String)],
    ) -> Result<Result<DiskPath, Refusal>, PolicyFailure> {
        let meter = self.begin();
        let routed = v0_1::route(&self.exports, &mut self.store, upload, end, facts);
        let outcome = meter.measure(routed).await;
        match self.end(Call::Route, outcome)? {
            Ok(path) => match path.parse::<DiskPath>() {
                Ok(path) => Ok(Ok(path)),
                Err(unsafe_path) => Err(self.wrong_answer(Call::Route, &unsafe_path.to_string())),
            },
            Err(refusal) => Ok(Err(refusal)),
        }
    }
}

impl<E> Instance<E> {
    pub(crate) fn policy(&self) -> &Arc<Policy> {
        &self.policy
    }

    /// The linear memory that it has, in bytes.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.store.data().memory_bytes()
    }

    /// Drops the instance, and gives what it did and what it reported.
    pub(crate) fn into_parts(mut self) -> (PolicyRecord, Collected) {
        let collected = std::mem::take(&mut self.store.data_mut().collected);
        self.record.findings = collected.count();
        self.record.counters = self.counted();
        self.record.log = self.log_tally();
        (self.record, collected)
    }

    /// What it counted so far: of nothing more than the upload has bytes, and one for each call.
    pub(crate) fn counted(&self) -> BTreeMap<CounterName, u64> {
        let most = self.record.bytes.saturating_add(self.record.calls);
        let counters = self.store.data().counters().iter();
        counters
            .map(|(name, count)| (name.clone(), (*count).min(most)))
            .collect()
    }

    /// CPU time of its making and its calls so far.
    pub(crate) fn busy(&self) -> Duration {
        self.store.data().meter.total()
    }

    /// What it noticed and set so far, to be written down.
    pub(crate) fn written(&self) -> collected::Written {
        self.store.data().collected.written()
    }

    /// What it did so far.
    pub(crate) fn record(&self) -> &PolicyRecord {
        &self.record
    }

    /// Counts what another instance was shown of the same upload, in bytes.
    pub(crate) fn shown_before(&mut self, bytes: u64) {
        self.record.bytes += bytes;
    }

    /// Counts CPU time of another instance for the same upload.
    pub(crate) fn charge(&mut self, used: Duration) {
        self.store.data().meter.charge(used);
        self.record.busy = self.store.data().meter.total();
    }

    /// Goes on from what another instance noticed about the same upload.
    pub(crate) fn adopt(
        &mut self,
        collected: Collected,
        counted: BTreeMap<CounterName, u64>,
        log: LogTally,
    ) {
        let guest = self.store.data_mut();
        guest.collected = collected;
        guest.go_on_from(counted, log);
    }

    /// How much it wrote into its log.
    pub(crate) fn log_tally(&self) -> LogTally {
        self.store.data().log_tally()
    }

    /// An answer that the contract does not allow.
    fn wrong_answer(&mut self, call: Call, reason: &str) -> PolicyFailure {
        let cause = FailureCause::Answer(reason.to_owned());
        self.record.fail(call, cause.clone());
        failure(&self.policy, call, cause)
    }

    fn into_record(self) -> PolicyRecord {
        self.into_parts().0
    }

    /// Before a call: its own time begins anew.
    fn begin(&mut self) -> Arc<Meter> {
        self.store.set_epoch_deadline(1);
        let guest = self.store.data_mut();
        guest.call_began = Instant::now();
        Arc::clone(&guest.meter)
    }

    /// After a call: the record is brought up to date and a failure named. An instance whose call failed
    /// must not be called again.
    fn end<R>(
        &mut self,
        call: Call,
        outcome: wasmtime::Result<Result<R, Failure>>,
    ) -> Result<R, PolicyFailure> {
        self.record.busy = self.store.data().meter.total();
        self.record.ended = SystemTime::now();
        self.record.calls += 1;
        self.record.memory_bytes = self.store.data().memory_bytes() as u64;
        let cause = match outcome {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(Failure { kind, reason })) => FailureCause::Declared(kind, reason),
            Err(error) => cause_of(&error, self.store.data_mut(), &self.policy),
        };
        self.record.fail(call, cause.clone());
        Err(failure(&self.policy, call, cause))
    }
}

fn new_store(policy: &Policy, occasion: Occasion) -> Store<Guest> {
    let limits = policy.limits;
    let engine = policy.component.engine();
    let mut store = Store::new(engine, Guest::new(policy, occasion));
    store.limiter(|guest| guest);
    store.set_hostcall_fuel(limits.hostcall_bytes);
    store.set_max_component_handles(limits.handles);
    store.set_epoch_deadline(1);
    store.epoch_deadline_callback(move |mut store| {
        let guest = store.data_mut();
        if let Some(cause) = guest.out_of_time() {
            return Err(guest.exceed(cause));
        }
        Ok(UpdateDeadline::YieldCustom(
            1,
            Box::pin(executor::give_way()),
        ))
    });
    store
}

pub(crate) fn failure(policy: &Policy, call: Call, cause: FailureCause) -> PolicyFailure {
    PolicyFailure {
        policy: policy.name.clone(),
        version: policy.description.version.clone(),
        digest: policy.component.digest,
        call,
        cause,
    }
}

/// The cause in our words: a limit that was noted where it was reached, then what wasmtime can tell.
fn cause_of(error: &wasmtime::Error, guest: &mut Guest, policy: &Policy) -> FailureCause {
    if let Some(cause) = guest.exceeded.take() {
        return cause;
    }
    if error.is::<wasmtime::PoolConcurrencyLimitError>() {
        return FailureCause::NoRoom;
    }
    let stderr = guest.stderr();
    match error.downcast_ref::<Trap>() {
        Some(Trap::StackOverflow) => FailureCause::Stack,
        Some(Trap::UnreachableCodeReached) if !stderr.is_empty() => {
            FailureCause::Panic(panic::said(&stderr))
        }
        Some(trap) => FailureCause::Trap(trap.to_string()),
        None if error.is::<wasmtime_wasi::I32Exit>() => FailureCause::Panic(panic::said(&stderr)),
        None => {
            let text = error.root_cause().to_string().replace('\n', " ");
            // wasmtime has no types for these two; their texts are checked by a test.
            if text.contains("fuel allocated for hostcalls") {
                FailureCause::Oversized(policy.limits.hostcall_bytes)
            } else if text.contains("store handle limit exceeded") {
                FailureCause::Handles(policy.limits.handles)
            } else if error.is::<wasmtime::WasmBacktrace>() {
                FailureCause::Trap(text)
            } else {
                // The code had returned: what is wrong is what it returned.
                FailureCause::Answer(text)
            }
        }
    }
}
