//! The file API: `/internal/storage/` with `health`, `upload`, `download`, `list` and `delete`, as an
//! existing client calls it. A success has `"success": true`; a failure is a problem.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use futures_util::{StreamExt, TryStreamExt};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use multer::{Field, Multipart};
use portcullis_hop::{BodyAborted, ByteStream, Problem, ProblemKind, StoreError};
use portcullis_telemetry::{Attribute, Span, SpanName};
use portcullis_types::{Attributes, DiskName, DiskPath};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Failure, Site, hop, json as answer_json, stream};
use crate::catalog::VersionRow;
use crate::files::{MAX_LISTED, NewFile};
use crate::health::DiskHealth;
use crate::keys::{Key, Scope};

pub(super) fn routes() -> Router<Site> {
    Router::new()
        .route("/internal/storage/health", get(health))
        .route("/internal/storage/upload", post(upload))
        .route("/internal/storage/download", get(download))
        .route("/internal/storage/list", get(list))
        .route("/internal/storage/delete", post(delete).delete(delete))
}

/// The longest text field of a form in bytes.
const MAX_FIELD_BYTES: u64 = 64 << 10;

/// Which file is meant, in a query or as JSON.
#[derive(Default, Deserialize)]
struct Target {
    path: Option<String>,
    prefix: Option<String>,
    disk: Option<String>,
}

async fn health(State(site): State<Site>, headers: HeaderMap) -> Response {
    let call = async |_, _| {
        let health = site.health().await?;
        let well = health.is_well();
        let code = if well {
            StatusCode::OK
        } else {
            StatusCode::SERVICE_UNAVAILABLE
        };
        let word = |fit: bool| if fit { "ok" } else { "failing" };
        let disk = |(name, state): (&DiskName, &DiskHealth)| {
            let (total, free) = state.space.map_or((None, None), |space| {
                (Some(space.total_bytes), Some(space.free_bytes))
            });
            let entry = json!({
                "status": word(state.fit),
                "total_bytes": total,
                "free_bytes": free,
            });
            (name.to_string(), entry)
        };
        let disks: serde_json::Map<String, Value> = health.disks.iter().map(disk).collect();
        let body = json!({
            "success": well,
            "status": word(well),
            "version": env!("CARGO_PKG_VERSION"),
            "catalog": word(health.catalog),
            "disks": disks,
        });
        Ok((code, axum::Json(body)).into_response())
    };
    site.answer(SpanName::StorageHealth, &headers, Scope::Files, call)
        .await
}

async fn upload(State(site): State<Site>, headers: HeaderMap, body: Body) -> Response {
    let call = async |key: Key, span: Arc<Span>| {
        let mut form = form(&headers, stream(body))?;
        let mut fields = Fields::default();
        let file = loop {
            let Some(part) = form.next_field().await.map_err(|_| bad_form())? else {
                return Err(bad("The form has no part `file`; send the file last."));
            };
            if part.name() == Some("file") || part.file_name().is_some() {
                break part;
            }
            fields.take(part).await?;
        };
        let file_name = file.file_name().map(str::to_owned);
        let media_type = file.content_type().map(ToString::to_string);
        let new = fields.into_file(&site, &key, file_name, media_type)?;
        let bytes: ByteStream = Box::pin(whole(file));
        let receipt = site.uploads().store(new, bytes, &span).await?;
        span.set(Attribute::UploadId(receipt.id));
        hop::stored(&receipt);
        Ok(answer_json(&json!({
            "success": true,
            "disk": receipt.disk,
            "path": receipt.path,
            "size": receipt.size,
            "version": receipt.version,
            "sha256": receipt.stored_sha256,
        })))
    };
    site.answer(SpanName::StorageUpload, &headers, Scope::Files, call)
        .await
}

/// The bytes of the file, which is the last part: a form that ends before its last boundary is broken off.
fn whole(
    file: Field<'static>,
) -> impl futures_util::Stream<Item = Result<bytes::Bytes, BodyAborted>> {
    file.map_err(|_| BodyAborted).boxed()
}

fn form(headers: &HeaderMap, body: ByteStream) -> Result<Multipart<'static>, Failure> {
    let content_type = headers.get(header::CONTENT_TYPE);
    let content_type = content_type.and_then(|value| value.to_str().ok());
    let boundary = multer::parse_boundary(content_type.unwrap_or_default())
        .map_err(|_| bad("The body is not `multipart/form-data` with a boundary."))?;
    Ok(Multipart::new(body, boundary))
}

/// The text fields of an upload.
#[derive(Default)]
struct Fields {
    path: Option<String>,
    disk: Option<String>,
    content_type: Option<String>,
    metadata: Option<String>,
}

impl Fields {
    async fn take(&mut self, mut part: Field<'static>) -> Result<(), Failure> {
        let name = part.name().unwrap_or_default().to_owned();
        let mut text = Vec::new();
        while let Some(bytes) = part.chunk().await.map_err(|_| bad_form())? {
            text.extend_from_slice(&bytes);
            if text.len() as u64 > MAX_FIELD_BYTES {
                return Err(bad(
                    "A field of the form is over 64 KiB; only `file` may be.",
                ));
            }
        }
        let text = String::from_utf8(text).map_err(|_| bad("A field of the form is not UTF-8."))?;
        match name.as_str() {
            "path" => self.path = Some(text),
            "disk" => self.disk = Some(text),
            "content_type" => self.content_type = Some(text),
            "metadata" => self.metadata = Some(text),
            // An existing client may say more than this version knows.
            _ => {}
        }
        Ok(())
    }

    fn into_file(
        self,
        site: &Site,
        key: &Key,
        file_name: Option<String>,
        media_type: Option<String>,
    ) -> Result<NewFile, Failure> {
        let path = self.path.or(file_name);
        let disk = disk_name(self.disk.as_deref())?;
        Ok(NewFile {
            disk: site.uploads().disk_or_default(disk.as_ref())?.name.clone(),
            path: disk_path(path.as_deref())?,
            media_type: self.content_type.or(media_type),
            metadata: metadata(self.metadata.as_deref())?,
            principal: key.principal(),
        })
    }
}

async fn download(
    State(site): State<Site>,
    Query(target): Query<Target>,
    headers: HeaderMap,
) -> Response {
    let call = async |key: Key, span: Arc<Span>| {
        let uploads = site.uploads();
        let disk = disk_name(target.disk.as_deref())?;
        let disk = uploads.disk_or_default(disk.as_ref())?;
        let path = disk_path(target.path.as_deref())?;
        let trace = span.context().trace_id();
        let subject = key.principal();
        let opened = uploads
            .open_file(disk, &path, subject.subject(), trace)
            .await;
        let (version, bytes) = opened?;
        span.set(Attribute::Bytes(version.size));
        Ok(file_response(&version, bytes))
    };
    site.answer(SpanName::StorageDownload, &headers, Scope::Files, call)
        .await
}

fn file_response(version: &VersionRow, bytes: ByteStream) -> Response {
    let mut response = Body::from_stream(bytes).into_response();
    let headers = response.headers_mut();
    let kind = version
        .media_type
        .as_deref()
        .unwrap_or("application/octet-stream");
    let octets = HeaderValue::from_static("application/octet-stream");
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_str(kind).unwrap_or(octets),
    );
    headers.insert(header::CONTENT_LENGTH, version.size.into());
    if let Ok(tag) = HeaderValue::from_str(&format!("\"{}\"", version.sha256)) {
        headers.insert(header::ETAG, tag);
    }
    response
}

async fn list(
    State(site): State<Site>,
    Query(target): Query<Target>,
    headers: HeaderMap,
) -> Response {
    let call = async |_, _| {
        let disk = disk_name(target.disk.as_deref())?;
        let disk = site.uploads().disk_or_default(disk.as_ref())?;
        let prefix = target.prefix.unwrap_or_default();
        let versions = site.uploads().list(disk, prefix).await?;
        let files: Vec<Value> = versions.iter().map(listed).collect();
        Ok(answer_json(&json!({
            "success": true,
            "disk": disk.name,
            "truncated": files.len() == MAX_LISTED as usize,
            "files": files,
        })))
    };
    site.answer(SpanName::StorageList, &headers, Scope::Files, call)
        .await
}

fn listed(version: &VersionRow) -> Value {
    json!({
        "path": version.path,
        "size": version.size,
        "version": version.version,
        "sha256": version.sha256,
        "content_type": version.media_type,
        "metadata": version.metadata,
        "stored_at": version.stored_at,
    })
}

async fn delete(
    State(site): State<Site>,
    Query(query): Query<Target>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let call = async |key: Key, span: Arc<Span>| {
        let target = if query.path.is_some() {
            query
        } else {
            super::parsed(body).await?
        };
        let disk = disk_name(target.disk.as_deref())?;
        let disk = site.uploads().disk_or_default(disk.as_ref())?;
        let path = disk_path(target.path.as_deref())?;
        let (subject, trace) = (key.principal(), span.context().trace_id());
        let deleted = site
            .uploads()
            .delete(disk, &path, subject.subject(), trace)
            .await;
        deleted?;
        Ok(answer_json(
            &json!({ "success": true, "disk": disk.name, "path": path }),
        ))
    };
    site.answer(SpanName::StorageDelete, &headers, Scope::Files, call)
        .await
}

fn disk_name(text: Option<&str>) -> Result<Option<DiskName>, Failure> {
    let name = text.filter(|text| !text.is_empty()).map(str::parse);
    name.transpose()
        .map_err(|error: portcullis_types::InvalidDiskName| {
            bad(&format!("`disk` cannot be used: {error}."))
        })
}

fn disk_path(text: Option<&str>) -> Result<DiskPath, Failure> {
    let text = text.ok_or_else(|| bad("The call names no `path`."))?;
    text.parse()
        .map_err(|error: portcullis_types::InvalidDiskPath| {
            StoreError::UnsafePath(error.to_string()).into()
        })
}

/// `metadata` is a JSON object of texts.
fn metadata(text: Option<&str>) -> Result<Attributes, Failure> {
    let Some(text) = text.filter(|text| !text.trim().is_empty()) else {
        return Ok(Attributes::default());
    };
    serde_json::from_str(text).map_err(|error| {
        bad(&format!(
            "`metadata` is not a JSON object of short texts ({error})."
        ))
    })
}

fn bad(detail: &str) -> Failure {
    Problem::new(ProblemKind::BadRequest, detail).into()
}

fn bad_form() -> Failure {
    bad("The form cannot be read or breaks off; send it again as `multipart/form-data` (RFC 7578).")
}
