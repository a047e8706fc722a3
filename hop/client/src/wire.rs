//! The hop on the wire, in one place for its client and its server.
//!
//! | call | request | answer |
//! |---|---|---|
//! | check | `GET /internal/ready` | 200, a [`Ready`], when an upload would be taken now |
//! | authenticate | `POST /internal/principals`, a [`TokenToCheck`] | 200, a `Principal`; 404 |
//! | create | `POST /internal/uploads`, a [`NewUpload`](crate::NewUpload) | 200, an [`UploadStatus`](crate::UploadStatus) |
//! | record | `GET /internal/uploads/{id}` | 200, an [`UploadRecord`](crate::UploadRecord) |
//! | take over | `POST /internal/uploads/{id}/epoch` | 200, an `UploadStatus` |
//! | declare length | `POST /internal/uploads/{id}/length`, a [`Length`] | 200, an `UploadStatus` |
//! | append | `PATCH /internal/uploads/{id}`, [`UPLOAD_EPOCH`], [`UPLOAD_OFFSET`], [`UPLOAD_MODE`], bytes | 200, an `UploadStatus` |
//! | checkpoint | `POST /internal/uploads/{id}/checkpoint`, a [`Checkpoint`] | 200, an `UploadStatus` |
//! | read back | `GET /internal/uploads/{id}/content?from=N` | 200, bytes |
//! | suspend | `PUT /internal/uploads/{id}/state`, [`UPLOAD_EPOCH`], [`UPLOAD_OFFSET`], bytes | 200, an `UploadStatus` |
//! | suspended | `GET /internal/uploads/{id}/state` | 200, bytes; 204 |
//! | commit | `POST /internal/uploads/{id}/commit`, a [`Commit`](crate::Commit) | 200, a [`Receipt`](crate::Receipt) |
//! | store | `PUT /internal/uploads/{id}`, a [`Whole`] in one line, its bytes behind the line break | 200, a `Receipt` |
//! | conclude | `POST /internal/uploads/{id}/conclusion`, a [`Conclusion`](crate::Conclusion) | 200, an `UploadStatus` |
//!
//! | poll policies | `POST /internal/policies/poll`, a [`Poll`](crate::policies::Poll) | 200, a [`PollAnswer`](crate::policies::PollAnswer), as soon as another revision is active |
//! | report shadows | `POST /internal/policies/shadow`, [`ShadowReports`](crate::policies::shadow::ShadowReports) | 200 |
//! | policy file | `GET /internal/policies/files/{sha256}` | 200, bytes |
//!
//! Administrators use the same address with keys of the scope `admin`: `PUT` of a policy file, `POST` of
//! [`POLICY_MISSING`], [`POLICY_REVISIONS`], [`POLICY_ACTIVE`] and [`POLICY_TRIAL_DROP`], `GET` of revisions.
//!
//! Every call carries [`API_KEY`], [`TRACEPARENT`] and [`HOP_VERSION`]. Every failure is a [`Problem`](crate::Problem).

use std::collections::BTreeMap;

use bytes::Bytes;
use portcullis_types::{DiskName, Offset, Sha256Digest, UploadId};
use serde::{Deserialize, Serialize};

use crate::policies::RevisionNumber;
use crate::{AppendMode, Build, Commit, Epoch, NewUpload};

/// The header with the key.
pub const API_KEY: &str = "x-api-key";
/// The header with the caller's span (W3C Trace Context, section 3.2).
pub const TRACEPARENT: &str = "traceparent";
/// The header with the version of the hop that the caller speaks; see [`HopVersion`](crate::HopVersion).
pub const HOP_VERSION: &str = "portcullis-hop-version";
/// The header with the position at which an append begins.
pub const UPLOAD_OFFSET: &str = "upload-offset";
/// The header with the epoch of the request that appends.
pub const UPLOAD_EPOCH: &str = "upload-epoch";
/// The header that says whether appended bytes count by themselves; see [`mode_word`].
pub const UPLOAD_MODE: &str = "upload-mode";

/// Whether services could take an upload now.
pub const READY: &str = "/internal/ready";
/// Who tokens belong to.
pub const PRINCIPALS: &str = "/internal/principals";
/// The collection of uploads.
pub const UPLOADS: &str = "/internal/uploads";
/// One upload, as a route.
pub const UPLOAD: &str = "/internal/uploads/{id}";
/// The epoch of an upload, as a route.
pub const EPOCH: &str = "/internal/uploads/{id}/epoch";
/// The length of an upload, as a route.
pub const LENGTH: &str = "/internal/uploads/{id}/length";
/// What counts of provisional bytes, as a route.
pub const CHECKPOINT: &str = "/internal/uploads/{id}/checkpoint";
/// The bytes of an upload, as a route.
pub const CONTENT: &str = "/internal/uploads/{id}/content";
/// What the policies know of an upload that pauses, as a route.
pub const STATE: &str = "/internal/uploads/{id}/state";
/// The good end of an upload, as a route.
pub const COMMIT: &str = "/internal/uploads/{id}/commit";
/// Any other end of an upload, as a route.
pub const CONCLUSION: &str = "/internal/uploads/{id}/conclusion";
/// What web hosts run and are to run.
pub const POLICY_POLL: &str = "/internal/policies/poll";
/// Which files of policies services do not have.
pub const POLICY_MISSING: &str = "/internal/policies/missing";
/// A file of a revision of the policies, as a route.
pub const POLICY_FILE: &str = "/internal/policies/files/{sha256}";
/// All revisions of the policies.
pub const POLICY_REVISIONS: &str = "/internal/policies/revisions";
/// One revision of the policies, as a route.
pub const POLICY_REVISION: &str = "/internal/policies/revisions/{number}";
/// Which revision is active.
pub const POLICY_ACTIVE: &str = "/internal/policies/active";
/// That a trial is to end.
pub const POLICY_TRIAL_DROP: &str = "/internal/policies/trial/drop";
/// What shadow policies would have said.
pub const POLICY_SHADOW: &str = "/internal/policies/shadow";
/// The same, summed up.
pub const POLICY_SHADOW_SUMMARY: &str = "/internal/policies/shadow/summary";

/// The largest JSON body of a call in bytes: a commit with 1,000 findings of 16 policies fits.
pub const MAX_JSON_BYTES: usize = 32 << 20;

/// What services say when an upload would be taken now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ready {
    /// Always `ready`.
    pub status: String,
    /// What answers.
    pub build: Build,
    /// Its disks. Services of an older build do not say.
    #[serde(default)]
    pub disks: BTreeMap<DiskName, ReadyDisk>,
}

/// How a disk is that takes uploads, or that is read-only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct ReadyDisk {
    /// Room that is left, in bytes; absent where the disk does not say.
    pub free_bytes: Option<u64>,
    /// How long it took to make a small file durable, in milliseconds; absent of a read-only disk.
    pub write_ms: Option<u64>,
}

/// A bearer token that a client showed to the web host.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenToCheck {
    /// The token itself.
    pub token: String,
}

/// How long an upload will be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Length {
    /// Whose the upload is.
    pub epoch: Epoch,
    /// All of it, in bytes.
    pub length: u64,
}

/// What a checkpoint says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Checkpoint {
    /// Whose the upload is.
    pub epoch: Epoch,
    /// The end of what was appended.
    pub offset: Offset,
}

/// An upload that is stored in one call.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Whole {
    /// What is known of it.
    pub upload: NewUpload,
    /// What becomes of it.
    pub commit: Commit,
}

impl Whole {
    /// The body of the call.
    pub fn with_bytes(&self, bytes: &[u8]) -> Result<Vec<u8>, serde_json::Error> {
        let mut body = serde_json::to_vec(self)?;
        // JSON that is not made for people has no line break of its own.
        body.push(b'\n');
        body.extend_from_slice(bytes);
        Ok(body)
    }

    /// The upload in the body of a call, and its bytes. Absent where there is no line break.
    pub fn from_body(body: &Bytes) -> Option<Result<(Self, Bytes), serde_json::Error>> {
        let line = body.iter().position(|byte| *byte == b'\n')?;
        let whole = serde_json::from_slice(&body[..line]);
        Some(whole.map(|whole| (whole, body.slice(line + 1..))))
    }
}

/// The target of a route for one upload.
pub fn target(route: &str, id: UploadId) -> String {
    route.replace("{id}", &id.to_string())
}

/// The target of [`POLICY_FILE`] for one file.
pub fn policy_file(digest: Sha256Digest) -> String {
    POLICY_FILE.replace("{sha256}", &digest.to_string())
}

/// The target of [`POLICY_REVISION`] for one revision.
pub fn policy_revision(number: RevisionNumber) -> String {
    POLICY_REVISION.replace("{number}", &number.to_string())
}

/// The word for a mode in [`UPLOAD_MODE`].
pub fn mode_word(mode: AppendMode) -> &'static str {
    match mode {
        AppendMode::Acknowledged => "acknowledged",
        AppendMode::Provisional => "provisional",
    }
}

/// The mode with this word.
pub fn mode_from_word(word: &str) -> Option<AppendMode> {
    [AppendMode::Acknowledged, AppendMode::Provisional]
        .into_iter()
        .find(|mode| mode_word(*mode) == word)
}
