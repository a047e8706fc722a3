//! An upload as a form (RFC 7578): fields first, then one or more files.

use bytes::Bytes;
use futures_util::Stream;
use multer::{Constraints, Field, Multipart, SizeLimit};
use portcullis_hop::{Problem, ProblemKind};
use portcullis_types::{AttributeName, Attributes};

use crate::linger::{BodyError, STOPPING};
use crate::metadata::{self, Headers, check_filename, declared, split};

/// The most files of one form.
pub(crate) const MAX_FILES: usize = 100;
/// The field that is a file even without a file name.
const FILE_FIELD: &str = "file";

/// A form being read.
pub(crate) struct Form {
    parts: Multipart<'static>,
    attributes: Attributes,
    files: usize,
}

/// A file of the form and what is known of it.
pub(crate) struct FilePart {
    pub(crate) headers: Headers,
    pub(crate) body: FileBody,
}

/// The bytes of one file.
pub(crate) struct FileBody {
    part: Field<'static>,
    peeked: Option<Bytes>,
}

impl Form {
    /// A form in this body; `content_type` is the header with its boundary.
    pub(crate) fn new(
        content_type: &str,
        body: impl Stream<Item = Result<Bytes, BodyError>> + Send + 'static,
    ) -> Result<Self, Problem> {
        let boundary = multer::parse_boundary(content_type).map_err(|_| {
            Problem::new(ProblemKind::BadRequest, "The form has no boundary; send `multipart/form-data` with one, as every HTTP client does by itself.")
        })?;
        let limits = SizeLimit::new().whole_stream(u64::MAX).per_field(u64::MAX);
        let parts =
            Multipart::with_constraints(body, boundary, Constraints::new().size_limit(limits));
        Ok(Self {
            parts,
            attributes: Attributes::default(),
            files: 0,
        })
    }

    /// The next file, after the fields before it. Absent at the end of the form.
    ///
    /// # Errors
    /// A field after the first file: policies have decided without it.
    pub(crate) async fn next_file(&mut self) -> Result<Option<FilePart>, Problem> {
        while let Some(part) = self
            .parts
            .next_field()
            .await
            .map_err(|error| form_problem(&error))?
        {
            let name = part.name().unwrap_or_default().to_owned();
            if part.file_name().is_some() || name == FILE_FIELD {
                return self.file(part).map(Some);
            }
            if self.files > 0 {
                return Err(Problem::new(
                    ProblemKind::FieldAfterFile,
                    format!(
                        "The field `{}` stands after the file, which was judged without it; put all fields before the file and send the form again. The file was not stored.",
                        shown(&name)
                    ),
                ));
            }
            self.field(&name, part).await?;
        }
        Ok(None)
    }

    fn file(&mut self, part: Field<'static>) -> Result<FilePart, Problem> {
        if self.files == MAX_FILES {
            return Err(Problem::new(
                ProblemKind::BadRequest,
                format!("The form has over {MAX_FILES} files; send the rest in another one."),
            ));
        }
        self.files += 1;
        let (folder, filename) = split(part.file_name().unwrap_or_default());
        let headers = Headers {
            filename: check_filename(&filename)?,
            folder,
            media_type: part
                .content_type()
                .and_then(|declaration| declared(declaration.as_ref())),
            length: None,
            attributes: self.attributes.clone(),
        };
        Ok(FilePart {
            headers,
            body: FileBody { part, peeked: None },
        })
    }

    async fn field(&mut self, name: &str, mut part: Field<'static>) -> Result<(), Problem> {
        let mut value = Vec::new();
        while let Some(bytes) = part.chunk().await.map_err(|error| form_problem(&error))? {
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
        metadata::add(&mut self.attributes, name, &value)
    }
}

impl FileBody {
    /// Whether the browser sent this part for an input without a file.
    pub(crate) async fn is_absent(&mut self, headers: &Headers) -> bool {
        if !headers.filename.is_empty() {
            return false;
        }
        // A body that breaks off here breaks off again when it is read.
        let Ok(first) = self.part.chunk().await else {
            return false;
        };
        self.peeked = first;
        self.peeked.as_ref().is_none_or(Bytes::is_empty)
    }
}

impl Stream for FileBody {
    type Item = Result<Bytes, BodyError>;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        if let Some(bytes) = self.peeked.take() {
            return std::task::Poll::Ready(Some(Ok(bytes)));
        }
        std::pin::Pin::new(&mut self.part)
            .poll_next(cx)
            .map_err(|error| body_error(&error))
    }
}

/// A name in a message: short, and without what could disturb a terminal.
fn shown(name: &str) -> String {
    name.chars()
        .filter(|c| !c.is_control())
        .take(AttributeName::MAX_BYTES)
        .collect()
}

fn body_error(error: &multer::Error) -> BodyError {
    let multer::Error::StreamReadFailed(cause) = error else {
        return BodyError::ClientGone;
    };
    cause
        .downcast_ref()
        .copied()
        .unwrap_or(BodyError::ClientGone)
}

fn form_problem(error: &multer::Error) -> Problem {
    if body_error(error) == BodyError::Stopping {
        return Problem::new(ProblemKind::Stopping, STOPPING);
    }
    let detail = match error {
        multer::Error::StreamReadFailed(_)
        | multer::Error::IncompleteStream
        | multer::Error::IncompleteFieldData { .. } => {
            "The form ends before its last boundary; send it again in full."
        }
        multer::Error::IncompleteHeaders
        | multer::Error::ReadHeaderFailed(_)
        | multer::Error::DecodeHeaderName { .. }
        | multer::Error::DecodeHeaderValue { .. } => {
            "A part of the form has headers that cannot be read; send it as RFC 7578 describes."
        }
        _ => "The form cannot be read; send it as `multipart/form-data` (RFC 7578).",
    };
    Problem::new(ProblemKind::BadRequest, detail)
}
