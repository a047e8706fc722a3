//! What the web host and services say to each other: the upload's record, the [`UploadStore`] contract, the
//! revisions of the policies, the problems that both answer with, and the HTTP clients. It never judges an upload and never touches a disk.
#![forbid(unsafe_code)]

mod admin;
mod api_key;
mod client;
#[cfg(feature = "contract")]
pub mod contract;
mod gather;
mod outcome;
pub mod policies;
mod problem;
mod record;
mod store;
mod version;
pub mod wire;

pub use admin::{AdminClient, AdminError};
pub use api_key::{ApiKey, InvalidApiKey};
pub use client::{ClientError, Found, HopClient, HopSettings, Inspection};
pub use gather::{Gathered, gather};
pub use outcome::{Commit, Conclusion, Disposition, Ending, Receipt, Refusal, Status};
pub use problem::{Problem, ProblemKind};
pub use record::{Composition, Epoch, NewUpload, UploadRecord, UploadState, UploadStatus};
pub use store::{
    AppendMode, BodyAborted, ByteStream, MAX_STATE_BYTES, MAX_WHOLE_BYTES, StoreError, UploadStore,
};
pub use version::{Build, HopVersion, version_line};
