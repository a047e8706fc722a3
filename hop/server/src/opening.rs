//! The first bytes of a connection say which version of HTTP it speaks.
//!
//! hyper could find that out, but waits for them without an end, and hands them out by themselves: a head that comes in two
//! pieces makes it double its buffer, for as long as the connection lasts.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};

use crate::framing::Watch;

/// What a client begins with that knows that this is HTTP/2 (RFC 9113, section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// What a client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    /// Or anything that is no HTTP at all, which is answered as HTTP/1 is.
    Http1,
    Http2,
}

/// Reads until the version is certain. Gives what was read, too, which is at most the preface of HTTP/2.
///
/// # Errors
///
/// When the connection breaks.
pub(crate) async fn read(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<(Version, Bytes)> {
    let mut first = [0; PREFACE.len()];
    let mut length = 0;
    while length < first.len() && PREFACE.starts_with(&first[..length]) {
        match stream.read(&mut first[length..]).await? {
            0 => break,
            read => length += read,
        }
    }
    let version = if first[..length] == *PREFACE {
        Version::Http2
    } else {
        Version::Http1
    };
    Ok((version, Bytes::copy_from_slice(&first[..length])))
}

/// A connection whose first bytes were read: they are read again, together with what else has come.
pub(crate) struct Opened<S> {
    inner: S,
    first: Bytes,
    watch: Option<Watch>,
}

impl<S> Opened<S> {
    /// Where there is a watch, it sees every byte that is read.
    pub(crate) fn new(inner: S, first: Bytes, watch: Option<Watch>) -> Self {
        Self {
            inner,
            first,
            watch,
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Opened<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = buffer.filled().len();
        let again = this.first.len().min(buffer.remaining());
        buffer.put_slice(&this.first.split_to(again));
        let read = match Pin::new(&mut this.inner).poll_read(cx, buffer) {
            Poll::Pending if again > 0 => Poll::Ready(Ok(())),
            read => read,
        };
        if let (Poll::Ready(_), Some(watch)) = (&read, &mut this.watch) {
            watch.see(&buffer.filled()[before..]);
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Opened<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn nothing_is_lost_however_it_is_cut(
            begins in 0usize..=24,
            rest in proptest::collection::vec(any::<u8>(), 0..40),
            cut in 0usize..64,
        ) {
            let sent = [&PREFACE[..begins], rest.as_slice()].concat();
            let cut = cut.min(sent.len());
            let mut stream = AsyncReadExt::chain(&sent[..cut], &sent[cut..]);
            let runtime = tokio::runtime::Builder::new_current_thread().build()?;
            let (version, first, after) = runtime.block_on(async {
                let (version, first) = read(&mut stream).await.expect("does not break");
                let mut after = Vec::new();
                stream.read_to_end(&mut after).await.expect("does not break");
                (version, first, after)
            });
            prop_assert_eq!([first.as_ref(), after.as_slice()].concat(), sent.clone());
            prop_assert_eq!(version == Version::Http2, sent.starts_with(PREFACE));
        }

        #[test]
        fn what_was_read_before_comes_first_and_with_more(
            sent in proptest::collection::vec(any::<u8>(), 1..60),
            before in 0usize..24,
            room in 1usize..80,
        ) {
            let (first, rest) = sent.split_at(before.min(sent.len()));
            let mut opened = Opened::new(rest, Bytes::copy_from_slice(first), None);
            let runtime = tokio::runtime::Builder::new_current_thread().build()?;
            let mut room = vec![0; room];
            let (read, after) = runtime.block_on(async {
                let read = opened.read(&mut room).await.expect("does not break");
                let mut after = Vec::new();
                opened.read_to_end(&mut after).await.expect("does not break");
                (read, after)
            });
            prop_assert_eq!(read, room.len().min(sent.len()));
            prop_assert_eq!([&room[..read], &after].concat(), sent);
        }
    }
}
