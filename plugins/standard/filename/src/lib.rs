//! A policy that lets an upload pass when the name of its file fits the site's patterns, can be kept by every file
//! system, and is what it looks like to a reader.
//!
//! It never looks into the file, and never repeats the name in a message.

mod policy;
mod portable;
mod reader;

pub use policy::{Filename, Settings};

portcullis_policy::validator!(Filename);
