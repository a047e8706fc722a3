use portcullis_policy::Severity;

use crate::choices::Choices;
use crate::date::{Day, Format};

/// What a column holds.
#[derive(Clone, Debug)]
pub struct Column {
    /// Its name in the header.
    pub name: String,
    /// What its cells are.
    pub kind: Kind,
    /// Whether the whole column may be missing.
    pub may_be_missing: bool,
    /// What an empty cell means.
    pub presence: Presence,
    /// What depends on other cells of the row.
    pub when: Vec<When>,
    /// What to say of an empty cell that is allowed, if a value is recommended.
    pub recommended: Option<String>,
    /// Whether no value may come twice.
    pub is_unique: bool,
}

/// What the cells of a column are.
#[derive(Clone, Debug)]
pub enum Kind {
    /// Any text.
    Text,
    /// Text that stands for a person or an event: without spaces around it.
    Id,
    /// One of these, by the rule `enum`.
    Enum(Choices),
    /// One of these, by the rule `boolean`.
    Boolean(Choices),
    /// A decimal number.
    Number(Bounds<f64>),
    /// A whole number.
    Integer(Bounds<f64>),
    /// Four digits from 1000 to 9999.
    Year(Bounds<f64>),
    /// A day, written in this way.
    Date(Format, Bounds<Day>),
}

/// The smallest and the largest value that are allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds<T> {
    /// The smallest; absent for none.
    pub low: Option<T>,
    /// The largest; absent for none.
    pub high: Option<T>,
}

impl<T> Default for Bounds<T> {
    fn default() -> Self {
        Self {
            low: None,
            high: None,
        }
    }
}

impl<T: PartialOrd + Copy> Bounds<T> {
    /// Whether any value lies within.
    pub(crate) fn are_open(&self) -> bool {
        self.low.is_none() && self.high.is_none()
    }

    /// Whether a value lies within.
    #[inline]
    pub fn include(&self, value: T) -> bool {
        self.low.is_none_or(|low| low <= value) && self.high.is_none_or(|high| value <= high)
    }
}

/// What an empty cell means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Presence {
    /// It breaks the rule `required`.
    Required(Severity),
    /// It breaks the rule `required`, unless this other column has a value.
    RequiredUnless(String, Severity),
    /// Nothing.
    Optional,
}

/// A rule about whether a cell is filled that depends on another cell of the row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct When {
    /// What must be.
    pub effect: Effect,
    /// On which condition.
    pub condition: Condition,
    /// The other column.
    pub column: String,
    /// How much a breach weighs.
    pub severity: Severity,
}

/// What a [`When`] asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// The cell must have a value.
    Required,
    /// The cell must have none.
    Forbidden,
}

/// When it asks for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// The other cell has a value.
    Present,
    /// The other cell has none.
    Absent,
}

impl Column {
    /// The columns that decide whether this one is filled.
    pub fn others(&self) -> impl Iterator<Item = &str> {
        let unless = match &self.presence {
            Presence::RequiredUnless(other, _) => Some(other.as_str()),
            _ => None,
        };
        let when = self.when.iter().map(|when| when.column.as_str());
        unless.into_iter().chain(when)
    }

    /// Whether an empty cell says nothing before the row is complete.
    pub fn depends_on_others(&self) -> bool {
        self.others().next().is_some()
    }
}
