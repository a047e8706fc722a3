//! What the engine reports, as spans and numbers.

use portcullis_engine::{FailureCause, PolicyRecord};
use portcullis_telemetry::{
    Attribute, ComponentVersion, ErrorType, Label, Metric, PolicyFault, Span, SpanName, metrics,
};

/// One span for each policy: from its instance to its last word.
pub(crate) fn policies(records: &[PolicyRecord], parent: &Span) {
    for record in records {
        let span = parent.child_at(SpanName::Policy(record.name.clone()), record.started);
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
        if record.failure.is_some() {
            span.fail(ErrorType::PolicyFailed);
        }
        span.end_at(record.ended);
        measure(record);
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
    if let Some(fault) = record.failure.as_ref().and_then(fault) {
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
