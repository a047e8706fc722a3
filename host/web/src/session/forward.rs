//! The way of the bytes from the judge to services: a bounded channel whose receiving end is the body of
//! one append. A sender that is dropped before [`Forward::end`] breaks the body off, so that services
//! never take a piece for the whole.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use portcullis_hop::{BodyAborted, ByteStream};
use portcullis_telemetry::{Direction, Label, Metric, metrics};
use tokio::sync::mpsc;

/// Chunks that wait to be sent: with 256 KiB each, 1 MiB for an upload.
const MAX_WAITING_CHUNKS: usize = 4;

/// The sending end.
pub(super) struct Forward {
    chunks: mpsc::Sender<Part>,
    stall: Duration,
    /// Bytes that were sent.
    sent: Arc<AtomicU64>,
}

enum Part {
    Chunk(Bytes),
    End,
}

/// Why a chunk cannot be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ForwardError {
    /// The append has ended; its own outcome says why.
    Ended,
    /// Services took nothing for too long.
    Stalled,
}

/// Both ends; `stall` is how long services may take for the next chunk.
pub(super) fn forward(stall: Duration) -> (Forward, ByteStream) {
    let (chunks, mut received) = mpsc::channel(MAX_WAITING_CHUNKS);
    let mut ended = false;
    let body = futures_util::stream::poll_fn(move |cx| {
        if ended {
            return std::task::Poll::Ready(None);
        }
        received.poll_recv(cx).map(|part| match part {
            Some(Part::Chunk(bytes)) => Some(Ok(bytes)),
            Some(Part::End) => {
                ended = true;
                None
            }
            None => {
                ended = true;
                Some(Err(BodyAborted))
            }
        })
    });
    let forward = Forward {
        chunks,
        stall,
        sent: Arc::default(),
    };
    (forward, Box::pin(body))
}

impl Forward {
    /// Sends the next chunk, waiting for room.
    pub(super) async fn send(&self, bytes: Bytes) -> Result<(), ForwardError> {
        let length = bytes.len() as u64;
        self.part(Part::Chunk(bytes)).await?;
        self.sent.fetch_add(length, Ordering::Relaxed);
        forwarded(length);
        Ok(())
    }

    /// How many bytes were sent, as it goes on.
    pub(super) fn sent(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.sent)
    }

    /// Says that all was sent.
    pub(super) async fn end(self) -> Result<(), ForwardError> {
        self.part(Part::End).await
    }

    async fn part(&self, part: Part) -> Result<(), ForwardError> {
        match tokio::time::timeout(self.stall, self.chunks.send(part)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(ForwardError::Ended),
            Err(_) => Err(ForwardError::Stalled),
        }
    }
}

/// Counts bytes that went on to services.
pub(super) fn forwarded(bytes: u64) {
    let forwarded = [Label::Direction(Direction::Forwarded)];
    metrics::count(Metric::Bytes, bytes, forwarded);
}

#[cfg(test)]
mod tests {
    use futures_util::StreamExt;

    use super::*;

    const STALL: Duration = Duration::from_millis(20);

    #[tokio::test]
    async fn an_ended_forward_is_a_whole_body() {
        let (forward, body) = forward(STALL);
        forward.send(Bytes::from_static(b"a")).await.expect("room");
        forward.end().await.expect("room");
        assert_eq!(
            body.collect::<Vec<_>>().await,
            [Ok(Bytes::from_static(b"a"))]
        );
    }

    #[tokio::test]
    async fn a_dropped_forward_is_a_broken_body() {
        let (forward, body) = forward(STALL);
        forward.send(Bytes::from_static(b"a")).await.expect("room");
        drop(forward);
        assert_eq!(
            body.collect::<Vec<_>>().await,
            [Ok(Bytes::from_static(b"a")), Err(BodyAborted)]
        );
    }

    #[tokio::test]
    async fn a_body_that_nobody_reads_stalls_and_one_that_is_gone_ends() {
        let (forward, body) = forward(STALL);
        for _ in 0..MAX_WAITING_CHUNKS {
            forward.send(Bytes::from_static(b"a")).await.expect("room");
        }
        assert_eq!(
            forward.send(Bytes::from_static(b"a")).await,
            Err(ForwardError::Stalled)
        );
        drop(body);
        assert_eq!(
            forward.send(Bytes::from_static(b"a")).await,
            Err(ForwardError::Ended)
        );
    }
}
