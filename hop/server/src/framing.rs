//! Requests that announce their length twice, by `Content-Length` and by `Transfer-Encoding`, are what
//! request smuggling is made of (RFC 9112, section 6.3). hyper closes the connection after such a request
//! but drops its `Content-Length` without a word, so that no handler could refuse it. This looks at the
//! bytes themselves as hyper reads them.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What was seen in the head of the request that is being read.
#[derive(Clone, Debug, Default)]
pub(crate) struct Framing(Arc<AtomicU8>);

const CONTENT_LENGTH: u8 = 1;
const TRANSFER_ENCODING: u8 = 2;
/// The head is over: what follows is a body.
const HEAD_OVER: u8 = 4;

impl Framing {
    /// Whether the head of the current request has both.
    pub(crate) fn is_ambiguous(&self) -> bool {
        let both = CONTENT_LENGTH | TRANSFER_ENCODING;
        self.0.load(Ordering::Acquire) & both == both
    }

    /// The next byte that is read begins a new head. Called when a request has been answered.
    pub(crate) fn expect_head(&self) {
        self.0.store(0, Ordering::Release);
    }
}

/// A connection whose heads are watched.
pub(crate) struct Watched<S> {
    inner: S,
    /// What was read of it before, and is read again.
    first: Bytes,
    framing: Framing,
    scanner: Scanner,
}

impl<S> Watched<S> {
    /// With what was read of it before.
    pub(crate) fn new(inner: S, first: Bytes) -> (Self, Framing) {
        let framing = Framing::default();
        let watched = Self {
            inner,
            first,
            framing: framing.clone(),
            scanner: Scanner::default(),
        };
        (watched, framing)
    }
}

/// Finds two field names at the beginnings of lines, however the bytes are cut.
#[derive(Default)]
struct Scanner {
    /// The beginning of the current line, in lower case: as much as the longer name needs.
    line: Vec<u8>,
    /// Whether a line that is not empty has come: empty ones before it are no end (RFC 9112, section 2.2).
    begun: bool,
    /// What was seen so far.
    seen: u8,
}

/// The longest name that is looked for, with its colon.
const MAX_NAME_BYTES: usize = "transfer-encoding:".len();

impl Scanner {
    /// Takes in bytes, up to the end of the head.
    fn scan(&mut self, bytes: &[u8]) -> u8 {
        for byte in bytes {
            match byte {
                _ if self.seen & HEAD_OVER != 0 => break,
                b'\r' => {}
                b'\n' => self.end_line(),
                byte if self.line.len() < MAX_NAME_BYTES => {
                    self.line.push(byte.to_ascii_lowercase());
                }
                _ => {}
            }
        }
        self.seen
    }

    fn end_line(&mut self) {
        if self.line.starts_with(b"content-length:") {
            self.seen |= CONTENT_LENGTH;
        } else if self.line.starts_with(b"transfer-encoding:") {
            self.seen |= TRANSFER_ENCODING;
        } else if self.line.is_empty() && self.begun {
            self.seen |= HEAD_OVER;
        }
        self.begun |= !self.line.is_empty();
        self.line.clear();
    }
}

impl<S: AsyncRead + Unpin> Watched<S> {
    /// Reads what was read before together with what else has come: a head is not to be in two pieces for that.
    fn poll_bytes(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let again = self
            .first
            .split_to(self.first.len().min(buffer.remaining()));
        buffer.put_slice(&again);
        if !again.is_empty() && buffer.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        match Pin::new(&mut self.inner).poll_read(cx, buffer) {
            Poll::Pending if !again.is_empty() => Poll::Ready(Ok(())),
            read => read,
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = buffer.filled().len();
        let read = this.poll_bytes(cx, buffer);
        if read.is_ready() {
            let over = this.scanner.seen & HEAD_OVER != 0;
            let reset = this.framing.0.load(Ordering::Acquire) == 0;
            if over && reset {
                this.scanner = Scanner::default();
            }
            if !over || reset {
                let seen = this.scanner.scan(&buffer.filled()[before..]);
                this.framing.0.store(seen, Ordering::Release);
            }
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
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
    use tokio::io::AsyncReadExt;

    use super::*;

    fn ambiguous(seen: u8) -> bool {
        seen & HEAD_OVER != 0 && seen & 3 == 3
    }

    #[test]
    fn only_both_in_one_head_are_ambiguous() {
        for (head, expected) in [
            (
                "POST / HTTP/1.1\r\nContent-Length: 3\r\ntransfer-encoding: chunked\r\n\r\n",
                true,
            ),
            (
                "\r\nPOST / HTTP/1.1\nTransfer-Encoding:chunked\nCONTENT-LENGTH:3\n\n",
                true,
            ),
            (
                "POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nTransfer-Encoding: chunked\r\n\r\n",
                false,
            ),
            (
                "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nX-Content-Length: 3\r\n\r\n",
                false,
            ),
        ] {
            assert_eq!(
                ambiguous(Scanner::default().scan(head.as_bytes())),
                expected,
                "{head}"
            );
        }
    }

    proptest! {
        #[test]
        fn what_was_read_before_comes_first_and_with_more(
            sent in proptest::collection::vec(any::<u8>(), 1..60),
            before in 0usize..24,
            room in 1usize..80,
        ) {
            let (first, rest) = sent.split_at(before.min(sent.len()));
            let (mut watched, _) = Watched::new(rest, Bytes::copy_from_slice(first));
            let runtime = tokio::runtime::Builder::new_current_thread().build()?;
            let mut room = vec![0; room];
            let (read, after) = runtime.block_on(async {
                let read = watched.read(&mut room).await.expect("does not break");
                let mut after = Vec::new();
                watched.read_to_end(&mut after).await.expect("does not break");
                (read, after)
            });
            prop_assert_eq!(read, room.len().min(sent.len()));
            prop_assert_eq!([&room[..read], &after].concat(), sent);
        }

        #[test]
        fn cuts_change_nothing(head in "(Content-Length: 1\r?\n|Transfer-Encoding: x\n|a: b\r\n|\r?\n){0,6}", cut in 0usize..40) {
            let bytes = head.as_bytes();
            let cut = cut.min(bytes.len());
            let mut scanner = Scanner::default();
            scanner.scan(&bytes[..cut]);
            prop_assert_eq!(scanner.scan(&bytes[cut..]), Scanner::default().scan(bytes));
        }
    }
}
