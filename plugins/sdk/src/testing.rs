//! Runs a policy natively as the host would, for an author's unit tests.
//!
//! What a native run cannot show is what the sandbox adds: limits on memory, time and answers.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use crate::{
    Admission, Conclusion, End, Extent, Failure, Finding, Principal, Progress, Refusal, Router,
    Upload, Validator, settings,
};

/// The longest chunk that the host hands over, in bytes.
pub const MAX_CHUNK_BYTES: usize = 64 * 1024;

/// A moment for [`Upload::received_at_ms`]: 2024-05-06T07:08:09Z.
pub const RECEIVED_AT_MS: u64 = 1_714_979_289_000;

/// An identifier for [`Upload::id`].
pub const UPLOAD_ID: &str = "0190b7a27c3e70008000000000000000";

/// What a policy says in the end, with what it noticed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The upload may pass.
    Accept,
    /// It is to be set apart.
    Quarantine(Refusal),
    /// It may not pass.
    Reject(Refusal),
}

thread_local! {
    static FINDINGS: RefCell<Vec<Finding>> = const { RefCell::new(Vec::new()) };
    static TALLIES: RefCell<BTreeMap<String, u64>> = const { RefCell::new(BTreeMap::new()) };
    static CAP: Cell<usize> = const { Cell::new(usize::MAX) };
    static RESOURCES: RefCell<BTreeMap<String, Vec<u8>>> = const { RefCell::new(BTreeMap::new()) };
}

/// What was reported in this thread since the last call.
pub fn take_findings() -> Vec<Finding> {
    FINDINGS.take()
}

/// What was tallied in this thread since the last call, by rule.
pub fn take_tallies() -> BTreeMap<String, u64> {
    TALLIES.take()
}

/// Keeps at most so many findings of a rule in this thread from now on, as a host does; without it all are
/// kept.
pub fn keep_findings(per_rule: usize) {
    CAP.set(per_rule);
}

/// Gives a resource to the policies that run in this thread.
pub fn provide(name: &str, content: &[u8]) {
    RESOURCES.with_borrow_mut(|resources| resources.insert(name.to_owned(), content.to_vec()));
}

#[cfg(not(target_arch = "wasm32"))]
pub(crate) fn provided(name: &str) -> Option<Vec<u8>> {
    RESOURCES.with_borrow(|resources| resources.get(name).cloned())
}

#[cfg(not(target_arch = "wasm32"))]
pub(crate) fn record(finding: Finding) -> bool {
    FINDINGS.with_borrow_mut(|findings| {
        let of_rule = findings.iter().filter(|kept| kept.rule == finding.rule);
        // Counting is for hosts that cap: the others keep everything, however much it is.
        if CAP.get() != usize::MAX && of_rule.count() >= CAP.get() {
            TALLIES.with_borrow_mut(|tallies| *tallies.entry(finding.rule).or_default() += 1);
            return false;
        }
        findings.push(finding);
        true
    })
}

#[cfg(not(target_arch = "wasm32"))]
pub(crate) fn record_tally(rule: &str, _column: Option<&str>, n: u64) {
    TALLIES.with_borrow_mut(|tallies| *tallies.entry(rule.to_owned()).or_default() += n);
}

/// The headers of an upload with this file name and nothing else.
pub fn upload(filename: &str) -> Upload {
    Upload {
        id: UPLOAD_ID.to_owned(),
        filename: filename.to_owned(),
        folder: None,
        media_type: None,
        length: None,
        attributes: Vec::new(),
        principal: Principal {
            subject: "(anonymous)".to_owned(),
            groups: Vec::new(),
        },
        submission: None,
        received_at_ms: RECEIVED_AT_MS,
    }
}

/// For tests: the headers of an upload, one more said about it at a time.
impl Upload {
    /// With one more attribute.
    #[must_use]
    pub fn with_attribute(mut self, name: &str, value: &str) -> Self {
        self.attributes.push((name.to_owned(), value.to_owned()));
        self
    }

    /// In this folder.
    #[must_use]
    pub fn in_folder(mut self, folder: &str) -> Self {
        self.folder = Some(folder.to_owned());
        self
    }

    /// With a declared media type.
    #[must_use]
    pub fn with_media_type(mut self, media_type: &str) -> Self {
        self.media_type = Some(media_type.to_owned());
        self
    }

    /// With a declared length in bytes.
    #[must_use]
    pub fn with_length(mut self, bytes: u64) -> Self {
        self.length = Some(bytes);
        self
    }

    /// Sent by a principal of this name in these groups.
    #[must_use]
    pub fn from_principal(mut self, subject: &str, groups: &[&str]) -> Self {
        self.principal = Principal {
            subject: subject.to_owned(),
            groups: groups.iter().map(|&group| group.to_owned()).collect(),
        };
        self
    }
}

/// The end of an upload of so many bytes, with a digest that is none.
pub fn end(length: u64) -> End {
    End {
        length,
        sha256: "0".repeat(64),
    }
}

/// A validator with these settings, a JSON object.
///
/// # Errors
///
/// What the administrator would read.
pub fn configure<P: Validator>(json: &str) -> Result<P, String> {
    settings::parse(json).and_then(P::new)
}

/// A router with these settings, a JSON object.
///
/// # Errors
///
/// What the administrator would read.
pub fn configure_router<P: Router>(json: &str) -> Result<P, String> {
    settings::parse(json).and_then(P::new)
}

/// Judges an upload of these bytes from `admit` to the end, in the longest chunks that the host hands over.
///
/// # Errors
///
/// The policy cannot judge it, or still says `more` after the prefix that it asked for.
pub fn run<P: Validator>(
    policy: &mut P,
    upload: &Upload,
    bytes: &[u8],
) -> Result<Outcome, Failure> {
    run_in_chunks(policy, upload, bytes, MAX_CHUNK_BYTES)
}

/// As [`run`], with chunks of `chunk_bytes` (the last may be shorter; 0 counts as 1).
///
/// # Errors
///
/// As [`run`].
pub fn run_in_chunks<P: Validator>(
    policy: &mut P,
    upload: &Upload,
    bytes: &[u8],
    chunk_bytes: usize,
) -> Result<Outcome, Failure> {
    run_between(policy, upload, bytes, chunk_bytes, |_| Ok(()))
}

/// As [`run_in_chunks`], with a pause after each chunk: where the policy gives its state, another one with these settings
/// goes on from it, and what it reports meanwhile is dropped, as the host does. Gives how often that was beside the outcome.
///
/// # Errors
///
/// As [`run`], and where a policy does not go on.
///
/// # Panics
///
/// The settings are not right.
pub fn run_with_pauses<P: Validator>(
    settings: &str,
    upload: &Upload,
    bytes: &[u8],
    chunk_bytes: usize,
) -> Result<(Outcome, usize), Failure> {
    let mut policy: P = configure(settings).expect("the settings are right");
    let mut pauses = 0;
    let outcome = run_between(&mut policy, upload, bytes, chunk_bytes, |policy| {
        let Some(state) = policy.suspend()? else {
            return Ok(());
        };
        *policy = configure(settings).expect("they were right before");
        let reported = (FINDINGS.take(), TALLIES.take());
        let resumed = policy.resume(upload, &state);
        FINDINGS.set(reported.0);
        TALLIES.set(reported.1);
        pauses += 1;
        resumed
    });
    outcome.map(|outcome| (outcome, pauses))
}

fn run_between<P: Validator>(
    policy: &mut P,
    upload: &Upload,
    bytes: &[u8],
    chunk_bytes: usize,
    mut between: impl FnMut(&mut P) -> Result<(), Failure>,
) -> Result<Outcome, Failure> {
    let extent = match policy.admit(upload)? {
        Admission::Accept => return Ok(Outcome::Accept),
        Admission::Reject(refusal) => return Ok(Outcome::Reject(refusal)),
        Admission::Inspect(extent) => extent,
    };
    let wanted = match extent {
        Extent::All => usize::MAX,
        Extent::Prefix(length) => usize::try_from(length).unwrap_or(usize::MAX),
    };
    let shown = &bytes[..bytes.len().min(wanted)];
    let mut offset = 0;
    for chunk in shown.chunks(chunk_bytes.max(1)) {
        match policy.chunk(offset, chunk)? {
            Progress::More => {}
            Progress::Accept => return Ok(Outcome::Accept),
            Progress::Quarantine(refusal) => return Ok(Outcome::Quarantine(refusal)),
            Progress::Reject(refusal) => return Ok(Outcome::Reject(refusal)),
        }
        offset += chunk.len() as u64;
        if shown.len() != wanted {
            between(policy)?;
        }
    }
    if shown.len() == wanted {
        let reason = "it still wants more after the prefix that it asked for";
        return Err(Failure::Internal(reason.to_owned()));
    }
    Ok(match policy.finish(&end(bytes.len() as u64))? {
        Conclusion::Accept => Outcome::Accept,
        Conclusion::Quarantine(refusal) => Outcome::Quarantine(refusal),
        Conclusion::Reject(refusal) => Outcome::Reject(refusal),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{NoSettings, findings};

    /// Wants a prefix and remembers the chunks it got.
    struct Lengths(Vec<usize>, Option<u64>);

    impl Validator for Lengths {
        const NAME: &'static str = "lengths";
        const SUMMARY: &'static str = "Remembers how long its chunks were.";
        type Settings = NoSettings;

        fn new(_: NoSettings) -> Result<Self, String> {
            Ok(Self(Vec::new(), None))
        }

        fn admit(&mut self, upload: &Upload) -> Result<Admission, Failure> {
            self.1 = upload.length;
            match upload.length {
                Some(0) => Refusal::new("empty", "Nothing is there.").into(),
                Some(length) => Ok(Admission::Inspect(Extent::Prefix(length))),
                None => Ok(Admission::Inspect(Extent::All)),
            }
        }

        fn chunk(&mut self, offset: u64, bytes: &[u8]) -> Result<Progress, Failure> {
            self.0.push(bytes.len());
            findings::report(Finding::info("seen", "Seen.").at_byte(offset));
            if bytes.starts_with(b"!") {
                return Refusal::new("exclaimed", "No shouting.").into();
            }
            if self.1 == Some(offset + bytes.len() as u64) && self.1 != Some(4) {
                return Ok(Progress::Accept);
            }
            Ok(Progress::More)
        }
    }

    fn lengths(upload: &Upload, bytes: &[u8]) -> (Vec<usize>, Result<Outcome, Failure>) {
        let mut policy: Lengths = configure("{}").expect("no settings are needed");
        let outcome = run_in_chunks(&mut policy, upload, bytes, 2);
        (policy.0, outcome)
    }

    #[test]
    fn a_policy_sees_the_wanted_extent_and_no_more() {
        let accept = Ok(Outcome::Accept);
        assert_eq!(
            lengths(&upload("x"), b"12345"),
            (vec![2, 2, 1], accept.clone())
        );
        let offsets: Vec<_> = take_findings().iter().map(|found| found.offset).collect();
        assert_eq!(offsets, [Some(0), Some(2), Some(4)]);
        let prefix = lengths(&upload("x").with_length(3), b"12345");
        assert_eq!(prefix, (vec![2, 1], accept.clone()));
        assert_eq!(lengths(&upload("x"), b""), (vec![], accept));
    }

    #[test]
    fn a_policy_that_cannot_decide_after_its_prefix_has_failed() {
        let (_, outcome) = lengths(&upload("x").with_length(4), b"12345");
        assert!(matches!(outcome, Err(Failure::Internal(_))), "{outcome:?}");
    }

    #[test]
    fn a_rejection_ends_the_run() {
        let (seen, outcome) = lengths(&upload("x"), b"12!45");
        assert_eq!(seen, [2, 2]);
        let exclaimed = Refusal::new("exclaimed", "No shouting.");
        assert_eq!(outcome, Ok(Outcome::Reject(exclaimed)));
    }
}
