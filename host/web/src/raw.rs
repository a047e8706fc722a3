//! An upload as the plain body of a request: the file name in `Content-Disposition`, attributes in the
//! query.

use axum::extract::OriginalUri;
use http::{HeaderMap, header};
use portcullis_hop::{Problem, ProblemKind};
use portcullis_types::{Attributes, InvalidAttribute};

use crate::content_disposition;
use crate::media_type;

/// The longest file name in bytes.
pub(crate) const MAX_FILENAME_BYTES: usize = 255;

/// What clients send that know nothing of the content: not a declaration.
const UNDECLARED: [&str; 2] = [
    "application/x-www-form-urlencoded",
    "application/octet-stream",
];

/// What a client says about an upload before its first byte.
#[derive(Clone, Debug)]
pub(crate) struct Headers {
    pub(crate) filename: String,
    pub(crate) media_type: Option<String>,
    pub(crate) length: Option<u64>,
    pub(crate) attributes: Attributes,
}

/// What a request without a form says about its file.
pub(crate) fn headers(headers: &HeaderMap, uri: &OriginalUri) -> Result<Headers, Problem> {
    let disposition = headers
        .get(header::CONTENT_DISPOSITION)
        .map(header::HeaderValue::as_bytes);
    let filename = disposition.and_then(content_disposition::file_name).ok_or_else(|| {
        Problem::new(
            ProblemKind::BadRequest,
            "The request does not name the file; send `Content-Disposition: attachment; filename=\"...\"`, or a form with `multipart/form-data`.",
        )
    })?;
    Ok(Headers {
        filename: check_filename(&filename)?,
        media_type: headers
            .get(header::CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .and_then(declared),
        length: headers
            .get(header::CONTENT_LENGTH)
            .and_then(|value| value.to_str().ok()?.parse().ok()),
        attributes: attributes(uri.query().unwrap_or_default())?,
    })
}

/// The declared media type, as long as it says something.
pub(crate) fn declared(text: &str) -> Option<String> {
    media_type::essence(text).filter(|essence| !UNDECLARED.contains(&essence.as_str()))
}

/// A file name that policies may be shown: short enough and without control characters.
pub(crate) fn check_filename(filename: &str) -> Result<String, Problem> {
    let unsafe_path = |detail: String| Problem::new(ProblemKind::UnsafePath, detail);
    if filename.len() > MAX_FILENAME_BYTES {
        let bytes = filename.len();
        return Err(unsafe_path(format!(
            "The file name is {bytes} bytes long; at most {MAX_FILENAME_BYTES} are possible. Shorten it and send the file again."
        )));
    }
    if filename.chars().any(char::is_control) {
        return Err(unsafe_path(
            "The file name has a control character; rename the file and send it again.".to_owned(),
        ));
    }
    Ok(filename.to_owned())
}

/// The pairs of a query (WHATWG URL, section 5.1).
fn attributes(query: &str) -> Result<Attributes, Problem> {
    let mut attributes = Attributes::default();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let (name, value) = (decode(name)?, decode(value)?);
        attributes
            .insert(&name, &value)
            .map_err(|error| bad_field(&error))?;
    }
    Ok(attributes)
}

/// The answer to a field that cannot be an attribute.
pub(crate) fn bad_field(error: &InvalidAttribute) -> Problem {
    Problem::new(
        ProblemKind::BadRequest,
        format!("A field of the upload cannot be used: {error}."),
    )
}

fn decode(text: &str) -> Result<String, Problem> {
    let spaced = text.replace('+', " ");
    percent_encoding::percent_decode_str(&spaced)
        .decode_utf8()
        .map(Into::into)
        .map_err(|_| {
            Problem::new(
                ProblemKind::BadRequest,
                "The query is not percent-encoded UTF-8; encode it and send the file again.",
            )
        })
}
