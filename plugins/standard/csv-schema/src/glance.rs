use crate::date;
use crate::definition::Kind;

/// What is right in a column for certain: what a glance does not settle gets a closer look.
///
/// A set of bits, each tested by a branch of its own, and small enough that those of a whole row lie in one
/// cache line. An enumeration becomes a jump table, which is mispredicted at every change of column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Glance(u8);

const EMPTY_IS_RIGHT: u8 = 1;
const EMPTY_IS_COUNTED: u8 = 1 << 1;
const ANY_IS_RIGHT: u8 = 1 << 2;
const WITHOUT_SPACES_IS_RIGHT: u8 = 1 << 3;
const ISO_DAY_IS_RIGHT: u8 = 1 << 4;

impl Glance {
    /// Nothing is certain.
    pub(crate) const UNSURE: Self = Self(0);

    /// Of a column that holds this, or anything if that is absent.
    pub(crate) fn new(kind: Option<&Kind>, may_be_empty: bool) -> Self {
        let filled = match kind {
            None | Some(Kind::Text) => ANY_IS_RIGHT,
            Some(Kind::Id) => WITHOUT_SPACES_IS_RIGHT,
            Some(Kind::Date(format, bounds)) if format.is_iso() && bounds.are_open() => {
                ISO_DAY_IS_RIGHT
            }
            Some(_) => 0,
        };
        Self(filled | if may_be_empty { EMPTY_IS_RIGHT } else { 0 })
    }

    /// From now on empty cells are only counted.
    pub(crate) fn count_empty(&mut self) {
        self.0 |= EMPTY_IS_COUNTED;
    }

    #[inline]
    fn has(self, bit: u8) -> bool {
        self.0 & bit != 0
    }

    /// Whether empty cells are only counted.
    pub(crate) fn counts_empty(self) -> bool {
        self.has(EMPTY_IS_COUNTED)
    }

    /// Whether a plain cell is right for certain.
    #[inline]
    pub(crate) fn settles(self, value: &[u8]) -> bool {
        let (Some(first), Some(last)) = (value.first(), value.last()) else {
            return self.has(EMPTY_IS_RIGHT);
        };
        self.has(ANY_IS_RIGHT)
            || self.has(WITHOUT_SPACES_IS_RIGHT) && *first > b' ' && *last > b' '
            || self.has(ISO_DAY_IS_RIGHT) && date::is_iso(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::date::Format;
    use crate::definition::Bounds;

    #[test]
    fn only_what_is_certain_is_settled() {
        let iso = Format::parse("YYYY-MM-DD").expect("a format");
        let date = Kind::Date(iso, Bounds::default());
        let year = Kind::Year(Bounds::default());
        for (kind, value, settled) in [
            (None, "x", true),
            (Some(&Kind::Text), " x", true),
            (Some(&Kind::Text), "", false),
            (Some(&Kind::Id), "P 1", true),
            (Some(&Kind::Id), "P1 ", false),
            (Some(&date), "2024-02-29", true),
            (Some(&date), "2023-02-29", false),
            (Some(&year), "1980", false),
        ] {
            let glance = Glance::new(kind, false).settles(value.as_bytes());
            assert_eq!(glance, settled, "{value:?}");
        }
        let mut glance = Glance::new(None, false);
        glance.count_empty();
        assert!(glance.counts_empty() && !glance.settles(b""));
        assert!(Glance::new(None, true).settles(b""));
        assert!(!Glance::UNSURE.settles(b"x"));
    }
}
