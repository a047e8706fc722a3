//! A policy that looks for what identifies a person in free text and in the cells of tables: US Social Security
//! numbers, medical record numbers, e-mail addresses, telephone numbers and dates of birth.
//!
//! It says how often and where, and never repeats what it found.

mod columns;
mod detect;
mod divided;
mod kind;
mod masks;
mod plain;
mod policy;
mod report;
mod settings;
mod shape;
mod table;
mod text;

pub use kind::Kind;
pub use policy::ContentScan;
pub use settings::{Action, Settings};

portcullis_policy::validator!(ContentScan);
