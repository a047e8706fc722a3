//! A validator for tests whose settings choose how it misbehaves, and in which call. Without settings it is
//! the smallest honest policy. It never gets past the sandbox: that is what it is there to show.
//!
//! `{"do": "loop", "when": "chunk"}` loops for ever in the first `chunk`; see [`Deed`] for all there is.

mod deed;
mod misdeeds;
mod policy;
mod surroundings;

pub use deed::{Call, Deed};
pub use policy::{Hostile, Settings};

portcullis_policy::validator!(Hostile);
