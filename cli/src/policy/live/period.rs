//! A length of time as people write it.

use std::str::FromStr;
use std::time::Duration;

/// A number and `s`, `m`, `h` or `d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Period(Duration);

/// No length of time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a time is a number and a unit, such as 90s, 30m, 12h or 7d")]
pub(crate) struct InvalidPeriod;

impl FromStr for Period {
    type Err = InvalidPeriod;

    fn from_str(text: &str) -> Result<Self, InvalidPeriod> {
        let (number, unit) = text
            .split_at_checked(text.len().saturating_sub(1))
            .ok_or(InvalidPeriod)?;
        let number: u32 = number.parse().map_err(|_| InvalidPeriod)?;
        let seconds: u64 = match unit {
            "s" => 1,
            "m" => 60,
            "h" => 3_600,
            "d" => 86_400,
            _ => return Err(InvalidPeriod),
        };
        Ok(Self(Duration::from_secs(u64::from(number) * seconds)))
    }
}

impl From<Period> for Duration {
    fn from(period: Period) -> Self {
        period.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_a_number_and_a_unit() {
        for (text, seconds) in [
            ("90s", 90),
            ("30m", 1_800),
            ("12h", 43_200),
            ("7d", 604_800),
        ] {
            let period: Period = text.parse().expect("is a time");
            assert_eq!(Duration::from(period).as_secs(), seconds);
        }
        for text in ["", "30", "m", "-1m", "1.5h", "3w", "3é"] {
            assert_eq!(text.parse::<Period>(), Err(InvalidPeriod), "{text}");
        }
    }
}
