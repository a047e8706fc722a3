//! The body of a request, for as long as it is wanted.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::Stream;

use crate::linger::{BodyError, LingeringBody};

/// A body that ends where the upload does, and when a newer request wants to go on.
pub(super) struct Wanted {
    body: LingeringBody,
    overtaken: Pin<Box<dyn Future<Output = ()> + Send>>,
    rest: u64,
}

impl Wanted {
    /// At most so many bytes.
    pub(super) fn new(
        body: LingeringBody,
        overtaken: impl Future<Output = ()> + Send + 'static,
        rest: u64,
    ) -> Self {
        Self {
            body,
            overtaken: Box::pin(overtaken),
            rest,
        }
    }
}

impl Stream for Wanted {
    type Item = Result<Bytes, BodyError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.overtaken.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Some(Err(BodyError::Overtaken)));
        }
        Pin::new(&mut self.body).poll_next(cx).map(|next| {
            let Some(Ok(bytes)) = next else {
                return next;
            };
            match self.rest.checked_sub(bytes.len() as u64) {
                Some(rest) => {
                    self.rest = rest;
                    Some(Ok(bytes))
                }
                None => Some(Err(BodyError::TooLong)),
            }
        })
    }
}
