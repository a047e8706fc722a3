//! A policy that reads zip, gzip and tar archives as they stream by, unpacks them in bounded memory, and refuses
//! those that would do harm where they are unpacked: names that lead out, sizes that are not what they are said to
//! be, bombs, entries that overlap or hide, links, encryption, archives in archives without an end.
//!
//! It never looks at what the files in an archive mean, and never names an entry in a message.

mod blocks;
mod entries;
mod extra;
mod gather;
mod guard;
mod gzip;
mod inflate;
mod layer;
mod name;
mod names;
mod pax;
mod policy;
mod settings;
mod tar;
mod zip;

pub use policy::ArchiveGuard;
pub use settings::Settings;

portcullis_policy::validator!(ArchiveGuard);
