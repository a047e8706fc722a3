//! A policy that lets a file pass when its extension, its declared media type and its first bytes agree
//! with a kind that is allowed; executables, HTML and scripts are refused whatever they are called.
//!
//! It never reads past the first [`PREFIX_BYTES`], never looks into archives, and never repeats the file's
//! bytes in a message. See `docs/policies/file-type.md` for what follows from that.

mod container;
mod kind;
mod markup;
mod name;
mod policy;
mod script;
mod signature;
mod text;

pub use kind::{Content, KINDS, Kind};
pub use policy::{FileType, PREFIX_BYTES, Settings};

portcullis_policy::validator!(FileType);
