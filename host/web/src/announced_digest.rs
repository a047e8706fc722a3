//! The SHA-256 that a client says the whole file has, by whatever way it says so. A file that changes while it is sent, or
//! between two requests, is not stored half old and half new.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderName};
use portcullis_hop::{Problem, ProblemKind};
use portcullis_types::Sha256Digest;

/// The key of it in `Upload-Metadata`, in the query and in a form: 64 hexadecimal digits.
pub(crate) const KEY: &str = "sha256";

/// RFC 9530, section 3: of the file, whatever part of it a request has.
const REPR_DIGEST: HeaderName = HeaderName::from_static("repr-digest");
/// RFC 9530, section 2, and its predecessor (RFC 3230): of the body, which here is the file.
const CONTENT_DIGEST: HeaderName = HeaderName::from_static("content-digest");
const DIGEST: HeaderName = HeaderName::from_static("digest");
/// The algorithm, as the headers call it.
const SHA_256: &str = "sha-256";

/// What a pair or a field with [`KEY`] says.
///
/// # Errors
/// It is no SHA-256.
pub(crate) fn parse(text: &str) -> Result<Sha256Digest, Problem> {
    text.trim().parse().map_err(|_| {
        bad("`sha256` is not the SHA-256 of a file; send its 64 hexadecimal digits, or leave it out.")
    })
}

/// What the headers of a request say whose body is the whole file.
///
/// # Errors
/// One of them cannot be read, has no SHA-256, or says another one.
pub(crate) fn of_whole_body(headers: &HeaderMap) -> Result<Option<Sha256Digest>, Problem> {
    first_of(headers, &[REPR_DIGEST, CONTENT_DIGEST, DIGEST])
}

/// What the headers of a request say whose body may be a part of the file.
///
/// # Errors
/// As those of [`of_whole_body`].
pub(crate) fn of_file(headers: &HeaderMap) -> Result<Option<Sha256Digest>, Problem> {
    first_of(headers, &[REPR_DIGEST])
}

/// The one digest that a client announces in several ways.
///
/// # Errors
/// They differ.
pub(crate) fn agreed(
    one: Option<Sha256Digest>,
    other: Option<Sha256Digest>,
) -> Result<Option<Sha256Digest>, Problem> {
    match (one, other) {
        (Some(one), Some(other)) if one != other => Err(bad(
            "The request has two SHA-256 digests for one file; send one.",
        )),
        _ => Ok(one.or(other)),
    }
}

fn first_of(headers: &HeaderMap, names: &[HeaderName]) -> Result<Option<Sha256Digest>, Problem> {
    names
        .iter()
        .try_fold(None, |known, name| agreed(known, of_header(headers, name)?))
}

/// The value for SHA-256 of a header that is a dictionary of digests. Other algorithms may be beside it.
fn of_header(headers: &HeaderMap, name: &HeaderName) -> Result<Option<Sha256Digest>, Problem> {
    let mut lines = headers.get_all(name).iter().peekable();
    if lines.peek().is_none() {
        return Ok(None);
    }
    let members = lines.flat_map(|line| line.to_str().unwrap_or_default().split(','));
    let values = members.filter_map(|member| {
        let (algorithm, value) = member.trim().split_once('=')?;
        algorithm.eq_ignore_ascii_case(SHA_256).then_some(value)
    });
    // The older header has no colons around base64.
    let digests = values.map(|value| {
        STANDARD
            .decode(value.trim_matches(':'))
            .ok()?
            .try_into()
            .ok()
    });
    let digests: Option<Vec<[u8; 32]>> = digests.collect();
    match digests.as_deref() {
        Some([digest]) => Ok(Some(Sha256Digest::from_bytes(*digest))),
        _ => Err(bad(&format!(
            "`{name}` has no SHA-256 that can be read; send it as `sha-256=:...:` with base64 between the colons, or leave it out."
        ))),
    }
}

fn bad(detail: &str) -> Problem {
    Problem::new(ProblemKind::BadRequest, detail)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    /// The example of RFC 9530, appendix B.1.
    const HELLO: &[u8] = b"{\"hello\": \"world\"}\n";
    const EXAMPLE: &str = "sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:";

    fn whole(pairs: &[(&'static str, &str)]) -> Result<Option<Sha256Digest>, u16> {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, HeaderValue::from_str(value).expect("is visible"));
        }
        of_whole_body(&headers).map_err(|problem| problem.status)
    }

    #[test]
    fn a_digest_is_read_in_each_way_in_which_it_is_sent() {
        let hello = Some(Sha256Digest::of(HELLO));
        let old = EXAMPLE.replace(':', "").replace("sha", "SHA");
        let beside = format!("sha-512=:AA==:, {EXAMPLE}");
        for pairs in [
            &[("repr-digest", EXAMPLE)][..],
            &[("content-digest", EXAMPLE)],
            &[("digest", &old)],
            &[("repr-digest", &beside)],
            &[("repr-digest", "sha-512=:AA==:"), ("repr-digest", EXAMPLE)],
            &[("repr-digest", EXAMPLE), ("digest", &old)],
        ] {
            assert_eq!(whole(pairs), Ok(hello), "{pairs:?}");
        }
        assert_eq!(whole(&[]), Ok(None));
        let hex = Sha256Digest::of(HELLO).to_string();
        assert_eq!(parse(&hex.to_uppercase()).ok(), hello);
    }

    #[test]
    fn a_digest_that_cannot_be_compared_is_refused() {
        let other = "sha-256=:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=:";
        for pairs in [
            &[("repr-digest", "")][..],
            &[("repr-digest", "sha-512=:AA==:")],
            &[("repr-digest", "sha-256=:AA==:")],
            &[("repr-digest", "sha-256=:!:")],
            &[("repr-digest", EXAMPLE), ("content-digest", other)],
            &[("repr-digest", EXAMPLE), ("repr-digest", other)],
        ] {
            assert_eq!(whole(pairs), Err(400), "{pairs:?}");
        }
        for text in ["", "12", "zz", &"0".repeat(63)] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
