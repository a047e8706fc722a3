//! What has been seen of an object or an array, to find what is there twice.

use std::collections::BTreeSet;
use std::hash::{BuildHasher, Hash};

use foldhash::fast::FixedState;

/// The most that are compared with each other.
const MAX_COMPARED: usize = 10_000;
/// Few are looked through one by one.
const FEW: usize = 32;

/// Hashes of keys or items.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    few: Vec<u64>,
    many: BTreeSet<u64>,
}

impl Seen {
    /// Whether it was not there; what comes beyond the most that are compared never was.
    pub(crate) fn insert(&mut self, hash: u64) -> bool {
        if self.few.contains(&hash) {
            return false;
        }
        if self.few.len() < FEW {
            self.few.push(hash);
            return true;
        }
        if self.few.len() + self.many.len() >= MAX_COMPARED {
            return true;
        }
        self.many.insert(hash)
    }

    pub(crate) fn clear(&mut self) {
        self.few.clear();
        self.many.clear();
    }
}

/// A number by which values are told apart. Two values with the same number look like one twice, which refuses a file
/// that was made so, and no other.
pub(crate) fn hash(value: impl Hash) -> u64 {
    FixedState::default().hash_one(value)
}
