//! A policy that checks JSON and JSON lines against a JSON Schema (draft 2020-12) while they stream: in memory that
//! depends on the schema and on how deep values are nested, not on how many there are.
//!
//! It takes the keywords that can be decided so, and refuses a schema with others by name. It never repeats a value
//! or a key of the data that the schema does not name.

mod format;
mod lexer;
mod number;
mod policy;
mod schema;
mod seen;
mod settings;
mod utf8;
mod validate;

pub use policy::JsonSchema;
pub use settings::{Format, Settings};

portcullis_policy::validator!(JsonSchema);
