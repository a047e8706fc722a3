use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::parsed::conversions_from_text;

/// A moment, in milliseconds since 1970-01-01T00:00:00Z; written in the form of RFC 3339 with
/// milliseconds, in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Timestamp(i64);

/// The text or number is no moment of the years 1 to 9999.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a time is written as in 2026-01-31T12:00:00.000Z")]
pub struct InvalidTimestamp;

impl Timestamp {
    /// The moment so many milliseconds after (or before) 1970.
    pub fn from_ms(since_1970_ms: i64) -> Result<Self, InvalidTimestamp> {
        jiff::Timestamp::from_millisecond(since_1970_ms)
            .map(|_| Self(since_1970_ms))
            .map_err(|_| InvalidTimestamp)
    }

    /// Milliseconds since 1970, negative before.
    pub fn as_ms(self) -> i64 {
        self.0
    }

    /// The moment so much later, no later than the last one that can be written.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        let later = i64::try_from(duration.as_millis())
            .ok()
            .and_then(|ms| self.0.checked_add(ms))
            .and_then(|ms| Self::from_ms(ms).ok());
        later.unwrap_or(Self(jiff::Timestamp::MAX.as_millisecond()))
    }

    /// The moment so much earlier, no earlier than 1970.
    #[must_use]
    pub fn minus(self, duration: Duration) -> Self {
        let ms = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        Self(self.0.saturating_sub(ms).max(0))
    }

    /// How long after `earlier` this is; nothing when it is before.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

impl FromStr for Timestamp {
    type Err = InvalidTimestamp;

    fn from_str(text: &str) -> Result<Self, InvalidTimestamp> {
        text.parse::<jiff::Timestamp>()
            .map(|moment| Self(moment.as_millisecond()))
            .map_err(|_| InvalidTimestamp)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let moment = jiff::Timestamp::from_millisecond(self.0).unwrap_or(jiff::Timestamp::MAX);
        write!(f, "{moment:.3}")
    }
}

conversions_from_text!(Timestamp, InvalidTimestamp);

/// Where the time comes from: handed to whoever needs it, so that tests set it and never sleep.
#[derive(Clone, Debug, Default)]
pub struct Clock(Source);

#[derive(Clone, Debug, Default)]
enum Source {
    #[default]
    System,
    Manual(ManualClock),
}

/// A clock that stands still until it is moved.
#[derive(Clone, Debug)]
pub struct ManualClock(Arc<AtomicI64>);

impl Clock {
    /// The clock of the operating system.
    pub fn system() -> Self {
        Self(Source::System)
    }

    /// Now.
    pub fn now(&self) -> Timestamp {
        match &self.0 {
            Source::System => system_time(),
            Source::Manual(clock) => Timestamp(clock.0.load(Ordering::Relaxed)),
        }
    }
}

fn system_time() -> Timestamp {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp(0).plus(since)
}

impl ManualClock {
    /// A clock that shows `start`.
    pub fn at(start: Timestamp) -> Self {
        Self(Arc::new(AtomicI64::new(start.0)))
    }

    /// The clock to hand on.
    pub fn clock(&self) -> Clock {
        Clock(Source::Manual(self.clone()))
    }

    /// Sets it, also to an earlier moment: the clock of a machine may be set back.
    pub fn set(&self, now: Timestamp) {
        self.0.store(now.0, Ordering::Relaxed);
    }

    /// Moves it forward.
    pub fn advance(&self, duration: Duration) {
        let now = Timestamp(self.0.load(Ordering::Relaxed));
        self.0.store(now.plus(duration).0, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_manual_clock_moves_only_when_it_is_moved() {
        let start: Timestamp = "2026-01-31T12:00:00.000Z".parse().expect("is a time");
        let manual = ManualClock::at(start);
        let clock = manual.clock();
        assert_eq!(clock.now(), start);
        manual.advance(Duration::from_millis(1500));
        assert_eq!(clock.now().to_string(), "2026-01-31T12:00:01.500Z");
        assert_eq!(clock.now().since(start), Duration::from_millis(1500));
        assert_eq!(start.since(clock.now()), Duration::ZERO);
    }

    #[test]
    fn the_system_clock_is_later_than_this_line() {
        let written = "2026-01-01T00:00:00Z".parse().expect("is a time");
        assert!(Clock::system().now() > written);
    }

    proptest! {
        #[test]
        fn a_moment_survives_its_text(ms in -62_135_596_800_000_i64..253_402_207_200_000) {
            let moment = Timestamp::from_ms(ms).expect("is in range");
            prop_assert_eq!(moment.to_string().parse(), Ok(moment));
        }
    }
}
