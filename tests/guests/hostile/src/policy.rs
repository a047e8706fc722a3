use portcullis_policy::{
    Admission, Conclusion, End, Extent, Failure, Finding, Progress, Refusal, Rule, Setting, Upload,
    Validator, facts, findings,
};
use serde::Deserialize;

use crate::deed::{Call, Deed};
use crate::{misdeeds, surroundings};

/// What to do, and when.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The call in which it is done.
    #[serde(default)]
    pub when: Call,
    /// What is done.
    #[serde(default, rename = "do")]
    pub deed: Deed,
}

/// The policy, with what it saw of the one upload.
#[derive(Debug)]
pub struct Hostile {
    settings: Settings,
    bytes: u64,
    chunks: u64,
    received_at_ms: u64,
}

/// How a deed ends that does not end the instance.
enum Outcome {
    /// As if nothing had been done.
    GoOn,
    Accept,
    Reject(Refusal),
    Fail(Failure),
}

impl Validator for Hostile {
    const NAME: &'static str = "hostile";
    const SUMMARY: &'static str = "Misbehaves as its settings say, for tests.";
    const SETTINGS: &'static [Setting] = &[
        Setting::optional(
            "when",
            "The call: configure, admit (the default), chunk or finish.",
        ),
        Setting::optional(
            "do",
            "The deed, such as `loop` or `reject-at:7`; accept unless set.",
        ),
    ];
    const RULES: &'static [Rule] = &[Rule::new("reject", "It was not told to reject.")];
    const RESOURCES: &'static [&'static str] = &["definitions/*.json"];
    type Settings = Settings;

    fn new(settings: Settings) -> Result<Self, String> {
        let policy = Self {
            settings,
            bytes: 0,
            chunks: 0,
            received_at_ms: 0,
        };
        match policy.act(Call::Configure) {
            Outcome::GoOn | Outcome::Accept | Outcome::Fail(_) => Ok(policy),
            Outcome::Reject(refusal) => Err(refusal.message),
        }
    }

    fn admit(&mut self, upload: &Upload) -> Result<Admission, Failure> {
        self.received_at_ms = upload.received_at_ms;
        if self.settings.deed == Deed::Resource {
            let name = upload.attribute("table").unwrap_or_default();
            let path = format!("definitions/{name}.json");
            let found = portcullis_policy::resources::get(&path);
            facts::set("bytes", &found.map_or(0, |bytes| bytes.len()).to_string());
            return Ok(Admission::Accept);
        }
        match self.act(Call::Admit) {
            Outcome::GoOn => Ok(Admission::Inspect(self.extent())),
            Outcome::Accept => Ok(Admission::Accept),
            Outcome::Reject(refusal) => refusal.into(),
            Outcome::Fail(failure) => Err(failure),
        }
    }

    fn chunk(&mut self, offset: u64, bytes: &[u8]) -> Result<Progress, Failure> {
        assert_eq!(offset, self.bytes, "chunks follow one another");
        self.chunks += 1;
        self.bytes += bytes.len() as u64;
        match self.settings.deed {
            Deed::RejectAt(at) if at < self.bytes => {
                return Refusal::new("reject", "Told to reject here.").into();
            }
            Deed::CountPrefix(bytes) if bytes <= self.bytes => {
                self.count();
                return Ok(Progress::Accept);
            }
            _ => {}
        }
        match self.act(Call::Chunk) {
            Outcome::GoOn => Ok(Progress::More),
            Outcome::Accept => Ok(Progress::Accept),
            Outcome::Reject(refusal) => refusal.into(),
            Outcome::Fail(failure) => Err(failure),
        }
    }

    fn finish(&mut self, end: &End) -> Result<Conclusion, Failure> {
        match self.settings.deed {
            Deed::Count | Deed::CountPrefix(_) => {
                self.count();
                facts::set("length", &end.length.to_string());
                facts::set("sha256", &end.sha256);
                return Ok(Conclusion::Accept);
            }
            Deed::Quarantine => {
                let refusal = Refusal::new("quarantine", "Told to quarantine.");
                return Ok(Conclusion::Quarantine(refusal));
            }
            Deed::LookAround => {
                surroundings::look_around(self.received_at_ms);
                return Ok(Conclusion::Accept);
            }
            _ => {}
        }
        match self.act(Call::Finish) {
            Outcome::GoOn | Outcome::Accept => Ok(Conclusion::Accept),
            Outcome::Reject(refusal) => refusal.into(),
            Outcome::Fail(failure) => Err(failure),
        }
    }
}

impl Hostile {
    fn extent(&self) -> Extent {
        match self.settings.deed {
            Deed::CountPrefix(bytes) | Deed::Undecided(bytes) => Extent::Prefix(bytes),
            _ => Extent::All,
        }
    }

    fn count(&self) {
        let counted = format!("{} bytes in {} chunks.", self.bytes, self.chunks);
        findings::report(Finding::info("count", counted));
    }

    /// Does the deed if this is the call for it.
    fn act(&self, call: Call) -> Outcome {
        let deed = self.settings.deed;
        if let Deed::Slow(million_rounds) = deed
            && call as u8 >= self.settings.when as u8
        {
            misdeeds::work(million_rounds);
            return Outcome::GoOn;
        }
        if call != self.settings.when {
            return Outcome::GoOn;
        }
        match deed {
            Deed::Accept => return Outcome::Accept,
            Deed::Reject => {
                return Outcome::Reject(Refusal::new("reject", "Told to reject."));
            }
            Deed::Fail => {
                let reason = "told to fail".to_owned();
                return Outcome::Fail(Failure::Unsupported(reason));
            }
            Deed::Trap => misdeeds::trap(),
            Deed::Panic => panic!("told to panic"),
            Deed::Loop => misdeeds::run_for_ever(),
            Deed::MemoryBomb => misdeeds::take_all_memory(),
            Deed::DeepRecursion => {
                // The result is used, so that the calls are.
                let depth = misdeeds::dive(self.bytes);
                let message = format!("The stack never ended: {depth}.");
                return Outcome::Reject(Refusal::new("reject", message));
            }
            Deed::OversizedReturn(bytes) => {
                return Outcome::Reject(misdeeds::long_refusal(bytes));
            }
            Deed::ManyFindings(count) => misdeeds::report_many(count),
            Deed::FindingsThenTrap(count) => {
                misdeeds::report_many(count);
                misdeeds::trap();
            }
            Deed::Quote => {
                findings::report(Finding::error("quote", "A value is wrong.").quoting("Jane Doe"));
            }
            Deed::LogFlood(lines) => misdeeds::flood_log(lines),
            Deed::StderrFlood(lines) => misdeeds::flood_stderr(lines),
            Deed::Slow(_)
            | Deed::RejectAt(_)
            | Deed::Quarantine
            | Deed::Count
            | Deed::CountPrefix(_)
            | Deed::Undecided(_)
            | Deed::Resource
            | Deed::LookAround => {}
        }
        Outcome::GoOn
    }
}

#[cfg(test)]
mod tests {
    use portcullis_policy::testing::{self, Outcome as Judged};

    use super::*;

    fn judged(settings: &str) -> Judged {
        let mut policy: Hostile = testing::configure(settings).expect("good settings");
        let upload = testing::upload("a.csv");
        testing::run_in_chunks(&mut policy, &upload, b"12345", 2).expect("can judge")
    }

    #[test]
    fn without_settings_it_accepts_the_headers() {
        let mut policy: Hostile = testing::configure("{}").expect("good settings");
        assert_eq!(policy.admit(&testing::upload("a")), Ok(Admission::Accept));
    }

    #[test]
    fn it_counts_all_or_a_prefix() {
        for (settings, counted) in [
            (r#"{"do": "count"}"#, "5 bytes in 3 chunks."),
            (r#"{"do": "count-prefix:3"}"#, "3 bytes in 2 chunks."),
        ] {
            assert_eq!(judged(settings), Judged::Accept);
            assert_eq!(testing::take_findings()[0].message, counted);
        }
    }

    #[test]
    fn it_refuses_and_quarantines_where_it_is_told() {
        for when in ["admit", "chunk", "finish"] {
            let judged = judged(&format!(r#"{{"do": "reject", "when": "{when}"}}"#));
            let refusal = Refusal::new("reject", "Told to reject.");
            assert_eq!(judged, Judged::Reject(refusal), "{when}");
        }
        let at = Refusal::new("reject", "Told to reject here.");
        assert_eq!(judged(r#"{"do": "reject-at:4"}"#), Judged::Reject(at));
        assert_eq!(judged(r#"{"do": "reject-at:5"}"#), Judged::Accept);
        assert!(matches!(
            judged(r#"{"do": "quarantine"}"#),
            Judged::Quarantine(_)
        ));
        let refused = testing::configure::<Hostile>(r#"{"do": "reject", "when": "configure"}"#);
        assert_eq!(refused.err().as_deref(), Some("Told to reject."));
    }

    #[test]
    fn its_excesses_are_as_large_as_told() {
        let Judged::Reject(refusal) = judged(r#"{"do": "oversized-return:5000"}"#) else {
            panic!("it rejects");
        };
        assert_eq!(refusal.message.len(), 5000);
        assert_eq!(
            judged(r#"{"do": "many-findings:7", "when": "finish"}"#),
            Judged::Accept
        );
        assert_eq!(testing::take_findings().len(), 7);
    }
}
