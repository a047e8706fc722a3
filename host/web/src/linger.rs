//! A request body that is read to its end even when nobody wants it any more.
//!
//! When an upload is refused midway the answer goes out at once. Closing the connection then would
//! reset it, and a client that is still sending would lose the answer. So what is left of the body is
//! read and forgotten in the background, for a bounded time.

use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, HttpBody};
use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use http::HeaderMap;
use portcullis_server::Cut;
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

/// The data of a request. Dropping it before its end leaves the rest to a task of `tasks`.
pub(crate) struct LingeringBody {
    body: Option<Body>,
    trailers: Trailers,
    idle: Duration,
    timer: Pin<Box<tokio::time::Sleep>>,
    cut: Pin<Box<WaitForCancellationFutureOwned>>,
    tasks: TaskTracker,
}

impl LingeringBody {
    pub(crate) fn new(body: Body, idle: Duration, cut: &Cut, tasks: TaskTracker) -> Self {
        Self {
            body: Some(body),
            trailers: Trailers::default(),
            idle,
            timer: Box::pin(tokio::time::sleep(idle)),
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
}

impl Stream for LingeringBody {
    type Item = Result<Bytes, BodyError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        let Some(body) = &mut this.body else {
            return Poll::Ready(None);
        };
        if this.cut.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Some(Err(BodyError::Stopping)));
        }
        match Pin::new(body).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                let deadline = tokio::time::Instant::now() + this.idle;
                this.timer.as_mut().reset(deadline);
                let bytes = frame.into_data().unwrap_or_else(|frame| {
                    if let Ok(trailers) = frame.into_trailers() {
                        // Only the first ones count.
                        let _ = this.trailers.0.set(trailers);
                    }
                    Bytes::new()
                });
                Poll::Ready(Some(Ok(bytes)))
            }
            Poll::Ready(end) => {
                this.body = None;
                Poll::Ready(end.map(|_| Err(BodyError::ClientGone)))
            }
            Poll::Pending if this.timer.as_mut().poll(cx).is_ready() => {
                this.body = None;
                Poll::Ready(Some(Err(BodyError::Idle(this.idle))))
            }
            Poll::Pending => Poll::Pending,
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
