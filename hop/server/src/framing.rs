//! Requests that announce their length twice, by `Content-Length` and by `Transfer-Encoding`, are what
//! request smuggling is made of (RFC 9112, section 6.3). hyper closes the connection after such a request
//! but drops its `Content-Length` without a word, so that no handler could refuse it. This looks at the
//! bytes themselves as hyper reads them. Over HTTP/2 neither says where a request ends (RFC 9113, section 8.1.1).

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

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

/// Sees the bytes of a connection of HTTP/1 as they are read.
pub(crate) struct Watch {
    framing: Framing,
    scanner: Scanner,
}

impl Watch {
    /// With what it tells of the heads that it sees.
    pub(crate) fn new() -> (Self, Framing) {
        let framing = Framing::default();
        let watch = Self {
            framing: framing.clone(),
            scanner: Scanner::default(),
        };
        (watch, framing)
    }

    /// Takes in the next bytes.
    pub(crate) fn see(&mut self, bytes: &[u8]) {
        let over = self.scanner.seen & HEAD_OVER != 0;
        let reset = self.framing.0.load(Ordering::Acquire) == 0;
        if over && reset {
            self.scanner = Scanner::default();
        }
        if !over || reset {
            let seen = self.scanner.scan(bytes);
            self.framing.0.store(seen, Ordering::Release);
        }
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

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
        fn cuts_change_nothing(head in "(Content-Length: 1\r?\n|Transfer-Encoding: x\n|a: b\r\n|\r?\n){0,6}", cut in 0usize..40) {
            let bytes = head.as_bytes();
            let cut = cut.min(bytes.len());
            let mut scanner = Scanner::default();
            scanner.scan(&bytes[..cut]);
            prop_assert_eq!(scanner.scan(&bytes[cut..]), Scanner::default().scan(bytes));
        }
    }
}
