//! Which requests are under way on a connection that can have several: one without any is closed.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use http_body::{Frame, SizeHint};
use tokio::sync::watch;

/// The requests of one connection. Clones share them.
#[derive(Clone, Debug)]
pub(crate) struct Requests(Arc<watch::Sender<Count>>);

#[derive(Clone, Copy, Debug, Default)]
struct Count {
    begun: u64,
    under_way: usize,
}

/// One that is under way, until this is dropped.
#[derive(Debug)]
pub(crate) struct UnderWay(Requests);

impl Requests {
    pub(crate) fn none() -> Self {
        Self(Arc::new(watch::Sender::default()))
    }

    /// The next one begins.
    pub(crate) fn begin(&self) -> UnderWay {
        self.0.send_modify(|count| {
            count.begun += 1;
            count.under_way += 1;
        });
        UnderWay(self.clone())
    }

    /// Ready when there has been none for so long.
    pub(crate) async fn idle(&self, time: Duration) {
        let mut count = self.0.subscribe();
        loop {
            let none = count.wait_for(|count| count.under_way == 0).await;
            // An error would say that nobody counts any more, and this does.
            let Ok(begun) = none.map(|count| count.begun) else {
                return;
            };
            let next = count.wait_for(|count| count.begun != begun);
            if tokio::time::timeout(time, next).await.is_err() {
                return;
            }
        }
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.0.send_modify(|count| count.under_way -= 1);
    }
}

/// The body of an answer: its request is under way until it has been sent.
pub(crate) struct AnswerBody {
    body: Body,
    _request: UnderWay,
}

impl AnswerBody {
    pub(crate) fn new(body: Body, request: UnderWay) -> Self {
        Self {
            body,
            _request: request,
        }
    }
}

impl HttpBody for AnswerBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIME: Duration = Duration::from_millis(20);
    const LIMIT: Duration = Duration::from_secs(30);

    #[tokio::test]
    async fn a_connection_is_idle_once_nothing_is_under_way_any_more() {
        let requests = Requests::none();
        let (long, short) = (requests.begin(), requests.begin());
        let idle = requests.idle(TIME);
        tokio::pin!(idle);
        drop(short);
        let busy = tokio::time::timeout(TIME * 10, idle.as_mut()).await;
        assert!(busy.is_err());
        drop(long);
        let over = tokio::time::timeout(LIMIT, idle).await;
        over.expect("nothing is under way");
    }

    #[tokio::test]
    async fn a_request_is_under_way_until_its_answer_has_been_sent() {
        let requests = Requests::none();
        let body = AnswerBody::new(Body::from("x"), requests.begin());
        let idle = requests.idle(TIME);
        tokio::pin!(idle);
        let busy = tokio::time::timeout(TIME * 10, idle.as_mut()).await;
        assert!(busy.is_err());
        let sent = axum::body::to_bytes(Body::new(body), 10).await;
        assert_eq!(sent.expect("is read"), "x");
        let over = tokio::time::timeout(LIMIT, idle).await;
        over.expect("nothing is under way");
    }
}
