//! The first bytes of a connection say which version of HTTP it speaks.
//!
//! hyper could find that out, but waits for them without an end, and hands them out by themselves: a head that comes in two
//! pieces makes it double its buffer, for as long as the connection lasts.

use std::io;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncReadExt};

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
    }
}
