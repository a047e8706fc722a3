//! Runs policies: each upload is judged by sandboxed WASM components of exactly one policy-set revision.
//! The engine bounds every call in CPU time, memory and size, runs them on threads of its own, and never
//! speaks HTTP, opens a socket or writes a file.
#![forbid(unsafe_code)]

mod answer;
mod base64_text;
mod breaker;
mod budget;
mod clock;
mod collected;
mod component;
mod contract;
mod engine;
mod error;
mod executor;
mod fixture;
mod guest;
mod inspection;
mod instance;
mod judgement;
mod limits;
mod loader;
mod matching;
mod meter;
mod mode;
mod panic;
mod policy_set;
mod record;
mod rehearsal;
mod resources;
mod revision;
mod set_files;
mod settings;
mod shadow;
mod suspension;
mod trial;
mod upload;
mod workbench;

pub use answer::Refusal;
pub use breaker::{BreakerChange, BreakerSettings, BreakerStatus};
pub use collected::FindingListener;
pub use component::shape::Shape;
pub use contract::CONTRACT_VERSION;
pub use engine::{Engine, EngineSettings};
pub use error::{
    Call, CannotJudge, EngineError, FailureCause, ForbiddenImport, LoadError, PolicyFailure,
    PolicyLoadError,
};
pub use fixture::{Expected, FIXTURE_FILES, Fixture, FixtureError, InvalidRequest, Request, Word};
pub use inspection::{Admission, Inspection};
pub use judgement::{Disposition, Passed, RefusalCause, Refused};
pub use limits::Limits;
pub use loader::Prepared;
pub use mode::Mode;
pub use record::{LogTally, PolicyRecord};
pub use resources::ResourceError;
pub use revision::{DescribedAttribute, Description, Policy, PolicyKind, Revision};
pub use set_files::{SetFiles, Stamp, Watchlist};
pub use settings::{SettingsError, settings_from_json};
pub use shadow::{Shadow, ShadowRecord};
pub use suspension::{Resumed, Suspension};
pub use trial::{Attempt, Cuts, Outcome, Stage, Trial};
pub use upload::{End, Upload};
pub use workbench::{Candidate, Workbench};
