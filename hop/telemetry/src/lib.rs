//! One trace for each upload across both hops, and nothing in it that could identify a patient: names and
//! attributes come from closed lists, and no free text reaches a span. Telemetry never holds up an upload.
#![forbid(unsafe_code)]

mod ambient;
mod attribute;
mod batches;
#[cfg(feature = "collector")]
pub mod collector;
mod component_version;
mod context;
mod delivery;
mod detail;
#[cfg(test)]
mod documentation;
mod exporter;
mod exposition;
mod format;
mod label;
mod line;
mod log;
mod metric;
pub mod metrics;
mod otlp;
mod probe;
mod sampling;
mod setup;
mod span;
mod span_name;

pub use ambient::carry;
pub use attribute::{Attribute, ErrorType, Outcome};
pub use component_version::ComponentVersion;
pub use context::{InvalidTraceId, InvalidTraceParent, TraceContext, TraceId};
pub use detail::{Detail, Note, Place, Reason};
pub use exposition::{By, Exposition, InvalidExposition, Labels};
pub use label::{Attempted, Direction, Label, PolicyFault, ShadowChange, Signal, Step};
pub use line::Line;
pub use log::log;
pub use metric::Metric;
pub use probe::{Collected, probe};
pub use setup::{Service, ShutdownOutcome, Telemetry, TelemetryError};
pub use span::Span;
pub use span_name::SpanName;
