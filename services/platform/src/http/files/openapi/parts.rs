//! What several calls of the description have in common.

use portcullis_types::{DiskName, DiskPath};
use serde_json::{Map, Value, json};

use crate::idempotency::IdempotencyKey;

pub(super) fn schemas() -> Value {
    let text = || json!({ "type": "string" });
    let word = || json!({ "enum": ["healthy", "unhealthy"] });
    let number_or_not = || json!({ "type": ["number", "null"] });
    json!({
        "Sha256": { "type": "string", "pattern": "^[0-9a-f]{64}$" },
        "Sha256OrNone": { "type": "string", "pattern": "^([0-9a-fA-F]{64})?$" },
        "UploadId": { "type": "string", "pattern": "^[0-9a-f]{32}$" },
        "DiskName": {
            "type": "string",
            "pattern": format!("^[a-z0-9][a-z0-9_-]{{0,{}}}$", DiskName::MAX_BYTES - 1),
            "description": "A disk of the configuration.",
        },
        "DiskNameOrNone": {
            "type": ["string", "null"],
            "pattern": format!("^([a-z0-9][a-z0-9_-]{{0,{}}})?$", DiskName::MAX_BYTES - 1),
            "description": "When a call names no disk, the first is meant.",
        },
        "Path": {
            "type": "string",
            "minLength": 1,
            "maxLength": DiskPath::MAX_BYTES,
            "description": "Parts with `/` between them and none at the ends; no `.` and `..`, no control or invisible \
                characters, no names that Windows reserves.",
        },
        "Stored": answer(json!({
            "disk": schema("DiskName"),
            "path": schema("Path"),
            "size": count(),
            "version": { "type": "integer", "minimum": 1 },
            "sha256": schema("Sha256"),
        })),
        "File": whole(&entries(json!({
            "path": schema("Path"),
            "size": count(),
            "mtime": { "type": "number", "description": "When it was stored, in seconds since 1970." },
            "content_type": text(),
            "version": { "type": "integer", "minimum": 1 },
            "sha256": schema("Sha256"),
            "stored_at": { "type": "string", "format": "date-time" },
            "metadata": { "type": "object", "additionalProperties": text() },
            "deleted_at": { "type": ["string", "null"], "format": "date-time" },
            "purged_at": { "type": ["string", "null"], "format": "date-time" },
        }))),
        "Disk": whole(&entries(json!({
            "status": word(),
            "mounted": { "type": "boolean" },
            "writable": { "type": "boolean", "description": "Whether it took a small file just now." },
            "write_latency_ms": number_or_not(),
            "total_bytes": number_or_not(),
            "free_bytes": number_or_not(),
        }))),
        "Health": whole(&entries(json!({
            "success": { "type": "boolean" },
            "status": word(),
            "server_role": { "const": "services" },
            "version": text(),
            "catalog": word(),
            "disks": { "type": "object", "additionalProperties": schema("Disk") },
        }))),
        "Problem": object(&entries(json!({
            "type": { "type": "string", "pattern": "^urn:portcullis:problem:" },
            "title": text(),
            "status": { "type": "integer" },
            "detail": text(),
            "error": text(),
            "support_id": { "type": "string", "description": "Finds the call in traces and logs." },
        })), &["type", "title", "status", "detail", "error"]),
    })
}

/// The fields of a form that say what a file is.
pub(super) fn file_fields() -> Map<String, Value> {
    entries(json!({
        "path": schema("Path"),
        "disk": schema("DiskNameOrNone"),
        "content_type": { "type": "string", "description": "The media type. Default: that of the part." },
        "metadata": {
            "type": "string",
            "contentMediaType": "application/json",
            "description": "A JSON object. What is no text in it becomes its JSON; `null` is left out.",
        },
        "sha256": schema("Sha256OrNone"),
    }))
}

/// The answers to a call that succeeds with `schema`, or fails in one of these ways or one that all have in common.
pub(super) fn responses(what: &str, schema: &Value, statuses: &[u16]) -> Map<String, Value> {
    let mut answers = failures(statuses);
    let content = json!({ "application/json": { "schema": schema } });
    answers.insert(
        "200".to_owned(),
        json!({ "description": what, "content": content }),
    );
    answers
}

/// The failures of these kinds and those that all calls have in common.
pub(super) fn failures(statuses: &[u16]) -> Map<String, Value> {
    let common = [401, 403, 503];
    let all = statuses.iter().chain(&common);
    all.map(|status| {
        let content = json!({ "application/problem+json": { "schema": schema("Problem") } });
        let answer = json!({ "description": failure(*status), "content": content });
        (status.to_string(), answer)
    })
    .collect()
}

fn failure(status: u16) -> &'static str {
    match status {
        400 => "Something in the call cannot be used.",
        401 => "There is no key.",
        403 => "The key is wrong or lacks the scope.",
        404 => "There is no such file or upload.",
        409 => {
            "Something else stands at the path, another chunk is the next, the upload has ended, or the same call is under way."
        }
        410 => "The version was purged.",
        412 => "The file is another one than the call demands.",
        415 => "The body is compressed or encoded otherwise.",
        416 => "The range is not in the file.",
        422 => {
            "The bytes have another digest than the call says, or its key came with another call."
        }
        507 => "The disk has no room.",
        _ => "Services are busy or stopping, or storage failed; come back later.",
    }
}

/// A success, with these members.
pub(super) fn answer(members: Value) -> Value {
    let mut members = entries(members);
    members.insert("success".to_owned(), json!({ "const": true }));
    whole(&members)
}

/// An object that has all of these members.
pub(super) fn whole(members: &Map<String, Value>) -> Value {
    let names: Vec<String> = members.keys().cloned().collect();
    json!({ "type": "object", "properties": members, "required": names })
}

/// An object that has some of these members.
pub(super) fn object(members: &Map<String, Value>, required: &[&str]) -> Value {
    json!({ "type": "object", "properties": members, "required": required })
}

pub(super) fn entries(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(entries) => entries,
        _ => Map::new(),
    }
}

pub(super) fn schema(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

pub(super) fn json_body(schema: &Value) -> Value {
    json!({ "required": true, "content": { "application/json": { "schema": schema } } })
}

pub(super) fn binary(what: &str) -> Value {
    json!({ "type": "string", "format": "binary", "description": what })
}

pub(super) fn count() -> Value {
    json!({ "type": "integer", "minimum": 0 })
}

pub(super) fn dry_run() -> Value {
    json!({ "type": "boolean", "default": false, "description": "Only say what would be done." })
}

/// The file at a path and all beneath the folder of that name.
pub(super) fn prefix() -> Value {
    json!({ "type": "string", "maxLength": DiskPath::MAX_BYTES + 1 })
}

pub(super) fn path() -> Value {
    json!({ "name": "path", "in": "query", "required": true, "schema": schema("Path") })
}

pub(super) fn disk() -> Value {
    json!({ "name": "disk", "in": "query", "schema": schema("DiskNameOrNone") })
}

pub(super) fn version() -> Value {
    json!({
        "name": "version",
        "in": "query",
        "description": "Which version. Default: the one that is shown.",
        "schema": { "type": "integer", "minimum": 0, "maximum": i64::MAX },
    })
}

pub(super) fn idempotency_key() -> Value {
    json!({
        "name": "Idempotency-Key",
        "in": "header",
        "description": "Within a day the same call with the same key gives the first answer and is not done again.",
        "schema": { "type": "string", "pattern": format!("^[!-~]{{1,{}}}$", IdempotencyKey::MAX_BYTES) },
    })
}
