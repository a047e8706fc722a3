//! The headers of the tus protocol 1.0, read into values that cannot be wrong (<https://tus.io/protocols/resumable-upload>).

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderName, Method, header};
use portcullis_hop::{Composition, Problem, ProblemKind};
use portcullis_types::{Sha256Digest, UploadId};

use super::checksum::Checksum;
use crate::linger::Trailers;
use crate::{announced_digest, media_type};

/// The version of the protocol that a client speaks and we answer.
pub(crate) const RESUMABLE: HeaderName = HeaderName::from_static("tus-resumable");
/// The versions that we speak.
pub(crate) const VERSION: HeaderName = HeaderName::from_static("tus-version");
/// What of the protocol we speak.
pub(crate) const EXTENSION: HeaderName = HeaderName::from_static("tus-extension");
/// The largest upload in bytes.
pub(crate) const MAX_SIZE: HeaderName = HeaderName::from_static("tus-max-size");
/// Which checksums we know.
pub(crate) const CHECKSUM_ALGORITHM: HeaderName = HeaderName::from_static("tus-checksum-algorithm");
/// Where the body of a request begins, and how far an upload has come.
pub(crate) const OFFSET: HeaderName = HeaderName::from_static("upload-offset");
/// The length of an upload.
pub(crate) const LENGTH: HeaderName = HeaderName::from_static("upload-length");
/// That the length is told later.
pub(crate) const DEFER_LENGTH: HeaderName = HeaderName::from_static("upload-defer-length");
/// What the client says about a file.
pub(crate) const METADATA: HeaderName = HeaderName::from_static("upload-metadata");
/// Which place an upload has among others that make up one file.
pub(crate) const CONCAT: HeaderName = HeaderName::from_static("upload-concat");
/// When an upload is given up.
pub(crate) const EXPIRES: HeaderName = HeaderName::from_static("upload-expires");
/// The checksum of the body of a request.
pub(crate) const CHECKSUM: HeaderName = HeaderName::from_static("upload-checksum");
/// Which method a request means, where something on its way knows no PATCH.
pub(crate) const METHOD_OVERRIDE: HeaderName = HeaderName::from_static("x-http-method-override");

/// The only version that there is.
pub(crate) const PROTOCOL: &str = "1.0.0";
/// The media type of bytes that are appended.
pub(crate) const BODY_TYPE: &str = "application/offset+octet-stream";
/// The longest metadata in bytes: 64 attributes fit, base64 included, and so do the headers of the request.
pub(crate) const MAX_METADATA_BYTES: usize = 8 << 10;

/// The most parts of one upload: their addresses fit into a header.
const MAX_PARTS: usize = 100;

/// Whether a request speaks tus at all.
pub(crate) fn is_spoken(headers: &HeaderMap) -> bool {
    headers.contains_key(RESUMABLE)
}

/// The method that a request means.
pub(crate) fn method<B>(request: &http::Request<B>) -> Method {
    let meant = request.headers().get(METHOD_OVERRIDE);
    let meant = meant.map(|value| value.as_bytes().trim_ascii().to_ascii_uppercase());
    let meant = meant.and_then(|value| Method::from_bytes(&value).ok());
    match meant {
        Some(meant) if request.method() == Method::POST => meant,
        _ => request.method().clone(),
    }
}

/// Refuses a request of another version, or of none.
pub(crate) fn check_version(headers: &HeaderMap) -> Result<(), Problem> {
    match text(headers, &RESUMABLE)? {
        Some(PROTOCOL) => Ok(()),
        _ => Err(Problem::new(
            ProblemKind::UnsupportedProtocol,
            "This address speaks version 1.0.0 of the tus protocol; send `Tus-Resumable: 1.0.0`.",
        )),
    }
}

/// Which place the upload has that is created.
pub(crate) fn composition(headers: &HeaderMap) -> Result<Option<Composition>, Problem> {
    let Some(text) = text(headers, &CONCAT)? else {
        return Ok(None);
    };
    if text.eq_ignore_ascii_case("partial") {
        return Ok(Some(Composition::Part));
    }
    let (kind, parts) = text.split_once(';').unwrap_or_default();
    let parts = if kind.eq_ignore_ascii_case("final") {
        parts
    } else {
        ""
    };
    // Addresses, of which the last part of the path is the id.
    let ids = parts.split_ascii_whitespace().map(|address| {
        let id = address.trim_end_matches('/').rsplit('/').next();
        id.and_then(|id| id.parse::<UploadId>().ok())
    });
    let ids: Option<Vec<UploadId>> = ids.collect();
    let distinct = |ids: &Vec<UploadId>| {
        let set: BTreeSet<_> = ids.iter().collect();
        (1..=MAX_PARTS).contains(&ids.len()) && set.len() == ids.len()
    };
    let ids = ids.filter(distinct).ok_or_else(|| {
        bad(&format!(
            "`Upload-Concat` is either `partial`, or `final;` and the addresses of 1 to {MAX_PARTS} parts with a space between them, each once."
        ))
    })?;
    Ok(Some(Composition::Of(ids)))
}

/// A place among others, as the header says it.
pub(crate) fn composition_text(composition: &Composition) -> String {
    match composition {
        Composition::Part => "partial".to_owned(),
        Composition::Of(parts) => {
            let addresses: Vec<_> = parts.iter().map(|id| format!("/uploads/{id}")).collect();
            format!("final;{}", addresses.join(" "))
        }
    }
}

/// Where the body begins.
pub(crate) fn offset(headers: &HeaderMap) -> Result<u64, Problem> {
    number(headers, &OFFSET)?.ok_or_else(|| {
        bad("The request does not say where its bytes begin; send `Upload-Offset` with a number of bytes.")
    })
}

/// The length of the upload, where it is told now.
pub(crate) fn length(headers: &HeaderMap) -> Result<Option<u64>, Problem> {
    number(headers, &LENGTH)
}

/// The length that an upload is created with; absent where it is told later.
pub(crate) fn creation_length(headers: &HeaderMap) -> Result<Option<u64>, Problem> {
    let deferred = match text(headers, &DEFER_LENGTH)? {
        None => false,
        Some("1") => true,
        Some(_) => {
            return Err(bad(
                "`Upload-Defer-Length` can only be 1; send that, or `Upload-Length`.",
            ));
        }
    };
    match (length(headers)?, deferred) {
        (None, true) => Ok(None),
        (Some(length), false) => Ok(Some(length)),
        _ => Err(bad(
            "Send either `Upload-Length` with the length of the file in bytes, or `Upload-Defer-Length: 1`.",
        )),
    }
}

/// Whether the request has a body of bytes that are to be appended.
pub(crate) fn has_bytes(headers: &HeaderMap) -> bool {
    let content_type = text(headers, &header::CONTENT_TYPE).ok().flatten();
    content_type.and_then(media_type::essence).as_deref() == Some(BODY_TYPE)
}

/// Refuses a body of another media type.
pub(crate) fn check_body_type(headers: &HeaderMap) -> Result<(), Problem> {
    if has_bytes(headers) {
        return Ok(());
    }
    Err(Problem::new(
        ProblemKind::UnsupportedMediaType,
        format!("Bytes are appended with `Content-Type: {BODY_TYPE}`; send that."),
    ))
}

/// The checksum that the body is to have: told before it, or announced to come behind it.
pub(crate) fn checksum(
    headers: &HeaderMap,
    trailers: &Trailers,
) -> Result<Option<Checksum>, Problem> {
    if let Some(text) = checksum_text(headers)? {
        return Checksum::parse(text).map(Some);
    }
    let announced = headers.get_all(header::TRAILER).iter();
    let mut announced = announced
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','));
    let is_behind = announced.any(|name| name.trim().eq_ignore_ascii_case(CHECKSUM.as_str()));
    Ok(is_behind.then(|| Checksum::behind(trailers.clone())))
}

/// What stands in the header, or in the trailer, of a checksum.
pub(super) fn checksum_text(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    text(headers, &CHECKSUM)
}

/// What the client says about the file: pairs of a key and its value, and the header as it came.
pub(crate) fn metadata(headers: &HeaderMap) -> Result<(Vec<(String, String)>, String), Problem> {
    let Some(header) = text(headers, &METADATA)? else {
        return Ok((Vec::new(), String::new()));
    };
    if header.len() > MAX_METADATA_BYTES {
        return Err(bad(&format!(
            "`Upload-Metadata` has {} bytes; at most {MAX_METADATA_BYTES} are possible, so send less about the file.",
            header.len()
        )));
    }
    let pairs = header
        .split(',')
        .map(str::trim)
        .filter(|pair| !pair.is_empty());
    let pairs = pairs.map(pair).collect::<Result<_, _>>()?;
    Ok((pairs, header.to_owned()))
}

/// Adds a digest from another header to the metadata that is stored with the upload, so that a web host that resumes the
/// upload can compare it.
pub(super) fn with_digest(metadata: String, announced: Option<Sha256Digest>) -> String {
    let has_digest = || {
        let mut pairs = metadata.split(',').map(str::trim);
        pairs.any(|pair| pair.split(' ').next() == Some(announced_digest::KEY))
    };
    match announced {
        Some(announced) if !has_digest() => {
            let value = STANDARD.encode(announced.to_string());
            let pair = format!("{} {value}", announced_digest::KEY);
            let all = [metadata.as_str(), pair.as_str()].into_iter();
            all.filter(|one| !one.is_empty())
                .collect::<Vec<_>>()
                .join(",")
        }
        _ => metadata,
    }
}

/// The digest in the stored metadata.
pub(crate) fn kept_digest(metadata: &str) -> Option<Sha256Digest> {
    let pairs = metadata
        .split(',')
        .map(str::trim)
        .filter_map(|text| pair(text).ok());
    let mut digests = pairs.filter(|(key, _)| key == announced_digest::KEY);
    announced_digest::parse(&digests.next()?.1).ok()
}

/// A key and its value, which may be absent: then it is empty.
fn pair(text: &str) -> Result<(String, String), Problem> {
    let (key, value) = text.split_once(' ').unwrap_or((text, ""));
    let value = STANDARD.decode(value.trim()).ok();
    let value = value.and_then(|bytes| String::from_utf8(bytes).ok());
    let value = value.ok_or_else(|| {
        bad("`Upload-Metadata` has a value that is not UTF-8 in base64; encode each value, such as `filename YS5jc3Y=`.")
    })?;
    Ok((key.to_owned(), value))
}

fn number(headers: &HeaderMap, name: &HeaderName) -> Result<Option<u64>, Problem> {
    let Some(text) = text(headers, name)? else {
        return Ok(None);
    };
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text.parse().ok().filter(|_| digits);
    let wrong = || {
        bad(&format!(
            "`{}` is not a number of bytes; send digits only.",
            shown(name)
        ))
    };
    number.map(Some).ok_or_else(wrong)
}

/// The only value of a header.
fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, Problem> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    let once = values.next().is_none();
    let text = value.to_str().ok().filter(|_| once);
    let wrong = || {
        bad(&format!(
            "`{}` came twice or cannot be read; send it once.",
            shown(name)
        ))
    };
    text.map(|text| Some(text.trim())).ok_or_else(wrong)
}

/// A header as the protocol writes it.
fn shown(name: &HeaderName) -> String {
    let capital = |part: &str| {
        let mut letters = part.chars();
        let first = letters.next().map(|letter| letter.to_ascii_uppercase());
        first.into_iter().chain(letters).collect::<String>()
    };
    let parts: Vec<String> = name.as_str().split('-').map(capital).collect();
    parts.join("-")
}

pub(super) fn bad(detail: &str) -> Problem {
    Problem::new(ProblemKind::BadRequest, detail)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn with(pairs: &[(&HeaderName, &str)]) -> HeaderMap {
        let pair = |(name, value): &(&HeaderName, &str)| {
            let value = HeaderValue::from_str(value).expect("visible");
            ((*name).clone(), value)
        };
        pairs.iter().map(pair).collect()
    }

    #[test]
    fn a_length_is_told_now_or_later_and_not_both() {
        let told = creation_length(&with(&[(&LENGTH, "12")]));
        assert_eq!(told, Ok(Some(12)));
        assert_eq!(creation_length(&with(&[(&DEFER_LENGTH, "1")])), Ok(None));
        for wrong in [
            &[][..],
            &[(&LENGTH, "12"), (&DEFER_LENGTH, "1")],
            &[(&DEFER_LENGTH, "0")],
            &[(&LENGTH, "+12")],
            &[(&LENGTH, "-1")],
            &[(&LENGTH, "")],
            &[(&LENGTH, "18446744073709551616")],
        ] {
            let problem = creation_length(&with(wrong)).expect_err("is wrong");
            assert_eq!(problem.kind, ProblemKind::BadRequest, "{wrong:?}");
        }
    }

    #[test]
    fn a_digest_that_was_announced_is_kept_with_what_the_client_says() {
        let digest = Sha256Digest::of(b"a");
        let kept = with_digest("filename YS5jc3Y=".to_owned(), Some(digest));
        assert_eq!(kept_digest(&kept), Some(digest));
        assert_eq!(with_digest(kept.clone(), Some(digest)), kept);
        assert_eq!(
            kept_digest(&with_digest(String::new(), Some(digest))),
            Some(digest)
        );
        assert_eq!(kept_digest("filename YS5jc3Y="), None);
        assert_eq!(with_digest("a".to_owned(), None), "a");
    }

    #[test]
    fn a_header_that_came_twice_is_refused() {
        let mut headers = with(&[(&OFFSET, "1")]);
        headers.append(OFFSET, HeaderValue::from_static("2"));
        let problem = offset(&headers).expect_err("came twice");
        assert!(
            problem.detail.contains("`Upload-Offset` came twice"),
            "{}",
            problem.detail
        );
    }

    #[test]
    fn the_protocols_own_example_of_metadata_is_read() {
        let header = "filename d29ybGRfZG9taW5hdGlvbl9wbGFuLnBkZg==,is_confidential";
        let (pairs, raw) = metadata(&with(&[(&METADATA, header)])).expect("is right");
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        let plan = pair("filename", "world_domination_plan.pdf");
        assert_eq!(pairs, [plan, pair("is_confidential", "")]);
        assert_eq!(raw, header);
        for wrong in ["filename =", "filename YQ", "filename /w=="] {
            assert!(metadata(&with(&[(&METADATA, wrong)])).is_err(), "{wrong}");
        }
    }

    #[test]
    fn parts_are_named_by_their_addresses_each_once() {
        let of = |text: &str| composition(&with(&[(&CONCAT, text)]));
        let (a, b) = ("0".repeat(32), "1".repeat(32));
        let ids: Vec<UploadId> = [&a, &b].map(|id| id.parse().expect("is one")).to_vec();
        assert_eq!(of("partial"), Ok(Some(Composition::Part)));
        let whole = Composition::Of(ids);
        assert_eq!(of(&composition_text(&whole)), Ok(Some(whole.clone())));
        let absolute = format!("final;https://x.example/uploads/{a} uploads/{b}/");
        assert_eq!(of(&absolute), Ok(Some(whole.clone())));
        assert_eq!(
            of(&format!("Final; /uploads/{a} /uploads/{b}")),
            Ok(Some(whole))
        );
        assert_eq!(of("Partial"), Ok(Some(Composition::Part)));
        for wrong in [
            "",
            "parts",
            "final",
            "final;",
            "final;/uploads/x",
            &format!("final;/{a} /{a}"),
        ] {
            assert!(of(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn parameters_and_case_do_not_matter() {
        for right in [
            "application/offset+octet-stream",
            "application/offset+octet-stream; charset=UTF-8",
            "Application/Offset+Octet-Stream;charset=utf-8",
        ] {
            assert!(
                has_bytes(&with(&[(&header::CONTENT_TYPE, right)])),
                "{right}"
            );
        }
        for wrong in [
            "application/octet-stream",
            "",
            "application/offset+octet-streams",
        ] {
            assert!(
                !has_bytes(&with(&[(&header::CONTENT_TYPE, wrong)])),
                "{wrong}"
            );
        }
        for written in ["PATCH", "patch", " Patch "] {
            let request = http::Request::post("/")
                .header(METHOD_OVERRIDE, written)
                .body(());
            assert_eq!(
                method(&request.expect("is one")),
                Method::PATCH,
                "{written}"
            );
        }
    }

    proptest! {
        #[test]
        fn any_metadata_is_read_back(pairs in proptest::collection::vec(("[!-+.-~]{1,9}", "\\PC{0,20}"), 0..5)) {
            let encode = |(key, value): &(String, String)| format!("{key} {}", STANDARD.encode(value));
            let header = pairs.iter().map(encode).collect::<Vec<_>>().join(",");
            let (read, _) = metadata(&with(&[(&METADATA, &header)])).expect("is right");
            prop_assert_eq!(read, pairs);
        }

        #[test]
        fn no_header_is_a_panic(text in "[ -~]{0,40}") {
            let headers = with(&[(&METADATA, &text), (&LENGTH, &text), (&OFFSET, &text), (&CHECKSUM, &text)]);
            let _ = (metadata(&headers), length(&headers), offset(&headers), checksum(&headers, &Trailers::default()).is_ok());
        }
    }
}
