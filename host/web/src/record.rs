//! What the engine reports, as spans, lines and numbers.

use std::sync::Arc;

use portcullis_engine::{BreakerChange, Engine, FailureCause, LogTally, Policy, PolicyRecord};
use portcullis_telemetry::{
    Attribute, ComponentVersion, Detail, ErrorType, Label, Line, Metric, PolicyFault, Span,
    SpanName, TraceContext, log, metrics,
};
use portcullis_types::Verdict;

/// One span for each policy: from its instance to its last word. It is within the request that began the upload, because the instance
/// lives through all that follow.
pub(crate) fn policies(records: &[PolicyRecord], upload: &TraceContext) {
    for record in records {
        let name = SpanName::Policy(record.name.clone());
        let span = Span::child_since(name, upload, record.started, &[]);
        span.set(Attribute::PolicyVersion(ComponentVersion::new(
            &record.version,
        )));
        span.set(Attribute::PolicyDigest(record.digest));
        span.set(Attribute::PolicyVerdict(record.verdict));
        span.set(Attribute::PolicyCalls(record.calls));
        span.set(Attribute::PolicyBusy(record.busy));
        span.set(Attribute::PolicyMemoryBytes(record.memory_bytes));
        span.set(Attribute::Bytes(record.bytes));
        span.set(Attribute::Findings(record.findings));
        for (counter, n) in &record.counters {
            span.set(Attribute::PolicyCounted(counter.clone(), *n));
        }
        if record.failure.is_some() {
            span.fail(ErrorType::PolicyFailed);
        }
        for (line, details) in lines(record, Line::PolicyFailed) {
            span.log(line, details);
        }
        span.end_at(record.ended);
        measure(record);
    }
}

/// The same of one in the shadow, of which the log alone has something. The trace is that of the work under way.
pub(crate) fn in_shadow(record: &PolicyRecord) {
    for (line, details) in lines(record, Line::ShadowPolicyFailed) {
        log(line, details);
    }
}

/// What the log has of it: nothing, for most. The words that a policy writes and panics with may be of a patient, and stay where it
/// runs.
fn lines(record: &PolicyRecord, failed: Line) -> Vec<(Line, Vec<Detail>)> {
    let mut lines = Vec::new();
    let policy = || {
        [
            Detail::from(Label::Policy(record.name.clone())),
            Attribute::PolicyVersion(ComponentVersion::new(&record.version)).into(),
            Attribute::PolicyDigest(record.digest).into(),
        ]
    };
    if let Some((call, cause)) = &record.failure
        && let Some(fault) = fault(cause)
    {
        let why = [
            Label::Failure(fault).into(),
            Detail::PolicyCause(cause.kind()),
            Detail::PolicyCall(call.as_str()),
        ];
        lines.push((failed, policy().into_iter().chain(why).collect()));
    }
    let LogTally {
        lines: written,
        warnings,
        errors,
        bytes,
    } = record.log;
    if written > 0 {
        let tally = [
            Detail::PolicyLines(written),
            Detail::PolicyWarnings(warnings),
            Detail::PolicyErrors(errors),
            Attribute::Bytes(bytes).into(),
        ];
        let details = policy().into_iter().chain(tally).collect();
        lines.push((Line::PolicyWrote, details));
    }
    lines
}

/// Has the log say when a policy is no longer asked.
pub(crate) fn watch_breakers(engine: &Engine) {
    engine.on_breaker_change(|policy, change| {
        let policy = Detail::from(Label::Policy(policy.clone()));
        match change {
            BreakerChange::Closed => log(Line::PolicyAskedAgain, [policy]),
            BreakerChange::Opened { failures, pause } => {
                let failures = Detail::Count(failures.into());
                log(Line::PolicyPaused, [policy, failures, Detail::Pause(pause)]);
            }
        }
    });
}

/// Has what these policies may say be counted from the beginning.
pub(crate) fn expect(policies: &[Arc<Policy>]) {
    for policy in policies {
        let policy = || Label::Policy(policy.name().clone());
        for fault in PolicyFault::ALL {
            let labels = [policy(), Label::Failure(fault)];
            metrics::expect(Metric::PolicyFailures, labels);
        }
        for verdict in Verdict::ALL {
            let labels = [policy(), Label::Verdict(verdict)];
            metrics::expect(Metric::PolicyVerdicts, labels);
        }
    }
}

fn measure(record: &PolicyRecord) {
    let policy = || Label::Policy(record.name.clone());
    let said = [policy(), Label::Verdict(record.verdict)];
    metrics::count(Metric::PolicyVerdicts, 1, said);
    metrics::measure(Metric::PolicyTime, record.busy.as_secs_f64(), [policy()]);
    #[expect(
        clippy::cast_precision_loss,
        reason = "a value to be put between bounds"
    )]
    let bytes = record.memory_bytes as f64;
    metrics::measure(Metric::PolicyMemory, bytes, [policy()]);
    for (counter, n) in record.counters.iter().filter(|(_, n)| **n > 0) {
        let counter = Label::Counter(counter.clone());
        metrics::count(Metric::PolicyCounted, *n, [policy(), counter]);
    }
    let fault = record.failure.as_ref().and_then(|(_, cause)| fault(cause));
    if let Some(fault) = fault {
        metrics::count(Metric::PolicyFailures, 1, [policy(), Label::Failure(fault)]);
    }
}

/// Why a policy failed; absent where that is no fault of its own.
fn fault(cause: &FailureCause) -> Option<PolicyFault> {
    use FailureCause as C;
    Some(match cause {
        C::Declared(..) => PolicyFault::Declared,
        C::Panic(_) | C::Trap(_) => PolicyFault::Trap,
        C::CallTime(_) | C::TotalTime(_) => PolicyFault::Time,
        C::Stack | C::Memory(_) | C::Table(_) | C::Handles(_) => PolicyFault::Memory,
        C::Oversized(_) | C::Answer(_) => PolicyFault::Answer,
        C::KeepsFailing(_) => PolicyFault::Breaker,
        C::NoRoom => return None,
    })
}
