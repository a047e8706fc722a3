//! A policy for tests that repeats what it is shown, wherever it can: in its log, on standard error, in findings, facts, refusals,
//! failures and panics, and as the names of counters. None of it may reach telemetry.

use portcullis_policy::{
    Admission, Conclusion, End, Extent, Failure, Finding, Progress, Refusal, Rule, Setting, Upload,
    Validator, facts, findings, log, meter,
};
use serde::Deserialize;

/// How it ends.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ending {
    /// It accepts.
    #[default]
    Accept,
    /// It refuses, in the words of the upload.
    Reject,
    /// It sets the upload apart, in its words.
    Quarantine,
    /// It cannot judge, in its words.
    Fail,
    /// It panics with them.
    Panic,
}

/// What to do.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// How it ends.
    #[serde(default)]
    pub end: Ending,
}

/// The policy, with all that it was shown.
#[derive(Debug)]
pub struct Gossip {
    settings: Settings,
    seen: String,
}

impl Validator for Gossip {
    const NAME: &'static str = "gossip";
    const SUMMARY: &'static str = "Repeats what it is shown, for tests.";
    const SETTINGS: &'static [Setting] = &[Setting::optional(
        "end",
        "How it ends: accept (the default), reject, quarantine, fail or panic.",
    )];
    const RULES: &'static [Rule] = &[Rule::new("gossip", "What was seen.")];
    const COUNTERS: &'static [&'static str] = &["words"];
    type Settings = Settings;

    fn new(settings: Settings) -> Result<Self, String> {
        Ok(Self {
            settings,
            seen: String::new(),
        })
    }

    fn admit(&mut self, upload: &Upload) -> Result<Admission, Failure> {
        self.seen = format!("{upload:?}");
        Ok(Admission::Inspect(Extent::All))
    }

    fn chunk(&mut self, _: u64, bytes: &[u8]) -> Result<Progress, Failure> {
        self.seen.push_str(&String::from_utf8_lossy(bytes));
        Ok(Progress::More)
    }

    fn finish(&mut self, _: &End) -> Result<Conclusion, Failure> {
        tell(&self.seen);
        let refusal = || Refusal {
            rule: self.seen.clone(),
            message: self.seen.clone(),
        };
        match self.settings.end {
            Ending::Accept => Ok(Conclusion::Accept),
            Ending::Reject => Ok(Conclusion::Reject(refusal())),
            Ending::Quarantine => Ok(Conclusion::Quarantine(refusal())),
            Ending::Fail => Err(Failure::Internal(self.seen.clone())),
            Ending::Panic => panic!("{}", self.seen),
        }
    }
}

/// Tells everybody.
#[expect(
    clippy::print_stderr,
    reason = "whatever it says must stay where it is"
)]
fn tell(seen: &str) {
    log::debug(seen);
    log::info(seen);
    log::warn(seen);
    log::error(seen);
    eprintln!("{seen}");
    for word in seen.split(|c: char| !c.is_alphanumeric() && c != '-') {
        meter::count(word, 1);
        facts::set(word, word);
        if let Ok(number) = word.parse() {
            meter::count("words", number);
        }
    }
    findings::report(Finding::error(seen, seen).in_column(seen));
    findings::tally(seen, Some(seen), 1);
}

portcullis_policy::validator!(Gossip);
