//! How many uploads each sender begins: evenly so many in a minute, and as many at once after a quiet one.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Over how long it is counted.
const WINDOW: Duration = Duration::from_mins(1);
/// How many senders are remembered before those are forgotten that began nothing for a while.
const MAX_REMEMBERED: usize = 10_000;

/// All senders of late.
pub(crate) struct Senders {
    /// How many each may begin within the window; absent for any number.
    most: Option<u32>,
    of_late: Mutex<HashMap<Box<str>, Begun>>,
}

/// What one sender may still begin: it grows until it is all of them again.
struct Begun {
    left: f64,
    at: Instant,
}

impl Senders {
    pub(crate) fn new(most: Option<u32>) -> Self {
        Self {
            most,
            of_late: Mutex::default(),
        }
    }

    /// One more upload of somebody.
    ///
    /// # Errors
    /// They may begin no more now; gives how many they may within a minute.
    pub(crate) fn begin(&self, subject: &str, now: Instant) -> Result<(), u32> {
        let Some(most) = self.most else {
            return Ok(());
        };
        let mut of_late = self.of_late.lock().unwrap_or_else(PoisonError::into_inner);
        if of_late.len() >= MAX_REMEMBERED {
            of_late.retain(|_, begun| now.saturating_duration_since(begun.at) < WINDOW);
        }
        let fresh = || Begun {
            left: f64::from(most),
            at: now,
        };
        let begun = of_late.entry(subject.into()).or_insert_with(fresh);
        let share = now.saturating_duration_since(begun.at).as_secs_f64() / WINDOW.as_secs_f64();
        begun.left = (begun.left + share * f64::from(most)).min(f64::from(most));
        begun.at = now;
        if begun.left < 1.0 {
            return Err(most);
        }
        begun.left -= 1.0;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sender_begins_so_many_and_then_evenly_more() {
        let (senders, now) = (Senders::new(Some(60)), Instant::now());
        let begun = |subject: &str, after: u64| {
            let at = now + Duration::from_secs(after);
            (0..100)
                .take_while(|_| senders.begin(subject, at).is_ok())
                .count()
        };
        assert_eq!(begun("a", 0), 60);
        assert_eq!(senders.begin("a", now), Err(60));
        assert_eq!(begun("b", 0), 60, "another sender");
        assert_eq!(begun("a", 5), 5);
        assert_eq!(begun("a", 1_000), 60);
    }

    #[test]
    fn without_a_limit_nobody_is_stopped_or_remembered() {
        let senders = Senders::new(None);
        assert!((0..1_000).all(|_| senders.begin("a", Instant::now()).is_ok()));
        assert!(senders.of_late.lock().expect("nobody panicked").is_empty());
    }
}
