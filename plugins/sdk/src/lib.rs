//! Writes a Portcullis policy as a struct and a few methods, and hides the bindings of `wit/0.1` behind a
//! trait and a macro. It never decides anything itself, and never reaches past what the contract offers.
//!
//! A policy that looks at the headers of an upload only:
//!
//! ```
//! use portcullis_policy::{Admission, Failure, NoSettings, Refusal, Upload, Validator};
//!
//! struct NamedFiles;
//!
//! impl Validator for NamedFiles {
//!     const NAME: &'static str = "named-files";
//!     const SUMMARY: &'static str = "Refuses uploads without a file name.";
//!     type Settings = NoSettings;
//!     fn new(_: NoSettings) -> Result<Self, String> { Ok(Self) }
//!     fn admit(&mut self, upload: &Upload) -> Result<Admission, Failure> {
//!         if upload.filename.is_empty() { Refusal::new("name", "Give the file a name.").into() } else { Ok(Admission::Accept) }
//!     }
//! }
//!
//! portcullis_policy::validator!(NamedFiles);
//!
//! // And its test, natively:
//! use portcullis_policy::testing::{self, Outcome};
//! let mut policy: NamedFiles = testing::configure("{}").expect("no settings are needed");
//! assert!(matches!(testing::run(&mut policy, &testing::upload(""), b""), Ok(Outcome::Reject(_))));
//! ```
//!
//! Make the crate a `cdylib` (and an `rlib`, for native tests) and build it with
//! `cargo build --target wasm32-wasip2`: the `.wasm` file is the policy.
//!
//! # What to know
//!
//! - One instance judges one upload: what `self` keeps between calls belongs to that upload only.
//! - A panic rejects the upload (unless the policy set says otherwise); `portcullis policy run`
//!   shows its message, the operator's log says that there was one. Never put values from the upload into it.
//! - The version that the host shows is that of the package in which the macro stands.
//! - Settings are a type with `#[serde(deny_unknown_fields)]`; keys in kebab-case are the custom.
//! - [`testing`] runs a policy natively as the host would; nothing here needs a WebAssembly runtime for that.

pub mod facts;
pub mod findings;
pub mod log;
pub mod meter;
pub mod resources;
pub mod testing;

mod description;
mod finding;
mod refusal;
mod router;
mod settings;
mod upload;
mod validator;

#[doc(hidden)]
pub mod bindings;
#[doc(hidden)]
pub mod export;

pub use bindings::routing::exports::portcullis::policy::routing::{Destination, Placement};
pub use bindings::validation::exports::portcullis::policy::validation::{
    Admission, Conclusion, Extent, Progress,
};
pub use bindings::validation::portcullis::policy::types::{
    Description, End, Failure, Finding, Principal, Refusal, Severity, Upload,
};
pub use description::{Attribute, Rule};
pub use router::Router;
pub use settings::{NoSettings, Setting};
pub use validator::Validator;
