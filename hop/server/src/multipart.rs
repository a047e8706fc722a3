//! A `multipart/form-data` body (RFC 7578; RFC 2046, section 5.1), read part by part within limits.
//!
//! `multer` parses it. By itself it gathers all that its source has ready, and keeps everything before the first
//! boundary and every part header, however long. Here its source gives it one frame at a time, and while it looks for
//! the next part no more bytes than [`MAX_HEAD_BYTES`].

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_util::Stream;
use http::{HeaderMap, HeaderValue, header};
use multer::Field;
use thiserror::Error;

use crate::body_headers;
use crate::content_disposition::Disposition;

/// The most bytes before the data of a part: its boundary, its headers, and the preamble if it is the first one.
pub const MAX_HEAD_BYTES: usize = 16 << 10;
/// The most bytes after the last boundary.
pub const MAX_EPILOGUE_BYTES: usize = 16 << 10;
/// The most parts of a form: more than the fields and files together that either server accepts.
pub const MAX_PARTS: usize = 256;
/// The longest boundary (RFC 2046, section 5.1.1). At the end of each frame as many bytes may be held back.
const MAX_BOUNDARY_BYTES: usize = 70;

/// Why a form cannot be read. `E` is the error of its body. The text of each is a sentence for its sender.
#[derive(Debug, Error)]
pub enum MultipartError<E> {
    /// The body failed.
    #[error("The form cannot be received; send it again.")]
    Body(E),
    /// The header `Content-Type` has no usable boundary.
    #[error(
        "The form has no boundary of 1 to {MAX_BOUNDARY_BYTES} characters; send `multipart/form-data` with one, as every HTTP client does by itself."
    )]
    Boundary,
    /// The body ended too early, or a boundary line is none; the parser has one error for both.
    #[error(
        "The form ends before its last boundary, or one of its boundary lines is not as RFC 7578 wants it; send it again in full, with CR LF after each boundary."
    )]
    Truncated,
    /// Over [`MAX_HEAD_BYTES`] before the data of a part.
    #[error(
        "Part {number} of the form has over {} KiB before its data; check that the boundary in `Content-Type` is the one in the body, and shorten the headers of the part.",
        MAX_HEAD_BYTES >> 10
    )]
    Head {
        /// Which part, from 1.
        number: usize,
    },
    /// The headers of a part are no headers.
    #[error("A part of the form has headers that cannot be read; send it as RFC 7578 describes.")]
    Headers,
    /// A name in the headers of a part is not UTF-8.
    #[error(
        "Part {number} of the form has a name that is not UTF-8; send names as UTF-8, or the file name as `filename*`."
    )]
    NotUtf8 {
        /// Which part, from 1.
        number: usize,
    },
    /// The lines of the form end with LF.
    #[error(
        "The lines of the form end with LF, and those of a form end with CR LF; send it as RFC 7578 describes, as every HTTP client does by itself."
    )]
    LineFeeds,
    /// A part is not the data itself.
    #[error(
        "Part {number} of the form is encoded (`{header}`), and encoded bytes cannot be checked; send it as it is, without this header."
    )]
    Encoded {
        /// Which part, from 1.
        number: usize,
        /// The header that says so.
        header: &'static str,
    },
    /// Over [`MAX_PARTS`].
    #[error("The form has over {MAX_PARTS} parts; send the rest in another form.")]
    TooManyParts,
    /// Over [`MAX_EPILOGUE_BYTES`].
    #[error(
        "The form has over {} KiB after its last boundary; end the request there.",
        MAX_EPILOGUE_BYTES >> 10
    )]
    Epilogue,
    /// Anything else that is wrong with it.
    #[error("The form cannot be read; send it as `multipart/form-data` (RFC 7578).")]
    Unreadable,
}

/// What the headers of a part say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartHead {
    /// The name of the field; empty if the part has none.
    pub name: String,
    /// The file name, if the part has one.
    pub filename: Option<String>,
    /// The media type as declared.
    pub media_type: Option<String>,
}

/// A form being read. It holds at most one frame of its body and what the limits above allow.
pub struct Multipart<E> {
    parser: multer::Multipart<'static>,
    source: Arc<Mutex<Source<E>>>,
    current: Option<Field<'static>>,
    parts: usize,
}

impl<E: Send + 'static> Multipart<E> {
    /// A form in this body; `content_type` is the header that has its boundary.
    ///
    /// # Errors
    /// [`MultipartError::Boundary`].
    pub fn new(
        content_type: &str,
        body: impl Stream<Item = Result<Bytes, E>> + Send + 'static,
    ) -> Result<Self, MultipartError<E>> {
        let boundary = multer::parse_boundary(content_type).ok();
        let boundary = boundary
            .filter(|boundary| (1..=MAX_BOUNDARY_BYTES).contains(&boundary.len()))
            .ok_or(MultipartError::Boundary)?;
        let source = Arc::new(Mutex::new(Source::new(body, &boundary)));
        Ok(Self {
            parser: multer::Multipart::new(Feed(Arc::clone(&source)), boundary),
            source,
            current: None,
            parts: 0,
        })
    }

    /// The head of the next part; what is left of the part before is discarded. Absent at the end of the body.
    ///
    /// # Errors
    /// The body fails, is not a form, or exceeds a limit. Nothing more can be read from it.
    pub async fn next_part(&mut self) -> Result<Option<PartHead>, MultipartError<E>> {
        while self.chunk().await?.is_some() {}
        let Some(field) = poll_fn(|cx| self.poll_field(cx)).await? else {
            return self.end().await.map(|()| None);
        };
        self.parts += 1;
        if self.parts > MAX_PARTS {
            return Err(MultipartError::TooManyParts);
        }
        let headers = field.headers().iter();
        let header_bytes: usize = headers
            .map(|(name, value)| name.as_str().len() + value.len())
            .sum();
        // They may have come in the same frame as the data before them, which no limit cuts.
        if header_bytes > MAX_HEAD_BYTES {
            return Err(MultipartError::Head { number: self.parts });
        }
        let head = self.head(field.headers())?;
        self.current = Some(field);
        Ok(Some(head))
    }

    /// What the headers of the current part say.
    fn head(&self, headers: &HeaderMap) -> Result<PartHead, MultipartError<E>> {
        let number = self.parts;
        if let Some(header) = encoding(headers) {
            return Err(MultipartError::Encoded { number, header });
        }
        let disposition = headers.get(header::CONTENT_DISPOSITION);
        let disposition = disposition.map_or(&b""[..], |value| value.as_bytes());
        let disposition = Disposition::of_part(disposition);
        let disposition = disposition.map_err(|_| MultipartError::NotUtf8 { number })?;
        let media_type = headers.get(header::CONTENT_TYPE);
        Ok(PartHead {
            name: disposition.name.unwrap_or_default(),
            filename: disposition.filename,
            media_type: media_type
                .and_then(|value| value.to_str().ok())
                .map(str::to_owned),
        })
    }

    /// The next bytes of the current part; absent at its end.
    ///
    /// # Errors
    /// As [`Multipart::next_part`].
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, MultipartError<E>> {
        poll_fn(|cx| self.poll_chunk(cx)).await
    }

    /// As [`Multipart::chunk`], for streams.
    pub fn poll_chunk(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Bytes>, MultipartError<E>>> {
        let Some(mut field) = self.current.take() else {
            return Poll::Ready(Ok(None));
        };
        loop {
            let before = self.source().allow(usize::MAX);
            match Pin::new(&mut field).poll_next(cx) {
                Poll::Ready(None) => {
                    self.source().given_bytes = 0;
                    return Poll::Ready(Ok(None));
                }
                Poll::Ready(Some(Err(error))) => {
                    // A part that broke off has no end: reading it again fails again.
                    self.current = Some(field);
                    return Poll::Ready(Err(self.failed(&error)));
                }
                Poll::Ready(Some(Ok(bytes))) if bytes.is_empty() => {}
                Poll::Ready(Some(Ok(bytes))) => {
                    self.current = Some(field);
                    return Poll::Ready(Ok(Some(bytes)));
                }
                // The source withheld bytes and registered no waker, so poll again.
                Poll::Pending if self.source().given_bytes > before => {}
                Poll::Pending => {
                    self.current = Some(field);
                    return Poll::Pending;
                }
            }
        }
    }

    /// The next part with its headers, looked for in as many bytes as are allowed.
    fn poll_field(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Field<'static>>, MultipartError<E>>> {
        loop {
            let left = MAX_HEAD_BYTES - self.source().given_bytes;
            let before = self.source().allow(left);
            match self.parser.poll_next_field(cx) {
                Poll::Ready(field) => {
                    return Poll::Ready(field.map_err(|error| self.failed(&error)));
                }
                Poll::Pending if self.source().given_bytes > before => {}
                Poll::Pending if left == 0 && self.source().has_line_feeds() => {
                    return Poll::Ready(Err(MultipartError::LineFeeds));
                }
                Poll::Pending if left == 0 => {
                    let number = self.parts + 1;
                    return Poll::Ready(Err(MultipartError::Head { number }));
                }
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    /// Reads what follows the last boundary, which means nothing (RFC 2046, section 5.1.1).
    async fn end(&mut self) -> Result<(), MultipartError<E>> {
        let mut bytes = 0;
        while let Some(frame) = poll_fn(|cx| self.source().poll_give(cx, usize::MAX)).await {
            bytes += frame.map_err(MultipartError::Body)?.len();
            if bytes > MAX_EPILOGUE_BYTES {
                return Err(MultipartError::Epilogue);
            }
        }
        Ok(())
    }

    fn failed(&self, error: &multer::Error) -> MultipartError<E> {
        if let Some(cause) = self.source().error.take() {
            return MultipartError::Body(cause);
        }
        if self.source().has_line_feeds() {
            return MultipartError::LineFeeds;
        }
        match error {
            multer::Error::IncompleteStream | multer::Error::IncompleteFieldData { .. } => {
                MultipartError::Truncated
            }
            multer::Error::IncompleteHeaders
            | multer::Error::ReadHeaderFailed(_)
            | multer::Error::DecodeHeaderName { .. }
            | multer::Error::DecodeHeaderValue { .. } => MultipartError::Headers,
            _ => MultipartError::Unreadable,
        }
    }

    fn source(&self) -> MutexGuard<'_, Source<E>> {
        self.source.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The header by which a part is not the data itself: it is compressed, encoded as for e-mail (RFC 7578, section 4.7, which
/// takes that away), or a range.
fn encoding(headers: &HeaderMap) -> Option<&'static str> {
    const PLAIN: [&str; 3] = ["7bit", "8bit", "binary"];
    let mut transfer = headers.get_all("content-transfer-encoding").iter();
    let is_plain = |value: &HeaderValue| {
        let value = value.to_str().unwrap_or_default().trim();
        PLAIN.iter().any(|plain| value.eq_ignore_ascii_case(plain))
    };
    if !transfer.all(is_plain) {
        return Some("Content-Transfer-Encoding");
    }
    if body_headers::check_coding(headers).is_err() {
        return Some("Content-Encoding");
    }
    headers
        .contains_key(header::CONTENT_RANGE)
        .then_some("Content-Range")
}

/// The body, and how much of it the parser may have.
struct Source<E> {
    body: Pin<Box<dyn Stream<Item = Result<Bytes, E>> + Send>>,
    ended: bool,
    /// What is left of the last frame.
    rest: Bytes,
    /// How much the parser gets when it asks next; nothing until it is allowed more.
    allowed_bytes: usize,
    /// How much it got since the end of the previous part.
    given_bytes: usize,
    /// Why the body failed: the parser has no type for it.
    error: Option<E>,
    /// The line that the form begins with if its lines end with LF alone, and as much of the body.
    line: Vec<u8>,
    beginning: Vec<u8>,
}

impl<E> Source<E> {
    fn new(body: impl Stream<Item = Result<Bytes, E>> + Send + 'static, boundary: &str) -> Self {
        Self {
            body: Box::pin(body),
            ended: false,
            rest: Bytes::new(),
            allowed_bytes: 0,
            given_bytes: 0,
            error: None,
            line: format!("--{boundary}\n").into_bytes(),
            beginning: Vec::new(),
        }
    }

    /// Whether the lines of the form end with LF alone, which its first one shows.
    fn has_line_feeds(&self) -> bool {
        self.beginning == self.line
    }

    /// Lets the parser have so many more bytes of one frame. Returns how much it has got.
    fn allow(&mut self, bytes: usize) -> usize {
        self.allowed_bytes = bytes;
        self.given_bytes
    }

    /// At most so many bytes, of one frame.
    fn poll_give(&mut self, cx: &mut Context<'_>, most: usize) -> Poll<Option<Result<Bytes, E>>> {
        while self.rest.is_empty() {
            if self.ended {
                return Poll::Ready(None);
            }
            match ready!(self.body.as_mut().poll_next(cx)) {
                Some(Ok(frame)) => self.rest = frame,
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => self.ended = true,
            }
        }
        let size = self.rest.len().min(most);
        let missing = self.line.len() - self.beginning.len();
        self.beginning
            .extend_from_slice(&self.rest[..size.min(missing)]);
        Poll::Ready(Some(Ok(self.rest.split_to(size))))
    }
}

/// The end of the source that the parser reads from.
struct Feed<E>(Arc<Mutex<Source<E>>>);

/// What the parser gets for a failed body. [`Source::error`] has the cause.
#[derive(Debug, Error)]
#[error("the body failed")]
struct Failed;

impl<E> Stream for Feed<E> {
    type Item = Result<Bytes, Failed>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut source = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let allowed = source.allowed_bytes;
        if allowed == 0 {
            // Nothing needs to wake this task: the parser got bytes in this turn, so `Multipart` polls it again.
            return Poll::Pending;
        }
        let given = ready!(source.poll_give(cx, allowed));
        source.allowed_bytes = 0;
        Poll::Ready(given.map(|given| match given {
            Ok(bytes) => {
                source.given_bytes += bytes.len();
                Ok(bytes)
            }
            Err(error) => {
                source.error = Some(error);
                Err(Failed)
            }
        }))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures_util::{FutureExt, StreamExt, stream};
    use proptest::prelude::*;

    use super::*;

    type Error = MultipartError<&'static str>;
    type Parts = Vec<(PartHead, Vec<u8>)>;

    const TYPE: &str = "multipart/form-data; boundary=X";

    fn part(name: &str, data: &[u8]) -> Vec<u8> {
        let head = format!("\r\n--X\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n");
        [head.as_bytes(), data].concat()
    }

    /// A body in frames of at most so many bytes.
    fn frames(body: &[u8], size: usize) -> Vec<Result<Bytes, &'static str>> {
        let frames = body.chunks(size.max(1));
        frames
            .map(|frame| Ok(Bytes::copy_from_slice(frame)))
            .collect()
    }

    fn read(frames: Vec<Result<Bytes, &'static str>>) -> Result<Parts, Error> {
        // Now and then nothing is ready.
        let frames = stream::iter(frames).then(|frame| async {
            tokio::task::yield_now().await;
            frame
        });
        let all = async {
            let mut form = Multipart::new(TYPE, frames)?;
            let mut parts = Vec::new();
            while let Some(head) = form.next_part().await? {
                let mut data = Vec::new();
                while let Some(bytes) = form.chunk().await? {
                    data.extend_from_slice(&bytes);
                }
                parts.push((head, data));
            }
            Ok(parts)
        };
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        runtime.expect("a runtime").block_on(all)
    }

    /// How many bytes of an endless body are received before it is refused, and why it is.
    fn gathered(begin: &[u8], frame: &[u8]) -> (usize, Error) {
        let received = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&received);
        let endless = stream::iter([Bytes::copy_from_slice(begin)])
            .chain(stream::repeat(Bytes::copy_from_slice(frame)))
            .map(move |bytes| {
                counted.fetch_add(bytes.len(), Ordering::Relaxed);
                Ok::<_, &'static str>(bytes)
            });
        let mut form = Multipart::new(TYPE, endless).expect("has a boundary");
        let read = async {
            loop {
                if let Err(error) = form.next_part().await {
                    return error;
                }
            }
        };
        let error = read.now_or_never().expect("all of it is ready");
        (received.load(Ordering::Relaxed), error)
    }

    #[test]
    fn an_endless_form_is_refused_after_its_limit() {
        let header = b"--X\r\nContent-Disposition: form-data; name=\"";
        let closed = [part("a", b"data").as_slice(), b"\r\n--X--"].concat();
        let one_part = part("a", b"");
        for size in [1, 7, 4 << 10, 64 << 10] {
            let filler = vec![b'x'; size];
            let (received, error) = gathered(b"", &filler);
            assert!(matches!(error, Error::Head { number: 1 }), "{error}");
            assert!(received <= MAX_HEAD_BYTES + size, "{received}");
            let (received, error) = gathered(header, &filler);
            assert!(matches!(error, Error::Head { number: 1 }), "{error}");
            assert!(received <= MAX_HEAD_BYTES + size, "{received}");
            let (received, error) = gathered(&closed, &filler);
            assert!(matches!(error, Error::Epilogue), "{error}");
            // The parser gets a frame for the data of the part, and one for its end.
            let most = closed.len() + MAX_EPILOGUE_BYTES + 3 * size;
            assert!(received <= most, "{received}");
        }
        let (_, error) = gathered(b"", &one_part);
        assert!(matches!(error, Error::TooManyParts), "{error}");
    }

    #[test]
    fn a_preamble_within_the_limit_is_skipped_and_a_longer_one_refused() {
        let form = [part("a", b"data").as_slice(), b"\r\n--X--\r\n"].concat();
        let head = form.len() - b"data\r\n--X--\r\n".len();
        for size in [1, 1000, usize::MAX] {
            let preamble = vec![b'p'; MAX_HEAD_BYTES - head];
            let read_with = |preamble: &[u8]| read(frames(&[preamble, &form].concat(), size));
            assert_eq!(read_with(&preamble).expect("is a form").len(), 1);
            let longer = [preamble.as_slice(), b"p"].concat();
            let error = read_with(&longer).expect_err("is too long");
            assert!(matches!(error, Error::Head { number: 1 }), "{error}");
        }
    }

    #[test]
    fn long_headers_are_refused_in_whatever_frames_they_come() {
        let long = "n".repeat(MAX_HEAD_BYTES);
        let form = [part("a", b"data"), part(&long, b"data")].concat();
        for size in [1, 1000, usize::MAX] {
            let error = read(frames(&form, size)).expect_err("is too long");
            assert!(matches!(error, Error::Head { number: 2 }), "{error}");
        }
    }

    #[test]
    fn a_form_that_is_none_is_refused_for_what_is_wrong() {
        for (kind, is_usable) in [
            ("multipart/form-data", false),
            ("multipart/form-data; boundary=", false),
            (
                &format!("multipart/form-data; boundary={}", "x".repeat(71)),
                false,
            ),
            (
                &format!("multipart/form-data; boundary={}", "x".repeat(70)),
                true,
            ),
        ] {
            let form = Multipart::<&str>::new(kind, stream::empty());
            assert_eq!(form.is_ok(), is_usable, "{kind}");
        }
        let whole = [part("a", b"data").as_slice(), b"\r\n--X--\r\n"].concat();
        for end in 0..whole.len() - 4 {
            let error = read(frames(&whole[..end], 5)).expect_err("is cut off");
            assert!(matches!(error, Error::Truncated), "{end}: {error}");
        }
        let mut broken = frames(&whole[..20], 5);
        broken.push(Err("gone"));
        let error = read(broken).expect_err("broke");
        assert!(matches!(error, Error::Body("gone")), "{error}");
        let error = read(frames(b"--X\r\nno header\r\n\r\n", 5)).expect_err("is no header");
        assert!(matches!(error, Error::Headers), "{error}");
    }

    #[test]
    fn lines_that_end_with_lf_are_named_as_the_reason() {
        let form = "--X\nContent-Disposition: form-data; name=\"a\"\n\ndata\n--X--\n";
        for size in [1, 5, 1000] {
            let error = read(frames(form.as_bytes(), size)).expect_err("is no form");
            assert!(matches!(error, Error::LineFeeds), "{error}");
        }
        let long = form.replace("data", &"x\n".repeat(MAX_HEAD_BYTES));
        let error = read(frames(long.as_bytes(), 1000)).expect_err("is no form");
        assert!(matches!(error, Error::LineFeeds), "{error}");
    }

    #[test]
    fn a_part_that_is_not_the_data_itself_is_refused_by_name() {
        let with = |header: &str| {
            let form = format!(
                "--X\r\nContent-Disposition: form-data; name=\"a\"\r\n{header}\r\n\r\ndata\r\n--X--\r\n"
            );
            read(frames(form.as_bytes(), 7)).map_err(|error| error.to_string())
        };
        for plain in ["7bit", "8bit", "Binary"] {
            assert!(
                with(&format!("Content-Transfer-Encoding: {plain}")).is_ok(),
                "{plain}"
            );
        }
        for (header, named) in [
            (
                "Content-Transfer-Encoding: base64",
                "`Content-Transfer-Encoding`",
            ),
            (
                "Content-Transfer-Encoding: quoted-printable",
                "`Content-Transfer-Encoding`",
            ),
            ("Content-Encoding: gzip", "`Content-Encoding`"),
            ("Content-Range: bytes 0-3/8", "`Content-Range`"),
        ] {
            let error = with(header).expect_err("is refused");
            assert!(error.contains(named), "{error}");
        }
        let latin = b"--X\r\nContent-Disposition: form-data; name=\"a\"; filename=\"\xe9.csv\"\r\n\r\ndata\r\n--X--\r\n";
        let error = read(frames(latin, 7)).expect_err("is not UTF-8");
        assert!(matches!(error, Error::NotUtf8 { number: 1 }), "{error}");
    }

    #[test]
    fn a_part_that_broke_off_breaks_off_again() {
        let body = [Ok(Bytes::from(part("a", b"data"))), Err("gone")];
        let mut form = Multipart::new(TYPE, stream::iter(body)).expect("has a boundary");
        let mut poll = async || {
            let head = form.next_part().await.expect("has a part");
            assert!(head.is_some());
            let mut failures = Vec::new();
            while failures.len() < 2 {
                match form.chunk().await {
                    Ok(Some(_)) => {}
                    Ok(None) => panic!("the part has an end"),
                    Err(error) => failures.push(error),
                }
            }
            form.next_part().await.expect_err("has no next part")
        };
        poll().now_or_never().expect("all of it is ready");
    }

    proptest! {
        #[test]
        fn frames_change_nothing(
            data in proptest::collection::vec("[x\r\n-]{0,40}|(\r\n--|\r\n--Y|--X){0,3}", 0..5),
            size in 1usize..60,
        ) {
            let parts: Vec<_> = data.iter().map(|data| part("field", data.as_bytes())).collect();
            let body = [parts.concat().as_slice(), b"\r\n--X--\r\n"].concat();
            let read = read(frames(&body, size)).expect("is a form");
            let read: Vec<_> = read.into_iter().map(|(_, data)| data).collect();
            let sent: Vec<_> = data.iter().map(|data| data.as_bytes().to_vec()).collect();
            prop_assert_eq!(read, sent);
        }
    }
}
