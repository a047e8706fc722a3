//! Bytes that count only if they have the checksum that was sent with them: for services, and for the policies.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use portcullis_hop::{AppendMode, Gathered, Problem, gather};
use portcullis_telemetry::Span;

use super::UploadSession;
use crate::gateway::Failure;
use crate::linger::BodyError;
use crate::tus::checksum::Checksum;

/// What came of bytes with a checksum.
pub(crate) enum Checked {
    /// They have it, and are appended.
    Appended(UploadSession),
    /// They are not kept, and nobody has seen them.
    Untouched(UploadSession, NotKept),
    /// They are not kept, but the policies have seen them: they have to be shown again what services have.
    Undone(NotKept),
}

/// Why bytes with a checksum are not kept.
pub(crate) enum NotKept {
    /// They have another one.
    Mismatch,
    /// They broke off.
    Broken(BodyError),
    /// It cannot be read.
    NoChecksum(Problem),
}

impl NotKept {
    /// Whether a body that has come to its end has the checksum.
    pub(crate) fn unless(checksum: Checksum) -> Result<(), Self> {
        match checksum.agrees() {
            Ok(true) => Ok(()),
            Ok(false) => Err(Self::Mismatch),
            Err(problem) => Err(Self::NoChecksum(problem)),
        }
    }
}

impl UploadSession {
    /// Appends a body to an upload that services know, all of it or nothing.
    pub(crate) async fn append_checked<B>(
        self,
        mut body: B,
        mut checksum: Checksum,
        span: &Arc<Span>,
    ) -> Result<Checked, Failure>
    where
        B: Stream<Item = Result<Bytes, BodyError>> + Unpin,
    {
        match gather(&mut body).await {
            Err(error) => Ok(Checked::Untouched(self, NotKept::Broken(error))),
            // Few enough to be looked at before anybody sees them.
            Ok(Gathered::Whole(bytes)) => {
                checksum.update(&bytes);
                if let Err(why) = NotKept::unless(checksum) {
                    return Ok(Checked::Untouched(self, why));
                }
                let appended = self.append(stream::iter([Ok(bytes)]), span).await?;
                Ok(Checked::Appended(appended.session))
            }
            Ok(Gathered::Beginning(frames)) => {
                let body = stream::iter(frames.into_iter().map(Ok)).chain(body);
                self.append_provisionally(body, checksum, span).await
            }
        }
    }

    /// Appends what counts only at its end. A refusal before it may be one of bytes that were never sent, so that it
    /// counts only if the rest shows that they were.
    async fn append_provisionally<B>(
        mut self,
        body: B,
        mut checksum: Checksum,
        span: &Arc<Span>,
    ) -> Result<Checked, Failure>
    where
        B: Stream<Item = Result<Bytes, BodyError>> + Unpin,
    {
        let mut body = body.inspect(|bytes| {
            if let Ok(bytes) = bytes {
                checksum.update(bytes);
            }
        });
        let shown = self.send(&mut body, AppendMode::Provisional, span).await;
        let (broken, refused) = match shown {
            Ok(broken) => (broken, None),
            Err(stopped) if stopped.is_verdict() => (read_on(&mut body).await, Some(stopped)),
            Err(stopped) => return Err(self.stop(stopped, span).await),
        };
        drop(body);
        let kept = match broken {
            Some(error) => Err(NotKept::Broken(error)),
            None => NotKept::unless(checksum),
        };
        if let Err(why) = kept {
            self.cancel().await;
            return Ok(Checked::Undone(why));
        }
        if let Some(stopped) = refused {
            return Err(self.stop(stopped, span).await);
        }
        self.acknowledge(span).await.map(Checked::Appended)
    }
}

/// Reads a body to its end. Gives why it broke off, if it did.
async fn read_on<B>(body: &mut B) -> Option<BodyError>
where
    B: Stream<Item = Result<Bytes, BodyError>> + Unpin,
{
    while let Some(bytes) = body.next().await {
        if let Err(error) = bytes {
            return Some(error);
        }
    }
    None
}
