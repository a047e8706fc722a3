//! A request body that is read to its end even when nobody wants it any more.
//!
//! When an upload is refused midway the answer goes out at once. Closing the connection then would
//! reset it, and a client that is still sending would lose the answer. So what is left of the body is
//! read and forgotten in the background, for a bounded time.

use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::body::{Body, HttpBody};
use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use http::HeaderMap;
use portcullis_server::Cut;
use portcullis_telemetry::{Direction, Label, Metric, metrics};
use tokio_util::sync::WaitForCancellationFutureOwned;
use tokio_util::task::TaskTracker;

/// How long what is left of a refused body is read.
const LINGER: Duration = Duration::from_secs(20);

/// Why a body ended before its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BodyError {
    /// The client went away.
    #[error("the client closed the connection before the end of the upload")]
    ClientGone,
    /// The client paused for too long.
    #[error("no byte came for {} s; send the file again over a better line", .0.as_secs())]
    Idle(Duration),
    /// The client sent too little for too long.
    #[error("less than {0} bytes a second came; send the file again over a better line")]
    Slow(u64),
    /// A newer request goes on with the same upload.
    #[error("another request goes on with this upload")]
    Overtaken,
    /// More came than the length that was announced.
    #[error("more bytes came than were announced")]
    TooLong,
    /// This server is being stopped.
    #[error("the server is being stopped; send the file again in a moment")]
    Stopping,
}

/// What the client is told then.
pub(crate) const STOPPING: &str = "This web host is being stopped before all of the upload had come; nothing of it is kept, send it again in a moment.";

/// The headers behind a body, once it has come to its end (RFC 9110, section 6.5).
#[derive(Clone, Debug, Default)]
pub(crate) struct Trailers(Arc<OnceLock<HeaderMap>>);

impl Trailers {
    /// What they are; absent where there are none, or not yet.
    pub(crate) fn get(&self) -> Option<&HeaderMap> {
        self.0.get()
    }
}

/// How fast a client has to send.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    /// How long it may pause.
    pub(crate) idle: Duration,
    /// How much it has to send in a second, on average of the window; 0 for whatever it can. In bytes.
    pub(crate) least: u64,
    /// Over how long its rate is averaged. Only the time counts in which it is waited for.
    pub(crate) window: Duration,
}

/// What a client sent since it was last looked at.
#[derive(Default)]
struct Measured {
    bytes: u64,
    waited: Duration,
    waits_since: Option<Instant>,
}

impl Measured {
    /// More has come. Says whether it is too little.
    fn came(&mut self, bytes: usize, pace: Pace) -> bool {
        self.bytes += bytes as u64;
        self.waited += self
            .waits_since
            .take()
            .map_or(Duration::ZERO, |since| since.elapsed());
        if self.waited < pace.window {
            return false;
        }
        let is_slow = self.bytes < self.waited.as_secs() * pace.least;
        *self = Self::default();
        is_slow
    }
}

/// The data of a request. Dropping it before its end leaves the rest to a task of `tasks`.
pub(crate) struct LingeringBody {
    body: Option<Body>,
    /// The first bytes, once they were looked for.
    first: Option<Bytes>,
    trailers: Trailers,
    pace: Pace,
    measured: Measured,
    timer: Pin<Box<tokio::time::Sleep>>,
    cut: Pin<Box<WaitForCancellationFutureOwned>>,
    tasks: TaskTracker,
}

impl LingeringBody {
    pub(crate) fn new(body: Body, pace: Pace, cut: &Cut, tasks: TaskTracker) -> Self {
        Self {
            body: Some(body),
            first: None,
            trailers: Trailers::default(),
            pace,
            measured: Measured::default(),
            timer: Box::pin(tokio::time::sleep(pace.idle)),
            cut: Box::pin(cut.wait()),
            tasks,
        }
    }
}

impl LingeringBody {
    /// Where its trailers will be.
    pub(crate) fn trailers(&self) -> Trailers {
        self.trailers.clone()
    }

    /// Whether the body is known to have ended, without waiting.
    pub(crate) fn is_over(&self) -> bool {
        self.first.is_none() && self.body.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    /// Whether it has no bytes. Over HTTP/2 a request may say so behind its headers only, so this waits for the first bytes;
    /// they are kept.
    pub(crate) async fn is_empty(&mut self) -> Result<bool, BodyError> {
        while self.first.is_none() {
            match self.next().await {
                None => return Ok(true),
                Some(bytes) => self.first = Some(bytes?).filter(|bytes| !bytes.is_empty()),
            }
        }
        Ok(false)
    }
}

impl Stream for LingeringBody {
    type Item = Result<Bytes, BodyError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        if let Some(first) = this.first.take() {
            return Poll::Ready(Some(Ok(first)));
        }
        let Some(body) = &mut this.body else {
            return Poll::Ready(None);
        };
        if this.cut.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Some(Err(BodyError::Stopping)));
        }
        match Pin::new(body).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                let deadline = tokio::time::Instant::now() + this.pace.idle;
                this.timer.as_mut().reset(deadline);
                let bytes = frame.into_data().unwrap_or_else(|frame| {
                    if let Ok(trailers) = frame.into_trailers() {
                        // Only the first ones count.
                        let _ = this.trailers.0.set(trailers);
                    }
                    Bytes::new()
                });
                let received = [Label::Direction(Direction::Received)];
                metrics::count(Metric::Bytes, bytes.len() as u64, received);
                if this.measured.came(bytes.len(), this.pace) {
                    return Poll::Ready(Some(Err(BodyError::Slow(this.pace.least))));
                }
                Poll::Ready(Some(Ok(bytes)))
            }
            Poll::Ready(end) => {
                this.body = None;
                Poll::Ready(end.map(|_| Err(BodyError::ClientGone)))
            }
            Poll::Pending if this.timer.as_mut().poll(cx).is_ready() => {
                this.body = None;
                Poll::Ready(Some(Err(BodyError::Idle(this.pace.idle))))
            }
            Poll::Pending => {
                this.measured.waits_since.get_or_insert_with(Instant::now);
                Poll::Pending
            }
        }
    }
}

impl Drop for LingeringBody {
    fn drop(&mut self) {
        if let Some(rest) = self.body.take() {
            let mut rest = rest.into_data_stream();
            self.tasks.spawn(async move {
                let forget = async { while let Some(Ok(_)) = rest.next().await {} };
                // At the end of the time the connection is simply closed.
                let _ = tokio::time::timeout(LINGER, forget).await;
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACE: Pace = Pace {
        idle: Duration::from_mins(1),
        least: 100,
        window: Duration::from_secs(30),
    };

    fn waited(seconds: u64, bytes: usize) -> bool {
        let mut measured = Measured {
            waited: Duration::from_secs(seconds),
            ..Measured::default()
        };
        measured.came(bytes, PACE)
    }

    #[test]
    fn a_client_is_slow_that_sends_too_little_while_it_is_waited_for() {
        assert!(waited(30, 2_999));
        assert!(!waited(30, 3_000));
        assert!(!waited(29, 0), "it is not looked at yet");
        let mut measured = Measured::default();
        // However long we take ourselves.
        assert!(!measured.came(1, PACE) && measured.waited == Duration::ZERO);
    }
}
