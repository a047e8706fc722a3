//! A policy that routes an upload to the path which a template gives when it is filled with the upload's
//! attributes, and refuses what it does not expect.
//!
//! It never answers with a path that the host would refuse, never changes a file's name to make it fit,
//! and never repeats a value that the client sent. See `docs/policies/route-by-attributes.md`.

mod constraint;
mod part;
mod policy;
mod settings;
mod template;

pub use constraint::{Constraint, Format};
pub use policy::RouteByAttributes;
pub use settings::Settings;

portcullis_policy::router!(RouteByAttributes);
