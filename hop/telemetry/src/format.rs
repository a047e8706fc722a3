//! How a line looks on standard output.

use std::fmt::Write;
use std::time::SystemTime;

use jiff::Timestamp;
use opentelemetry::{KeyValue, Value};
use serde_json::{Map, Value as Json};

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

/// Trace and span are named as in "Trace Context in non-OTLP Log Formats" of OpenTelemetry.
fn json(entry: &Entry) -> String {
    let Declared {
        name,
        level,
        message,
        ..
    } = &entry.declared;
    let mut object = Map::new();
    object.insert(
        "timestamp".into(),
        format!("{:.6}", timestamp(entry.at)).into(),
    );
    object.insert("level".into(), level.as_str().into());
    object.insert("event".into(), (*name).into());
    object.insert("message".into(), (*message).into());
    if let Some(trace) = &entry.trace {
        object.insert("trace_id".into(), trace.trace_id().to_string().into());
        object.insert("span_id".into(), trace.span_id().into());
    }
    for KeyValue { key, value, .. } in &entry.details {
        let value: Json = match value {
            Value::Bool(yes) => (*yes).into(),
            Value::I64(number) => (*number).into(),
            Value::F64(number) => (*number).into(),
            other => other.as_str().into(),
        };
        object.insert(key.as_str().to_owned(), value);
    }
    let mut line = Json::Object(object).to_string();
    line.push('\n');
    line
}

fn timestamp(at: SystemTime) -> Timestamp {
    Timestamp::try_from(at).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

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
