//! `download`: a file or a range of it (RFC 9110), with its digest (RFC 9530).

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use headers::{
    AcceptRanges, ContentLength, ContentRange, ETag, HeaderMapExt, IfMatch, IfModifiedSince,
    IfNoneMatch, IfRange, IfUnmodifiedSince, LastModified,
};
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use http_range_header::parse_range_header;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use portcullis_hop::{ByteStream, Problem, ProblemKind, StoreError};
use portcullis_telemetry::{Attribute, Span, SpanName};

use super::{Caller, Failure, Head, NO_FILE, Site, Target, not_found, note_listing};
use crate::catalog::VersionRow;
use crate::http::query;
use crate::keys::Scope;

/// What stays as it is in `filename*` (RFC 8187, attr-char).
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'!')
    .remove(b'#')
    .remove(b'$')
    .remove(b'&')
    .remove(b'+')
    .remove(b'-')
    .remove(b'.')
    .remove(b'^')
    .remove(b'_')
    .remove(b'`')
    .remove(b'|')
    .remove(b'~');

pub(super) async fn download(
    State(site): State<Site>,
    uri: Uri,
    method: Method,
    head: Head,
) -> Response {
    let call = async |caller: Caller, span: Arc<Span>| {
        let target: Target = query(&uri)?;
        let (disk, path) = target.file(&site)?;
        let version = site.uploads().version(&disk.name, &path, target.version);
        let version = version.await.map_err(not_found(NO_FILE))?;
        let file = Described::of(&version)?;
        let known = file.refused_or_known(&head)?;
        if known.is_some() || method == Method::HEAD {
            note_listing(&site, &caller, "download", &disk.name, Some(&path)).await?;
            return Ok(known.unwrap_or_else(|| file.whole(Body::empty())));
        }
        let part = file.part(&head)?;
        let (from, until) = part.unwrap_or((0, version.size));
        let opened = site
            .uploads()
            .open_version(disk, &version, (from, until), caller.actor())
            .await;
        let bytes: ByteStream = opened?;
        span.set(Attribute::Bytes(until - from));
        let body = Body::from_stream(bytes);
        Ok(match part {
            None => file.whole(body),
            Some(part) => file.partial(part, body),
        })
    };
    site.answer(SpanName::StorageDownload, &head, Scope::Files, call)
        .await
}

/// A file as HTTP describes it.
struct Described<'a> {
    version: &'a VersionRow,
    tag: ETag,
    modified: LastModified,
}

impl<'a> Described<'a> {
    fn of(version: &'a VersionRow) -> Result<Self, Failure> {
        let tag = format!("\"{}\"", version.sha256).parse();
        let ms = u64::try_from(version.stored_at.as_ms()).unwrap_or_default();
        Ok(Self {
            version,
            tag: tag.map_err(|_| StoreError::StorageFailed)?,
            modified: (UNIX_EPOCH + Duration::from_millis(ms)).into(),
        })
    }

    /// What preconditions make of the call, in the order of RFC 9110, 13.2.2: 412, 304, or nothing.
    fn refused_or_known(&self, headers: &HeaderMap) -> Result<Option<Response>, Failure> {
        let modified = self.modified.into();
        let holds = match headers.typed_get::<IfMatch>() {
            Some(tags) => tags.precondition_passes(&self.tag),
            None => headers
                .typed_get::<IfUnmodifiedSince>()
                .is_none_or(|since| since.precondition_passes(modified)),
        };
        if !holds {
            let detail = "The file is another one than the call names; ask for its metadata and decide again.";
            return Err(Problem::new(ProblemKind::PreconditionFailed, detail).into());
        }
        let is_new = match headers.typed_get::<IfNoneMatch>() {
            Some(tags) => tags.precondition_passes(&self.tag),
            None => headers
                .typed_get::<IfModifiedSince>()
                .is_none_or(|since| since.is_modified(modified)),
        };
        if is_new {
            return Ok(None);
        }
        let mut response = StatusCode::NOT_MODIFIED.into_response();
        response.headers_mut().typed_insert(self.tag.clone());
        response.headers_mut().typed_insert(self.modified);
        Ok(Some(response))
    }

    /// The one range that is asked for, from its first byte up to behind its last. Several at once, other units than
    /// bytes, and what cannot be read get the whole file (RFC 9110, 14.2).
    fn part(&self, headers: &HeaderMap) -> Result<Option<(u64, u64)>, Failure> {
        let changed =
            |validator: IfRange| validator.is_modified(Some(&self.tag), Some(&self.modified));
        if headers.typed_get::<IfRange>().is_some_and(changed) {
            return Ok(None);
        }
        let range = headers
            .get(header::RANGE)
            .and_then(|range| range.to_str().ok());
        let Some(Ok(range)) = range.map(parse_range_header) else {
            return Ok(None);
        };
        if range.len() > 1 {
            return Ok(None);
        }
        let size = self.version.size;
        let mut ranges = range.validate(size).map_err(|_| {
            let detail = format!("The file has {size} bytes, and the range begins behind them.");
            let problem = Problem::new(ProblemKind::RangeNotSatisfiable, detail);
            Failure::Range {
                problem: Box::new(problem),
                size,
            }
        })?;
        // None is left of a range of an empty file.
        Ok(ranges.pop().map(|range| (*range.start(), range.end() + 1)))
    }

    fn whole(&self, body: Body) -> Response {
        let mut response = self.response(body);
        response
            .headers_mut()
            .typed_insert(ContentLength(self.version.size));
        response
    }

    fn partial(&self, (from, until): (u64, u64), body: Body) -> Response {
        let mut response = self.response(body);
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
        let headers = response.headers_mut();
        headers.typed_insert(ContentLength(until - from));
        if let Ok(range) = ContentRange::bytes(from..until, self.version.size) {
            headers.typed_insert(range);
        }
        response
    }

    fn response(&self, body: Body) -> Response {
        let mut response = body.into_response();
        let headers = response.headers_mut();
        let octets = HeaderValue::from_static("application/octet-stream");
        let kind = self.version.media_type.as_deref();
        let kind = kind.and_then(|kind| HeaderValue::from_str(kind).ok());
        headers.insert(header::CONTENT_TYPE, kind.unwrap_or(octets));
        headers.typed_insert(AcceptRanges::bytes());
        headers.typed_insert(self.tag.clone());
        headers.typed_insert(self.modified);
        let digest = STANDARD.encode(self.version.sha256.as_bytes());
        for (name, value) in [
            ("repr-digest", format!("sha-256=:{digest}:")),
            (
                "content-disposition",
                attachment(self.version.path.file_name()),
            ),
        ] {
            if let Ok(value) = HeaderValue::from_str(&value) {
                headers.insert(name, value);
            }
        }
        response
    }
}

/// A file name as RFC 6266 says it: in ASCII for old clients, and as it is.
fn attachment(name: &str) -> String {
    let plain = |c: char| c.is_ascii_graphic() && !matches!(c, '"' | '\\' | '%') || c == ' ';
    let ascii: String = name
        .chars()
        .map(|c| if plain(c) { c } else { '_' })
        .collect();
    if ascii == name {
        return format!("attachment; filename=\"{ascii}\"");
    }
    let encoded = utf8_percent_encode(name, ENCODED);
    format!("attachment; filename=\"{ascii}\"; filename*=UTF-8''{encoded}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_name_is_said_in_ascii_and_as_it_is() {
        for (name, said) in [
            ("a b.csv", "attachment; filename=\"a b.csv\""),
            (
                "größe \"1\".csv",
                "attachment; filename=\"gr__e _1_.csv\"; filename*=UTF-8''gr%C3%B6%C3%9Fe%20%221%22.csv",
            ),
        ] {
            assert_eq!(attachment(name), said);
        }
    }
}
