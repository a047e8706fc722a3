//! What the engine reports, as spans.

use portcullis_engine::PolicyRecord;
use portcullis_telemetry::{Attribute, ComponentVersion, ErrorType, Span, SpanName};

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
    }
}
