//! An upload as a form (RFC 7578): fields first, then one or more files.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::Stream;
use portcullis_hop::{Problem, ProblemKind};
use portcullis_server::multipart::{Multipart, MultipartError, PartHead};
use portcullis_types::{AttributeName, Attributes, Sha256Digest};

use crate::announced_digest;
use crate::linger::{BodyError, STOPPING};
use crate::metadata::{self, Headers, check_filename, declared, split};

/// The most files of one form.
pub(crate) const MAX_FILES: usize = 100;
/// The field that is a file even without a file name.
const FILE_FIELD: &str = "file";
/// Where a browser says in which encoding the fields are (RFC 7578, section 4.6). It is no field of the form's own.
const CHARSET_FIELD: &str = "_charset_";

/// A form being read.
pub(crate) struct Form {
    parts: Multipart<BodyError>,
    attributes: Attributes,
    /// What the only file is to have.
    sha256: Option<Sha256Digest>,
    files: usize,
    /// The first bytes of the current file, if they were looked at.
    peeked: Option<Bytes>,
}

/// The bytes of the current file of a form.
pub(crate) struct FileBody<'a>(&'a mut Form);

impl Form {
    /// A form in this body; `content_type` is the header with its boundary.
    pub(crate) fn new(
        content_type: &str,
        body: impl Stream<Item = Result<Bytes, BodyError>> + Send + 'static,
    ) -> Result<Self, Problem> {
        let parts = Multipart::new(content_type, body).map_err(|error| form_problem(&error))?;
        Ok(Self {
            parts,
            attributes: Attributes::default(),
            sha256: None,
            files: 0,
            peeked: None,
        })
    }

    /// The next file, after the fields before it; what is left of the file before is discarded. Absent at the end of
    /// the form.
    ///
    /// # Errors
    /// A field after the first file: policies have decided without it.
    pub(crate) async fn next_file(&mut self) -> Result<Option<Headers>, Problem> {
        self.peeked = None;
        while let Some(part) = self
            .parts
            .next_part()
            .await
            .map_err(|error| form_problem(&error))?
        {
            if part.filename.is_some() || part.name == FILE_FIELD {
                return self.file(&part).map(Some);
            }
            if self.files > 0 {
                return Err(Problem::new(
                    ProblemKind::FieldAfterFile,
                    format!(
                        "The field `{}` stands after the file, which was judged without it; put all fields before the file and send the form again. The file was not stored.",
                        shown(&part.name)
                    ),
                ));
            }
            self.field(&part.name).await?;
        }
        Ok(None)
    }

    /// Whether the browser sent the current part for an input without a file.
    pub(crate) async fn is_absent(&mut self, headers: &Headers) -> bool {
        if !headers.filename.is_empty() {
            return false;
        }
        // A body that breaks off here breaks off again when it is read.
        let Ok(first) = self.parts.chunk().await else {
            return false;
        };
        self.peeked = first;
        self.peeked.is_none()
    }

    /// The bytes of the current file.
    pub(crate) fn file_body(&mut self) -> FileBody<'_> {
        FileBody(self)
    }

    fn file(&mut self, part: &PartHead) -> Result<Headers, Problem> {
        if self.files == MAX_FILES {
            return Err(Problem::new(
                ProblemKind::BadRequest,
                format!("The form has over {MAX_FILES} files; send the rest in another one."),
            ));
        }
        if self.files > 0 && self.sha256.is_some() {
            let detail = "The form has one `sha256` and several files; send each of them in a form of its own.";
            return Err(Problem::new(ProblemKind::BadRequest, detail));
        }
        self.files += 1;
        let (folder, filename) = split(part.filename.as_deref().unwrap_or_default());
        Ok(Headers {
            filename: check_filename(&filename)?,
            folder,
            media_type: part.media_type.as_deref().and_then(declared),
            length: None,
            sha256: self.sha256,
            attributes: self.attributes.clone(),
        })
    }

    async fn field(&mut self, name: &str) -> Result<(), Problem> {
        let mut value = Vec::new();
        while let Some(bytes) = self
            .parts
            .chunk()
            .await
            .map_err(|error| form_problem(&error))?
        {
            if value.len() + bytes.len() > Attributes::MAX_VALUE_BYTES {
                let detail = format!(
                    "The value of the field `{}` is over {} bytes; shorten it.",
                    shown(name),
                    Attributes::MAX_VALUE_BYTES
                );
                return Err(Problem::new(ProblemKind::BadRequest, detail));
            }
            value.extend_from_slice(&bytes);
        }
        let value = String::from_utf8(value).map_err(|_| {
            Problem::new(
                ProblemKind::BadRequest,
                format!(
                    "The field `{}` is not UTF-8; send it as UTF-8.",
                    shown(name)
                ),
            )
        })?;
        if name == CHARSET_FIELD {
            return check_charset(&value);
        }
        if name == announced_digest::KEY {
            self.sha256 =
                announced_digest::agreed(self.sha256, Some(announced_digest::parse(&value)?))?;
            return Ok(());
        }
        metadata::add(&mut self.attributes, name, &value)
    }
}

impl Stream for FileBody<'_> {
    type Item = Result<Bytes, BodyError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let form = &mut *self.0;
        if let Some(bytes) = form.peeked.take() {
            return Poll::Ready(Some(Ok(bytes)));
        }
        let next = form.parts.poll_chunk(cx);
        next.map(|next| next.map_err(|error| body_error(&error)).transpose())
    }
}

/// Whether the fields are in an encoding that can be read.
fn check_charset(charset: &str) -> Result<(), Problem> {
    let is_utf8 = charset.is_empty()
        || charset.eq_ignore_ascii_case("utf-8")
        || charset.eq_ignore_ascii_case("us-ascii");
    if is_utf8 {
        return Ok(());
    }
    let detail = "The form says in `_charset_` that its fields are not UTF-8; send them as UTF-8.";
    Err(Problem::new(ProblemKind::BadRequest, detail))
}

/// A name in a message: short, and without what could disturb a terminal.
fn shown(name: &str) -> String {
    name.chars()
        .filter(|c| !c.is_control())
        .take(AttributeName::MAX_BYTES)
        .collect()
}

fn body_error(error: &MultipartError<BodyError>) -> BodyError {
    match error {
        MultipartError::Body(cause) => *cause,
        _ => BodyError::ClientGone,
    }
}

fn form_problem(error: &MultipartError<BodyError>) -> Problem {
    match error {
        MultipartError::Body(BodyError::Stopping) => Problem::new(ProblemKind::Stopping, STOPPING),
        MultipartError::Body(_) => Problem::new(
            ProblemKind::BadRequest,
            MultipartError::<()>::Truncated.to_string(),
        ),
        encoded @ MultipartError::Encoded { .. } => {
            Problem::new(ProblemKind::UnsupportedCoding, encoded.to_string())
        }
        other => Problem::new(ProblemKind::BadRequest, other.to_string()),
    }
}
