use std::fmt;

use serde::{Deserialize, Serialize};

/// A position in an upload: how many bytes stand before it.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Offset(u64);

impl Offset {
    /// The beginning.
    pub const ZERO: Self = Self(0);

    /// The position after `bytes` bytes.
    pub fn new(bytes: u64) -> Self {
        Self(bytes)
    }

    /// How many bytes stand before it.
    pub fn bytes(self) -> u64 {
        self.0
    }

    /// The position `bytes` further on; absent past 2^64.
    pub fn advance(self, bytes: usize) -> Option<Self> {
        self.0.checked_add(u64::try_from(bytes).ok()?).map(Self)
    }
}

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
