//! What policies answer, in the engine's words: the same for every version of the contract.

use crate::CannotJudge;

/// Why an upload may not pass, or is to be set apart: a policy's words to the uploader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The rule in kebab-case.
    pub rule: String,
    /// One sentence.
    pub message: String,
}

/// How much of an upload a policy wants to see.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Extent {
    Prefix(u64),
    All,
}

/// What a policy says to the headers.
pub(crate) enum Admission {
    Accept,
    Reject(Refusal),
    Inspect(Extent),
}

/// What a policy says after some bytes.
pub(crate) enum Progress {
    More,
    Decided(Conclusion),
}

/// A policy's last word.
pub(crate) enum Conclusion {
    Accept,
    Quarantine(Refusal),
    Reject(Refusal),
}

/// A policy's word that it cannot judge.
pub(crate) struct Failure {
    pub(crate) kind: CannotJudge,
    pub(crate) reason: String,
}
