//! `upload`: a whole file in one call.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use portcullis_hop::StoreError;
use portcullis_telemetry::{Attribute, Span, SpanName};

use super::{Caller, Failure, Head, Site, answer_json, bad, form};
use crate::files::{self, Seen};
use crate::http::hop;
use crate::keys::Scope;

pub(super) async fn upload(State(site): State<Site>, head: Head, body: Body) -> Response {
    let call = async |caller: Caller, span: Arc<Span>| {
        let once = site.once(&head, &caller)?;
        let (fields, part) = form::read(&head, body, "file").await?;
        let part = part.ok_or_else(|| bad("The form has no part `file`; send the file last."))?;
        let file = fields.into_file(&site, &caller, Some(&part))?;
        let (bytes, end) = part.into_stream();
        if let Some(once) = &once
            && let Some(earlier) = once.earlier(site.uploads().catalog()).await?
        {
            let seen = Seen::of(bytes).await;
            let sha256 = seen.map_err(|_| end.or(StoreError::Aborted))?.digest();
            let asked = file.asked("upload").with(sha256.as_bytes());
            return Ok(answer_json(&earlier.answer_to(asked)?));
        }
        let stored = site.uploads().store_file(file, bytes, once, &span).await;
        let receipt = stored.map_err(|error| end.or(error))?;
        span.set(Attribute::UploadId(receipt.id));
        hop::stored(&receipt, &span);
        Ok::<_, Failure>(answer_json(&files::stored(&receipt)))
    };
    site.answer(SpanName::StorageUpload, &head, Scope::Files, call)
        .await
}
