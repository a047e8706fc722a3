//! One cell that is not empty against what its column holds.

use crate::date::NotADate;
use crate::definition::{Bounds, Kind};
use crate::header::list;
use crate::number;
use crate::rule::Rule;

/// What is wrong with a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wrong {
    SpacesAround,
    NotAllowed,
    NotANumber,
    NotWhole,
    NotAYear,
    NotADate(NotADate),
    OutOfRange,
}

/// Checks a cell.
#[inline]
pub(crate) fn check(kind: &Kind, cell: &[u8]) -> Result<(), Wrong> {
    match kind {
        Kind::Text => Ok(()),
        Kind::Id => {
            let is_space = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_whitespace);
            if is_space(cell.first()) || is_space(cell.last()) {
                Err(Wrong::SpacesAround)
            } else {
                Ok(())
            }
        }
        Kind::Enum(choices) | Kind::Boolean(choices) => {
            if choices.include(cell) {
                Ok(())
            } else {
                Err(Wrong::NotAllowed)
            }
        }
        Kind::Number(bounds) => within(bounds, number::decimal(cell).ok_or(Wrong::NotANumber)?),
        Kind::Integer(bounds) => within(bounds, number::whole(cell).ok_or(Wrong::NotWhole)?),
        Kind::Year(bounds) => within(bounds, number::year(cell).ok_or(Wrong::NotAYear)?),
        Kind::Date(format, bounds) => within(bounds, format.read(cell).map_err(Wrong::NotADate)?),
    }
}

#[inline]
fn within<T: PartialOrd + Copy>(bounds: &Bounds<T>, value: T) -> Result<(), Wrong> {
    if bounds.include(value) {
        Ok(())
    } else {
        Err(Wrong::OutOfRange)
    }
}

impl Wrong {
    /// The rule that is broken in a column of this kind.
    pub(crate) fn rule(self, kind: &Kind) -> Rule {
        match (self, kind) {
            (Self::SpacesAround, _) => Rule::Id,
            (Self::NotAllowed, Kind::Boolean(_)) => Rule::Boolean,
            (Self::NotAllowed, _) => Rule::Enum,
            (Self::NotANumber, _) => Rule::Number,
            (Self::NotWhole, _) => Rule::Integer,
            (Self::NotAYear, _) => Rule::Year,
            (Self::NotADate(_), _) => Rule::Date,
            (Self::OutOfRange, _) => Rule::Range,
        }
    }

    /// A sentence for the uploader, which never repeats the cell.
    pub(crate) fn sentence(self, kind: &Kind, cell: &[u8]) -> String {
        const EMPTY: &str = "leave the cell empty where there is no value";
        match self {
            Self::SpacesAround => "The identifier has spaces around it; take them away.".to_owned(),
            Self::NotAllowed => not_allowed(kind, cell),
            Self::NotANumber if cell.contains(&b',') => {
                "Not a number: write a point before decimals and nothing between thousands."
                    .to_owned()
            }
            Self::NotANumber => format!("Not a number: write digits, such as 4.5, and {EMPTY}."),
            Self::NotWhole => format!("Not a whole number: write digits only, and {EMPTY}."),
            Self::NotAYear => format!("Not a year: write four digits, such as 1985, and {EMPTY}."),
            Self::NotADate(NotADate::Form) => {
                let form = kind.form();
                format!("Not a date of the form {form}; rewrite it, and {EMPTY}.")
            }
            Self::NotADate(NotADate::NoSuchDay) => {
                "The calendar has no such day, or the clock no such time; correct it.".to_owned()
            }
            Self::OutOfRange => format!("The value is not {}; correct it.", kind.range()),
        }
    }
}

fn not_allowed(kind: &Kind, cell: &[u8]) -> String {
    let (Kind::Enum(choices) | Kind::Boolean(choices)) = kind else {
        return "Not one of the allowed values.".to_owned();
    };
    if let Some(meant) = choices.nearly(cell) {
        return format!("Write exactly `{meant}`: capitals and spaces count.");
    }
    let values: Vec<&str> = choices.values().iter().map(String::as_str).collect();
    format!("Not one of the allowed values: {}.", list(&values))
}

impl Kind {
    /// How its dates are written.
    fn form(&self) -> &str {
        match self {
            Self::Date(format, _) => format.written(),
            _ => "",
        }
    }

    /// Its range, in words.
    fn range(&self) -> String {
        match self {
            Self::Number(bounds) | Self::Integer(bounds) | Self::Year(bounds) => {
                words(bounds.low, bounds.high, |number| number.to_string())
            }
            Self::Date(format, bounds) => words(bounds.low, bounds.high, |day| format.write(day)),
            _ => String::new(),
        }
    }
}

fn words<T>(low: Option<T>, high: Option<T>, write: impl Fn(T) -> String) -> String {
    match (low.map(&write), high.map(&write)) {
        (Some(low), Some(high)) => format!("between {low} and {high}"),
        (Some(low), None) => format!("{low} or more"),
        (None, Some(high)) => format!("{high} or less"),
        (None, None) => String::new(),
    }
}
