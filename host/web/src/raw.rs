//! An upload as the plain body of a request: the file name in `Content-Disposition`, attributes in the
//! query.

use axum::extract::OriginalUri;
use http::{HeaderMap, header};
use portcullis_hop::{Problem, ProblemKind};

use crate::content_disposition;
use crate::metadata::{Headers, attributes, check_filename, declared, split};

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
    let (folder, filename) = split(&filename);
    Ok(Headers {
        filename: check_filename(&filename)?,
        folder,
        media_type: headers
            .get(header::CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .and_then(declared),
        length: announced_length(headers),
        attributes: attributes(pairs(uri.query().unwrap_or_default())?)?,
    })
}

/// The length of a body in bytes, where it is told before it.
pub(crate) fn announced_length(headers: &HeaderMap) -> Option<u64> {
    let announced = headers.get(header::CONTENT_LENGTH)?;
    announced.to_str().ok()?.parse().ok()
}

/// The pairs of a query (WHATWG URL, section 5.1).
fn pairs(query: &str) -> Result<Vec<(String, String)>, Problem> {
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    let pair = |pair: &str| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        Ok((decode(name)?, decode(value)?))
    };
    pairs.map(pair).collect()
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
