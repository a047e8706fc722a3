use std::borrow::Cow;
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::trace::SpanKind;

use portcullis_types::PolicyName;

use crate::label::{METHOD, ROUTE, TEMPLATE};
use crate::metrics::{count, measure};
use crate::{ErrorType, Label, Metric, Step};

/// Every span there is. The name fixes its kind, and for HTTP its method and route, which hold no value
/// from a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SpanName {
    /// A request with uploads at the web host: the root.
    Upload,
    /// A request that brings more of an upload.
    UploadMore,
    /// A request that asks how far an upload has come.
    UploadOffset,
    /// A request that asks for all that is known about an upload.
    UploadRecord,
    /// A request that gives an upload up.
    UploadCancel,
    /// A request for the upload page.
    Page,
    /// A request for what the page loads.
    Asset,
    /// Somebody asks whether the web host is alive.
    Alive,
    /// A request that asks what may be asked.
    Options,
    /// A request for what is not there, or with a method that is not for it.
    Unmatched,
    /// Bytes of a long upload have passed the policies; it is still under way.
    Progress,
    /// The policies of an upload make room for those of others.
    Pause,
    /// The policies are shown again what services have of an upload.
    Replay,
    /// Somebody asks the web host whether it could take an upload.
    Ready,
    /// The web host asks services the same.
    ReadyCall,
    /// Services say so.
    ServicesReady,
    /// One policy on one upload.
    Policy(PolicyName),
    /// The web host asks who a token belongs to.
    AuthenticateCall,
    /// The web host creates an upload.
    CreateCall,
    /// The web host asks how far an upload has come.
    StatusCall,
    /// The web host takes an upload over.
    TakeOverCall,
    /// The web host says how long an upload will be.
    LengthCall,
    /// The web host sends bytes.
    AppendCall,
    /// The web host makes provisional bytes count.
    CheckpointCall,
    /// The web host reads bytes back.
    ReadCall,
    /// The web host has kept what policies know of an upload.
    SuspendCall,
    /// It asks for it.
    SuspendedCall,
    /// The web host ends an upload well.
    CommitCall,
    /// The web host stores a small upload in one call.
    StoreCall,
    /// The web host ends an upload otherwise.
    ConcludeCall,
    /// Services say who a token belongs to.
    Authenticate,
    /// Services create an upload.
    Create,
    /// Services say how far an upload has come.
    Status,
    /// Services give an upload to another request.
    TakeOver,
    /// Services hear how long an upload will be.
    Length,
    /// Services take bytes.
    Append,
    /// Services make provisional bytes count.
    Checkpoint,
    /// Services give bytes back.
    Read,
    /// Services keep what policies know of an upload.
    Suspend,
    /// They give it back.
    Suspended,
    /// Services end an upload well.
    Commit,
    /// Services store a small upload in one call.
    Store,
    /// Services end an upload otherwise.
    Conclude,
    /// The file endpoint `health`.
    StorageHealth,
    /// The file endpoint `upload`.
    StorageUpload,
    /// The file endpoint `upload_chunked`.
    StorageUploadChunked,
    /// The file endpoint `download`.
    StorageDownload,
    /// The file endpoint `list`.
    StorageList,
    /// The file endpoint `exists`.
    StorageExists,
    /// The file endpoint `metadata`.
    StorageMetadata,
    /// The file endpoint `delete`.
    StorageDelete,
    /// The file endpoint `delete_prefix`.
    StorageDeletePrefix,
    /// The file endpoint `undelete`.
    StorageUndelete,
    /// The file endpoint `purge`.
    StoragePurge,
    /// The file endpoint `cleanup`.
    StorageCleanup,
    /// What the file endpoints take and answer.
    StorageOpenApi,
    /// Services list what is in quarantine.
    QuarantineList,
    /// Services release a file from quarantine.
    QuarantineRelease,
    /// Services discard a file in quarantine.
    QuarantineDiscard,
    /// Somebody asks for the newest checkpoint of the audit.
    AuditCheckpoint,
    /// The web host looks what policies it is to run.
    PolicyFollow,
    /// It asks services.
    PolicyPollCall,
    /// It fetches a file of a revision.
    PolicyFileCall,
    /// It reports what shadow policies would have said.
    PolicyShadowCall,
    /// An administrator asks services.
    PolicyAdminCall,
    /// Services say what a web host is to run.
    PolicyPoll,
    /// Services give a file of a revision.
    PolicyFile,
    /// Services take a file of a revision.
    PolicyPutFile,
    /// Services say which files they lack.
    PolicyMissing,
    /// Services take what shadow policies would have said.
    PolicyShadow,
    /// Services sum it up.
    PolicyShadowSummary,
    /// Services list revisions.
    PolicyRevisions,
    /// Services show a revision.
    PolicyRevision,
    /// Services take a revision.
    PolicySend,
    /// Services make a revision active.
    PolicyActivate,
    /// Services end the trial of a revision.
    PolicyTrialDrop,
    /// All bytes of one append are written.
    StageWrite,
    /// A file is made durable.
    Fsync,
    /// A file gets its visible name.
    Publish,
    /// The catalog records something.
    Catalog,
}

/// The routes of the hop. They stand here and not in the client, which depends on this crate; a test of
/// the client compares them.
const READY: &str = "/internal/ready";
const PRINCIPALS: &str = "/internal/principals";
const UPLOADS: &str = "/internal/uploads";
const UPLOAD: &str = "/internal/uploads/{id}";
const EPOCH: &str = "/internal/uploads/{id}/epoch";
const LENGTH: &str = "/internal/uploads/{id}/length";
const CHECKPOINT: &str = "/internal/uploads/{id}/checkpoint";
const CONTENT: &str = "/internal/uploads/{id}/content";
const STATE: &str = "/internal/uploads/{id}/state";
const COMMIT: &str = "/internal/uploads/{id}/commit";
const CONCLUSION: &str = "/internal/uploads/{id}/conclusion";
const POLICY_POLL: &str = "/internal/policies/poll";
const POLICY_FILE: &str = "/internal/policies/files/{sha256}";
const POLICY_SHADOW: &str = "/internal/policies/shadow";
const POLICY_REVISIONS: &str = "/internal/policies/revisions";

impl SpanName {
    /// What the SDK wants to know of a span.
    pub(crate) fn parts(&self) -> (Cow<'static, str>, SpanKind, Vec<KeyValue>) {
        (self.text(), self.kind(), self.attributes())
    }

    /// Measures how long that took which has this name, and how it ended.
    pub(crate) fn measure(&self, taken: Duration, status: Option<u16>, error: Option<ErrorType>) {
        let seconds = taken.as_secs_f64();
        let error = error.map(Label::Error);
        match self.http() {
            Some((SpanKind::Server, method, route)) => {
                // Without a status it is a request that is measured under another name.
                let Some(status) = status else {
                    return;
                };
                let labels = [Label::Request(method, route), Label::Status(status)];
                measure(Metric::HttpServer, seconds, labels.into_iter().chain(error));
            }
            Some((_, method, target)) => {
                let labels = [Label::Call(method, target)];
                measure(Metric::HttpClient, seconds, labels.into_iter().chain(error));
            }
            None => {
                if let Some(step) = self.step() {
                    measure(Metric::StorageTime, seconds, [Label::Step(step)]);
                }
            }
        }
    }

    /// Counts that such a call is tried again.
    pub fn count_retry(&self) {
        if let Some((_, method, target)) = self.http() {
            count(Metric::HopRetries, 1, [Label::Call(method, target)]);
        }
    }

    fn step(&self) -> Option<Step> {
        match self {
            // `StageWrite` also waits for whoever sends: what the disk took is measured where it writes.
            Self::Fsync => Some(Step::Fsync),
            Self::Publish => Some(Step::Publish),
            Self::Catalog => Some(Step::Catalog),
            _ => None,
        }
    }

    fn text(&self) -> Cow<'static, str> {
        match (self.http(), self) {
            (Some((_, method, route)), _) => Cow::Owned(format!("{method} {route}")),
            (None, Self::Policy(name)) => Cow::Owned(format!("policy {}", name.as_str())),
            (None, Self::Fsync) => Cow::Borrowed("fsync"),
            (None, Self::Pause) => Cow::Borrowed("pause"),
            (None, Self::Progress) => Cow::Borrowed("progress"),
            (None, Self::Replay) => Cow::Borrowed("replay"),
            (None, Self::Publish) => Cow::Borrowed("publish"),
            (None, Self::PolicyFollow) => Cow::Borrowed("follow policies"),
            (None, Self::PolicyAdminCall) => Cow::Borrowed("change policies"),
            (None, Self::Catalog) => Cow::Borrowed("catalog"),
            (None, _) => Cow::Borrowed("stage write"),
        }
    }

    fn kind(&self) -> SpanKind {
        self.http().map_or(SpanKind::Internal, |(kind, ..)| kind)
    }

    fn attributes(&self) -> Vec<KeyValue> {
        let Some((kind, method, route)) = self.http() else {
            return Vec::new();
        };
        // Semantic conventions for HTTP: a server knows its route, a client the template of its target.
        let route_key = if kind == SpanKind::Server {
            ROUTE
        } else {
            TEMPLATE
        };
        vec![
            KeyValue::new(METHOD, method),
            KeyValue::new(route_key, route),
        ]
    }

    fn http(&self) -> Option<(SpanKind, &'static str, &'static str)> {
        use SpanKind::{Client, Server};
        Some(match self {
            Self::Page => (Server, "GET", "/"),
            Self::Asset => (Server, "GET", "/assets/{name}"),
            Self::Alive => (Server, "GET", "/healthz"),
            Self::Options => (Server, "OPTIONS", "/uploads"),
            // Semantic conventions for HTTP: what is not known is `_OTHER`, and there is no route.
            Self::Unmatched => (Server, "_OTHER", "*"),
            Self::Upload => (Server, "POST", "/uploads"),
            Self::UploadMore => (Server, "PATCH", "/uploads/{id}"),
            Self::UploadOffset => (Server, "HEAD", "/uploads/{id}"),
            Self::UploadRecord => (Server, "GET", "/uploads/{id}"),
            Self::UploadCancel => (Server, "DELETE", "/uploads/{id}"),
            Self::Ready => (Server, "GET", "/readyz"),
            Self::ReadyCall => (Client, "GET", READY),
            Self::ServicesReady => (Server, "GET", READY),
            Self::AuthenticateCall => (Client, "POST", PRINCIPALS),
            Self::CreateCall => (Client, "POST", UPLOADS),
            Self::StatusCall => (Client, "GET", UPLOAD),
            Self::TakeOverCall => (Client, "POST", EPOCH),
            Self::LengthCall => (Client, "POST", LENGTH),
            Self::AppendCall => (Client, "PATCH", UPLOAD),
            Self::CheckpointCall => (Client, "POST", CHECKPOINT),
            Self::ReadCall => (Client, "GET", CONTENT),
            Self::SuspendCall => (Client, "PUT", STATE),
            Self::SuspendedCall => (Client, "GET", STATE),
            Self::CommitCall => (Client, "POST", COMMIT),
            Self::StoreCall => (Client, "PUT", UPLOAD),
            Self::ConcludeCall => (Client, "POST", CONCLUSION),
            Self::Authenticate => (Server, "POST", PRINCIPALS),
            Self::Create => (Server, "POST", UPLOADS),
            Self::Status => (Server, "GET", UPLOAD),
            Self::TakeOver => (Server, "POST", EPOCH),
            Self::Length => (Server, "POST", LENGTH),
            Self::Append => (Server, "PATCH", UPLOAD),
            Self::Checkpoint => (Server, "POST", CHECKPOINT),
            Self::Read => (Server, "GET", CONTENT),
            Self::Suspend => (Server, "PUT", STATE),
            Self::Suspended => (Server, "GET", STATE),
            Self::Commit => (Server, "POST", COMMIT),
            Self::Store => (Server, "PUT", UPLOAD),
            Self::Conclude => (Server, "POST", CONCLUSION),
            Self::StorageHealth => (Server, "GET", "/internal/storage/health"),
            Self::StorageUpload => (Server, "POST", "/internal/storage/upload"),
            Self::StorageDownload => (Server, "GET", "/internal/storage/download"),
            Self::StorageList => (Server, "GET", "/internal/storage/list"),
            Self::StorageUploadChunked => (Server, "POST", "/internal/storage/upload_chunked"),
            Self::StorageExists => (Server, "GET", "/internal/storage/exists"),
            Self::StorageMetadata => (Server, "GET", "/internal/storage/metadata"),
            Self::StorageDelete => (Server, "POST", "/internal/storage/delete"),
            Self::StorageDeletePrefix => (Server, "POST", "/internal/storage/delete_prefix"),
            Self::StorageUndelete => (Server, "POST", "/internal/storage/undelete"),
            Self::StoragePurge => (Server, "POST", "/internal/storage/purge"),
            Self::StorageCleanup => (Server, "POST", "/internal/storage/cleanup"),
            Self::StorageOpenApi => (Server, "GET", "/internal/storage/openapi.json"),
            Self::QuarantineList => (Server, "GET", "/internal/quarantine"),
            Self::QuarantineRelease => (Server, "POST", "/internal/quarantine/{id}/release"),
            Self::QuarantineDiscard => (Server, "POST", "/internal/quarantine/{id}/discard"),
            Self::AuditCheckpoint => (Server, "GET", "/internal/audit/checkpoint"),
            Self::PolicyPollCall => (Client, "POST", POLICY_POLL),
            Self::PolicyFileCall => (Client, "GET", POLICY_FILE),
            Self::PolicyShadowCall => (Client, "POST", POLICY_SHADOW),
            Self::PolicyShadow => (Server, "POST", POLICY_SHADOW),
            Self::PolicyShadowSummary => (Server, "POST", "/internal/policies/shadow/summary"),
            Self::PolicyPoll => (Server, "POST", POLICY_POLL),
            Self::PolicyFile => (Server, "GET", POLICY_FILE),
            Self::PolicyPutFile => (Server, "PUT", POLICY_FILE),
            Self::PolicyMissing => (Server, "POST", "/internal/policies/missing"),
            Self::PolicyRevisions => (Server, "GET", POLICY_REVISIONS),
            Self::PolicyRevision => (Server, "GET", "/internal/policies/revisions/{number}"),
            Self::PolicySend => (Server, "POST", POLICY_REVISIONS),
            Self::PolicyTrialDrop => (Server, "POST", "/internal/policies/trial/drop"),
            Self::PolicyActivate => (Server, "POST", "/internal/policies/active"),
            Self::Policy(_)
            | Self::PolicyFollow
            | Self::PolicyAdminCall
            | Self::Pause
            | Self::Progress
            | Self::Replay
            | Self::StageWrite
            | Self::Fsync
            | Self::Publish
            | Self::Catalog => {
                return None;
            }
        })
    }
}
