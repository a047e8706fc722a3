//! What clients ask of services, in a form that can be asked again when nothing was answered.

use anyhow::{Result, ensure};
use bytes::Bytes;
use futures_util::stream;
use portcullis_hop::contract::new_upload;
use portcullis_hop::{
    AppendMode, Commit, Conclusion, Disposition, Ending, Epoch, NewUpload, Refusal, StoreError,
    UploadState, UploadStore,
};
use portcullis_telemetry::{Span, SpanName};
use portcullis_tests::gateway::{ADMIN_KEY, KEY};
use portcullis_types::{Findings, Offset, Sha256Digest, UploadId};
use serde_json::json;

use super::services::Services;

/// One call of a client, or all that one upload takes.
#[derive(Clone, Debug)]
pub(super) enum Operation {
    /// A small upload in one call.
    Small(Upload),
    /// An upload that is created, filled and committed.
    Large(Upload),
    /// One that is created, filled and given up.
    Cancelled(Upload),
    /// One that policies set apart.
    Quarantined(Upload),
    Release(Upload),
    Discard(UploadId),
    Delete(String),
    /// Takes a deletion back; the bytes are those that are visible then.
    Undelete(String, Vec<u8>),
    Purge(String),
}

#[derive(Clone)]
pub(super) struct Upload {
    pub(super) id: UploadId,
    pub(super) path: String,
    pub(super) bytes: Vec<u8>,
}

impl std::fmt::Debug for Upload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} bytes at {}", self.bytes.len(), self.path)
    }
}

impl Upload {
    pub(super) fn new(path: &str, bytes: Vec<u8>) -> Self {
        Self {
            id: UploadId::generate(),
            path: path.to_owned(),
            bytes,
        }
    }

    fn created(&self, span: &Span) -> NewUpload {
        NewUpload {
            id: self.id,
            // The same each time, or it would be another upload.
            received_at: "2026-11-26T00:00:00Z".parse().expect("is a moment"),
            expires_at: "2036-11-26T00:00:00Z".parse().expect("is a moment"),
            traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
                .parse()
                .expect("is a context"),
            ..new_upload(span)
        }
    }

    fn commit(&self, disposition: Disposition) -> Result<Commit> {
        Ok(Commit {
            epoch: Epoch::FIRST,
            length: Offset::new(self.bytes.len() as u64),
            sha256: Sha256Digest::of(&self.bytes),
            path: self.path.parse()?,
            disposition,
            policies: Vec::new(),
            findings: Findings::default(),
        })
    }

    /// Goes on where services say that it stands.
    async fn fill(&self, services: &Services, span: &Span) -> Result<UploadState, StoreError> {
        let hop = &services.hop;
        hop.create(&self.created(span), span).await?;
        let status = hop.record(self.id, span).await?.status;
        let from = usize::try_from(status.offset.bytes()).unwrap_or_default();
        if status.state == UploadState::Open && from < self.bytes.len() {
            let rest = Bytes::copy_from_slice(&self.bytes[from..]);
            let body = Box::pin(stream::iter([Ok(rest)]));
            let mode = AppendMode::Acknowledged;
            hop.append(self.id, status.epoch, status.offset, mode, body, span)
                .await?;
        }
        Ok(status.state)
    }
}

impl Operation {
    /// What is visible where afterwards; absent when nothing changes that.
    pub(super) fn effect(&self) -> Option<(&str, Option<&[u8]>)> {
        match self {
            Self::Small(upload) | Self::Large(upload) | Self::Release(upload) => {
                Some((&upload.path, Some(&upload.bytes)))
            }
            Self::Undelete(path, bytes) => Some((path, Some(bytes))),
            Self::Delete(path) | Self::Purge(path) => Some((path, None)),
            Self::Cancelled(_) | Self::Quarantined(_) | Self::Discard(_) => None,
        }
    }

    /// Asks for it, for the first time or again. Without an error it was acknowledged.
    pub(super) async fn ask(&self, services: &Services) -> Result<()> {
        let span = Span::root(SpanName::Upload, None);
        match self {
            Self::Small(upload) => {
                let (new, commit) = (upload.created(&span), upload.commit(Disposition::Publish)?);
                let bytes = Bytes::copy_from_slice(&upload.bytes);
                services.hop.store(&new, &commit, bytes, &span).await?;
            }
            Self::Large(upload) => {
                upload.fill(services, &span).await?;
                let commit = upload.commit(Disposition::Publish)?;
                services.hop.commit(upload.id, &commit, &span).await?;
            }
            Self::Quarantined(upload) => {
                upload.fill(services, &span).await?;
                let refusal = Refusal {
                    rule: "review".parse()?,
                    message: "Look at it.".to_owned(),
                };
                let commit = upload.commit(Disposition::Quarantine(refusal))?;
                services.hop.commit(upload.id, &commit, &span).await?;
            }
            Self::Cancelled(upload) => {
                if upload.fill(services, &span).await? == UploadState::Open {
                    let cancelled = Conclusion {
                        epoch: Epoch::FIRST,
                        ending: Ending::Cancelled,
                        refusal: None,
                        policies: Vec::new(),
                        findings: Findings::default(),
                    };
                    let concluded = services.hop.conclude(upload.id, &cancelled, &span).await?;
                    ensure!(concluded.state == UploadState::Cancelled);
                }
            }
            Self::Release(Upload { id, .. }) => decide(services, *id, "release").await?,
            Self::Discard(id) => decide(services, *id, "discard").await?,
            Self::Delete(path) => ask_about(services, "delete", KEY, path).await?,
            Self::Undelete(path, _) => ask_about(services, "undelete", KEY, path).await?,
            Self::Purge(path) => ask_about(services, "purge", ADMIN_KEY, path).await?,
        }
        Ok(())
    }
}

async fn decide(services: &Services, id: UploadId, what: &str) -> Result<()> {
    let target = format!("/internal/quarantine/{id}/{what}");
    let reason = json!({ "reason": "a test" });
    services.post(&target, ADMIN_KEY, reason).await
}

async fn ask_about(services: &Services, what: &str, key: &str, path: &str) -> Result<()> {
    let target = format!("/internal/storage/{what}");
    let mut body = json!({ "path": path });
    if what == "purge" {
        body["reason"] = "a test".into();
    }
    services.post(&target, key, body).await
}
