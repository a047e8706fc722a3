//! Headers that change what the bytes of a request's body mean. None of them is undone here, so none is ignored: bytes
//! that are not the file itself must not be judged and stored as the file.

use http::{HeaderMap, header};
use portcullis_hop::{Problem, ProblemKind};

/// Content codings that have a name (HTTP Content Coding Registry, IANA).
const CODINGS: [&str; 7] = ["br", "compress", "dcb", "dcz", "deflate", "gzip", "zstd"];

/// Refuses a body that is not the file itself: one that is compressed, by itself (RFC 9110, section 8.4) or on its way
/// (RFC 9112, section 7), and one that is only a range of it (RFC 9110, section 14.4).
///
/// # Errors
///
/// 415 with `Accept-Encoding: identity`, or 400; the sentence names the header.
pub fn check(headers: &HeaderMap) -> Result<(), Problem> {
    check_coding(headers)?;
    let transferred = tokens(headers, &header::TRANSFER_ENCODING);
    if let Some(coding) = transferred.into_iter().find(|coding| coding != "chunked") {
        return Err(coded("Transfer-Encoding", &coding));
    }
    if headers.contains_key(header::CONTENT_RANGE) {
        let detail = "The request has a part of a file only (`Content-Range`). Send the file in one request without this header, or in pieces by the tus protocol.";
        return Err(Problem::new(ProblemKind::BadRequest, detail));
    }
    Ok(())
}

/// Refuses a body, or a part of one, that is compressed by itself.
///
/// # Errors
///
/// 415 with `Accept-Encoding: identity`.
pub fn check_coding(headers: &HeaderMap) -> Result<(), Problem> {
    let codings = tokens(headers, &header::CONTENT_ENCODING);
    match codings.into_iter().find(|coding| coding != "identity") {
        None => Ok(()),
        Some(coding) => Err(coded("Content-Encoding", &coding)),
    }
}

fn coded(header: &str, coding: &str) -> Problem {
    let shown = CODINGS
        .iter()
        .find(|known| coding == **known || coding.strip_prefix("x-") == Some(known));
    let shown = shown.map_or_else(
        || format!("`{header}`"),
        |known| format!("`{header}: {known}`"),
    );
    let detail = format!(
        "The body is encoded ({shown}), and encoded bytes cannot be checked. Send the file as it is, without this header."
    );
    Problem::new(ProblemKind::UnsupportedCoding, detail)
}

/// All values of a header that is a list, in lower case. What cannot be read is a value of its own.
fn tokens(headers: &HeaderMap, name: &header::HeaderName) -> Vec<String> {
    let lines = headers.get_all(name).iter();
    let values = lines.flat_map(|line| line.to_str().unwrap_or("?").split(','));
    let values = values.map(|value| value.trim().to_ascii_lowercase());
    values.filter(|value| !value.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn checked(pairs: &[(&'static str, &'static str)]) -> Result<(), (u16, String)> {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, HeaderValue::from_static(value));
        }
        check(&headers).map_err(|problem| (problem.status, problem.detail))
    }

    #[test]
    fn a_body_that_is_the_file_itself_passes() {
        for pairs in [
            &[][..],
            &[("content-encoding", "identity")],
            &[("content-encoding", "Identity, ")],
            &[("transfer-encoding", "chunked")],
            &[("content-length", "5"), ("content-type", "text/csv")],
        ] {
            assert_eq!(checked(pairs), Ok(()), "{pairs:?}");
        }
    }

    #[test]
    fn a_body_that_is_not_the_file_is_refused_by_name() {
        for (pairs, status, named) in [
            (
                &[("content-encoding", "gzip")][..],
                415,
                "`Content-Encoding: gzip`",
            ),
            (
                &[("content-encoding", "X-GZip")],
                415,
                "`Content-Encoding: gzip`",
            ),
            (
                &[("content-encoding", "identity, br")],
                415,
                "`Content-Encoding: br`",
            ),
            (
                &[
                    ("content-encoding", "identity"),
                    ("content-encoding", "zstd"),
                ],
                415,
                "`Content-Encoding: zstd`",
            ),
            (
                &[("content-encoding", "aes128gcm")],
                415,
                "`Content-Encoding`",
            ),
            (
                &[("transfer-encoding", "gzip, chunked")],
                415,
                "`Transfer-Encoding: gzip`",
            ),
            (&[("content-range", "bytes 0-4/10")], 400, "`Content-Range`"),
        ] {
            let (said, detail) = checked(pairs).expect_err("is refused");
            assert_eq!(said, status, "{pairs:?}");
            assert!(detail.contains(named), "{detail}");
        }
    }
}
