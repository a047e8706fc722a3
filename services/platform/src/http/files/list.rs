//! `list`, `exists` and `metadata`: what there is, without its bytes.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::StreamExt;
use http::{HeaderValue, Uri, header};
use portcullis_hop::StoreError;
use portcullis_telemetry::{Span, SpanName};
use portcullis_types::{DiskName, DiskPath};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Caller, Failure, Head, NO_FILE, Site, Target, answer_json, bad, disk_path, flag, not_found,
    note_listing, prefix,
};
use crate::catalog::VersionRow;
use crate::fault::Fault;
use crate::files::{MAX_PAGE, Prefix};
use crate::http::query;
use crate::keys::Scope;
use crate::uploads::Uploads;

/// How many files of a list are in memory at once.
const PAGE: u32 = 1000;

/// Of how many paths all versions are in memory at once.
const HISTORIES: u32 = 100;

/// What is to be listed.
#[derive(Default, Deserialize)]
pub(super) struct What {
    prefix: Option<String>,
    disk: Option<String>,
    include_metadata: Option<String>,
    versions: Option<String>,
    limit: Option<String>,
    after: Option<String>,
}

pub(super) async fn list(State(site): State<Site>, uri: Uri, head: Head) -> Response {
    let call = async |caller: Caller, _| {
        let listing = query::<What>(&uri)?.listing(&site)?;
        note_listing(&site, &caller, "list", &listing.disk, listing.prefix.path()).await?;
        let head =
            json!({ "success": true, "disk": listing.disk, "prefix": listing.prefix.to_string() });
        // The first page before the answer begins: what fails now is told as a problem.
        let pages = listing.begin().await?;
        let head = head.to_string();
        let head = format!("{},\"files\":[", head.trim_end_matches('}'));
        let body = futures_util::stream::once(async { Ok(Bytes::from(head)) }).chain(pages);
        let mut response = Body::from_stream(body).into_response();
        let kind = HeaderValue::from_static("application/json");
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
        Ok::<_, Failure>(response)
    };
    site.answer(SpanName::StorageList, &head, Scope::Files, call)
        .await
}

pub(super) async fn exists(State(site): State<Site>, uri: Uri, head: Head) -> Response {
    let call = async |caller: Caller, _: Arc<Span>| {
        let target: Target = query(&uri)?;
        let (disk, path) = target.file(&site)?;
        note_listing(&site, &caller, "exists", &disk.name, Some(&path)).await?;
        let shown = site.uploads().shown(&disk.name, &path).await?;
        Ok(answer_json(&json!({
            "success": true,
            "exists": shown.is_some(),
            "disk": disk.name,
            "path": path,
        })))
    };
    site.answer(SpanName::StorageExists, &head, Scope::Files, call)
        .await
}

pub(super) async fn metadata(State(site): State<Site>, uri: Uri, head: Head) -> Response {
    let call = async |caller: Caller, _| {
        let target: Target = query(&uri)?;
        let (disk, path) = target.file(&site)?;
        note_listing(&site, &caller, "metadata", &disk.name, Some(&path)).await?;
        let version = site.uploads().version(&disk.name, &path, target.version);
        let version = version.await.map_err(not_found(NO_FILE))?;
        Ok(answer_json(&json!({
            "success": true,
            "disk": disk.name,
            "path": path,
            "metadata": described(&version),
        })))
    };
    site.answer(SpanName::StorageMetadata, &head, Scope::Files, call)
        .await
}

/// What a client is told of a file. `mtime` is in seconds since 1970, as existing clients read it.
#[expect(
    clippy::cast_precision_loss,
    reason = "milliseconds of the years 1 to 9999 are exact"
)]
fn described(version: &VersionRow) -> Value {
    json!({
        "path": version.path,
        "size": version.size,
        "mtime": version.stored_at.as_ms() as f64 / 1000.0,
        "content_type": version.media_type.as_deref().unwrap_or("application/octet-stream"),
        "version": version.version,
        "sha256": version.sha256,
        "stored_at": version.stored_at,
        "metadata": version.metadata,
        "deleted_at": version.deleted_at,
        "purged_at": version.purged_at,
    })
}

impl What {
    fn listing(self, site: &Site) -> Result<Listing, Failure> {
        let disk = super::disk_name(self.disk.as_deref())?;
        let disk = site.uploads().disk_or_default(disk.as_ref())?;
        let limit = self.limit.as_deref().map(|limit| {
            let limit = limit.parse().ok();
            limit.filter(|limit| (1..=MAX_PAGE).contains(limit))
        });
        let limit = match limit {
            Some(None) => {
                return Err(bad(&format!(
                    "`limit` is not a number from 1 to {MAX_PAGE}."
                )));
            }
            limit => limit.flatten(),
        };
        let after = self.after.as_deref().filter(|after| !after.is_empty());
        Ok(Listing {
            uploads: site.uploads().clone(),
            disk: disk.name.clone(),
            prefix: prefix(self.prefix.as_deref())?,
            with_metadata: flag("include_metadata", self.include_metadata.as_deref())?,
            every_version: flag("versions", self.versions.as_deref())?,
            after: after.map(|after| disk_path(Some(after))).transpose()?,
            left: limit,
            count: 0,
        })
    }
}

/// A list on its way: page after page, none of which is there before the one before it has been sent.
struct Listing {
    uploads: Uploads,
    disk: DiskName,
    prefix: Prefix,
    with_metadata: bool,
    /// Not the file that each path shows, but all versions that it has or had.
    every_version: bool,
    after: Option<DiskPath>,
    /// How many more may come. Absent: all.
    left: Option<u32>,
    count: u64,
}

enum Step {
    Files(Vec<VersionRow>),
    End,
}

impl Listing {
    /// The JSON of all files and what comes behind them.
    async fn begin(
        mut self,
    ) -> Result<impl futures_util::Stream<Item = Result<Bytes, StoreError>> + Send, Fault> {
        let first = self.next().await?;
        let state = Some((self, Some(first)));
        Ok(futures_util::stream::try_unfold(state, async |state| {
            let Some((mut listing, page)) = state else {
                return Ok(None);
            };
            let page = match page {
                Some(page) => page,
                None => listing.next().await.map_err(|fault| fault.0)?,
            };
            match page {
                Step::Files(files) => {
                    let json = listing.json(&files);
                    Ok(Some((json, Some((listing, None)))))
                }
                Step::End => Ok(Some((listing.tail(), None))),
            }
        }))
    }

    async fn next(&mut self) -> Result<Step, Fault> {
        let page = if self.every_version { HISTORIES } else { PAGE };
        let wanted = self.left.map_or(page, |left| left.min(page));
        // At the limit one more is looked for, and not sent: without it there is no next page.
        let asked = wanted.max(1);
        let page = self.page(asked).await?;
        if wanted == 0 && !page.is_empty() {
            return Ok(Step::End);
        }
        let Some(last) = page.last().and_then(|versions| versions.first()) else {
            self.after = None;
            return Ok(Step::End);
        };
        self.after = Some(last.path.clone());
        if let Some(left) = &mut self.left {
            *left -= u32::try_from(page.len()).unwrap_or(*left);
        }
        Ok(Step::Files(page.into_iter().flatten().collect()))
    }

    /// The versions of each of the next paths.
    async fn page(&self, paths: u32) -> Result<Vec<Vec<VersionRow>>, Fault> {
        let (disk, prefix, after) = (&self.disk, &self.prefix, self.after.clone());
        if self.every_version {
            return self.uploads.histories(disk, prefix, after, paths).await;
        }
        let shown = self.uploads.page(disk, prefix, after, paths).await?;
        Ok(shown.into_iter().map(|version| vec![version]).collect())
    }

    fn json(&mut self, files: &[VersionRow]) -> Bytes {
        let mut json = String::new();
        for file in files {
            if self.count > 0 {
                json.push(',');
            }
            self.count += 1;
            let entry = if self.with_metadata || self.every_version {
                described(file)
            } else {
                json!(file.path)
            };
            json.push_str(&entry.to_string());
        }
        json.into()
    }

    /// `next` is where the next page begins, if the list stopped at its limit.
    fn tail(&self) -> Bytes {
        let next = json!(self.after);
        format!("],\"count\":{},\"next\":{next}}}", self.count).into()
    }
}
