//! The log: lines from a closed list ([`Line`]), on standard output and to the collector, each with the trace that it is about.
//! Whoever writes one waits neither for a reader of standard output nor for a collector.
//!
//! Lines of other libraries go nowhere, whatever `LOG_LEVEL` says: they may hold addresses and headers.

use std::io::{IsTerminal, Write};
use std::panic::PanicHookInfo;
use std::sync::OnceLock;
use std::sync::mpsc::{self, Receiver, SyncSender, TrySendError};
use std::time::{Duration, SystemTime};

use opentelemetry::KeyValue;
use opentelemetry::logs::{LogRecord as _, Logger as _, LoggerProvider as _};
use opentelemetry_otlp::LogExporter;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::logs::{BatchLogProcessor, SdkLogger, SdkLoggerProvider};

use crate::delivery::{self, Queue};
use crate::detail::{Detail, Place};
use crate::exporter::read;
use crate::format::{Entry, Format};
use crate::line::{Level, Line};
use crate::{Signal, TelemetryError, TraceContext, ambient};

/// How many lines wait for whoever reads standard output.
const WAITING: usize = 4_096;

/// For how long lines gather after one was written. Whoever reads them is then woken for all of them together.
const GATHER: Duration = Duration::from_millis(20);

/// Where lines go, once telemetry is started.
static LOG: OnceLock<Log> = OnceLock::new();

#[derive(Debug)]
struct Log {
    level: Level,
    format: Format,
    stdout: SyncSender<Message>,
    collector: Option<(SdkLogger, Queue)>,
}

#[derive(Debug)]
enum Message {
    Line(String),
    /// Everything before it is written.
    Flush(SyncSender<()>),
}

/// Writes a line about what is being done now: its trace is the one that [`within`](crate::Span::within) named.
pub fn log(line: Line, details: impl IntoIterator<Item = Detail>) {
    write(line, details, ambient::current());
}

/// Writes a line about a span.
pub(crate) fn write(
    line: Line,
    details: impl IntoIterator<Item = Detail>,
    trace: Option<TraceContext>,
) {
    let Some(log) = LOG.get() else { return };
    let declared = line.declared();
    // Whoever starts a server waits for that one.
    if declared.level > log.level && line != Line::Listening {
        return;
    }
    let mut written = Vec::with_capacity(6);
    for detail in details {
        detail.write(&mut written);
    }
    debug_assert!(
        written
            .iter()
            .all(|pair| declared.details.contains(&pair.key.as_str())),
        "{line:?} does not declare one of {written:?}"
    );
    let entry = Entry {
        at: SystemTime::now(),
        declared,
        details: written,
        trace,
    };
    let text = log.format.line(&entry);
    if let Err(TrySendError::Full(_)) = log.stdout.try_send(Message::Line(text)) {
        delivery::dropped(Signal::Logs, 1);
    }
    if let Some((logger, queue)) = &log.collector
        && queue.has_room()
    {
        send(logger, entry);
    }
}

fn send(logger: &SdkLogger, entry: Entry) {
    let mut record = logger.create_log_record();
    record.set_event_name(entry.declared.name);
    record.set_timestamp(entry.at);
    record.set_severity_number(entry.declared.level.severity());
    record.set_severity_text(entry.declared.level.as_str());
    record.set_body(entry.declared.message.into());
    let details = entry.details.into_iter();
    let leaving = details.filter(|pair| Detail::may_leave(pair.key.as_str()));
    record.add_attributes(leaving.map(|KeyValue { key, value, .. }| (key, any(value))));
    if let Some(trace) = entry.trace {
        let span = trace.remote();
        record.set_trace_context(span.trace_id(), span.span_id(), Some(span.trace_flags()));
    }
    logger.emit(record);
}

fn any(value: opentelemetry::Value) -> opentelemetry::logs::AnyValue {
    use opentelemetry::Value;
    match value {
        Value::Bool(yes) => yes.into(),
        Value::I64(number) => number.into(),
        Value::F64(number) => number.into(),
        other => other.as_str().into_owned().into(),
    }
}

/// Begins to write lines. Whoever has what this gives shuts it down; [`flush`] waits for standard output.
pub(crate) fn start(
    exporter: Option<LogExporter>,
    resource: Resource,
) -> Result<SdkLoggerProvider, TelemetryError> {
    let level = match read("LOG_LEVEL") {
        Some(text) => Level::of(&text)?,
        None => Level::Info,
    };
    let format = match read("LOG_FORMAT") {
        Some(text) => Format::of(&text)?,
        None if std::io::stdout().is_terminal() => Format::Text,
        None => Format::Json,
    };
    let mut provider = SdkLoggerProvider::builder().with_resource(resource);
    let mut queue = None;
    if let Some(exporter) = exporter {
        let (exporter, room) = delivery::watched(Signal::Logs, exporter);
        provider = provider.with_log_processor(BatchLogProcessor::builder(exporter).build());
        queue = Some(room);
    }
    let provider = provider.build();
    let (stdout, lines) = mpsc::sync_channel(WAITING);
    let started = std::thread::Builder::new()
        .name("log".to_owned())
        .spawn(move || print(&lines));
    started.map_err(|_| TelemetryError::LogThread)?;
    // A process that has a log already, as a test may, keeps it.
    let _ = LOG.set(Log {
        level,
        format,
        stdout,
        collector: queue.map(|queue| (provider.logger("portcullis"), queue)),
    });
    std::panic::set_hook(Box::new(panicked));
    Ok(provider)
}

/// Waits until everything that was written so far is on standard output, for at most so long.
pub(crate) fn flush(deadline: Duration) {
    let (done, written) = mpsc::sync_channel(1);
    let asked = LOG
        .get()
        .map(|log| log.stdout.try_send(Message::Flush(done)));
    if let Some(Ok(())) = asked {
        // Whoever reads it may be too slow.
        let _ = written.recv_timeout(deadline);
    }
}

/// For as long as the process lives. A line that comes alone is written at once; those that come soon after it, together.
fn print(messages: &Receiver<Message>) {
    let mut text = String::new();
    while let Ok(first) = messages.recv() {
        let mut flushed = None;
        for message in std::iter::once(first).chain(messages.try_iter().take(WAITING)) {
            match message {
                Message::Line(line) => text.push_str(&line),
                Message::Flush(done) => flushed = Some(done),
            }
        }
        let mut stdout = std::io::stdout().lock();
        // Nobody reads it any more: there is nowhere to say so.
        let _ = stdout
            .write_all(text.as_bytes())
            .and_then(|()| stdout.flush());
        text.clear();
        if let Some(done) = flushed {
            let _ = done.try_send(());
        }
        std::thread::sleep(GATHER);
    }
}

/// Says where; never with what, which may be of a client.
fn panicked(info: &PanicHookInfo<'_>) {
    let place = info
        .location()
        .map(|location| Detail::Place(Place::of(location)));
    log(Line::Panicked, place);
}
