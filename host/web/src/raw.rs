//! An upload as the plain body of a request: the file name in `Content-Disposition`, attributes in the
//! query.

use axum::extract::OriginalUri;
use http::{HeaderMap, header};
use portcullis_hop::{Problem, ProblemKind};
use portcullis_server::content_disposition::Disposition;

use crate::announced_digest::{agreed, of_whole_body};
use crate::metadata::{Headers, attributes, check_filename, declared, split, take_digest};

/// What a request without a form says about its file.
pub(crate) fn headers(headers: &HeaderMap, uri: &OriginalUri) -> Result<Headers, Problem> {
    let disposition = headers
        .get(header::CONTENT_DISPOSITION)
        .map(header::HeaderValue::as_bytes);
    let disposition = Disposition::of_body(disposition.unwrap_or_default()).map_err(|_| {
        Problem::new(
            ProblemKind::BadRequest,
            "The file name in `Content-Disposition` is not UTF-8; send it as `filename*=UTF-8''...`, percent-encoded.",
        )
    })?;
    let filename = disposition.filename.ok_or_else(|| {
        Problem::new(
            ProblemKind::BadRequest,
            "The request does not name the file; send `Content-Disposition: attachment; filename=\"...\"`, or a form with `multipart/form-data`.",
        )
    })?;
    let (folder, filename) = split(&filename);
    let mut pairs = pairs(uri.query().unwrap_or_default())?;
    let digest = take_digest(&mut pairs)?;
    Ok(Headers {
        filename: check_filename(&filename)?,
        folder,
        media_type: headers
            .get(header::CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .and_then(declared),
        length: announced_length(headers),
        sha256: agreed(digest, of_whole_body(headers)?)?,
        attributes: attributes(pairs)?,
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
