//! `health`: whether a file could be stored now, and how each disk is.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use portcullis_telemetry::SpanName;
use portcullis_types::DiskName;
use serde_json::{Value, json};

use super::{Head, Site};
use crate::health::DiskHealth;
use crate::keys::Scope;

pub(super) async fn health(State(site): State<Site>, head: Head) -> Response {
    let call = async |_, _| {
        let health = site.uploads().examine().await?;
        let well = health.is_well();
        let code = if well {
            StatusCode::OK
        } else {
            StatusCode::SERVICE_UNAVAILABLE
        };
        let disks = health
            .disks
            .iter()
            .map(|(name, disk)| described(name, disk));
        let disks: serde_json::Map<String, Value> = disks.collect();
        let body = json!({
            "success": well,
            "status": word(well),
            "server_role": "services",
            "version": env!("CARGO_PKG_VERSION"),
            "catalog": word(health.catalog),
            "disks": disks,
        });
        Ok((code, axum::Json(body)).into_response())
    };
    site.answer(SpanName::StorageHealth, &head, Scope::Files, call)
        .await
}

fn word(fit: bool) -> &'static str {
    if fit { "healthy" } else { "unhealthy" }
}

fn described(name: &DiskName, disk: &DiskHealth) -> (String, Value) {
    let (total, free) = disk.space.map_or((None, None), |space| {
        (Some(space.total_bytes), Some(space.free_bytes))
    });
    let latency = disk
        .write_latency
        .map(|latency| latency.as_secs_f64() * 1000.0);
    let entry = json!({
        "status": word(disk.fit),
        "mounted": disk.space.is_some(),
        "writable": latency.is_some(),
        "write_latency_ms": latency,
        "total_bytes": total,
        "free_bytes": free,
    });
    (name.to_string(), entry)
}
