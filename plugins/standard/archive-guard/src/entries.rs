//! The entries of a zip archive as they came, to be compared with the list at its end.

use std::collections::BTreeSet;

use crate::guard::{Checked, refused, rule, two_names};
use crate::names::Names;

/// One entry.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Entry {
    /// Where it begins.
    pub(crate) offset: u64,
    /// The number of its name, and of its second name in Unicode.
    pub(crate) name: u64,
    pub(crate) unicode: Option<u64>,
    /// How it is packed: the method of compression, and those flags that change what programs read.
    pub(crate) method: u16,
    pub(crate) flags: u16,
    pub(crate) packed: u64,
    pub(crate) expanded: u64,
}

/// All of them, in the order in which they came.
#[derive(Default)]
pub(crate) struct Entries {
    came: Vec<Entry>,
    /// Those that the list has.
    listed: BTreeSet<usize>,
    pub(crate) names: Names,
}

impl Entries {
    pub(crate) fn add(&mut self, entry: Entry) {
        self.came.push(entry);
    }

    /// The list has this one. Programs that unpack go by the list: it must be what came.
    pub(crate) fn list(&mut self, listed: Entry) -> Checked {
        let nth = self.listed.len() + 1;
        let at = self
            .came
            .binary_search_by_key(&listed.offset, |entry| entry.offset);
        let Ok(at) = at else {
            return Err(refused(
                rule::OVERLAP,
                &format!(
                    "Entry {nth} of its list lies within another one, or outside of the archive; make it anew."
                ),
            ));
        };
        if !self.listed.insert(at) {
            return Err(refused(
                rule::OVERLAP,
                &format!("Entry {nth} of its list is the same data as another one; make it anew."),
            ));
        }
        let came = self.came[at];
        if came.name != listed.name {
            return Err(refused(
                rule::OVERLAP,
                &format!(
                    "Entry {nth} has one name in the list and another where it lies; make it anew."
                ),
            ));
        }
        let has_two = |listed: u64| came.unicode.is_some_and(|came| came != listed);
        if listed.unicode.is_some_and(has_two) {
            return Err(two_names(nth as u64));
        }
        if (came.method, came.flags) != (listed.method, listed.flags) {
            return Err(refused(
                rule::OVERLAP,
                &format!(
                    "Entry {nth} is packed in one way by the list and in another where it lies; make it anew."
                ),
            ));
        }
        if came.packed != listed.packed || came.expanded != listed.expanded {
            return Err(refused(
                rule::SIZES,
                &format!(
                    "Entry {nth} has one size in the list and another where it lies; make it anew."
                ),
            ));
        }
        Ok(())
    }

    /// Whether the entry that begins there said its second name itself.
    pub(crate) fn knows_unicode(&self, offset: u64) -> bool {
        let at = self
            .came
            .binary_search_by_key(&offset, |entry| entry.offset);
        at.is_ok_and(|at| self.came[at].unicode.is_some())
    }

    /// How many entries the list has so far.
    pub(crate) fn listed(&self) -> u64 {
        self.listed.len() as u64
    }

    /// The list is over; how many it says there are, if it does.
    pub(crate) fn end(&self, count: Option<u64>) -> Checked {
        if self.listed.len() == self.came.len()
            && count.is_none_or(|count| count == self.came.len() as u64)
        {
            return Ok(());
        }
        Err(refused(
            rule::OVERLAP,
            "Its list has other entries than came; make it anew.",
        ))
    }
}
