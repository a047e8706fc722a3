//! A policy that keeps failing is not asked for a while: every upload hears its `on-failure` at once, instead of paying for
//! another trap. After a pause one upload tries it; when that goes well it is asked again, and otherwise the next pause is
//! twice as long.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant};

use portcullis_types::{PolicyName, Sha256Digest};

use crate::FailureCause;

/// When a policy is no longer asked, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerSettings {
    /// Failures in a row after which it is not asked. Default 5: an upload that a policy traps on is a defect, five in a
    /// row without one that it could judge are a policy that does not work.
    pub failures: u32,
    /// The first pause. Default 5 s.
    pub first_pause: Duration,
    /// The longest pause. Default 5 min.
    pub longest_pause: Duration,
}

impl Default for BreakerSettings {
    fn default() -> Self {
        Self {
            failures: 5,
            first_pause: Duration::from_secs(5),
            longest_pause: Duration::from_mins(5),
        }
    }
}

/// How a breaker stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerStatus {
    /// Whether the policy is not asked now.
    pub is_open: bool,
    /// Failures in a row.
    pub failures: u32,
    /// How often it was opened, since this process began.
    pub opened: u64,
    /// Uploads for which the policy was not asked.
    pub not_asked: u64,
    /// When one upload tries the policy again, from now; absent where it is asked.
    pub tries_in: Option<Duration>,
}

/// What became of a breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BreakerChange {
    /// The policy is not asked for so long, after so many failures in a row.
    Opened {
        /// Failures in a row.
        failures: u32,
        /// For how long.
        pause: Duration,
    },
    /// The policy is asked again.
    Closed,
}

type Listener = dyn Fn(&PolicyName, BreakerChange) + Send + Sync;

/// Who hears of changes, once somebody listens.
#[derive(Clone, Default)]
struct Told(Arc<OnceLock<Box<Listener>>>);

impl fmt::Debug for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Told")
            .field(&self.0.get().is_some())
            .finish()
    }
}

impl Told {
    fn of(&self, policy: &PolicyName, change: BreakerChange) {
        if let Some(listener) = self.0.get() {
            listener(policy, change);
        }
    }
}

/// The breakers of all policies that are loaded. What judges alike has one: a reload does not close it.
#[derive(Debug)]
pub(crate) struct Breakers {
    settings: BreakerSettings,
    told: Told,
    known: Mutex<HashMap<Sha256Digest, Weak<Breaker>>>,
}

/// The breaker of one policy.
#[derive(Debug)]
pub(crate) struct Breaker {
    settings: BreakerSettings,
    told: Told,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    failures: u32,
    open: Option<Open>,
    opened: u64,
    not_asked: u64,
}

#[derive(Clone, Copy, Debug)]
struct Open {
    until: Instant,
    pause: Duration,
    /// Whether an upload tries the policy.
    is_tried: bool,
}

/// Leave to ask a policy once, whose outcome is to be told. Dropped without one, nothing was learned.
#[derive(Debug)]
pub(crate) struct Pass {
    breaker: Arc<Breaker>,
    is_trial: bool,
}

impl Breakers {
    pub(crate) fn new(settings: BreakerSettings) -> Self {
        Self {
            settings,
            told: Told::default(),
            known: Mutex::default(),
        }
    }

    /// Has somebody hear of changes from now on; only the first who asks does.
    pub(crate) fn tell(&self, listener: Box<Listener>) {
        let _ = self.told.0.set(listener);
    }

    /// The breaker of whatever judges like this.
    pub(crate) fn of(&self, identity: Sha256Digest) -> Arc<Breaker> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|_, breaker| breaker.strong_count() > 0);
        if let Some(breaker) = known.get(&identity).and_then(Weak::upgrade) {
            return breaker;
        }
        let breaker = Arc::new(Breaker::new(self.settings, self.told.clone()));
        known.insert(identity, Arc::downgrade(&breaker));
        breaker
    }
}

impl Breaker {
    fn new(settings: BreakerSettings, told: Told) -> Self {
        Self {
            settings,
            told,
            state: Mutex::default(),
        }
    }

    /// Whether the policy may be asked now.
    ///
    /// # Errors
    /// It keeps failing: so many times in a row.
    pub(crate) fn enter(self: &Arc<Self>) -> Result<Pass, u32> {
        let mut state = self.state();
        let failures = state.failures;
        let is_trial = match &mut state.open {
            None => false,
            Some(open) if !open.is_tried && Instant::now() >= open.until => {
                open.is_tried = true;
                true
            }
            Some(_) => {
                state.not_asked += 1;
                return Err(failures);
            }
        };
        Ok(Pass {
            breaker: Arc::clone(self),
            is_trial,
        })
    }

    pub(crate) fn status(&self) -> BreakerStatus {
        let state = self.state();
        let until = state.open.map(|open| open.until);
        BreakerStatus {
            is_open: state.open.is_some(),
            failures: state.failures,
            opened: state.opened,
            not_asked: state.not_asked,
            tries_in: until.map(|until| until.saturating_duration_since(Instant::now())),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pass {
    /// The policy judged.
    pub(crate) fn judged(mut self, policy: &PolicyName) {
        let mut state = self.breaker.state();
        state.failures = 0;
        if std::mem::take(&mut self.is_trial) {
            state.open = None;
            drop(state);
            self.breaker.told.of(policy, BreakerChange::Closed);
        }
    }

    /// The policy failed for this reason.
    pub(crate) fn failed(mut self, policy: &PolicyName, cause: &FailureCause) {
        if !counts(cause) {
            return;
        }
        let settings = self.breaker.settings;
        let mut state = self.breaker.state();
        state.failures = state.failures.saturating_add(1);
        let pause = match state.open {
            Some(open) if std::mem::take(&mut self.is_trial) => {
                (open.pause * 2).min(settings.longest_pause)
            }
            None if state.failures >= settings.failures => settings.first_pause,
            // It began before the breaker opened, or it is not the last straw.
            _ => return,
        };
        state.opened += u64::from(state.open.is_none());
        state.open = Some(Open {
            until: Instant::now() + pause,
            pause,
            is_tried: false,
        });
        let failures = state.failures;
        drop(state);
        let opened = BreakerChange::Opened { failures, pause };
        self.breaker.told.of(policy, opened);
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        if self.is_trial
            && let Some(open) = &mut self.breaker.state().open
        {
            // Nothing was learned: the next upload tries.
            open.is_tried = false;
        }
    }
}

/// Whether a failure is one of the policy itself: not its word that it cannot judge, and not a lack of room.
fn counts(cause: &FailureCause) -> bool {
    match cause {
        FailureCause::Declared(..) | FailureCause::NoRoom | FailureCause::KeepsFailing(_) => false,
        FailureCause::Panic(_)
        | FailureCause::Trap(_)
        | FailureCause::Stack
        | FailureCause::CallTime(_)
        | FailureCause::TotalTime(_)
        | FailureCause::Memory(_)
        | FailureCause::Table(_)
        | FailureCause::Oversized(_)
        | FailureCause::Handles(_)
        | FailureCause::Answer(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRAP: FailureCause = FailureCause::Stack;

    fn name() -> PolicyName {
        "under-test".parse().expect("is a name")
    }

    fn breaker(first_pause: Duration) -> Arc<Breaker> {
        let settings = BreakerSettings {
            failures: 3,
            first_pause,
            longest_pause: Duration::from_hours(1),
        };
        Arc::new(Breaker::new(settings, Told::default()))
    }

    fn fail(breaker: &Arc<Breaker>, times: u32) {
        for _ in 0..times {
            breaker.enter().expect("is asked").failed(&name(), &TRAP);
        }
    }

    #[test]
    fn it_opens_after_failures_in_a_row_and_only_then() {
        let breaker = breaker(Duration::from_hours(1));
        fail(&breaker, 2);
        breaker.enter().expect("is asked").judged(&name());
        fail(&breaker, 2);
        for cause in [
            FailureCause::NoRoom,
            FailureCause::Declared(crate::CannotJudge::Unsupported, String::new()),
        ] {
            breaker.enter().expect("is asked").failed(&name(), &cause);
        }
        assert!(!breaker.status().is_open);
        fail(&breaker, 1);
        assert_eq!(breaker.enter().err(), Some(3));
        let status = breaker.status();
        assert_eq!(
            (status.is_open, status.opened, status.not_asked),
            (true, 1, 1)
        );
    }

    #[test]
    fn one_upload_at_a_time_tries_it_and_the_pause_doubles() {
        let breaker = breaker(Duration::ZERO);
        fail(&breaker, 3);
        let trial = breaker.enter().expect("tries");
        assert!(breaker.enter().is_err(), "one is trying");
        drop(trial);
        let trial = breaker.enter().expect("nothing was learned");
        trial.failed(&name(), &TRAP);
        let trial = breaker.enter().expect("a pause of 0 doubled is 0");
        trial.judged(&name());
        assert!(!breaker.status().is_open);
        assert!(breaker.enter().is_ok() && breaker.enter().is_ok());

        let breaker = self::breaker(Duration::from_mins(10));
        fail(&breaker, 3);
        breaker.state().open.as_mut().expect("is open").until = Instant::now();
        breaker.enter().expect("tries").failed(&name(), &TRAP);
        let tries_in = breaker.status().tries_in.expect("is open");
        assert!(tries_in > Duration::from_mins(18), "{tries_in:?}");
        assert_eq!(breaker.status().opened, 1);
    }

    #[test]
    fn what_began_before_it_opened_closes_nothing() {
        let breaker = breaker(Duration::from_hours(1));
        let early = breaker.enter().expect("is asked");
        fail(&breaker, 3);
        early.judged(&name());
        assert!(breaker.status().is_open);
        let breakers = Breakers::new(BreakerSettings::default());
        let one = breakers.of(Sha256Digest::of(b"one"));
        assert!(Arc::ptr_eq(&one, &breakers.of(Sha256Digest::of(b"one"))));
        assert!(!Arc::ptr_eq(&one, &breakers.of(Sha256Digest::of(b"two"))));
    }
}
