//! Lengths of time and shares as people write them.

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

/// A share of uploads, as in `0.5%`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Percent(f64);

/// No share.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a share is 0 to 100 percent, such as 0.5%")]
pub(crate) struct InvalidPercent;

impl FromStr for Percent {
    type Err = InvalidPercent;

    fn from_str(text: &str) -> Result<Self, InvalidPercent> {
        let number = text.strip_suffix('%').unwrap_or(text).trim();
        let number: f64 = number.parse().map_err(|_| InvalidPercent)?;
        if (0.0..=100.0).contains(&number) {
            Ok(Self(number))
        } else {
            Err(InvalidPercent)
        }
    }
}

impl Percent {
    /// 0 to 100.
    pub(crate) fn number(self) -> f64 {
        self.0
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

    #[test]
    fn a_share_is_0_to_100() {
        for (text, number) in [("0.5%", 0.5), ("0", 0.0), ("100 %", 100.0)] {
            let percent: Percent = text.parse().expect("is a share");
            assert!((percent.number() - number).abs() < f64::EPSILON);
        }
        for text in ["", "%", "-1%", "101%", "NaN", "a"] {
            assert_eq!(text.parse::<Percent>(), Err(InvalidPercent), "{text}");
        }
    }
}
