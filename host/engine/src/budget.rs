//! How much memory all guests may have together.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Memory for guests, in bytes.
#[derive(Debug)]
pub(crate) struct Budget {
    free: AtomicUsize,
    /// What those in the shadow leave free.
    reserve: usize,
}

/// A guest's share of it, which goes back when it is dropped.
#[derive(Debug)]
pub(crate) struct Share {
    budget: Arc<Budget>,
    bytes: usize,
    reserve: usize,
}

impl Budget {
    pub(crate) fn new(bytes: usize) -> Arc<Self> {
        Arc::new(Self {
            free: AtomicUsize::new(bytes),
            reserve: bytes / 2,
        })
    }

    /// What no guest has now.
    pub(crate) fn free(&self) -> usize {
        self.free.load(Ordering::Relaxed)
    }

    /// A share without anything yet. One in the shadow is given nothing of the half that is there for those that
    /// decide.
    pub(crate) fn share(self: &Arc<Self>, in_shadow: bool) -> Share {
        Share {
            budget: Arc::clone(self),
            bytes: 0,
            reserve: if in_shadow { self.reserve } else { 0 },
        }
    }
}

impl Share {
    /// Takes more; false when so much is not there.
    pub(crate) fn take(&mut self, bytes: usize) -> bool {
        let take = |free: usize| {
            let left = free.checked_sub(bytes)?;
            (left >= self.reserve).then_some(left)
        };
        let free = &self.budget.free;
        let is_there = free
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, take)
            .is_ok();
        if is_there {
            self.bytes += bytes;
        }
        is_there
    }

    /// How much it has.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.budget.free.fetch_add(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_never_exceed_the_budget_and_come_back() {
        let budget = Budget::new(100);
        let (mut one, mut two) = (budget.share(false), budget.share(false));
        assert!(one.take(60) && two.take(40) && !two.take(1));
        assert_eq!((one.bytes(), two.bytes(), budget.free()), (60, 40, 0));
        drop(one);
        assert!(two.take(60));
        drop(two);
        assert_eq!(budget.free(), 100);
        let mut in_shadow = budget.share(true);
        assert!(in_shadow.take(50) && !in_shadow.take(1));
    }
}
