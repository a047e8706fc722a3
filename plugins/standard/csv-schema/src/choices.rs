//! The values that a cell may have, found fast.

use hashbrown::HashTable;

use foldhash::fast::FixedState;
use std::hash::BuildHasher;

/// Up to so many values are compared one after the other.
const FEW: usize = 8;

/// A set of values.
#[derive(Clone, Debug)]
pub struct Choices {
    values: Vec<String>,
    /// Places in `values`, when there are many.
    index: HashTable<u32>,
}

impl Choices {
    /// These values, in the order in which messages list them. Those that come twice are taken once.
    pub fn new(values: impl IntoIterator<Item = String>) -> Self {
        let mut choices = Self {
            values: Vec::new(),
            index: HashTable::new(),
        };
        for value in values {
            if !choices.values.contains(&value) {
                choices.values.push(value);
            }
        }
        if choices.values.len() > FEW {
            let values = &choices.values;
            for (place, value) in (0..).zip(values) {
                choices
                    .index
                    .insert_unique(hash(value.as_bytes()), place, |&place| {
                        hash(values[place as usize].as_bytes())
                    });
            }
        }
        choices
    }

    /// The values, in their order.
    pub fn values(&self) -> &[String] {
        &self.values
    }

    /// Whether a cell is one of them.
    #[inline]
    pub fn include(&self, cell: &[u8]) -> bool {
        if self.index.is_empty() {
            return self.values.iter().any(|value| value.as_bytes() == cell);
        }
        let is_it = |&place: &u32| self.values[place as usize].as_bytes() == cell;
        self.index.find(hash(cell), is_it).is_some()
    }

    /// The value that a cell would be, were it not for capitals and spaces around it.
    pub fn nearly(&self, cell: &[u8]) -> Option<&str> {
        let cell = cell.trim_ascii();
        let same = |value: &&String| value.as_bytes().eq_ignore_ascii_case(cell);
        self.values.iter().find(same).map(String::as_str)
    }
}

fn hash(bytes: &[u8]) -> u64 {
    FixedState::default().hash_one(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_and_many_values_are_found() {
        for count in [1, FEW, FEW + 1, 500] {
            let choices = Choices::new((0..count).map(|nth| format!("Value {nth}")));
            for nth in 0..count {
                assert!(choices.include(format!("Value {nth}").as_bytes()));
            }
            for other in ["", "Value", "value 0", "Value 0 ", "Value 500"] {
                assert!(!choices.include(other.as_bytes()), "{other} of {count}");
            }
            assert_eq!(choices.nearly(b" value 0"), Some("Value 0"));
        }
    }
}
