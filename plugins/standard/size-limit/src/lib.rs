//! A policy that lets an upload pass when it is neither larger nor smaller than allowed: for everybody, or by its
//! attributes and by who sends it.
//!
//! It never keeps a byte: a length that was declared is judged before the first one comes, since the host ends an
//! upload that turns out to have another; without one it counts.

mod policy;
mod settings;

pub use policy::SizeLimit;
pub use settings::{Exception, Settings};

portcullis_policy::validator!(SizeLimit);
