//! Request bodies, written by hand: tests need forms that no decent client would send.

use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use std::convert::Infallible;
use std::pin::Pin;
use tokio::sync::mpsc;

/// What stands between the parts.
const BOUNDARY: &str = "portcullis-test-boundary";

type Blocks = Pin<Box<dyn Stream<Item = Bytes> + Send>>;

/// The contents of a file on their way.
pub struct Contents {
    blocks: Blocks,
    /// Announced beforehand, when it is known.
    length: Option<u64>,
}

impl Contents {
    /// Contents of unknown length.
    pub fn stream(blocks: impl Stream<Item = Bytes> + Send + 'static) -> Self {
        Self {
            blocks: Box::pin(blocks),
            length: None,
        }
    }

    /// Contents that come when they are sent to them.
    pub fn by_hand() -> (mpsc::Sender<Bytes>, Self) {
        let (send, mut received) = mpsc::channel(1);
        let blocks = stream::poll_fn(move |cx| received.poll_recv(cx));
        (send, Self::stream(blocks))
    }

    /// A table of about so many bytes after which nothing comes, nor an end.
    pub fn stuck(bytes: usize) -> Self {
        let row = "patid,sex\n";
        let begin = Bytes::from(row.repeat(bytes / row.len()));
        Self::stream(stream::iter([begin]).chain(stream::pending()))
    }

    /// This text, after which nothing comes, nor an end.
    pub fn then_stuck(text: String) -> Self {
        Self::stream(stream::iter([Bytes::from(text)]).chain(stream::pending()))
    }

    /// A request body.
    pub fn into_body(self) -> reqwest::Body {
        reqwest::Body::wrap_stream(self.blocks.map(Ok::<_, Infallible>))
    }

    /// The length, if it is known beforehand.
    pub fn length(&self) -> Option<u64> {
        self.length
    }
}

impl From<Bytes> for Contents {
    fn from(bytes: Bytes) -> Self {
        let length = Some(bytes.len() as u64);
        Self {
            blocks: Box::pin(stream::iter([bytes])),
            length,
        }
    }
}

impl From<Vec<u8>> for Contents {
    fn from(bytes: Vec<u8>) -> Self {
        Bytes::from(bytes).into()
    }
}

impl From<&str> for Contents {
    fn from(text: &str) -> Self {
        Bytes::copy_from_slice(text.as_bytes()).into()
    }
}

/// A form (RFC 7578), part by part in the order given.
pub struct Form {
    blocks: Blocks,
}

impl Default for Form {
    fn default() -> Self {
        Self {
            blocks: Box::pin(stream::empty()),
        }
    }
}

impl Form {
    /// A form with the attributes of a submission that the policies that ship accept.
    pub fn submission(table: &str) -> Self {
        Self::default()
            .field("cohort", "c1")
            .field("protocol_year", "2024")
            .field("table", table)
    }

    /// One more field.
    #[must_use]
    pub fn field(self, name: &str, value: &str) -> Self {
        self.part(
            &format!("Content-Disposition: form-data; name=\"{name}\""),
            value,
        )
    }

    /// One more file, declared as `text/csv`.
    #[must_use]
    pub fn file(self, filename: &str, contents: impl Into<Contents>) -> Self {
        let disposition =
            format!("Content-Disposition: form-data; name=\"file\"; filename=\"{filename}\"");
        self.part(
            &format!("{disposition}\r\nContent-Type: text/csv"),
            contents,
        )
    }

    /// One more part with these headers.
    #[must_use]
    pub fn part(self, headers: &str, contents: impl Into<Contents>) -> Self {
        let head = Bytes::from(format!("--{BOUNDARY}\r\n{headers}\r\n\r\n"));
        let part = stream::iter([head])
            .chain(contents.into().blocks)
            .chain(stream::iter([Bytes::from_static(b"\r\n")]));
        Self {
            blocks: Box::pin(self.blocks.chain(part)),
        }
    }

    /// The content type and the body.
    pub fn into_body(self) -> (String, reqwest::Body) {
        let end = Bytes::from(format!("--{BOUNDARY}--\r\n"));
        let blocks = self
            .blocks
            .chain(stream::iter([end]))
            .map(Ok::<_, Infallible>);
        (
            format!("multipart/form-data; boundary={BOUNDARY}"),
            reqwest::Body::wrap_stream(blocks),
        )
    }
}
