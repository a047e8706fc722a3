use std::future::Future;
use std::pin::Pin;

use bytes::Bytes;
use futures_util::Stream;
use portcullis_telemetry::{ErrorType, Span};
use portcullis_types::{DiskName, Offset, UploadId};

use crate::{
    Commit, Conclusion, Epoch, NewUpload, Problem, ProblemKind, Receipt, UploadRecord, UploadState,
    UploadStatus,
};

/// Bytes on their way, in order. An error ends them.
pub type ByteStream = Pin<Box<dyn Stream<Item = Result<Bytes, BodyAborted>> + Send>>;

/// The sender of a stream gave up before its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the sender gave up before the end")]
pub struct BodyAborted;

/// The largest upload that is stored in one call, in bytes.
pub const MAX_WHOLE_BYTES: usize = 256 << 10;

/// The most bytes of what policies know of an upload that pauses: 1 MiB of each of 16, as text.
pub const MAX_STATE_BYTES: usize = 24 << 20;

/// Whether appended bytes count by themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AppendMode {
    /// They are acknowledged as they become durable: at the end of the call, and in between after each
    /// 64 MiB or 2 s. What arrives before a connection breaks is kept.
    Acknowledged,
    /// They count only once [`UploadStore::checkpoint`] says so; the next append at the acknowledged offset,
    /// or whoever takes the upload over, drops them.
    Provisional,
}

/// Where uploads are stored while they pass: the contract between the two sides.
///
/// An upload is made by [`create`](Self::create), filled by [`append`](Self::append), and ended by
/// [`commit`](Self::commit) or [`conclude`](Self::conclude). Nothing of it is visible to anyone before it is
/// committed, and a committed upload is durable before the receipt is given.
///
/// Every call may be repeated safely: creating is told apart by the id that the web host chose, appending by
/// offset and epoch, and ending by what was said. Dropping a future stops waiting, not the call; ask for the
/// [`record`](Self::record) to learn how far it came.
///
/// `span` is the caller's span; an implementation hangs its own spans beneath it.
pub trait UploadStore: Send + Sync + 'static {
    /// Creates an upload, or returns how the one stands that has this id and was created by the same call.
    /// The same id for another upload is [`StoreError::Invalid`].
    fn create(
        &self,
        upload: &NewUpload,
        span: &Span,
    ) -> impl Future<Output = Result<UploadStatus, StoreError>> + Send;

    /// All that is known about an upload: the acknowledged offset, never the length of a file.
    fn record(
        &self,
        id: UploadId,
        span: &Span,
    ) -> impl Future<Output = Result<UploadRecord, StoreError>> + Send;

    /// Says how long an upload will be that was created without a length, in bytes. Repeating it changes nothing;
    /// another length, or one that is shorter than what has come, is [`StoreError::Invalid`].
    fn declare_length(
        &self,
        id: UploadId,
        epoch: Epoch,
        length: u64,
        span: &Span,
    ) -> impl Future<Output = Result<UploadStatus, StoreError>> + Send;

    /// Raises the epoch of an open upload: whoever had it before is refused from now on, and bytes that
    /// were not acknowledged are dropped.
    fn take_over(
        &self,
        id: UploadId,
        span: &Span,
    ) -> impl Future<Output = Result<UploadStatus, StoreError>> + Send;

    /// Appends bytes that begin at `from`, and returns where the upload then stands. `from` is the
    /// acknowledged offset, or the end of what was appended provisionally.
    fn append(
        &self,
        id: UploadId,
        epoch: Epoch,
        from: Offset,
        mode: AppendMode,
        bytes: ByteStream,
        span: &Span,
    ) -> impl Future<Output = Result<UploadStatus, StoreError>> + Send;

    /// Acknowledges what was appended provisionally up to `offset`, which is the end of it.
    fn checkpoint(
        &self,
        id: UploadId,
        epoch: Epoch,
        offset: Offset,
        span: &Span,
    ) -> impl Future<Output = Result<UploadStatus, StoreError>> + Send;

    /// Reads an open upload back from `from` to its acknowledged offset.
    fn read(
        &self,
        id: UploadId,
        from: Offset,
        span: &Span,
    ) -> impl Future<Output = Result<ByteStream, StoreError>> + Send;

    /// Keeps what the policies know of an open upload up to its acknowledged offset, in place of what was kept so before.
    /// It is data of the upload, goes with it, and may be lost: then the policies see the upload again. At most
    /// [`MAX_STATE_BYTES`].
    fn suspend(
        &self,
        id: UploadId,
        epoch: Epoch,
        offset: Offset,
        state: Bytes,
        span: &Span,
    ) -> impl Future<Output = Result<UploadStatus, StoreError>> + Send;

    /// What was kept so of an open upload, if it is of its acknowledged offset and whole.
    fn suspended(
        &self,
        id: UploadId,
        span: &Span,
    ) -> impl Future<Output = Result<Option<Bytes>, StoreError>> + Send;

    /// Makes the upload visible at its path, or keeps it in quarantine, and makes it durable. Repeating it
    /// returns the same receipt; another commit of an ended upload is [`StoreError::Ended`].
    fn commit(
        &self,
        id: UploadId,
        commit: &Commit,
        span: &Span,
    ) -> impl Future<Output = Result<Receipt, StoreError>> + Send;

    /// Creates, fills and commits an upload in one call: one of at most [`MAX_WHOLE_BYTES`], all of which are there. In
    /// the commit, length and digest are those of `bytes`, and the epoch is [`Epoch::FIRST`]. Until it has succeeded the
    /// upload does not exist. Repeating it returns the same receipt.
    fn store(
        &self,
        upload: &NewUpload,
        commit: &Commit,
        bytes: Bytes,
        span: &Span,
    ) -> impl Future<Output = Result<Receipt, StoreError>> + Send;

    /// Ends the upload without storing it: its bytes go, its record stays. Repeating it changes nothing.
    fn conclude(
        &self,
        id: UploadId,
        conclusion: &Conclusion,
        span: &Span,
    ) -> impl Future<Output = Result<UploadStatus, StoreError>> + Send;
}

/// Why a store did not do what it was asked, by what the caller can do about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The request itself is wrong; the sentence says how.
    #[error("{0}")]
    Invalid(String),
    /// The path is not safe, or not beneath the disk.
    #[error("{0}")]
    UnsafePath(String),
    /// Something stands at the path that was not stored by Portcullis.
    #[error(
        "something that Portcullis did not store stands at the path of this file or in its way; choose another name, or have it removed"
    )]
    PathTaken,
    /// The acknowledged offset is another.
    #[error("the upload goes on at byte {expected}; send from there")]
    OffsetMismatch {
        /// Where the next append begins.
        expected: Offset,
    },
    /// A newer request has the upload.
    #[error("another request has taken this upload over; ask how it stands before going on")]
    Fenced,
    /// The upload has ended and takes nothing more.
    #[error("this upload is {0} and takes nothing more; ask for its record, or start another")]
    Ended(UploadState),
    /// There is no such upload, or no longer.
    #[error("there is no such upload, or no longer; start it anew")]
    NotFound,
    /// No token has these characters, or it was revoked.
    #[error("the token is not known or was revoked; ask the operator for another")]
    UnknownToken,
    /// Length or digest differ from what the caller saw.
    #[error("the bytes that arrived are not those that were sent; send the file again")]
    DigestMismatch,
    /// The disk has no room.
    #[error("the disk has no room for this upload; tell the operator and try again later")]
    DiskFull,
    /// There was such a file, and all of it was removed for good.
    #[error("this file was purged: its bytes are gone for good")]
    Purged,
    /// A quota is used up: of what it says.
    #[error("the quota of {0} is used up; have files removed or the quota raised")]
    OverQuota(String),
    /// Its sender has as many uploads open as they may have.
    #[error(
        "this sender has {0} uploads open, as many as are taken at once; end some of them, or come back when they have ended"
    )]
    TooManyOpen(u32),
    /// The disk takes no files.
    #[error("the disk `{0}` is read-only; tell the operator, or choose another one")]
    ReadOnly(DiskName),
    /// The disk or the catalog failed. Nothing was published.
    #[error(
        "storage failed and nothing was published; try again later, and tell the operator if it lasts"
    )]
    StorageFailed,
    /// The caller's own stream broke off. What arrived is kept.
    #[error("the upload broke off before its end; ask for its offset and go on from there")]
    Aborted,
    /// The store cannot be reached or is overloaded.
    #[error("storage cannot be reached; nothing was stored, try again in a moment")]
    Unavailable,
    /// The store did not answer in time. The outcome is not known.
    #[error("storage did not answer in time; try again in a moment")]
    Timeout,
    /// The store refuses this caller, or answers what cannot be understood: a matter of configuration.
    #[error(
        "storage refused the web host; tell the operator to compare the keys and versions of both servers"
    )]
    Refused,
    /// The store and this caller are of versions that do not work together.
    #[error(
        "this web host and storage are of versions that do not work together; tell the operator to update storage first, then web hosts"
    )]
    VersionSkew,
    /// The store is being stopped. What was acknowledged is kept.
    #[error(
        "storage is being stopped; it keeps the upload up to byte {acknowledged}, go on from there in a moment"
    )]
    Stopping {
        /// Where the next append begins.
        acknowledged: Offset,
    },
}

impl StoreError {
    /// The problem that both sides answer for it.
    pub fn problem(&self) -> Problem {
        let problem = Problem::saying(self.kind(), self);
        match self {
            Self::OffsetMismatch { expected: offset }
            | Self::Stopping {
                acknowledged: offset,
            } => problem.with("offset", offset),
            Self::Ended(state) => problem.with("state", state),
            Self::OverQuota(whose) => problem.with("quota", whose),
            Self::TooManyOpen(most) => problem.with("most", most),
            Self::ReadOnly(disk) => problem.with("disk", disk),
            _ => problem,
        }
    }

    /// The kind of that problem.
    pub fn kind(&self) -> ProblemKind {
        match self {
            Self::Invalid(_) | Self::Aborted => ProblemKind::BadRequest,
            Self::UnsafePath(_) => ProblemKind::UnsafePath,
            Self::PathTaken => ProblemKind::PathTaken,
            Self::OffsetMismatch { .. } => ProblemKind::OffsetMismatch,
            Self::Fenced => ProblemKind::Fenced,
            Self::Ended(_) => ProblemKind::Ended,
            Self::NotFound => ProblemKind::NotFound,
            Self::UnknownToken => ProblemKind::Unauthenticated,
            Self::DigestMismatch => ProblemKind::DigestMismatch,
            Self::Purged => ProblemKind::Purged,
            Self::DiskFull => ProblemKind::DiskFull,
            Self::OverQuota(_) => ProblemKind::OverQuota,
            Self::TooManyOpen(_) => ProblemKind::TooMany,
            Self::ReadOnly(_) => ProblemKind::DiskReadOnly,
            Self::StorageFailed => ProblemKind::StorageFailed,
            Self::Unavailable => ProblemKind::ServicesUnavailable,
            Self::Timeout => ProblemKind::ServicesTimeout,
            Self::Refused => ProblemKind::ServicesRefused,
            Self::VersionSkew => ProblemKind::VersionSkew,
            Self::Stopping { .. } => ProblemKind::Stopping,
        }
    }

    /// What telemetry calls it.
    pub fn error_type(&self) -> ErrorType {
        match self {
            Self::Invalid(_) | Self::UnsafePath(_) => ErrorType::BadRequest,
            Self::ReadOnly(_)
            | Self::PathTaken
            | Self::OffsetMismatch { .. }
            | Self::Fenced
            | Self::Ended(_) => ErrorType::Conflict,
            Self::NotFound | Self::Purged => ErrorType::NotFound,
            Self::DigestMismatch => ErrorType::DigestMismatch,
            Self::DiskFull | Self::OverQuota(_) => ErrorType::DiskFull,
            Self::StorageFailed => ErrorType::StorageFailed,
            Self::Aborted => ErrorType::ClientGone,
            Self::Unavailable | Self::Stopping { .. } => ErrorType::ServicesUnavailable,
            Self::TooManyOpen(_) => ErrorType::Overloaded,
            Self::VersionSkew => ErrorType::VersionSkew,
            Self::Timeout => ErrorType::Timeout,
            Self::Refused | Self::UnknownToken => ErrorType::Unauthorized,
        }
    }

    /// The error that a problem from services stands for.
    pub fn from_problem(problem: &Problem) -> Self {
        let member = |name: &str| problem.extensions.get(name);
        let offset = member("offset").and_then(serde_json::Value::as_u64);
        let offset = offset.map(Offset::new);
        match problem.kind {
            ProblemKind::BadRequest | ProblemKind::TooLarge => {
                Self::Invalid(problem.detail.clone())
            }
            ProblemKind::UnsafePath => Self::UnsafePath(problem.detail.clone()),
            ProblemKind::PathTaken => Self::PathTaken,
            ProblemKind::OffsetMismatch => {
                offset.map_or(Self::Refused, |expected| Self::OffsetMismatch { expected })
            }
            ProblemKind::Ended => {
                let state = member("state").and_then(serde_json::Value::as_str);
                state
                    .and_then(UploadState::from_word)
                    .map_or(Self::Refused, Self::Ended)
            }
            ProblemKind::Fenced => Self::Fenced,
            ProblemKind::NotFound => Self::NotFound,
            ProblemKind::DigestMismatch => Self::DigestMismatch,
            ProblemKind::Purged => Self::Purged,
            ProblemKind::DiskFull => Self::DiskFull,
            ProblemKind::OverQuota => {
                let whose = member("quota").and_then(serde_json::Value::as_str);
                Self::OverQuota(whose.unwrap_or("the disk").to_owned())
            }
            ProblemKind::TooMany => {
                let most = member("most").and_then(serde_json::Value::as_u64);
                let most = most.and_then(|most| u32::try_from(most).ok());
                most.map_or(Self::Unavailable, Self::TooManyOpen)
            }
            ProblemKind::DiskReadOnly => {
                let disk = member("disk").and_then(serde_json::Value::as_str);
                let disk = disk.and_then(|disk| disk.parse().ok());
                disk.map_or(Self::Refused, Self::ReadOnly)
            }
            ProblemKind::StorageFailed | ProblemKind::Internal => Self::StorageFailed,
            ProblemKind::Overloaded | ProblemKind::ServicesUnavailable => Self::Unavailable,
            ProblemKind::ServicesTimeout => Self::Timeout,
            ProblemKind::VersionSkew => Self::VersionSkew,
            ProblemKind::Stopping => offset.map_or(Self::Unavailable, |acknowledged| {
                Self::Stopping { acknowledged }
            }),
            _ => Self::Refused,
        }
    }
}
