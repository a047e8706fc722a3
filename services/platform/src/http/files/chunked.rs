//! `upload_chunked`: a file in several calls, `action=init`, then `chunk` for each, then `complete`.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use http::HeaderMap;
use portcullis_hop::{Problem, ProblemKind};
use portcullis_telemetry::{Attribute, Span, SpanName};
use portcullis_types::{Sha256Digest, UploadId};
use serde_json::json;

use super::form::{Fields, FilePart};
use super::{Begun, Caller, Failure, Head, Site, answer_json, bad, begin, form};
use crate::files::{self, ChunkError};
use crate::http::{hop, upload_of};
use crate::keys::Scope;

pub(super) async fn upload_chunked(State(site): State<Site>, head: Head, body: Body) -> Response {
    let call = async |caller: Caller, span: Arc<Span>| {
        let (fields, part) = form::read(&head, body, "chunk").await?;
        let which = Which::of(&fields, &span)?;
        match fields.get("action") {
            Some("init") => init(&site, &head, &caller, fields, &span).await,
            Some("chunk") => chunk(&site, &caller, &which, part, &span).await,
            Some("complete") => complete(&site, &caller, &which, fields.sha256()?, &span).await,
            _ => Err(bad(
                "`action` must be `init`, `chunk` or `complete`, and stand before the part `chunk`.",
            )),
        }
    };
    site.answer(SpanName::StorageUploadChunked, &head, Scope::Files, call)
        .await
}

/// What the fields say that tell one call from another. What cannot be read is refused, whether it is needed or not.
struct Which {
    id: Option<UploadId>,
    chunk: Option<u32>,
    chunks: Option<u32>,
}

impl Which {
    fn of(fields: &Fields, span: &Span) -> Result<Self, Failure> {
        let id = fields.get("upload_id").map(|id| upload_of(id, span));
        Ok(Self {
            id: id.transpose()?,
            chunk: fields.number("chunk_num")?,
            chunks: fields.number("total_chunks")?,
        })
    }

    fn id(&self) -> Result<UploadId, Failure> {
        let missing = "The form has no `upload_id`, or it stands behind the part `chunk`.";
        self.id.ok_or_else(|| bad(missing))
    }
}

async fn init(
    site: &Site,
    headers: &HeaderMap,
    caller: &Caller,
    fields: Fields,
    span: &Span,
) -> Result<Response, Failure> {
    let file = fields.into_file(site, caller, None)?;
    let answering = match begin(site, headers, caller, file.asked("init")).await? {
        Begun::Answered(answer) => return Ok(answer_json(&answer)),
        Begun::New(answering) => answering,
    };
    let id = site.uploads().begin_chunked(file, answering, span).await?;
    span.set(Attribute::UploadId(id));
    Ok(answer_json(&files::begun(id)))
}

async fn chunk(
    site: &Site,
    caller: &Caller,
    which: &Which,
    part: Option<FilePart>,
    span: &Span,
) -> Result<Response, Failure> {
    let id = which.id()?;
    let number = which
        .chunk
        .ok_or_else(|| bad("The form has no `chunk_num`, or it stands behind the part `chunk`."))?;
    let part = part.ok_or_else(|| bad("The form has no part `chunk`; send it last."))?;
    let (bytes, end) = part.into_stream();
    let taken = site
        .uploads()
        .take_chunk(id, number, caller.subject(), bytes, span)
        .await;
    let received = taken.map_err(|error| end.or(error))?;
    Ok(answer_json(
        &json!({ "success": true, "chunk_num": number, "received": received }),
    ))
}

async fn complete(
    site: &Site,
    caller: &Caller,
    which: &Which,
    sha256: Option<Sha256Digest>,
    span: &Span,
) -> Result<Response, Failure> {
    let (id, chunks) = (which.id()?, which.chunks);
    let completed = site
        .uploads()
        .complete_chunked(id, chunks, sha256, caller.subject(), span)
        .await;
    let receipt = completed?;
    hop::stored(&receipt, span);
    let mut answer = files::stored(&receipt);
    answer["chunks"] = json!(chunks);
    Ok(answer_json(&answer))
}

impl From<ChunkError> for Failure {
    fn from(error: ChunkError) -> Self {
        let detail = match error {
            ChunkError::Store(error) => return error.into(),
            ChunkError::NotNext { expected } => {
                let detail = format!("The next chunk is {expected}; go on with that one.");
                let problem = Problem::new(ProblemKind::ChunkMismatch, detail);
                return problem.with("expected", expected).into();
            }
            ChunkError::Differs => {
                "A chunk with this number came before, with other bytes; begin the file again with `action=init`.".to_owned()
            }
            ChunkError::Count { come } => {
                format!("{come} chunks have come, and `total_chunks` says another number; send what is missing, or begin the file again.")
            }
        };
        Problem::new(ProblemKind::ChunkMismatch, detail).into()
    }
}
