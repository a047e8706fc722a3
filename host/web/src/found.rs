//! What policies have found in an upload that is still under way, for whoever asks about it meanwhile.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use portcullis_engine::FindingListener;
use portcullis_types::Finding;

/// Findings in the order in which they were made; as many as the limits of the policies let through.
#[derive(Clone, Default)]
pub(crate) struct Found(Arc<Mutex<Vec<Finding>>>);

impl Found {
    /// What there was when the upload paused.
    pub(crate) fn go_on_from<'a>(&self, findings: impl Iterator<Item = &'a Finding>) {
        *self.lock() = findings.cloned().collect();
    }

    /// What tells it of more.
    pub(crate) fn listener(&self) -> FindingListener {
        let found = self.clone();
        Arc::new(move |finding: &Finding| found.lock().push(finding.clone()))
    }

    /// All of them until now.
    pub(crate) fn so_far(&self) -> Vec<Finding> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Finding>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
