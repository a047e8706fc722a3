//! `openapi.json`: what the file API takes and answers, for programs and those who write them
//! (the `OpenAPI` Specification, 3.1).

mod parts;

use axum::extract::State;
use axum::response::Response;
use portcullis_telemetry::SpanName;
use portcullis_types::DiskPath;
use serde_json::{Value, json};

use self::parts::{
    answer, binary, count, disk, dry_run, entries, failures, file_fields, idempotency_key,
    json_body, object, path, prefix, responses, schema, schemas, version, whole,
};
use super::delete::{MAX_HOURS, USUAL_HOURS};
use super::{Head, Site, answer_json};
use crate::files::MAX_PAGE;
use crate::keys::Scope;

pub(super) async fn openapi(State(site): State<Site>, head: Head) -> Response {
    let call = async |_, _| Ok(answer_json(&description()));
    site.answer(SpanName::StorageOpenApi, &head, Scope::Files, call)
        .await
}

fn description() -> Value {
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Portcullis services: the file API",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Stores, reads, lists and deletes whole files on the disks of services. Every file is \
                versioned and every action audited. A failure is `application/problem+json` (RFC 9457), whose `detail` \
                says what to do; `error` says the same to older clients.",
        },
        "security": [{ "key": [] }],
        "paths": {
            "/internal/storage/upload": { "post": upload() },
            "/internal/storage/upload_chunked": { "post": upload_chunked() },
            "/internal/storage/download": { "get": download() },
            "/internal/storage/list": { "get": list() },
            "/internal/storage/exists": { "get": exists() },
            "/internal/storage/metadata": { "get": metadata() },
            "/internal/storage/delete": { "post": delete(), "delete": delete_by_query() },
            "/internal/storage/delete_prefix": { "post": delete_prefix() },
            "/internal/storage/undelete": { "post": undelete() },
            "/internal/storage/purge": { "post": purge() },
            "/internal/storage/cleanup": { "post": cleanup() },
            "/internal/storage/health": { "get": health() },
            "/internal/storage/openapi.json": { "get": itself() },
        },
        "components": {
            "securitySchemes": { "key": {
                "type": "apiKey",
                "in": "header",
                "name": "X-API-Key",
                "description": "A key with the scope `files`.",
            } },
            "schemas": schemas(),
        },
    })
}

fn upload() -> Value {
    let mut fields = file_fields();
    fields.insert("file".to_owned(), binary("The file, as the last part."));
    json!({
        "operationId": "upload",
        "summary": "Store a file in one call",
        "description": "When it is answered the file is durable and audited. A path that has a file gets a new version.",
        "parameters": [idempotency_key()],
        "requestBody": { "required": true, "content": {
            "multipart/form-data": { "schema": object(&fields, &["path", "file"]) },
        } },
        "responses": responses("It is stored.", &schema("Stored"), &[400, 409, 415, 422, 507]),
    })
}

fn upload_chunked() -> Value {
    let number = || json!({ "type": "integer", "minimum": 0, "maximum": u32::MAX });
    let mut init = file_fields();
    init.insert("action".to_owned(), json!({ "const": "init" }));
    let mut chunk = entries(json!({
        "action": { "const": "chunk" },
        "upload_id": schema("UploadId"),
        "chunk_num": number(),
    }));
    chunk.insert(
        "chunk".to_owned(),
        binary("Its bytes, as the last part. Numbers go from 0 in order."),
    );
    let complete = entries(json!({
        "action": { "const": "complete" },
        "upload_id": schema("UploadId"),
        "total_chunks": number(),
        "sha256": schema("Sha256OrNone"),
    }));
    let init = object(&init, &["action", "path"]);
    let complete = object(&complete, &["action", "upload_id"]);
    // One object for all three where one has a file: tools cannot tell them apart then.
    let mut form = file_fields();
    form.extend(chunk);
    form.insert("total_chunks".to_owned(), number());
    form.insert(
        "action".to_owned(),
        json!({ "enum": ["init", "chunk", "complete"] }),
    );
    let form = object(&form, &["action"]);
    let without_chunk = json!({ "oneOf": [init, complete] });
    let answer = json!({ "anyOf": [
        answer(json!({ "upload_id": schema("UploadId") })),
        answer(json!({ "chunk_num": count(), "received": count() })),
        { "allOf": [schema("Stored"), { "required": ["chunks"] }] },
    ] });
    json!({
        "operationId": "upload_chunked",
        "summary": "Store a file in chunks",
        "description": "`init` with the fields of a file gives an `upload_id`; each `chunk` in order; `complete` stores \
            the file. Each call may be sent again after a lost answer. A file is given up when nothing came for a day.",
        "parameters": [idempotency_key()],
        "requestBody": { "required": true, "content": {
            "multipart/form-data": { "schema": form },
            "application/x-www-form-urlencoded": { "schema": without_chunk },
        } },
        "responses": responses("By `action`: begun, taken, stored.", &answer, &[400, 404, 409, 415, 422, 507]),
    })
}

fn download() -> Value {
    let text = json!({ "schema": { "type": "string" } });
    let whole = json!({
        "ETag": text, "Repr-Digest": text, "Content-Disposition": text, "Last-Modified": text, "Accept-Ranges": text,
    });
    let bytes = json!({ "*/*": { "schema": { "type": "string", "format": "binary" } } });
    let conditions = ["Range", "If-Match", "If-None-Match", "If-Range"]
        .map(|name| json!({ "name": name, "in": "header", "schema": { "type": "string" } }));
    let mut answers = failures(&[400, 404, 410, 412, 416]);
    answers.extend(entries(json!({
        "200": { "description": "The file.", "headers": whole, "content": bytes },
        "206": { "description": "The range.", "headers": whole, "content": bytes },
        "304": { "description": "The client has this file already." },
    })));
    let mut parameters = vec![path(), disk(), version()];
    parameters.extend(conditions);
    json!({
        "operationId": "download",
        "summary": "Read a file or one range of its bytes",
        "description": "`Repr-Digest` (RFC 9530) is of the whole file. Several ranges at once get the whole file.",
        "parameters": parameters,
        "responses": answers,
    })
}

fn list() -> Value {
    let parameter =
        |name: &str, schema: Value| json!({ "name": name, "in": "query", "schema": schema });
    let found = answer(json!({
        "disk": schema("DiskName"),
        "prefix": { "type": "string" },
        "files": { "type": "array", "items": { "anyOf": [{ "type": "string" }, schema("File")] } },
        "count": count(),
        "next": { "type": ["string", "null"], "description": "`after` of the next page, if the limit was reached." },
    }));
    json!({
        "operationId": "list",
        "summary": "List files, sorted by path",
        "description": "Without `limit` all of them, however many. With `include_metadata` what is known of each \
            instead of its path. With `versions` that of all versions of each path, newest first, deleted and purged             ones too; `limit` is of paths then.",
        "parameters": [
            parameter("prefix", prefix()),
            disk(),
            parameter("include_metadata", json!({ "type": "boolean", "default": false })),
            parameter("versions", json!({ "type": "boolean", "default": false })),
            parameter("limit", json!({ "type": "integer", "minimum": 1, "maximum": MAX_PAGE })),
            parameter("after", json!({ "type": "string", "maxLength": DiskPath::MAX_BYTES })),
        ],
        "responses": responses("The files.", &found, &[400]),
    })
}

fn exists() -> Value {
    let answer = answer(
        json!({ "exists": { "type": "boolean" }, "disk": schema("DiskName"), "path": schema("Path") }),
    );
    json!({
        "operationId": "exists",
        "summary": "Say whether there is a file",
        "parameters": [path(), disk()],
        "responses": responses("Whether there is.", &answer, &[400]),
    })
}

fn metadata() -> Value {
    let answer = answer(
        json!({ "disk": schema("DiskName"), "path": schema("Path"), "metadata": schema("File") }),
    );
    json!({
        "operationId": "metadata",
        "summary": "Say what is known of a file",
        "parameters": [path(), disk(), version()],
        "responses": responses("What is known.", &answer, &[400, 404, 410]),
    })
}

fn delete() -> Value {
    let target = entries(json!({ "path": schema("Path"), "disk": schema("DiskNameOrNone") }));
    let mut operation = delete_by_query();
    operation["operationId"] = json!("delete");
    operation["parameters"] = json!([idempotency_key()]);
    operation["requestBody"] = json_body(&object(&target, &["path"]));
    operation
}

fn delete_by_query() -> Value {
    let answer = answer(json!({ "disk": schema("DiskName"), "path": schema("Path") }));
    json!({
        "operationId": "delete_by_query",
        "summary": "Delete a file",
        "parameters": [path(), disk(), idempotency_key()],
        "responses": responses("It is gone.", &answer, &[400, 404, 409, 422]),
    })
}

fn delete_prefix() -> Value {
    let target = entries(
        json!({ "prefix": prefix(), "disk": schema("DiskNameOrNone"), "dry_run": dry_run() }),
    );
    let answer = answer(json!({
        "disk": schema("DiskName"),
        "prefix": prefix(),
        "dry_run": { "type": "boolean" },
        "found_count": count(),
        "deleted_count": count(),
        "paths": { "type": "array", "items": schema("Path"), "description": "The first 1000 of them." },
    }));
    json!({
        "operationId": "delete_prefix",
        "summary": "Delete a folder and all beneath it",
        "parameters": [idempotency_key()],
        "requestBody": json_body(&object(&target, &["prefix"])),
        "responses": responses("They are gone, or would be.", &answer, &[400, 409, 422]),
    })
}

fn undelete() -> Value {
    let mut operation = delete();
    operation["operationId"] = json!("undelete");
    operation["summary"] = json!("Take the last deletion of a file back");
    operation
}

fn purge() -> Value {
    let target = entries(json!({
        "path": schema("Path"),
        "disk": schema("DiskNameOrNone"),
        "reason": { "type": "string", "minLength": 1, "description": "Why: it stands in the audit." },
    }));
    let answer = answer(json!({
        "disk": schema("DiskName"), "path": schema("Path"), "purged_versions": count(),
    }));
    json!({
        "operationId": "purge",
        "summary": "Remove all versions of a file for good",
        "description": "For keys with the scope `admin`. That there was such a file, its lengths and digests stay known.",
        "parameters": [idempotency_key()],
        "requestBody": json_body(&object(&target, &["path", "reason"])),
        "responses": responses("They are gone.", &answer, &[400, 404, 409, 422]),
    })
}

fn cleanup() -> Value {
    let ids = json!({ "type": "array", "items": schema("UploadId") });
    let result = entries(json!({
        "found": count(), "cleaned": count(), "failed": count(),
        "cleaned_uploads": ids, "failed_uploads": ids, "dry_run": { "type": "boolean" },
    }));
    let what = entries(json!({
        "hours": { "type": ["number", "null"], "minimum": 0, "maximum": MAX_HOURS, "default": USUAL_HOURS },
        "dry_run": dry_run(),
    }));
    json!({
        "operationId": "cleanup",
        "summary": "Give up files in chunks to which nothing came for some hours",
        "requestBody": json_body(&object(&what, &[])),
        "responses": responses("What was found.", &answer(json!({ "result": whole(&result) })), &[400]),
    })
}

fn health() -> Value {
    let report = json!({ "application/json": { "schema": schema("Health") } });
    let mut answers = failures(&[]);
    answers["503"]["content"]["application/json"] = report["application/json"].clone();
    answers.insert(
        "200".to_owned(),
        json!({ "description": "All is well.", "content": report }),
    );
    json!({
        "operationId": "health",
        "summary": "Say whether a file could be stored now",
        "description": "Every disk takes a small file for it.",
        "responses": answers,
    })
}

fn itself() -> Value {
    let answer = json!({ "type": "object" });
    json!({
        "operationId": "openapi",
        "summary": "This description",
        "responses": responses("OpenAPI 3.1.", &answer, &[]),
    })
}
