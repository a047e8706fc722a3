//! The file API under `/internal/storage/`, as an existing client calls it. A success has `"success": true`; a failure
//! is a problem that also says `error`.

mod chunked;
mod delete;
mod download;
mod form;
mod health;
mod list;
mod openapi;
mod upload;
mod versions;

use axum::Router;
use axum::routing::{get, post};
use http::HeaderMap;
use portcullis_hop::{Problem, ProblemKind, StoreError};
use portcullis_types::{DiskName, DiskPath, InvalidDiskName, InvalidDiskPath};
use serde::Deserialize;
use serde_json::Value;

use super::{Caller, Failure, Head, Site, bad, json as answer_json};
use crate::disks::NamedDisk;
use crate::fault::Fault;
use crate::files::Prefix;
use crate::idempotency::{Answering, Asked};

pub(super) fn routes() -> Router<Site> {
    Router::new()
        .route("/internal/storage/health", get(health::health))
        .route("/internal/storage/upload", post(upload::upload))
        .route(
            "/internal/storage/upload_chunked",
            post(chunked::upload_chunked),
        )
        .route("/internal/storage/download", get(download::download))
        .route("/internal/storage/list", get(list::list))
        .route("/internal/storage/exists", get(list::exists))
        .route("/internal/storage/metadata", get(list::metadata))
        .route(
            "/internal/storage/delete",
            post(delete::delete).delete(delete::delete),
        )
        .route(
            "/internal/storage/delete_prefix",
            post(delete::delete_prefix),
        )
        .route("/internal/storage/undelete", post(versions::undelete))
        .route("/internal/storage/purge", post(versions::purge))
        .route("/internal/storage/cleanup", post(delete::cleanup))
        .route("/internal/storage/openapi.json", get(openapi::openapi))
}

/// Which file is meant, in a query or as JSON.
#[derive(Default, Deserialize)]
struct Target {
    path: Option<String>,
    disk: Option<String>,
    version: Option<u64>,
}

impl Target {
    fn file<'a>(&self, site: &'a Site) -> Result<(&'a NamedDisk, DiskPath), Failure> {
        let disk = disk_name(self.disk.as_deref())?;
        let disk = site.uploads().disk_or_default(disk.as_ref())?;
        Ok((disk, disk_path(self.path.as_deref())?))
    }
}

/// A call that may have come before.
enum Begun {
    /// It has not. With a key its answer is to be recorded.
    New(Option<Answering>),
    /// It has, and this was the answer.
    Answered(Value),
}

/// Begins a call that changes something.
async fn begin(
    site: &Site,
    headers: &HeaderMap,
    caller: &Caller,
    asked: Asked,
) -> Result<Begun, Failure> {
    let Some(once) = site.once(headers, caller)? else {
        return Ok(Begun::New(None));
    };
    Ok(match once.earlier(site.uploads().catalog()).await? {
        Some(earlier) => Begun::Answered(earlier.answer_to(asked)?),
        None => Begun::New(Some(once.asking(asked))),
    })
}

const NO_FILE: &str = "There is no such file or version on the disk, or it was deleted; `list` says which files there are.";
const NOTHING_DELETED: &str =
    "There is no such file on the disk of which something was deleted and not purged.";

/// Whoever asks for a file is told of files; that they were uploads is another matter.
fn not_found(detail: &'static str) -> impl Fn(Fault) -> Failure {
    move |fault| match fault {
        Fault(StoreError::NotFound) => Problem::new(ProblemKind::NotFound, detail).into(),
        fault => fault.into(),
    }
}

fn disk_name(text: Option<&str>) -> Result<Option<DiskName>, Failure> {
    let name = text.filter(|text| !text.is_empty()).map(str::parse);
    name.transpose()
        .map_err(|error: InvalidDiskName| bad(&format!("`disk` cannot be used: {error}.")))
}

fn disk_path(text: Option<&str>) -> Result<DiskPath, Failure> {
    let text = text.ok_or_else(|| bad("The call names no `path`."))?;
    text.parse().map_err(|error| unsafe_path(&error))
}

fn prefix(text: Option<&str>) -> Result<Prefix, Failure> {
    let parsed = text.unwrap_or_default().parse();
    parsed.map_err(|error| unsafe_path(&error))
}

fn unsafe_path(error: &InvalidDiskPath) -> Failure {
    StoreError::UnsafePath(error.to_string()).into()
}

/// Yes or no, as programs in several languages write it.
fn flag(name: &str, text: Option<&str>) -> Result<bool, Failure> {
    match text.unwrap_or("false").to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" => Ok(true),
        "false" | "0" | "no" => Ok(false),
        _ => Err(bad(&format!("`{name}` is neither `true` nor `false`."))),
    }
}

/// Writes down that somebody looks what there is, before they are told.
async fn note_listing(
    site: &Site,
    caller: &Caller,
    call: &str,
    disk: &DiskName,
    path: Option<&DiskPath>,
) -> Result<(), Failure> {
    let listing = site
        .uploads()
        .audit_listing(call, Some(disk), path, caller.actor());
    Ok(listing.await?)
}
