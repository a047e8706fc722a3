use std::fmt;

use serde::Deserialize;
use serde::de::value::SeqAccessDeserializer;
use serde::de::{Deserializer, Error, SeqAccess, Visitor};

/// What the value of an attribute may be: in the settings, a list of values or the name of a format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Constraint {
    /// One of these, exactly; at least one.
    OneOf(Vec<String>),
    /// Anything of this form.
    Format(Format),
}

/// A form that a value can have. Every value of every form can stand in a path as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// 1 to 128 of `a-z`, `A-Z`, `0-9`, `_`, `-` and `.`, without a dot at either end.
    #[default]
    Token,
    /// Four digits.
    Year,
    /// 1 to 18 digits, without zeros before the number.
    Integer,
    /// A day of the calendar as `YYYY-MM-DD`.
    Date,
}

/// The names of the formats in the settings.
const FORMATS: [(&str, Format); 4] = [
    ("token", Format::Token),
    ("year", Format::Year),
    ("integer", Format::Integer),
    ("date", Format::Date),
];

/// The longest token in bytes.
const MAX_TOKEN_BYTES: usize = 128;
/// The longest integer in digits; it fits into 64 bits.
const MAX_INTEGER_DIGITS: usize = 18;
/// How many allowed values a sentence lists.
const LISTED_VALUES: usize = 20;

impl Default for Constraint {
    /// A token.
    fn default() -> Self {
        Self::Format(Format::Token)
    }
}

impl Constraint {
    /// Whether the value is allowed.
    pub fn allows(&self, value: &str) -> bool {
        match self {
            Self::OneOf(values) => values.iter().any(|allowed| allowed == value),
            Self::Format(format) => format.allows(value),
        }
    }

    /// What a value must be. Reads as `it must be <description>`.
    pub fn description(&self) -> String {
        match self {
            Self::OneOf(values) => {
                let listed = values[..values.len().min(LISTED_VALUES)].join(", ");
                match values.len().saturating_sub(LISTED_VALUES) {
                    0 if values.len() == 1 => listed,
                    0 => format!("one of {listed}"),
                    more => format!("one of {listed} or {more} others"),
                }
            }
            Self::Format(Format::Token) => {
                "made of the letters a-z and A-Z, digits, `_`, `-` and `.`, without a dot at either end"
                    .to_owned()
            }
            Self::Format(Format::Year) => "a year of four digits, such as 2024".to_owned(),
            Self::Format(Format::Integer) => "a whole number such as 7, in digits".to_owned(),
            Self::Format(Format::Date) => "a day such as 2024-12-31".to_owned(),
        }
    }
}

impl Format {
    fn allows(self, value: &str) -> bool {
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        match self {
            Self::Token => {
                let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.');
                (1..=MAX_TOKEN_BYTES).contains(&value.len())
                    && value.bytes().all(allowed)
                    && !value.starts_with('.')
                    && !value.ends_with('.')
            }
            Self::Year => value.len() == 4 && digits(value),
            Self::Integer => {
                let short = value.len() <= MAX_INTEGER_DIGITS;
                short && digits(value) && (value == "0" || !value.starts_with('0'))
            }
            Self::Date => is_date(value),
        }
    }
}

/// A day of the Gregorian calendar from year 0001 on.
fn is_date(text: &str) -> bool {
    let shape = text.bytes().enumerate().all(|(at, byte)| match at {
        4 | 7 => byte == b'-',
        _ => byte.is_ascii_digit(),
    });
    if text.len() != 10 || !shape {
        return false;
    }
    let number = |range| {
        text.get(range)
            .and_then(|digits: &str| digits.parse::<u32>().ok())
    };
    let (Some(year), Some(month), Some(day)) = (number(0..4), number(5..7), number(8..10)) else {
        return false;
    };
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        1..=12 => 31,
        _ => 0,
    };
    year > 0 && (1..=days).contains(&day)
}

impl<'de> Deserialize<'de> for Constraint {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ListOrFormat;

        impl<'de> Visitor<'de> for ListOrFormat {
            type Value = Constraint;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let names = FORMATS.map(|(name, _)| name).join(", ");
                write!(f, "a list of allowed values, or one of the formats {names}")
            }

            fn visit_str<E: Error>(self, name: &str) -> Result<Constraint, E> {
                let known = FORMATS.into_iter().find(|(known, _)| *known == name);
                known
                    .map(|(_, format)| Constraint::Format(format))
                    .ok_or_else(|| E::invalid_value(serde::de::Unexpected::Str(name), &self))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, values: A) -> Result<Constraint, A::Error> {
                let values = Vec::deserialize(SeqAccessDeserializer::new(values))?;
                if values.is_empty() {
                    return Err(A::Error::custom(
                        "the list is empty; name at least one value",
                    ));
                }
                Ok(Constraint::OneOf(values))
            }
        }

        deserializer.deserialize_any(ListOrFormat)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_format_takes_its_values_and_no_others() {
        let long = "x".repeat(129);
        for (format, good, bad) in [
            (
                Format::Token,
                &["c1", "Site_2-b", "v1.2"] as &[_],
                &[
                    "",
                    ".",
                    "..",
                    "a/b",
                    "a b",
                    "é",
                    ".a",
                    "a.",
                    "a\\b",
                    "a\0",
                    long.as_str(),
                ] as &[_],
            ),
            (
                Format::Year,
                &["2024", "0001"],
                &["", "24", "20245", "-202", "２０２４", "20 4"],
            ),
            (
                Format::Integer,
                &["0", "7", "123456789012345678"],
                &["", "07", "-7", "+7", "1.0", "1234567890123456789"],
            ),
            (
                Format::Date,
                &["2024-02-29", "2000-02-29", "1999-12-31"],
                &[
                    "2023-02-29",
                    "1900-02-29",
                    "2024-13-01",
                    "2024-04-31",
                    "2024-1-1",
                    "0000-01-01",
                    "2024/01/01",
                    "２０２４-01",
                ],
            ),
        ] {
            let constraint = Constraint::Format(format);
            for value in good {
                assert!(constraint.allows(value), "{format:?} {value}");
            }
            for value in bad {
                assert!(!constraint.allows(value), "{format:?} {value}");
            }
        }
    }

    #[test]
    fn a_long_list_is_described_in_short() {
        let values = (0..25).map(|n| n.to_string()).collect();
        let description = Constraint::OneOf(values).description();
        assert!(description.ends_with("18, 19 or 5 others"), "{description}");
        assert_eq!(Constraint::OneOf(vec!["c1".to_owned()]).description(), "c1");
    }
}
