//! The values of a column that may have none twice: kept whole, so that what is called a duplicate is one.

use std::borrow::Cow;
use std::hash::BuildHasher;

use foldhash::fast::FixedState;
use hashbrown::HashTable;
use serde::{Deserialize, Serialize};

/// Values that have come, up to limits.
#[derive(Debug)]
pub(crate) struct Seen {
    /// Places in `kept`.
    index: HashTable<u32>,
    /// One after the other: the row (4 bytes), the length (4 bytes), the value.
    kept: Pages,
    limits: Limits,
    /// The first row whose value was not kept.
    first_not_kept: Option<u64>,
}

/// What is kept of a column, written down.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Suspended<'a> {
    pages: Cow<'a, [Vec<u8>]>,
    first_not_kept: Option<u64>,
}

/// How much is kept.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Values.
    pub(crate) values: usize,
    /// Bytes of values, with 8 more for each.
    pub(crate) bytes: usize,
}

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Novelty {
    /// It has not come before, as far as is known.
    New,
    /// It stood in this row before.
    Again(u64),
}

impl Seen {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            index: HashTable::new(),
            kept: Pages::default(),
            limits,
            first_not_kept: None,
        }
    }

    /// How much of it would have to be written down, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.kept.length()
    }

    /// What is kept, to be written down.
    pub(crate) fn suspend(&self) -> Suspended<'_> {
        Suspended {
            pages: Cow::Borrowed(&self.kept.pages),
            first_not_kept: self.first_not_kept,
        }
    }

    /// Nothing is kept yet: goes on with what was kept before. None where that is nothing that this could have kept.
    pub(crate) fn resumed(self, suspended: &Suspended<'_>) -> Option<Self> {
        let mut seen = self;
        seen.first_not_kept = suspended.first_not_kept;
        for page in suspended.pages.iter() {
            let mut rest = page.as_slice();
            while !rest.is_empty() {
                let (row, after) = rest.split_first_chunk::<4>()?;
                let (length, after) = after.split_first_chunk::<4>()?;
                let length = u32::from_le_bytes(*length) as usize;
                let (value, after) = after.split_at_checked(length)?;
                let row = u64::from(u32::from_le_bytes(*row));
                rest = after;
                if seen.look(value, row) != Novelty::New {
                    return None;
                }
            }
        }
        (seen.first_not_kept == suspended.first_not_kept).then_some(seen)
    }

    /// Looks for a value, and keeps it when it is new.
    pub(crate) fn look(&mut self, value: &[u8], row: u64) -> Novelty {
        let hash = FixedState::default().hash_one(value);
        let kept = &self.kept;
        if let Some(&place) = self.index.find(hash, |&place| kept.value(place) == value) {
            return Novelty::Again(u64::from(kept.row(place)));
        }
        let is_full = self.index.len() >= self.limits.values
            || self.kept.length() + value.len() + HEAD_BYTES > self.limits.bytes;
        match u32::try_from(row) {
            Ok(row) if !is_full => {
                let place = self.kept.push(row, value);
                let kept = &self.kept;
                let rehash = |&place: &u32| FixedState::default().hash_one(kept.value(place));
                self.index.insert_unique(hash, place, rehash);
            }
            _ => {
                self.first_not_kept.get_or_insert(row);
            }
        }
        Novelty::New
    }

    /// The first row whose value later ones were not compared with; absent when all were.
    pub(crate) fn first_not_kept(&self) -> Option<u64> {
        self.first_not_kept
    }
}

/// Bytes before each value.
const HEAD_BYTES: usize = 8;
/// Bytes of a page. A value lies within one: cells are shorter.
const PAGE_BYTES: usize = 256 << 10;

/// Memory that grows without being copied: a vector that doubles would need three times as much for a while.
#[derive(Debug, Default)]
struct Pages {
    pages: Vec<Vec<u8>>,
}

impl Pages {
    fn length(&self) -> usize {
        self.pages.len().saturating_sub(1) * PAGE_BYTES + self.pages.last().map_or(0, Vec::len)
    }

    fn push(&mut self, row: u32, value: &[u8]) -> u32 {
        let needed = HEAD_BYTES + value.len();
        let fits = |page: &Vec<u8>| page.len() + needed <= PAGE_BYTES;
        if !self.pages.last().is_some_and(fits) {
            self.pages.push(Vec::with_capacity(PAGE_BYTES.max(needed)));
        }
        let nth = self.pages.len() - 1;
        let page = &mut self.pages[nth];
        let place = nth * PAGE_BYTES + page.len();
        let length = u32::try_from(value.len()).expect("a cell is shorter than 4 GiB");
        page.extend_from_slice(&row.to_le_bytes());
        page.extend_from_slice(&length.to_le_bytes());
        page.extend_from_slice(value);
        u32::try_from(place).expect("the limit in bytes is below 4 GiB")
    }

    fn at(&self, place: u32) -> &[u8] {
        let place = place as usize;
        &self.pages[place / PAGE_BYTES][place % PAGE_BYTES..]
    }

    fn row(&self, place: u32) -> u32 {
        self.number(place, 0)
    }

    fn value(&self, place: u32) -> &[u8] {
        let length = self.number(place, 4) as usize;
        &self.at(place)[HEAD_BYTES..HEAD_BYTES + length]
    }

    fn number(&self, place: u32, at: usize) -> u32 {
        let bytes = &self.at(place)[at..at + 4];
        u32::from_le_bytes(bytes.try_into().expect("four bytes"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AMPLE: Limits = Limits {
        values: 1 << 20,
        bytes: 1 << 30,
    };

    #[test]
    fn a_value_that_came_before_is_known_with_its_row() {
        let mut seen = Seen::new(AMPLE);
        for row in 1..=100_000 {
            assert_eq!(seen.look(format!("P{row}").as_bytes(), row), Novelty::New);
        }
        for row in [1, 2, 50_000, 100_000] {
            let again = seen.look(format!("P{row}").as_bytes(), 100_001);
            assert_eq!(again, Novelty::Again(row));
        }
        assert_eq!(seen.look(b"P", 100_002), Novelty::New);
        assert_eq!(seen.first_not_kept(), None);
    }

    #[test]
    fn beyond_its_limits_it_says_from_where_on_it_does_not_know() {
        for limits in [
            Limits {
                values: 10,
                ..AMPLE
            },
            Limits {
                bytes: 10 * (8 + 2),
                ..AMPLE
            },
        ] {
            let mut seen = Seen::new(limits);
            for row in 10..30 {
                assert_eq!(seen.look(row.to_string().as_bytes(), row), Novelty::New);
            }
            assert_eq!(seen.first_not_kept(), Some(20));
            assert_eq!(seen.look(b"15", 31), Novelty::Again(15));
            assert_eq!(seen.look(b"25", 32), Novelty::New);
        }
    }

    #[test]
    fn long_values_lie_within_one_page() {
        let mut seen = Seen::new(AMPLE);
        for row in 0..20u8 {
            assert_eq!(seen.look(&vec![row; 60_000], u64::from(row)), Novelty::New);
        }
        assert_eq!(seen.look(&vec![7; 60_000], 99), Novelty::Again(7));
    }
}
