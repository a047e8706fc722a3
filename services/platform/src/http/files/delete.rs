//! `delete`, `delete_prefix` and `cleanup`: what goes.

use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use http::Uri;
use portcullis_telemetry::SpanName;
use serde::Deserialize;
use serde_json::json;

use super::{
    Begun, Caller, Failure, Head, NO_FILE, Site, Target, answer_json, bad, begin, disk_name,
    not_found, prefix,
};
use crate::files::changed;
use crate::http::{parsed, query};
use crate::idempotency::Asked;
use crate::keys::Scope;

/// The hours that are meant when a client says none, as in the documented system.
pub(super) const USUAL_HOURS: f64 = 4.0;
/// The most hours that make sense: ten years.
pub(super) const MAX_HOURS: f64 = 87_600.0;

pub(super) async fn delete(State(site): State<Site>, uri: Uri, head: Head, body: Body) -> Response {
    let call = async |caller: Caller, _| {
        let mut target: Target = query(&uri)?;
        if target.path.is_none() {
            target = parsed(body).await?;
        }
        let (disk, path) = target.file(&site)?;
        let asked = Asked::new("delete")
            .with(disk.name.as_str())
            .with(path.as_str());
        let answering = match begin(&site, &head, &caller, asked).await? {
            Begun::Answered(answer) => return Ok(answer_json(&answer)),
            Begun::New(answering) => answering,
        };
        let gone = site
            .uploads()
            .delete(disk, &path, caller.actor(), answering)
            .await;
        gone.map_err(not_found(NO_FILE))?;
        Ok::<_, Failure>(answer_json(&changed(disk, &path)))
    };
    site.answer(SpanName::StorageDelete, &head, Scope::Files, call)
        .await
}

/// What is to be deleted at once.
#[derive(Deserialize)]
struct Many {
    prefix: Option<String>,
    disk: Option<String>,
    #[serde(default)]
    dry_run: bool,
}

pub(super) async fn delete_prefix(State(site): State<Site>, head: Head, body: Body) -> Response {
    let call = async |caller: Caller, _| {
        let many: Many = parsed(body).await?;
        let disk = disk_name(many.disk.as_deref())?;
        let disk = site.uploads().disk_or_default(disk.as_ref())?;
        let prefix = prefix(many.prefix.as_deref())?;
        if prefix.path().is_none() {
            return Err(bad(
                "The call names no `prefix`; a whole disk is never deleted at once.",
            ));
        }
        let asked = Asked::new("delete_prefix")
            .with(disk.name.as_str())
            .with(prefix.to_string())
            .with([u8::from(many.dry_run)]);
        let answering = match begin(&site, &head, &caller, asked).await? {
            Begun::Answered(answer) => return Ok(answer_json(&answer)),
            Begun::New(answering) => answering,
        };
        let deleted = site
            .uploads()
            .delete_prefix(disk, &prefix, many.dry_run, caller.actor())
            .await?;
        let answer = json!({
            "success": true,
            "disk": disk.name,
            "prefix": prefix.to_string(),
            "dry_run": many.dry_run,
            "found_count": deleted.found,
            "deleted_count": deleted.deleted,
            "paths": deleted.paths,
        });
        if let Some(answering) = answering {
            site.uploads().answered(answering, answer.clone()).await?;
        }
        Ok(answer_json(&answer))
    };
    site.answer(SpanName::StorageDeletePrefix, &head, Scope::Files, call)
        .await
}

/// What is to be cleaned up.
#[derive(Deserialize)]
struct Old {
    hours: Option<f64>,
    #[serde(default)]
    dry_run: bool,
}

pub(super) async fn cleanup(State(site): State<Site>, head: Head, body: Body) -> Response {
    let call = async |caller: Caller, _| {
        let old: Old = parsed(body).await?;
        let hours = old.hours.unwrap_or(USUAL_HOURS);
        if !(0.0..=MAX_HOURS).contains(&hours) {
            return Err(bad(&format!(
                "`hours` is not a number from 0 to {MAX_HOURS}."
            )));
        }
        let idle = Duration::from_secs_f64(hours * 3600.0);
        let cleaned = site
            .uploads()
            .clean_up(idle, old.dry_run, caller.actor())
            .await?;
        Ok::<_, Failure>(answer_json(&json!({
            "success": true,
            "result": {
                "found": cleaned.found.len(),
                "cleaned": cleaned.cleaned.len(),
                "failed": cleaned.failed.len(),
                "cleaned_uploads": cleaned.cleaned,
                "failed_uploads": cleaned.failed,
                "dry_run": old.dry_run,
            },
        })))
    };
    site.answer(SpanName::StorageCleanup, &head, Scope::Files, call)
        .await
}
