//! How a line looks on standard output.

use std::fmt::Write;
use std::time::SystemTime;

use jiff::Timestamp;
use opentelemetry::{KeyValue, Value};
use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::line::Declared;
use crate::{TelemetryError, TraceContext};

/// How a line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// For people.
    Text,
    /// An object of JSON on one line, for programs.
    Json,
}

/// A line that is to be written.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) at: SystemTime,
    pub(crate) declared: Declared,
    pub(crate) details: Vec<KeyValue>,
    pub(crate) trace: Option<TraceContext>,
}

impl Format {
    /// The format that `LOG_FORMAT` names.
    pub(crate) fn of(text: &str) -> Result<Self, TelemetryError> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err(TelemetryError::LogFormat),
        }
    }

    /// The line with its end.
    pub(crate) fn line(self, entry: &Entry) -> String {
        match self {
            Self::Text => text(entry),
            Self::Json => json(entry),
        }
    }
}

/// `2026-11-26T21:39:04.123Z INFO  upload ended portcullis.bytes=4 trace=…`
fn text(entry: &Entry) -> String {
    let Declared { level, message, .. } = &entry.declared;
    let mut text = format!("{:.3} {:5} {message}", timestamp(entry.at), level.as_str());
    for KeyValue { key, value, .. } in &entry.details {
        let key = key.as_str();
        let short = key.strip_prefix("portcullis.").unwrap_or(key);
        let value = value.as_str();
        let is_plain = !value.contains([' ', '"']) && !value.chars().any(char::is_control);
        let _ = if is_plain {
            write!(text, " {short}={value}")
        } else {
            write!(text, " {short}={value:?}")
        };
    }
    if let Some(trace) = &entry.trace {
        let _ = write!(text, " trace={}", trace.trace_id());
    }
    text.push('\n');
    text
}

fn json(entry: &Entry) -> String {
    // It can only fail where a key is no text.
    let mut line = serde_json::to_string(entry).unwrap_or_default();
    line.push('\n');
    line
}

/// Trace and span are named as in "Trace Context in non-OTLP Log Formats" of OpenTelemetry.
impl Serialize for Entry {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Declared {
            name,
            level,
            message,
            ..
        } = &self.declared;
        let mut line = serializer.serialize_map(None)?;
        let at = timestamp(self.at);
        line.serialize_entry("timestamp", &format_args!("{at:.6}"))?;
        line.serialize_entry("level", level.as_str())?;
        line.serialize_entry("event", name)?;
        line.serialize_entry("message", message)?;
        if let Some(trace) = &self.trace {
            line.serialize_entry("trace_id", &trace.trace_id())?;
            line.serialize_entry("span_id", &trace.span_id())?;
        }
        for KeyValue { key, value, .. } in &self.details {
            let key = key.as_str();
            match value {
                Value::Bool(yes) => line.serialize_entry(key, yes),
                Value::I64(number) => line.serialize_entry(key, number),
                Value::F64(number) => line.serialize_entry(key, number),
                other => line.serialize_entry(key, &other.as_str()),
            }?;
        }
        line.end()
    }
}

fn timestamp(at: SystemTime) -> Timestamp {
    Timestamp::try_from(at).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use serde_json::Value as Json;

    use super::*;
    use crate::Line;
    use crate::line::Level;

    fn entry() -> Entry {
        let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        Entry {
            at: UNIX_EPOCH + Duration::from_micros(1_500),
            declared: Line::UploadEnded.declared(),
            details: vec![
                KeyValue::new("portcullis.bytes", 4),
                KeyValue::new("portcullis.reason", "two\nwords"),
            ],
            trace: Some(trace.parse().expect("is one")),
        }
    }

    #[test]
    fn a_line_for_people_is_one_line() {
        let line = Format::Text.line(&entry());
        let wanted = "1970-01-01T00:00:00.001Z INFO  upload ended bytes=4 reason=\"two\\nwords\" \
                      trace=0af7651916cd43dd8448eb211c80319c\n";
        assert_eq!(line, wanted);
    }

    #[test]
    fn a_line_for_programs_is_one_object() {
        let line = Format::Json.line(&entry());
        assert_eq!(line.matches('\n').count(), 1);
        let object: Json = serde_json::from_str(&line).expect("is JSON");
        let wanted = serde_json::json!({
            "timestamp": "1970-01-01T00:00:00.001500Z",
            "level": "INFO",
            "event": "portcullis.upload.ended",
            "message": "upload ended",
            "trace_id": "0af7651916cd43dd8448eb211c80319c",
            "span_id": "b7ad6b7169203331",
            "portcullis.bytes": 4,
            "portcullis.reason": "two\nwords",
        });
        assert_eq!(object, wanted);
    }

    #[test]
    fn levels_are_read_in_any_case_and_nothing_else_is() {
        assert_eq!(Level::of("Warn").ok(), Some(Level::Warn));
        assert!(Level::of("info,policy=debug").is_err());
        assert!(Format::of("xml").is_err());
    }
}
