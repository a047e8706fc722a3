//! Answers that their clients have not read yet: how much memory they hold together, and for how long.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use bytes::Buf;
use http::{HeaderValue, header};
use hyper::body::{Frame, SizeHint};
use serde_json::Value;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::task::AbortOnDropHandle;

use crate::answer::DETAILS;

/// The most bytes of all answers that wait.
const MAX_BYTES: usize = 64 << 20;
/// How long a client may leave an answer alone before it is dropped.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);
/// Answers of at most so many bytes are not counted: the request that they answer may have held more.
const SMALL_BYTES: usize = 2 << 10;
/// How much of an answer a connection is given at once.
const FRAME_BYTES: usize = 4 << 10;
/// What is said where findings would be.
const LEFT_OUT: &str = "Too many answers wait for clients that do not read them, so that the findings were left out; ask for the upload's record in a moment.";

/// The room for answers that wait. Clones share it. Permits are KiB.
#[derive(Clone, Debug)]
pub(crate) struct Unread(Arc<Semaphore>);

/// Room that is taken until this is dropped.
pub(crate) type Room = OwnedSemaphorePermit;

impl Unread {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Semaphore::new(MAX_BYTES >> 10)))
    }

    /// Room for so many bytes, if there is any.
    pub(crate) fn room(&self, bytes: usize) -> Option<Room> {
        let kib = u32::try_from(bytes.div_ceil(1 << 10)).ok()?;
        Arc::clone(&self.0).try_acquire_many_owned(kib).ok()
    }
}

/// Counts large answers while they wait. One without room is sent without its findings.
pub(crate) async fn bounded(
    State(unread): State<Unread>,
    request: Request,
    next: Next,
) -> Response {
    let response = next.run(request).await;
    let size = response.body().size_hint().exact();
    let size = size.and_then(|size| usize::try_from(size).ok());
    let Some(size) = size.filter(|size| *size > SMALL_BYTES) else {
        return response;
    };
    let (mut parts, body) = response.into_parts();
    // A body of known size is complete. Copy it, because a serializer's buffer may be twice as large as its content.
    let content = axum::body::to_bytes(body, size).await.unwrap_or_default();
    let content = Bytes::copy_from_slice(&content);
    if let Some(room) = unread.room(content.len()) {
        let whole = Whole::new(content, room, PATIENCE);
        return Response::from_parts(parts, Body::new(whole));
    }
    let (media_type, shorter) = without_findings(&content);
    parts.headers.remove(header::CONTENT_LENGTH);
    if let Some(media_type) = media_type {
        let media_type = HeaderValue::from_static(media_type);
        parts.headers.insert(header::CONTENT_TYPE, media_type);
    }
    Response::from_parts(parts, shorter.into())
}

/// A small answer that says the same without its lists of findings, and its media type if that is another one now.
fn without_findings(content: &[u8]) -> (Option<&'static str>, Bytes) {
    let Ok(mut answer) = serde_json::from_slice::<Value>(content) else {
        return (Some("text/plain; charset=utf-8"), LEFT_OUT.into());
    };
    clear_details(&mut answer);
    answer["findings_left_out"] = LEFT_OUT.into();
    let shorter = answer.to_string();
    if shorter.len() > SMALL_BYTES {
        // Of many files, or with long names: the status says how it ended.
        let alone = serde_json::json!({ "findings_left_out": LEFT_OUT });
        return (None, alone.to_string().into());
    }
    (None, Bytes::copy_from_slice(shorter.as_bytes()))
}

/// Removes findings and tallies from an answer and from what it contains.
fn clear_details(answer: &mut Value) {
    match answer {
        Value::Object(members) => {
            members.retain(|name, _| !DETAILS.contains(&name.as_str()));
            members.values_mut().for_each(clear_details);
        }
        Value::Array(items) => items.iter_mut().for_each(clear_details),
        _ => {}
    }
}

/// An answer that is there as a whole, in frames that a connection has room for.
struct Whole {
    reading: Reading<(Bytes, Room)>,
    left: u64,
}

impl Whole {
    fn new(content: Bytes, room: Room, patience: Duration) -> Self {
        let left = content.len() as u64;
        let reading = Reading::new((content, room), patience);
        Self { reading, left }
    }
}

impl HttpBody for Whole {
    type Data = Bytes;
    type Error = Stalled;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Stalled>>> {
        let next = self.reading.poll(|(content, _)| {
            // A copy: a slice would keep all of the answer in memory for as long as the connection holds it.
            let frame = Bytes::copy_from_slice(&content[..content.len().min(FRAME_BYTES)]);
            content.advance(frame.len());
            Poll::Ready((!frame.is_empty()).then_some(frame))
        });
        next.map(|next| {
            next.map(|frame| {
                let frame = frame?;
                self.left -= frame.len() as u64;
                Ok(Frame::data(frame))
            })
        })
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

/// The client left its answer alone for too long.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the client does not read its answer")]
pub(crate) struct Stalled;

/// What is to be read by a client. It is dropped, with the memory that it holds, once the client has left it alone for too long.
pub(crate) struct Reading<T> {
    held: Arc<Held<T>>,
    _watch: AbortOnDropHandle<()>,
}

struct Held<T> {
    content: Mutex<Option<T>>,
    polls: AtomicU64,
    /// Whether the client waits for us, and not we for it.
    is_awaited: AtomicBool,
}

impl<T: Send + 'static> Reading<T> {
    pub(crate) fn new(content: T, patience: Duration) -> Self {
        let held = Arc::new(Held {
            content: Mutex::new(Some(content)),
            polls: AtomicU64::new(0),
            is_awaited: AtomicBool::new(false),
        });
        let watched = Arc::clone(&held);
        let watch = tokio::spawn(async move {
            loop {
                let before = watched.polls.load(Ordering::Relaxed);
                tokio::time::sleep(patience).await;
                let stands_still = watched.polls.load(Ordering::Relaxed) == before;
                if stands_still && !watched.is_awaited.load(Ordering::Relaxed) {
                    return watched.drop_content();
                }
            }
        });
        Self {
            held,
            _watch: AbortOnDropHandle::new(watch),
        }
    }

    /// The next bytes, as `next` takes them from what is held.
    pub(crate) fn poll(
        &self,
        next: impl FnOnce(&mut T) -> Poll<Option<Bytes>>,
    ) -> Poll<Option<Result<Bytes, Stalled>>> {
        self.held.polls.fetch_add(1, Ordering::Relaxed);
        let mut content = self
            .held
            .content
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let Some(content) = content.as_mut() else {
            return Poll::Ready(Some(Err(Stalled)));
        };
        let next = next(content);
        self.held
            .is_awaited
            .store(next.is_pending(), Ordering::Relaxed);
        next.map(|next| next.map(Ok))
    }
}

impl<T> Held<T> {
    fn drop_content(&self) {
        let content = self.content.lock();
        content.unwrap_or_else(PoisonError::into_inner).take();
    }
}

impl<T> Drop for Reading<T> {
    fn drop(&mut self) {
        // The task that watches may hold it a moment longer.
        self.held.drop_content();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_millis(10);

    fn whole(unread: &Unread, bytes: usize, patience: Duration) -> Option<Body> {
        let content = Bytes::from(vec![b'x'; bytes]);
        let room = unread.room(bytes)?;
        Some(Body::new(Whole::new(content, room, patience)))
    }

    #[tokio::test]
    async fn an_answer_that_nobody_reads_gives_its_room_back_after_a_while() {
        let unread = Unread::new();
        let all = whole(&unread, MAX_BYTES, SHORT).expect("there is room");
        let other = loop {
            match whole(&unread, MAX_BYTES / 2, PATIENCE) {
                Some(other) => break other,
                None => tokio::time::sleep(SHORT).await,
            }
        };
        let error = axum::body::to_bytes(all, usize::MAX).await;
        assert!(error.is_err(), "what is gone cannot be read");
        assert!(unread.room(MAX_BYTES).is_none(), "an answer has no room");
        let read = axum::body::to_bytes(other, usize::MAX).await;
        assert_eq!(read.expect("is there").len(), MAX_BYTES / 2);
        assert!(unread.room(MAX_BYTES).is_some(), "what was read holds room");
    }

    #[tokio::test]
    async fn a_client_that_waits_for_us_is_not_given_up() {
        let (awaited, left_alone) = (Reading::new((), SHORT), Reading::new((), SHORT));
        assert!(awaited.poll(|()| Poll::Pending).is_pending());
        // It began to wait later.
        while left_alone.held.content.lock().expect("works").is_some() {
            tokio::time::sleep(SHORT).await;
        }
        let end = awaited.poll(|()| Poll::Ready(None));
        assert!(matches!(end, Poll::Ready(None)));
    }

    #[test]
    fn what_has_no_room_is_told_without_its_findings() {
        let answer = r#"{"status":422,"uploads":[{"id":"a","findings":[{"row":1}],"tallies":[1]}],"findings":[1]}"#;
        let (media_type, shorter) = without_findings(answer.as_bytes());
        let shorter: Value = serde_json::from_slice(&shorter).expect("is JSON");
        assert_eq!(media_type, None);
        assert_eq!(shorter["uploads"], serde_json::json!([{ "id": "a" }]));
        assert_eq!(
            (&shorter["status"], shorter.get("findings")),
            (&422.into(), None)
        );
        assert_eq!(shorter["findings_left_out"], LEFT_OUT);
        let many = format!(r#"{{"uploads":["{}"]}}"#, "x".repeat(SMALL_BYTES));
        let (_, alone) = without_findings(many.as_bytes());
        assert!(alone.len() < 500, "{alone:?}");
        let (media_type, _) = without_findings(b"<html>");
        assert!(media_type.is_some_and(|it| it.starts_with("text/plain")));
    }
}
