use portcullis_telemetry::TraceId;
use serde::{Deserialize, Serialize};

/// Every kind of failure that either side answers, by what the client can do about it.
///
/// The kind fixes the `type`, `title` and status of a problem (RFC 9457), so that they are the same
/// wherever the failure is noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum ProblemKind {
    /// The request cannot be read: mend it.
    BadRequest,
    /// A form field stands after the file it should describe: send the fields first.
    FieldAfterFile,
    /// The path cannot be created safely: choose another.
    UnsafePath,
    /// No key or session came with the request.
    Unauthenticated,
    /// The key or session does not allow this.
    Forbidden,
    /// There is no such thing.
    NotFound,
    /// The method is not for this resource.
    MethodNotAllowed,
    /// Something else stands at the path: it is never overwritten.
    PathTaken,
    /// The append does not begin where the stage ends: ask for the offset.
    OffsetMismatch,
    /// A newer request has the upload: ask how it stands.
    Fenced,
    /// The upload has ended: ask for its record.
    Ended,
    /// The upload was given up or has expired: start it anew.
    Gone,
    /// The upload cannot be gone on with now: come back in a moment.
    Locked,
    /// The version of the upload protocol is not one that is spoken here.
    UnsupportedProtocol,
    /// The bytes of a request do not have the checksum that was sent with them: send them again.
    ChecksumMismatch,
    /// Another revision of the policies is active than the caller believes: look at it first.
    RevisionConflict,
    /// The bytes did not keep coming: send it again over a better line.
    TooSlow,
    /// More bytes than are allowed.
    TooLarge,
    /// The content type is not one that can be uploaded or read here.
    UnsupportedMediaType,
    /// The body is compressed or encoded otherwise: send it as it is.
    UnsupportedCoding,
    /// Length or digest of what arrived differ from what was said: send it again.
    DigestMismatch,
    /// The chunk is not the next one of its file, or the file has another number of them: go on as the problem says.
    ChunkMismatch,
    /// The key of a call that may be repeated came with another call before: choose a new one.
    IdempotencyKeyReused,
    /// The same call is under way: come back when it has ended.
    IdempotencyKeyInUse,
    /// The file is not in the state that the call demands (RFC 9110, 13): look at it again.
    PreconditionFailed,
    /// The range lies behind the end of the file.
    RangeNotSatisfiable,
    /// A policy says no: mend the data.
    PolicyRejected,
    /// A policy failed, and the set says that this rejects the upload: tell the operator.
    PolicyFailed,
    /// Several files were sent and not all were stored; each has its own outcome.
    SomeRejected,
    /// Too much at once: come back later.
    Overloaded,
    /// Too many uploads of one sender, open or begun of late: end some, or come back later.
    TooMany,
    /// No policies are in force yet: come back later.
    NotReady,
    /// There was such a file, and it was purged.
    Purged,
    /// The disk is full.
    DiskFull,
    /// The quota of a disk or a cohort is used up: have files removed.
    OverQuota,
    /// The disk takes no files.
    DiskReadOnly,
    /// The disk failed: nothing was published.
    StorageFailed,
    /// Services cannot be reached.
    ServicesUnavailable,
    /// Services did not answer in time.
    ServicesTimeout,
    /// Services refuse this web host's key or answer what cannot be understood: tell the operator.
    ServicesRefused,
    /// The two servers are of versions that do not work together: tell the operator.
    VersionSkew,
    /// The server is being stopped: come back in a moment.
    Stopping,
    /// A fault of ours: tell the operator.
    Internal,
}

impl ProblemKind {
    /// All kinds.
    pub const ALL: [Self; 43] = [
        Self::BadRequest,
        Self::FieldAfterFile,
        Self::UnsafePath,
        Self::Unauthenticated,
        Self::Forbidden,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::PathTaken,
        Self::OffsetMismatch,
        Self::Fenced,
        Self::Ended,
        Self::Gone,
        Self::Locked,
        Self::UnsupportedProtocol,
        Self::ChecksumMismatch,
        Self::RevisionConflict,
        Self::TooSlow,
        Self::TooLarge,
        Self::UnsupportedMediaType,
        Self::UnsupportedCoding,
        Self::DigestMismatch,
        Self::ChunkMismatch,
        Self::IdempotencyKeyReused,
        Self::IdempotencyKeyInUse,
        Self::PreconditionFailed,
        Self::RangeNotSatisfiable,
        Self::PolicyRejected,
        Self::PolicyFailed,
        Self::SomeRejected,
        Self::Overloaded,
        Self::TooMany,
        Self::NotReady,
        Self::Purged,
        Self::DiskFull,
        Self::OverQuota,
        Self::DiskReadOnly,
        Self::StorageFailed,
        Self::ServicesUnavailable,
        Self::ServicesTimeout,
        Self::ServicesRefused,
        Self::VersionSkew,
        Self::Stopping,
        Self::Internal,
    ];

    /// What the `type` of every problem begins with.
    pub const TYPE_PREFIX: &'static str = "urn:portcullis:problem:";

    /// The last part of the `type`, stable for ever.
    pub fn slug(self) -> &'static str {
        self.row().0
    }

    /// The status code (RFC 9110) that goes with it.
    pub fn status(self) -> http::StatusCode {
        self.row().1
    }

    /// The kind in a few words.
    pub fn title(self) -> &'static str {
        self.row().2
    }

    /// The kind whose slug this is.
    pub fn from_slug(slug: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.slug() == slug)
    }

    #[expect(clippy::too_many_lines, reason = "it is one table")]
    fn row(self) -> (&'static str, http::StatusCode, &'static str) {
        use http::StatusCode as S;
        match self {
            Self::BadRequest => ("bad-request", S::BAD_REQUEST, "The request cannot be read"),
            Self::FieldAfterFile => (
                "field-after-file",
                S::BAD_REQUEST,
                "A field stands after the file",
            ),
            Self::UnsafePath => ("unsafe-path", S::BAD_REQUEST, "The path is not safe"),
            Self::Unauthenticated => ("unauthenticated", S::UNAUTHORIZED, "A key is missing"),
            Self::Forbidden => ("forbidden", S::FORBIDDEN, "The key is not accepted"),
            Self::NotFound => ("not-found", S::NOT_FOUND, "There is no such thing"),
            Self::MethodNotAllowed => (
                "method-not-allowed",
                S::METHOD_NOT_ALLOWED,
                "The method is not possible here",
            ),
            Self::PathTaken => ("path-taken", S::CONFLICT, "Something else stands there"),
            Self::OffsetMismatch => ("offset-mismatch", S::CONFLICT, "The offset is another"),
            Self::Fenced => ("fenced", S::CONFLICT, "The upload is in other hands"),
            Self::Ended => ("upload-ended", S::CONFLICT, "The upload has ended"),
            Self::Gone => ("upload-gone", S::GONE, "The upload was given up"),
            Self::Locked => ("upload-locked", S::LOCKED, "The upload waits"),
            Self::UnsupportedProtocol => (
                "unsupported-protocol",
                S::PRECONDITION_FAILED,
                "The protocol is not spoken here",
            ),
            Self::ChecksumMismatch => (
                "checksum-mismatch",
                checksum_mismatch(),
                "The checksum is another",
            ),
            Self::RevisionConflict => (
                "revision-conflict",
                S::CONFLICT,
                "Somebody else changed the policies",
            ),
            Self::TooSlow => (
                "too-slow",
                S::REQUEST_TIMEOUT,
                "The upload paused for too long",
            ),
            Self::TooLarge => ("too-large", S::PAYLOAD_TOO_LARGE, "Too many bytes"),
            Self::UnsupportedMediaType => (
                "unsupported-media-type",
                S::UNSUPPORTED_MEDIA_TYPE,
                "The content type is not possible here",
            ),
            Self::UnsupportedCoding => (
                "unsupported-content-coding",
                S::UNSUPPORTED_MEDIA_TYPE,
                "Unsupported content coding",
            ),
            Self::DigestMismatch => (
                "digest-mismatch",
                S::UNPROCESSABLE_ENTITY,
                "What arrived is not what was sent",
            ),
            Self::ChunkMismatch => ("chunk-mismatch", S::CONFLICT, "The chunk is another"),
            Self::IdempotencyKeyReused => (
                "idempotency-key-reused",
                S::UNPROCESSABLE_ENTITY,
                "The key belongs to another call",
            ),
            Self::IdempotencyKeyInUse => (
                "idempotency-key-in-use",
                S::CONFLICT,
                "The call is under way",
            ),
            Self::PreconditionFailed => (
                "precondition-failed",
                S::PRECONDITION_FAILED,
                "The file is another",
            ),
            Self::RangeNotSatisfiable => (
                "range-not-satisfiable",
                S::RANGE_NOT_SATISFIABLE,
                "The range is not in the file",
            ),
            Self::PolicyRejected => (
                "policy-rejected",
                S::UNPROCESSABLE_ENTITY,
                "A policy refused the upload",
            ),
            Self::PolicyFailed => ("policy-failed", S::UNPROCESSABLE_ENTITY, "A policy failed"),
            Self::SomeRejected => (
                "some-rejected",
                S::UNPROCESSABLE_ENTITY,
                "Not every file was stored",
            ),
            Self::Overloaded => ("overloaded", S::SERVICE_UNAVAILABLE, "Too much at once"),
            Self::TooMany => (
                "too-many",
                S::TOO_MANY_REQUESTS,
                "Too many uploads of one sender",
            ),
            Self::NotReady => ("not-ready", S::SERVICE_UNAVAILABLE, "Not ready yet"),
            Self::Purged => ("purged", S::GONE, "The file is gone for good"),
            Self::DiskFull => ("disk-full", S::INSUFFICIENT_STORAGE, "The disk is full"),
            Self::OverQuota => (
                "over-quota",
                S::INSUFFICIENT_STORAGE,
                "The quota is used up",
            ),
            Self::DiskReadOnly => ("disk-read-only", S::CONFLICT, "The disk takes no files"),
            Self::StorageFailed => (
                "storage-failed",
                S::INTERNAL_SERVER_ERROR,
                "The disk failed",
            ),
            Self::ServicesUnavailable => (
                "services-unavailable",
                S::SERVICE_UNAVAILABLE,
                "Storage cannot be reached",
            ),
            Self::ServicesTimeout => (
                "services-timeout",
                S::GATEWAY_TIMEOUT,
                "Storage did not answer in time",
            ),
            Self::ServicesRefused => (
                "services-refused",
                S::BAD_GATEWAY,
                "Storage refused the web host",
            ),
            Self::VersionSkew => (
                "version-skew",
                S::SERVICE_UNAVAILABLE,
                "The servers do not fit together",
            ),
            Self::Stopping => ("stopping", S::SERVICE_UNAVAILABLE, "The server is stopping"),
            Self::Internal => ("internal", S::INTERNAL_SERVER_ERROR, "A fault of ours"),
        }
    }
}

/// The status code of the tus protocol 1.0 for this; HTTP has none.
fn checksum_mismatch() -> http::StatusCode {
    http::StatusCode::from_u16(460).expect("has three digits")
}

impl From<ProblemKind> for String {
    fn from(kind: ProblemKind) -> Self {
        format!("{}{}", ProblemKind::TYPE_PREFIX, kind.slug())
    }
}

impl TryFrom<String> for ProblemKind {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.strip_prefix(Self::TYPE_PREFIX)
            .and_then(Self::from_slug)
            .ok_or_else(|| "not a problem type of Portcullis".to_owned())
    }
}

/// A failure as both sides answer it: `application/problem+json` (RFC 9457).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Problem {
    /// Fixes title and status.
    #[serde(rename = "type")]
    pub kind: ProblemKind,
    /// The kind in a few words.
    pub title: String,
    /// The status code of the answer.
    pub status: u16,
    /// One sentence: what, where, why, what to do.
    pub detail: String,
    /// The trace that shows what happened: 32 hexadecimal characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub support_id: Option<String>,
    /// Members that only some kinds have, such as `findings` or `offset`.
    #[serde(flatten)]
    pub extensions: serde_json::Map<String, serde_json::Value>,
}

impl Problem {
    /// The media type of a problem.
    pub const MEDIA_TYPE: &'static str = "application/problem+json";

    /// A problem of a kind, with the sentence that explains this occurrence.
    pub fn new(kind: ProblemKind, detail: impl Into<String>) -> Self {
        Self {
            kind,
            title: kind.title().to_owned(),
            status: kind.status().as_u16(),
            detail: detail.into(),
            support_id: None,
            extensions: serde_json::Map::new(),
        }
    }

    /// The problem whose detail is an error's message, as a sentence of its own.
    pub fn saying(kind: ProblemKind, message: &impl std::fmt::Display) -> Self {
        let message = message.to_string();
        let mut chars = message.chars();
        let first = chars.next().map(char::to_uppercase);
        let mut detail: String = first.into_iter().flatten().chain(chars).collect();
        if !detail.ends_with('.') {
            detail.push('.');
        }
        Self::new(kind, detail)
    }

    /// The same with the trace that shows what happened.
    #[must_use]
    pub fn with_support_id(mut self, trace_id: TraceId) -> Self {
        self.support_id = Some(trace_id.to_string());
        self
    }

    /// The same with another member.
    #[must_use]
    pub fn with(mut self, member: &str, value: impl Serialize) -> Self {
        let value = serde_json::to_value(value).unwrap_or(serde_json::Value::Null);
        self.extensions.insert(member.to_owned(), value);
        self
    }

    /// The whole answer. A 503, a 423 and a 429 ask to come back after a second, a 401 names the scheme, and a
    /// content coding that cannot be read is answered with those that can.
    pub fn into_response(self) -> http::Response<bytes::Bytes> {
        let body = serde_json::to_vec(&self).unwrap_or_default();
        let mut response = http::Response::new(body.into());
        *response.status_mut() = self.kind.status();
        let headers = response.headers_mut();
        let value = http::HeaderValue::from_static;
        headers.insert(http::header::CONTENT_TYPE, value(Self::MEDIA_TYPE));
        headers.insert(http::header::CACHE_CONTROL, value("no-store"));
        match self.kind.status() {
            http::StatusCode::SERVICE_UNAVAILABLE
            | http::StatusCode::LOCKED
            | http::StatusCode::TOO_MANY_REQUESTS => {
                headers.insert(http::header::RETRY_AFTER, value("1"));
            }
            http::StatusCode::UNAUTHORIZED => {
                headers.insert(http::header::WWW_AUTHENTICATE, value("ApiKey"));
            }
            _ => {}
        }
        if self.kind == ProblemKind::UnsupportedCoding {
            // RFC 9110, section 12.5.3: what can be sent instead.
            headers.insert(http::header::ACCEPT_ENCODING, value("identity"));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_found_by_its_slug() {
        for kind in ProblemKind::ALL {
            assert_eq!(ProblemKind::from_slug(kind.slug()), Some(kind));
            assert!(kind.status().is_client_error() || kind.status().is_server_error());
        }
    }

    #[test]
    fn a_problem_survives_its_json_with_its_extensions() {
        let problem =
            Problem::new(ProblemKind::OffsetMismatch, "Ask for the offset.").with("offset", 12);
        let json = serde_json::to_string(&problem).expect("serialises");
        assert!(
            json.contains(r#""type":"urn:portcullis:problem:offset-mismatch""#),
            "{json}"
        );
        assert_eq!(
            serde_json::from_str::<Problem>(&json).expect("parses"),
            problem
        );
    }
}
