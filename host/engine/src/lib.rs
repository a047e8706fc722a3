//! Runs policies: each upload is judged by sandboxed WASM components of exactly one policy-set revision.
//! The engine bounds every call in time, memory and size, and never speaks HTTP, opens a socket or
//! writes a file.
#![forbid(unsafe_code)]

mod answer;
mod clock;
mod collected;
mod component;
mod contract;
mod engine;
mod error;
mod guest;
mod instance;
mod judgement;
mod limits;
mod matching;
mod policy_set;
mod record;
mod resources;
mod revision;
mod settings;
mod upload;

pub use answer::Refusal;
pub use collected::FindingListener;
pub use engine::{Engine, EngineSettings};
pub use error::{
    Call, CannotJudge, EngineError, FailureCause, LoadError, PolicyFailure, PolicyLoadError,
};
pub use judgement::{Admission, Disposition, Inspection, Passed, RefusalCause, Refused};
pub use limits::Limits;
pub use record::PolicyRecord;
pub use resources::ResourceError;
pub use revision::{Description, Policy, PolicyKind, Revision};
pub use settings::SettingsError;
pub use upload::{End, Upload};
