use std::time::Duration;

use serde::Deserialize;

use crate::PolicyLoadError;

/// What one instance of a policy may use. Beyond it the call fails and the instance is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Limits {
    /// Linear memory in bytes, all memories together. Default 64 MiB; at most
    /// [`crate::EngineSettings::max_memory_bytes`].
    pub memory_bytes: usize,
    /// Elements of each table. Default 20,000: more than a large Python runtime needs.
    pub table_elements: usize,
    /// Component-model handles that live at once. Default 256.
    pub handles: usize,
    /// Bytes that one host call, or one answer of the policy, may carry to the host. Default 8 MiB.
    pub hostcall_bytes: usize,
    /// CPU time of one call in milliseconds, looked at every 2 ms. Default 1,000.
    pub call_time_ms: u64,
    /// CPU time of all calls for one upload in milliseconds. Default 600,000: 100 GB at the speed of the
    /// standard policies.
    pub total_time_ms: u64,
    /// Findings that are kept of one upload. Default 1,000.
    pub findings: usize,
    /// Findings that are kept of one rule. Default 100.
    pub findings_per_rule: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory_bytes: 64 << 20,
            table_elements: 20_000,
            handles: 256,
            hostcall_bytes: 8 << 20,
            call_time_ms: 1_000,
            total_time_ms: 600_000,
            findings: 1_000,
            findings_per_rule: 100,
        }
    }
}

impl Limits {
    /// CPU time of one call.
    pub fn call_time(&self) -> Duration {
        Duration::from_millis(self.call_time_ms)
    }

    /// CPU time of all calls for one upload.
    pub fn total_time(&self) -> Duration {
        Duration::from_millis(self.total_time_ms)
    }

    /// Whether a policy can have these.
    ///
    /// # Errors
    /// What is wrong with these numbers.
    pub(crate) fn check(&self, max_memory_bytes: usize) -> Result<(), PolicyLoadError> {
        let problem = self.problem(max_memory_bytes);
        problem.map_or(Ok(()), |problem| Err(PolicyLoadError::Limits(problem)))
    }

    fn problem(&self, max_memory_bytes: usize) -> Option<String> {
        let positive = [
            ("memory-bytes", self.memory_bytes as u64),
            ("table-elements", self.table_elements as u64),
            ("handles", self.handles as u64),
            ("hostcall-bytes", self.hostcall_bytes as u64),
            ("call-time-ms", self.call_time_ms),
            ("total-time-ms", self.total_time_ms),
        ];
        if let Some((key, _)) = positive.into_iter().find(|(_, value)| *value == 0) {
            return Some(format!("`{key}` must be more than 0"));
        }
        (self.memory_bytes > max_memory_bytes).then(|| {
            format!("`memory-bytes` must be at most {max_memory_bytes}, the engine's own limit")
        })
    }
}
