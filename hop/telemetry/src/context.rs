use std::fmt;
use std::str::FromStr;

use opentelemetry::trace::{SpanContext, TraceFlags, TraceState};
use serde::{Deserialize, Serialize};

/// The identifier of a trace: 32 hexadecimal characters, never all zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TraceId(opentelemetry::TraceId);

/// The text is not the identifier of a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a trace id is 32 hexadecimal characters in lower case, not all zero")]
pub struct InvalidTraceId;

impl FromStr for TraceId {
    type Err = InvalidTraceId;

    fn from_str(text: &str) -> Result<Self, InvalidTraceId> {
        let id = opentelemetry::TraceId::from_hex(text).map_err(|_| InvalidTraceId)?;
        let canonical = id != opentelemetry::TraceId::INVALID && id.to_string() == text;
        canonical.then_some(Self(id)).ok_or(InvalidTraceId)
    }
}

impl TryFrom<String> for TraceId {
    type Error = InvalidTraceId;

    fn try_from(text: String) -> Result<Self, InvalidTraceId> {
        text.parse()
    }
}

impl From<TraceId> for String {
    fn from(id: TraceId) -> Self {
        id.to_string()
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A span as it is named across processes: the `traceparent` header (W3C Trace Context, section 3.2).
/// `tracestate` and `baggage` are never read or sent: they could carry anything.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TraceContext(SpanContext);

impl TryFrom<String> for TraceContext {
    type Error = InvalidTraceParent;

    fn try_from(text: String) -> Result<Self, InvalidTraceParent> {
        text.parse()
    }
}

impl From<TraceContext> for String {
    fn from(context: TraceContext) -> Self {
        context.to_string()
    }
}

/// The header is not a `traceparent`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a traceparent of W3C Trace Context")]
pub struct InvalidTraceParent;

impl TraceContext {
    /// The trace.
    pub fn trace_id(&self) -> TraceId {
        TraceId(self.0.trace_id())
    }

    /// The span within the trace: 16 hexadecimal characters.
    pub(crate) fn span_id(&self) -> String {
        self.0.span_id().to_string()
    }

    /// Whether the trace is recorded.
    pub fn sampled(&self) -> bool {
        self.0.is_sampled()
    }

    pub(crate) fn of(span: &SpanContext) -> Self {
        let flags = span.trace_flags() & TraceFlags::SAMPLED;
        Self(SpanContext::new(
            span.trace_id(),
            span.span_id(),
            flags,
            false,
            TraceState::NONE,
        ))
    }

    pub(crate) fn remote(&self) -> SpanContext {
        SpanContext::new(
            self.0.trace_id(),
            self.0.span_id(),
            self.0.trace_flags(),
            true,
            TraceState::NONE,
        )
    }
}

impl FromStr for TraceContext {
    type Err = InvalidTraceParent;

    fn from_str(text: &str) -> Result<Self, InvalidTraceParent> {
        let mut fields = text.splitn(5, '-');
        let mut field = |bytes: usize| {
            let field = fields.next().ok_or(InvalidTraceParent)?;
            let hexadecimal = field
                .bytes()
                .all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
            if field.len() == 2 * bytes && hexadecimal {
                Ok(field)
            } else {
                Err(InvalidTraceParent)
            }
        };
        let (version, trace, span, flags) = (field(1)?, field(16)?, field(8)?, field(1)?);
        // Later versions may have more fields, version 00 may not (section 3.2.4); ff is invalid.
        let more = fields.next().is_some();
        if version == "ff" || (version == "00" && more) {
            return Err(InvalidTraceParent);
        }
        let trace = opentelemetry::TraceId::from_hex(trace).map_err(|_| InvalidTraceParent)?;
        let span = opentelemetry::SpanId::from_hex(span).map_err(|_| InvalidTraceParent)?;
        let flags = u8::from_str_radix(flags, 16).map_err(|_| InvalidTraceParent)?;
        let flags = TraceFlags::new(flags) & TraceFlags::SAMPLED;
        let context = SpanContext::new(trace, span, flags, false, TraceState::NONE);
        if context.is_valid() {
            Ok(Self(context))
        } else {
            Err(InvalidTraceParent)
        }
    }
}

impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "00-{}-{}-{:02x}",
            self.0.trace_id(),
            self.0.span_id(),
            self.0.trace_flags().to_u8()
        )
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const EXAMPLE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn the_example_of_the_specification_is_read() {
        let context: TraceContext = EXAMPLE.parse().expect("is valid");
        assert!(context.sampled());
        assert_eq!(context.to_string(), EXAMPLE);
        assert!(
            EXAMPLE
                .replacen("00", "01", 1)
                .parse::<TraceContext>()
                .is_ok()
        );
        assert!(
            format!("{}-more", EXAMPLE.replacen("00", "cc", 1))
                .parse::<TraceContext>()
                .is_ok()
        );
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "",
            "00",
            &EXAMPLE[..54],
            &EXAMPLE.to_uppercase(),
            &EXAMPLE.replacen("00", "ff", 1),
            &format!("{EXAMPLE}-more"),
            &format!("00-{}-b7ad6b7169203331-01", "0".repeat(32)),
            &format!("00-0af7651916cd43dd8448eb211c80319c-{}-01", "0".repeat(16)),
        ] {
            assert_eq!(
                text.parse::<TraceContext>(),
                Err(InvalidTraceParent),
                "{text}"
            );
        }
    }

    proptest! {
        #[test]
        fn whatever_is_taken_comes_out_as_version_00(text in "[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}|\\PC{0,60}") {
            if let Ok(context) = text.parse::<TraceContext>() {
                prop_assert_eq!(context.to_string().parse::<TraceContext>(), Ok(context));
            }
        }
    }
}
