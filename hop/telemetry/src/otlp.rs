//! Spans as a collector is sent them: OTLP, `opentelemetry/proto/trace/v1/trace.proto`, whose names and numbers stand here.
//!
//! A span is written when it ends, while it is at hand: to keep it as it is and to write it later, on another thread, costs an upload of a
//! few kilobytes three hundredths of its time.

use std::time::{SystemTime, UNIX_EPOCH};

use opentelemetry::trace::{Event, Link, SpanContext, SpanId, SpanKind, Status};
use opentelemetry::{InstrumentationScope, KeyValue, Value};
use opentelemetry_proto::tonic::common::v1::AnyValue;
use opentelemetry_proto::tonic::resource::v1::Resource as WrittenResource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, SpanFlags};
use opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SpanData;
use prost::Message;
use prost::encoding::{WireType, encode_key, encode_varint};

/// What stands before the spans of each request.
#[derive(Debug)]
pub(crate) struct Envelope {
    /// `ResourceSpans` without what it has of scopes.
    resource: Vec<u8>,
    /// `ScopeSpans` without spans.
    scope: Vec<u8>,
}

impl Envelope {
    pub(crate) fn new(resource: &Resource, scope: &InstrumentationScope) -> Self {
        let written = ResourceAttributesWithSchema::from(resource);
        let resource = ResourceSpans {
            resource: Some(WrittenResource {
                attributes: written.attributes.0,
                ..WrittenResource::default()
            }),
            schema_url: written.schema_url.unwrap_or_default(),
            ..ResourceSpans::default()
        };
        let scope = ScopeSpans {
            scope: Some((scope, None).into()),
            ..ScopeSpans::default()
        };
        Self {
            resource: resource.encode_to_vec(),
            scope: scope.encode_to_vec(),
        }
    }

    /// A request (`ExportTraceServiceRequest`) of spans that [`write`] has written one after another.
    pub(crate) fn request(&self, spans: &[u8]) -> Vec<u8> {
        let mut request = Vec::with_capacity(spans.len() + 512);
        // Fields may stand in any order and one after another, so that what is written before is only put together.
        nested(&mut request, 1, |resource_spans| {
            resource_spans.extend_from_slice(&self.resource);
            nested(resource_spans, 2, |scope_spans| {
                scope_spans.extend_from_slice(&self.scope);
                scope_spans.extend_from_slice(spans);
            });
        });
        request
    }
}

/// Appends a span as one of those of `ScopeSpans`.
pub(crate) fn write(span: &SpanData, spans: &mut Vec<u8>) {
    nested(spans, 2, |out| {
        let context = &span.span_context;
        identifiers(out, context);
        if span.parent_span_id != SpanId::INVALID {
            bytes(out, 4, &span.parent_span_id.to_bytes());
        }
        bytes(out, 5, span.name.as_bytes());
        number(out, 6, kind(&span.span_kind));
        time(out, 7, span.start_time);
        time(out, 8, span.end_time);
        attributes(out, 9, &span.attributes);
        number(out, 10, span.dropped_attributes_count.into());
        for event in &span.events.events {
            nested(out, 11, |out| write_event(out, event));
        }
        number(out, 12, span.events.dropped_count.into());
        for link in &span.links.links {
            nested(out, 13, |out| write_link(out, link));
        }
        number(out, 14, span.links.dropped_count.into());
        nested(out, 15, |out| write_status(out, &span.status));
        flags(out, 16, context, span.parent_span_is_remote);
    });
}

fn write_event(out: &mut Vec<u8>, event: &Event) {
    time(out, 1, event.timestamp);
    bytes(out, 2, event.name.as_bytes());
    attributes(out, 3, &event.attributes);
    number(out, 4, event.dropped_attributes_count.into());
}

fn write_link(out: &mut Vec<u8>, link: &Link) {
    let context = &link.span_context;
    identifiers(out, context);
    attributes(out, 4, &link.attributes);
    number(out, 5, link.dropped_attributes_count.into());
    flags(out, 6, context, context.is_remote());
}

fn write_status(out: &mut Vec<u8>, status: &Status) {
    match status {
        Status::Unset => {}
        Status::Ok => number(out, 3, 1),
        Status::Error { description } => {
            bytes(out, 2, description.as_bytes());
            number(out, 3, 2);
        }
    }
}

/// The first fields of a span, and of a link.
fn identifiers(out: &mut Vec<u8>, context: &SpanContext) {
    bytes(out, 1, &context.trace_id().to_bytes());
    bytes(out, 2, &context.span_id().to_bytes());
    bytes(out, 3, context.trace_state().header().as_bytes());
}

fn kind(kind: &SpanKind) -> u64 {
    match kind {
        SpanKind::Internal => 1,
        SpanKind::Server => 2,
        SpanKind::Client => 3,
        SpanKind::Producer => 4,
        SpanKind::Consumer => 5,
    }
}

fn flags(out: &mut Vec<u8>, field: u32, context: &SpanContext, is_remote: bool) {
    let mut flags = u32::from(context.trace_flags().to_u8());
    flags |= SpanFlags::ContextHasIsRemoteMask as u32;
    if is_remote {
        flags |= SpanFlags::ContextIsRemoteMask as u32;
    }
    encode_key(field, WireType::ThirtyTwoBit, out);
    out.extend_from_slice(&flags.to_le_bytes());
}

fn attributes(out: &mut Vec<u8>, field: u32, attributes: &[KeyValue]) {
    for KeyValue { key, value, .. } in attributes {
        nested(out, field, |out| {
            bytes(out, 1, key.as_str().as_bytes());
            nested(out, 2, |out| write_value(out, value));
        });
    }
}

/// One of several fields, which is written also where it is zero or empty.
fn write_value(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::String(text) => nested(out, 1, |out| {
            out.extend_from_slice(text.as_str().as_bytes());
        }),
        Value::Bool(yes) => {
            encode_key(2, WireType::Varint, out);
            encode_varint(u64::from(*yes), out);
        }
        Value::I64(number) => {
            encode_key(3, WireType::Varint, out);
            encode_varint(number.cast_unsigned(), out);
        }
        Value::F64(number) => {
            encode_key(4, WireType::SixtyFourBit, out);
            out.extend_from_slice(&number.to_le_bytes());
        }
        // No span has one.
        other => out.extend_from_slice(&AnyValue::from(other.clone()).encode_to_vec()),
    }
}

fn time(out: &mut Vec<u8>, field: u32, at: SystemTime) {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    // Nanoseconds last until the year 2554.
    let nanoseconds = u64::try_from(since.as_nanos()).unwrap_or(u64::MAX);
    if nanoseconds != 0 {
        encode_key(field, WireType::SixtyFourBit, out);
        out.extend_from_slice(&nanoseconds.to_le_bytes());
    }
}

fn number(out: &mut Vec<u8>, field: u32, number: u64) {
    if number != 0 {
        encode_key(field, WireType::Varint, out);
        encode_varint(number, out);
    }
}

fn bytes(out: &mut Vec<u8>, field: u32, bytes: &[u8]) {
    if !bytes.is_empty() {
        nested(out, field, |out| out.extend_from_slice(bytes));
    }
}

/// A field whose length stands before it, which is known only when it is written.
fn nested(out: &mut Vec<u8>, field: u32, write: impl FnOnce(&mut Vec<u8>)) {
    encode_key(field, WireType::LengthDelimited, out);
    let at = out.len();
    // Most are shorter than 128 bytes: one is enough.
    out.push(0);
    write(out);
    let length = out.len() - at - 1;
    if let Ok(short @ 0..=127) = u8::try_from(length) {
        out[at] = short;
    } else {
        let mut written = Vec::with_capacity(10);
        encode_varint(length as u64, &mut written);
        out.splice(at..=at, written);
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;
    use std::time::Duration;

    use opentelemetry::trace::{TraceFlags, TraceId, TraceState};
    use opentelemetry::{Array, StringValue};
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
    use opentelemetry_proto::transform::trace::tonic::group_spans_by_resource_and_scope;
    use opentelemetry_sdk::trace::{SpanEvents, SpanLinks};
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn contexts() -> impl Strategy<Value = SpanContext> {
        let state = prop_oneof![
            Just(TraceState::NONE),
            Just("a=1,b=2".parse().expect("is one"))
        ];
        let all = (
            any::<u128>(),
            any::<u64>(),
            any::<u8>(),
            any::<bool>(),
            state,
        );
        all.prop_map(|(trace, span, flags, is_remote, state)| {
            let (trace, span) = (TraceId::from(trace), SpanId::from(span));
            SpanContext::new(trace, span, TraceFlags::new(flags), is_remote, state)
        })
    }

    fn values() -> impl Strategy<Value = Value> {
        // Shorter and longer than a length of one byte.
        let text = prop_oneof!["", ".{1,20}", "[a-z]{120,300}"];
        let texts = vec(".{0,5}".prop_map(StringValue::from), 0..3);
        prop_oneof![
            text.prop_map(Value::from),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            texts.prop_map(|texts| Value::Array(Array::String(texts))),
        ]
    }

    fn pairs() -> impl Strategy<Value = Vec<KeyValue>> {
        let pair = (".{0,12}", values()).prop_map(|(key, value)| KeyValue::new(key, value));
        vec(pair, 0..5)
    }

    fn times() -> impl Strategy<Value = SystemTime> {
        let since = prop_oneof![Just(0), 0..u64::MAX];
        since.prop_map(|nanoseconds| UNIX_EPOCH + Duration::from_nanos(nanoseconds))
    }

    fn events() -> impl Strategy<Value = SpanEvents> {
        let event = (".{0,12}", times(), pairs(), any::<u32>());
        let event =
            event.prop_map(|(name, at, pairs, dropped)| Event::new(name, at, pairs, dropped));
        (vec(event, 0..3), any::<u32>()).prop_map(|(list, dropped)| {
            let mut events = SpanEvents::default();
            events.events = list;
            events.dropped_count = dropped;
            events
        })
    }

    fn links() -> impl Strategy<Value = SpanLinks> {
        let link = (contexts(), pairs(), any::<u32>());
        let link = link.prop_map(|(context, pairs, dropped)| Link::new(context, pairs, dropped));
        (vec(link, 0..3), any::<u32>()).prop_map(|(list, dropped)| {
            let mut links = SpanLinks::default();
            links.links = list;
            links.dropped_count = dropped;
            links
        })
    }

    prop_compose! {
        fn spans()(
            span_context in contexts(),
            parent in prop_oneof![Just(0), any::<u64>()],
            parent_span_is_remote in any::<bool>(),
            span_kind in prop_oneof![
                Just(SpanKind::Internal),
                Just(SpanKind::Server),
                Just(SpanKind::Client),
                Just(SpanKind::Producer),
                Just(SpanKind::Consumer),
            ],
            name in ".{0,20}",
            (start_time, end_time) in (times(), times()),
            attributes in pairs(),
            dropped_attributes_count in any::<u32>(),
            events in events(),
            links in links(),
            status in prop_oneof![
                Just(Status::Unset),
                Just(Status::Ok),
                ".{0,20}".prop_map(Status::error),
            ],
        ) -> SpanData {
            SpanData {
                span_context,
                parent_span_id: SpanId::from(parent),
                parent_span_is_remote,
                span_kind,
                name: Cow::Owned(name),
                start_time,
                end_time,
                attributes,
                dropped_attributes_count,
                events,
                links,
                status,
                instrumentation_scope: scope(),
            }
        }
    }

    fn scope() -> InstrumentationScope {
        InstrumentationScope::builder("portcullis").build()
    }

    proptest! {
        #[test]
        fn a_collector_reads_what_it_would_be_sent_by_opentelemetry(
            spans in vec(spans(), 1..6),
            resource in pairs(),
        ) {
            let resource = Resource::builder_empty().with_attributes(resource).build();
            let mut written = Vec::new();
            for span in &spans {
                write(span, &mut written);
            }
            let request = Envelope::new(&resource, &scope()).request(&written);
            let read = ExportTraceServiceRequest::decode(&*request).expect("is one");
            let wanted = group_spans_by_resource_and_scope(spans, &(&resource).into());
            prop_assert_eq!(read.resource_spans, wanted);
        }
    }
}
