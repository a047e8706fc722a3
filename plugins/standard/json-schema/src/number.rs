//! Numbers as JSON writes them, compared by value.

use std::cmp::Ordering;

/// A number: exact where it is whole and has at most 38 digits.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Number {
    Whole(i128),
    Other(f64),
}

impl Number {
    /// From its text, which is a number of JSON.
    pub(crate) fn parse(text: &str) -> Self {
        if let Ok(whole) = text.parse() {
            return Self::Whole(whole);
        }
        let other = text.parse().unwrap_or(f64::NAN);
        Self::from_f64(other)
    }

    fn from_f64(other: f64) -> Self {
        // 1.0 is 1, as JSON Schema has it (2020-12 validation, 6.1.1).
        #[expect(
            clippy::cast_possible_truncation,
            reason = "whole numbers up to 2^53 are exact"
        )]
        if other.fract() == 0.0 && other.abs() <= 9_007_199_254_740_992.0 {
            return Self::Whole(other as i128);
        }
        Self::Other(other)
    }

    pub(crate) fn is_whole(self) -> bool {
        match self {
            Self::Whole(_) => true,
            Self::Other(other) => other.fract() == 0.0,
        }
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "what is not whole has no more precision"
    )]
    fn as_f64(self) -> f64 {
        match self {
            Self::Whole(whole) => whole as f64,
            Self::Other(other) => other,
        }
    }

    pub(crate) fn is_multiple_of(self, of: Self) -> bool {
        if let (Self::Whole(number), Self::Whole(of)) = (self, of) {
            return of != 0 && number % of == 0;
        }
        let quotient = self.as_f64() / of.as_f64();
        // Decimal fractions have no exact binary ones: 0.3 is a multiple of 0.1.
        (quotient - quotient.round()).abs() <= 1e-9 * quotient.abs().max(1.0)
    }
}

impl PartialEq for Number {
    fn eq(&self, other: &Self) -> bool {
        self.partial_cmp(other) == Some(Ordering::Equal)
    }
}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Whole(one), Self::Whole(other)) => Some(one.cmp(other)),
            _ => self.as_f64().partial_cmp(&other.as_f64()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_compared_by_value() {
        let number = Number::parse;
        assert_eq!(number("1.0"), number("1"));
        assert_eq!(number("1e2"), number("100"));
        assert!(number("12345678901234567890123") > number("12345678901234567890122"));
        assert!(number("-0.5") < number("0"));
        assert!(number("2.0").is_whole() && !number("2.5").is_whole());
        assert!(number("0.3").is_multiple_of(number("0.1")));
        assert!(!number("7").is_multiple_of(number("2")));
        assert!(!number("7").is_multiple_of(number("0")));
    }
}
