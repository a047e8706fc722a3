//! What one instance of a policy has of the host: limits, a log, and WASI with nothing behind it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use wasmtime::ResourceLimiter;
use wasmtime::component::ResourceTable;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamError, StreamResult};
use wasmtime_wasi::{WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};

use portcullis_types::{CounterName, Finding, PolicyName, Timestamp, UploadId};
use rand::SeedableRng;
use rand::rngs::StdRng;

use crate::budget::Share;
use crate::clock::Standing;
use crate::collected::{Collected, FindingListener};
use crate::meter::Meter;
use crate::record::LogTally;
use crate::resources::Resources;
use crate::revision::Policy;
use crate::{FailureCause, Limits};

/// The most log lines that are kept of one upload.
const MAX_LOG_LINES: u64 = 64;
/// The longest log line in bytes.
const MAX_LOG_LINE_BYTES: usize = 512;
/// How much of standard error is kept: a panic's message and place.
const MAX_STDERR_BYTES: usize = 2 * 1024;
/// The most random bytes of one call: enough to seed a hash map.
const MAX_RANDOM_BYTES: u64 = 4 * 1024;

/// How long one call may take by the clock on the wall, whatever CPU time it got: this machine has too much
/// to do, and the upload had better come again.
const MAX_CALL: Duration = Duration::from_mins(1);

/// The most counters of one policy.
pub(crate) const MAX_COUNTERS: usize = 16;

/// The upload for which an instance is made: all that clocks and random numbers follow from. An instance
/// that is only asked what it is has the moment 1970 and no upload.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Occasion {
    pub(crate) upload: Option<UploadId>,
    pub(crate) received_at: Timestamp,
    /// Whether it only says what it would have said: then it leaves the memory alone that others may need.
    pub(crate) in_shadow: bool,
}

/// The state behind one instance.
pub(crate) struct Guest {
    policy: PolicyName,
    limits: Limits,
    may_quote: bool,
    files: Arc<Resources>,
    counters: BTreeMap<CounterName, u64>,
    moments: u64,
    wasi: WasiCtx,
    resources: ResourceTable,
    stderr: Stderr,
    written: LogTally,
    /// What it has of the memory of all guests.
    memory: Share,
    pub(crate) collected: Collected,
    pub(crate) meter: Arc<Meter>,
    /// When the call under way began.
    pub(crate) call_began: Instant,
    /// The limit that ended the instance, noted where it was reached: the trap's own text says less.
    pub(crate) exceeded: Option<FailureCause>,
}

impl Guest {
    pub(crate) fn new(policy: &Policy, occasion: Occasion) -> Self {
        let stderr = Stderr::default();
        let seed = seed(policy, occasion);
        let mut wasi = WasiCtxBuilder::new();
        wasi.stderr(stderr.clone())
            .wall_clock(Standing(occasion.received_at))
            .secure_random(StdRng::from_seed(seed))
            .insecure_random(StdRng::from_seed(seed))
            .insecure_random_seed(u128::from_le_bytes(std::array::from_fn(|i| seed[i])))
            .max_random_size(MAX_RANDOM_BYTES)
            .allow_tcp(false)
            .allow_udp(false);
        Self {
            policy: policy.name.clone(),
            limits: policy.limits,
            may_quote: policy.may_quote,
            files: Arc::clone(&policy.resources),
            counters: policy
                .description
                .counters
                .iter()
                .map(|name| (name.clone(), 0))
                .collect(),
            moments: 0,
            wasi: wasi.build(),
            resources: ResourceTable::with_capacity(0),
            stderr,
            written: LogTally::default(),
            memory: policy.budget.share(occasion.in_shadow),
            collected: Collected::default(),
            meter: Arc::default(),
            call_began: Instant::now(),
            exceeded: None,
        }
    }

    /// Tells the listener of each finding from now on.
    pub(crate) fn listen(&mut self, listener: Option<FindingListener>) {
        self.collected = Collected::heard_by(listener);
    }

    pub(crate) fn policy(&self) -> &PolicyName {
        &self.policy
    }

    pub(crate) fn may_quote(&self) -> bool {
        self.may_quote
    }

    pub(crate) fn report(&mut self, finding: Finding) -> bool {
        self.collected.report(finding, &self.limits)
    }

    pub(crate) fn resource(&self, name: &str) -> Option<&[u8]> {
        self.files.get(name)
    }

    /// Adds to a counter that the policy declared; others are ignored.
    pub(crate) fn count(&mut self, counter: &str, n: u64) {
        if let Some(count) = self.counters.get_mut(counter) {
            *count = count.saturating_add(n);
        }
    }

    /// The monotonic clock: it counts how often it was looked at, and tells nothing else.
    pub(crate) fn next_moment(&mut self) -> u64 {
        self.moments += 1;
        self.moments
    }

    pub(crate) fn counters(&self) -> &BTreeMap<CounterName, u64> {
        &self.counters
    }

    /// Goes on from what another instance counted and wrote about the same upload.
    pub(crate) fn go_on_from(&mut self, counted: BTreeMap<CounterName, u64>, log: LogTally) {
        for (name, count) in counted {
            if let Some(known) = self.counters.get_mut(&name) {
                *known = count;
            }
        }
        self.written = log;
    }

    pub(crate) fn log_tally(&self) -> LogTally {
        self.written
    }

    /// The most linear memory that the instance has had, in bytes.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.memory.bytes()
    }

    /// What the instance wrote to standard error, such as a panic's message.
    pub(crate) fn stderr(&self) -> String {
        let written = self.stderr.0.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&written).trim().to_owned()
    }

    /// Counts a line; its words go to whoever runs policies on a machine of their own (`portcullis policy run`), and no server
    /// shows them: they may be of a patient.
    pub(crate) fn log(&mut self, level: tracing::Level, message: &str) {
        self.written.add(level, message.len());
        if self.written.lines > MAX_LOG_LINES {
            return;
        }
        let end = message.floor_char_boundary(MAX_LOG_LINE_BYTES);
        let (policy, message) = (self.policy.as_str(), message[..end].escape_debug());
        match level {
            tracing::Level::ERROR => tracing::error!(target: "policy", policy, "{message}"),
            tracing::Level::WARN => tracing::warn!(target: "policy", policy, "{message}"),
            tracing::Level::INFO => tracing::info!(target: "policy", policy, "{message}"),
            _ => tracing::debug!(target: "policy", policy, "{message}"),
        }
    }
}

/// The same upload and the same component have the same random numbers, wherever they meet. Nothing secret
/// may be made of them.
fn seed(policy: &Policy, occasion: Occasion) -> [u8; 32] {
    let mut hasher = portcullis_types::Sha256Hasher::default();
    hasher.update(policy.component.digest.as_bytes());
    if let Some(upload) = occasion.upload {
        hasher.update(upload.as_bytes());
    }
    *hasher.finish().as_bytes()
}

impl WasiView for Guest {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.resources,
        }
    }
}

impl ResourceLimiter for Guest {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let more = desired.saturating_sub(current);
        if self.memory.bytes().saturating_add(more) > self.limits.memory_bytes {
            return Err(self.exceed(FailureCause::Memory(self.limits.memory_bytes)));
        }
        if !self.memory.take(more) {
            return Err(self.exceed(FailureCause::NoRoom));
        }
        Ok(true)
    }

    fn table_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        if desired > self.limits.table_elements {
            return Err(self.exceed(FailureCause::Table(self.limits.table_elements)));
        }
        Ok(true)
    }
}

impl Guest {
    /// Asked with every tick while it runs: the limit in time that it has exceeded, if it has.
    pub(crate) fn out_of_time(&self) -> Option<FailureCause> {
        let limits = &self.limits;
        let (call, total) = self.meter.so_far();
        if call > limits.call_time() {
            Some(FailureCause::CallTime(limits.call_time()))
        } else if total > limits.total_time() {
            Some(FailureCause::TotalTime(limits.total_time()))
        } else if self.call_began.elapsed() > MAX_CALL {
            Some(FailureCause::NoRoom)
        } else {
            None
        }
    }

    /// Notes a limit that was reached, and makes the trap that ends the call.
    pub(crate) fn exceed(&mut self, cause: FailureCause) -> wasmtime::Error {
        let error = wasmtime::Error::msg(cause.to_string());
        self.exceeded.get_or_insert(cause);
        error
    }
}

/// Standard error of a guest: the first bytes are kept, the rest is taken and forgotten, so that a
/// policy that writes much is not killed for it.
#[derive(Clone, Default)]
struct Stderr(Arc<Mutex<Vec<u8>>>);

impl IsTerminal for Stderr {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Stderr {
    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }

    fn async_stream(&self) -> Box<dyn tokio::io::AsyncWrite + Send + Sync> {
        Box::new(tokio::io::sink())
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for Stderr {
    async fn ready(&mut self) {}
}

#[wasmtime_wasi::async_trait]
impl OutputStream for Stderr {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        let mut written = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let room = MAX_STDERR_BYTES - written.len();
        written.extend_from_slice(&bytes[..bytes.len().min(room)]);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> Result<usize, StreamError> {
        Ok(MAX_STDERR_BYTES)
    }
}
