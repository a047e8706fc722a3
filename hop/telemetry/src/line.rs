//! Every line of the log that there is. `docs/logs.md` is written from this table.

use std::fmt::Write;

use opentelemetry::logs::Severity;

use crate::TelemetryError;
use crate::attribute::{BYTES, POLICY_DIGEST, POLICY_VERSION, UPLOAD};
use crate::detail::{
    ADDRESS, AUDIT_NOTE, CODE_FILE, CODE_LINE, COUNT, DISK_STEP, ERRORS, HOP_VERSION, IO, LINES,
    PAUSE, POLICY_CALL, POLICY_CAUSE, PROBLEM, REASON, REVISION, REVISION_DIGEST, SERVICES_VERSION,
    WARNINGS,
};
use crate::label::{DISK, ERROR, FAILURE, OUTCOME, POLICY, SIGNAL};

/// How much a line matters. A server writes those that matter as much as `LOG_LEVEL` asks, or more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    /// Somebody has to do something.
    Error,
    /// Somebody may have to.
    Warn,
    /// What happens as it should.
    Info,
    /// For whoever looks for a fault.
    Debug,
}

/// A line of the log: one sentence, which holds no value, and what stands beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line {
    /// The server takes connections. Whoever started it waits for this line, so that it is always written.
    Listening,
    /// Prometheus may ask.
    MetricsServed,
    /// Prometheus may ask no longer.
    MetricsGone,
    /// The server was asked to end.
    Stopping,
    /// Requests were still under way when the time to end had passed.
    CutShort,
    /// A connection could not be taken.
    ConnectionRefused,
    /// `sd_notify` failed.
    SupervisorAway,
    /// A fault of ours.
    Panicked,
    /// A task of ours did not come to its end.
    TaskLost,
    /// A collector does not take what it is sent.
    CollectorAway,
    /// It does again.
    CollectorBack,
    /// An upload came to its end, well or not: one line of each server.
    UploadEnded,
    /// Services were not told of an end.
    EndNotRecorded,
    /// Services can be used.
    ServicesAnswer,
    /// Services cannot.
    ServicesAway,
    /// Services are too old.
    ServicesTooOld,
    /// Other policies judge from now on.
    PoliciesInForce,
    /// They did before.
    PoliciesUnchanged,
    /// A revision judges without a say.
    PoliciesOnTrial,
    /// A revision or a set cannot be used.
    PoliciesRefused,
    /// Services cannot be asked which revision is in force.
    PoliciesNotAsked,
    /// A policy failed on an upload.
    PolicyFailed,
    /// The same for one in the shadow.
    ShadowPolicyFailed,
    /// What a policy wrote about an upload, without its words.
    PolicyWrote,
    /// A policy is not asked for a while.
    PolicyPaused,
    /// It is asked again.
    PolicyAskedAgain,
    /// Verdicts of shadow policies did not reach services.
    ShadowNotReported,
    /// A web host says that it lost some.
    ShadowLost,
    /// The verdict on a trial could not be made.
    TrialNotJudged,
    /// The audit was signed for.
    AuditSigned,
    /// It could not be.
    AuditNotSigned,
    /// The operating system reported a failure of a disk.
    DiskFailed,
    /// An upload lies on a disk that nobody knows.
    DiskUnknown,
    /// A file broke off while it was sent to a reader.
    FileCutOff,
    /// What was durable is not there.
    BytesGone,
    /// A stored file has no visible name.
    PathTaken,
    /// Files without a row.
    FilesUnknown,
    /// The catalog said that it failed.
    CatalogFailed,
    /// Its file is in other hands.
    CatalogLocked,
    /// It cannot be read.
    CatalogUnreadable,
}

/// What the table says of one.
#[derive(Debug)]
pub(crate) struct Declared {
    /// `event.name`.
    pub(crate) name: &'static str,
    pub(crate) level: Level,
    /// The sentence.
    pub(crate) message: &'static str,
    /// The keys of what may stand beside it.
    pub(crate) details: &'static [&'static str],
    /// Which server writes it.
    by: &'static str,
    /// What to do about it; empty where there is nothing to do.
    advice: &'static str,
}

impl Level {
    /// The level that `LOG_LEVEL` names.
    pub(crate) fn of(text: &str) -> Result<Self, TelemetryError> {
        let all = [Self::Error, Self::Warn, Self::Info, Self::Debug];
        let named = |level: &Self| level.as_str().eq_ignore_ascii_case(text);
        all.into_iter().find(named).ok_or(TelemetryError::LogLevel)
    }

    /// As it is written.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Error => "ERROR",
            Self::Warn => "WARN",
            Self::Info => "INFO",
            Self::Debug => "DEBUG",
        }
    }

    pub(crate) fn severity(self) -> Severity {
        match self {
            Self::Error => Severity::Error,
            Self::Warn => Severity::Warn,
            Self::Info => Severity::Info,
            Self::Debug => Severity::Debug,
        }
    }
}

impl Line {
    /// All of them.
    pub(crate) const ALL: [Self; 40] = [
        Self::Listening,
        Self::MetricsServed,
        Self::MetricsGone,
        Self::Stopping,
        Self::CutShort,
        Self::ConnectionRefused,
        Self::SupervisorAway,
        Self::Panicked,
        Self::TaskLost,
        Self::CollectorAway,
        Self::CollectorBack,
        Self::UploadEnded,
        Self::EndNotRecorded,
        Self::ServicesAnswer,
        Self::ServicesAway,
        Self::ServicesTooOld,
        Self::PoliciesInForce,
        Self::PoliciesUnchanged,
        Self::PoliciesOnTrial,
        Self::PoliciesRefused,
        Self::PoliciesNotAsked,
        Self::PolicyFailed,
        Self::ShadowPolicyFailed,
        Self::PolicyWrote,
        Self::PolicyPaused,
        Self::PolicyAskedAgain,
        Self::ShadowNotReported,
        Self::ShadowLost,
        Self::TrialNotJudged,
        Self::AuditSigned,
        Self::AuditNotSigned,
        Self::DiskFailed,
        Self::DiskUnknown,
        Self::FileCutOff,
        Self::BytesGone,
        Self::PathTaken,
        Self::FilesUnknown,
        Self::CatalogFailed,
        Self::CatalogLocked,
        Self::CatalogUnreadable,
    ];

    /// What the table says of it.
    #[expect(clippy::too_many_lines, reason = "a table")]
    pub(crate) fn declared(self) -> Declared {
        use Level::{Debug, Error, Info, Warn};
        let (name, level, message, details, by, advice): (_, _, _, &[_], _, _) = match self {
            Self::Listening => (
                "portcullis.listening",
                Info,
                "listening",
                &[ADDRESS],
                "both",
                "",
            ),
            Self::MetricsServed => (
                "portcullis.metrics.served",
                Info,
                "metrics are served at /metrics",
                &[ADDRESS],
                "both",
                "",
            ),
            Self::MetricsGone => (
                "portcullis.metrics.gone",
                Error,
                "metrics are no longer served",
                &[IO],
                "both",
                "Restart the server when it takes no uploads; until then only Prometheus misses something.",
            ),
            Self::Stopping => (
                "portcullis.stopping",
                Info,
                "asked to stop: nothing new is taken, and what is under way may end",
                &[],
                "both",
                "",
            ),
            Self::CutShort => (
                "portcullis.cut-short",
                Warn,
                "what was still under way was ended; uploads go on from what is acknowledged when they are sent again",
                &[],
                "both",
                "Raise `drain-seconds` in `[limits]` when uploads of your site take longer.",
            ),
            Self::ConnectionRefused => (
                "portcullis.connection.refused",
                Warn,
                "a connection could not be taken",
                &[IO],
                "both",
                "Too many open files is the usual cause: raise `LimitNOFILE`.",
            ),
            Self::SupervisorAway => (
                "portcullis.supervisor.away",
                Debug,
                "the service manager cannot be told",
                &[IO],
                "both",
                "",
            ),
            Self::Panicked => (
                "portcullis.panicked",
                Error,
                "a fault of this program ended a task",
                &[CODE_FILE, CODE_LINE],
                "both",
                "Tell its makers the place. What it panicked with is not written, because it may be of a client.",
            ),
            Self::TaskLost => (
                "portcullis.task.lost",
                Error,
                "a task ended without an outcome",
                &[],
                "services",
                "A line of `portcullis.panicked` before it says where; tell the makers.",
            ),
            Self::CollectorAway => (
                "portcullis.collector.away",
                Warn,
                "the collector does not take what it is sent; uploads do not notice",
                &[SIGNAL],
                "both",
                "`doctor` says why. Drops are counted in `portcullis.telemetry.dropped`.",
            ),
            Self::CollectorBack => (
                "portcullis.collector.back",
                Info,
                "the collector takes what it is sent again",
                &[SIGNAL],
                "both",
                "",
            ),
            Self::UploadEnded => (
                "portcullis.upload.ended",
                Info,
                "upload ended",
                &[UPLOAD, OUTCOME, ERROR, BYTES, DISK],
                "both",
                "Its trace says what took how long; `GET /uploads/{id}` says to its owner why.",
            ),
            Self::EndNotRecorded => (
                "portcullis.upload.end-not-recorded",
                Warn,
                "the end of an upload could not be recorded; it expires",
                &[UPLOAD, PROBLEM],
                "web host",
                "",
            ),
            Self::ServicesAnswer => (
                "portcullis.services.answer",
                Info,
                "services answer",
                &[SERVICES_VERSION],
                "web host",
                "",
            ),
            Self::ServicesAway => (
                "portcullis.services.away",
                Warn,
                "services cannot be used; uploads are told to come again, and services are asked again and again",
                &[PROBLEM],
                "web host",
                "`portcullis-web doctor` says what to do.",
            ),
            Self::ServicesTooOld => (
                "portcullis.services.too-old",
                Error,
                "services do not understand the version of the hop that this web host speaks: update services first, then web hosts; uploads are told to come again",
                &[HOP_VERSION],
                "web host",
                "Update services.",
            ),
            Self::PoliciesInForce => (
                "portcullis.policies.in-force",
                Info,
                "policies are in force",
                &[REVISION_DIGEST],
                "web host",
                "",
            ),
            Self::PoliciesUnchanged => (
                "portcullis.policies.unchanged",
                Info,
                "these policies are in force already",
                &[REVISION_DIGEST],
                "web host",
                "",
            ),
            Self::PoliciesOnTrial => (
                "portcullis.policies.on-trial",
                Info,
                "policies judge in the shadow",
                &[REVISION_DIGEST],
                "web host",
                "",
            ),
            Self::PoliciesRefused => (
                "portcullis.policies.refused",
                Error,
                "the policies stay as they are",
                &[REVISION, REASON],
                "web host",
                "Mend what the reason names, try it with `portcullis policy check`, and put it there again.",
            ),
            Self::PoliciesNotAsked => (
                "portcullis.policies.not-asked",
                Warn,
                "the policies in force stay for now",
                &[REASON],
                "web host",
                "It goes on asking; look at services when it does not end.",
            ),
            Self::PolicyFailed => (
                "portcullis.policy.failed",
                Warn,
                "a policy failed",
                &[
                    POLICY,
                    POLICY_VERSION,
                    POLICY_DIGEST,
                    FAILURE,
                    POLICY_CAUSE,
                    POLICY_CALL,
                ],
                "web host",
                "`portcullis policy run` shows what it says, with an upload of the same kind.",
            ),
            Self::ShadowPolicyFailed => (
                "portcullis.policy.failed-in-shadow",
                Warn,
                "a policy failed in the shadow",
                &[
                    POLICY,
                    POLICY_VERSION,
                    POLICY_DIGEST,
                    FAILURE,
                    POLICY_CAUSE,
                    POLICY_CALL,
                ],
                "web host",
                "As for `portcullis.policy.failed`; no upload was touched.",
            ),
            Self::PolicyWrote => (
                "portcullis.policy.wrote",
                Info,
                "a policy wrote about an upload; its words stay where it ran",
                &[
                    POLICY,
                    POLICY_VERSION,
                    POLICY_DIGEST,
                    LINES,
                    WARNINGS,
                    ERRORS,
                    BYTES,
                ],
                "web host",
                "`portcullis policy run` shows the words.",
            ),
            Self::PolicyPaused => (
                "portcullis.policy.paused",
                Warn,
                "the policy keeps failing and is not asked for a while; its on-failure decides",
                &[POLICY, COUNT, PAUSE],
                "web host",
                "See [changing-policies.md](changing-policies.md): go back to the revision before, or mend it.",
            ),
            Self::PolicyAskedAgain => (
                "portcullis.policy.asked-again",
                Info,
                "the policy judges again, and is asked again",
                &[POLICY],
                "web host",
                "",
            ),
            Self::ShadowNotReported => (
                "portcullis.shadow.not-reported",
                Warn,
                "shadow verdicts could not be reported",
                &[COUNT, PROBLEM],
                "web host",
                "",
            ),
            Self::ShadowLost => (
                "portcullis.shadow.lost",
                Warn,
                "shadow verdicts were lost before they were sent",
                &[COUNT],
                "services",
                "",
            ),
            Self::TrialNotJudged => (
                "portcullis.trial.not-judged",
                Error,
                "a revision on trial could not be judged; it is tried again",
                &[REASON],
                "services",
                "Look at the catalog's disk.",
            ),
            Self::AuditSigned => (
                "portcullis.audit.signed",
                Info,
                "audit checkpoint",
                &[AUDIT_NOTE],
                "services",
                "Keep it elsewhere: see [audit.md](audit.md).",
            ),
            Self::AuditNotSigned => (
                "portcullis.audit.not-signed",
                Error,
                "the audit could not be signed for",
                &[REASON],
                "services",
                "Look at the catalog's disk.",
            ),
            Self::DiskFailed => (
                "portcullis.disk.failed",
                Error,
                "a disk failed",
                &[DISK, DISK_STEP, IO],
                "services",
                "See [operating.md](operating.md): look at the disk, then restart services.",
            ),
            Self::DiskUnknown => (
                "portcullis.disk.unknown",
                Error,
                "an upload lies on a disk that is no longer configured",
                &[DISK],
                "services",
                "Put the disk back into the configuration, read-only if nothing more is to come to it.",
            ),
            Self::FileCutOff => (
                "portcullis.file.cut-off",
                Error,
                "a file could not be read to its end",
                &[IO],
                "services",
                "`portcullis-services fsck` says which.",
            ),
            Self::BytesGone => (
                "portcullis.bytes.gone",
                Error,
                "bytes that were durable are gone",
                &[DISK],
                "services",
                "`portcullis-services fsck` says which; something else wrote or deleted on the disk.",
            ),
            Self::PathTaken => (
                "portcullis.path.taken",
                Error,
                "a stored file cannot be shown: something else stands at its path",
                &[DISK],
                "services",
                "`portcullis-services fsck` says which; its file can be read by the API.",
            ),
            Self::FilesUnknown => (
                "portcullis.files.unknown",
                Warn,
                "the disk has files of uploads that the catalog does not know, and they are left alone: is it the right catalog, or was an older one restored?",
                &[DISK, COUNT],
                "services",
                "See [operating.md](operating.md), on restoring.",
            ),
            Self::CatalogFailed => (
                "portcullis.catalog.failed",
                Error,
                "the catalog failed",
                &[REASON],
                "services",
                "Look at the disk that it lies on.",
            ),
            Self::CatalogLocked => (
                "portcullis.catalog.locked",
                Error,
                "the catalog takes no transaction; another process may hold it",
                &[],
                "services",
                "Only one process may have it open for writing.",
            ),
            Self::CatalogUnreadable => (
                "portcullis.catalog.unreadable",
                Error,
                "the catalog cannot be read",
                &[],
                "services",
                "Look at the disk that it lies on.",
            ),
        };
        Declared {
            name,
            level,
            message,
            details,
            by,
            advice,
        }
    }

    /// All of them as a table of Markdown.
    pub fn table() -> String {
        let mut table = String::from(
            "| event | level | of | sentence | beside it | what to do |\n|---|---|---|---|---|---|\n",
        );
        for line in Self::ALL {
            let Declared {
                name,
                level,
                message,
                details,
                by,
                advice,
            } = line.declared();
            let details: Vec<_> = details.iter().map(|key| format!("`{key}`")).collect();
            let (level, details) = (level.as_str().to_lowercase(), details.join(", "));
            let _ = writeln!(
                table,
                "| `{name}` | {level} | {by} | {message} | {details} | {advice} |"
            );
        }
        table
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::documentation;

    #[test]
    fn the_documentation_has_what_is_declared() {
        documentation::ends_with("logs.md", "# What is logged\n", "| event |", &Line::table());
    }

    #[test]
    fn names_are_told_apart_and_whoever_has_to_act_is_told_how() {
        let names: BTreeSet<_> = Line::ALL.iter().map(|line| line.declared().name).collect();
        assert_eq!(names.len(), Line::ALL.len());
        for line in Line::ALL {
            let declared = line.declared();
            let is_helped = declared.level != Level::Error || !declared.advice.is_empty();
            assert!(is_helped, "{line:?}");
        }
    }
}
