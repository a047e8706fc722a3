//! What comes in as a form: its fields, and where one part of it is a file, that file as a stream.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use axum::body::Body;
use futures_util::stream::try_unfold;
use http::{HeaderMap, header};
use portcullis_hop::{BodyAborted, ByteStream, Problem, ProblemKind};
use portcullis_server::multipart::{Multipart, MultipartError};
use portcullis_types::{Attributes, DiskPath, Sha256Digest};
use serde_json::Value;

use super::{Caller, bad, disk_name, disk_path};
use crate::files::NewFile;
use crate::http::{Failure, Site, stream};

/// The longest text field of a form, and the longest form without a file, in bytes.
const MAX_FIELD_BYTES: usize = 64 << 10;
/// The most fields of a form.
const MAX_FIELDS: usize = 64;

/// The text fields of a form.
#[derive(Default)]
pub(super) struct Fields(BTreeMap<String, String>);

/// A part of a form that is a file. It is the last part of those that count.
pub(super) struct FilePart {
    media_type: Option<String>,
    form: Multipart<BodyAborted>,
}

/// Reads a form up to its file, which is the part with this name or any that has a file name. A form without one, such
/// as one in `application/x-www-form-urlencoded`, is read whole.
pub(super) async fn read(
    headers: &HeaderMap,
    body: Body,
    file: &str,
) -> Result<(Fields, Option<FilePart>), Failure> {
    let kind = headers.get(header::CONTENT_TYPE);
    let kind = kind
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    if kind.starts_with("application/x-www-form-urlencoded") {
        return Ok((urlencoded(body).await?, None));
    }
    let mut form = Multipart::new(kind, stream(body)).map_err(|error| unreadable(&error))?;
    let mut fields = Fields::default();
    while let Some(part) = form.next_part().await.map_err(|error| unreadable(&error))? {
        if part.name == file || part.filename.is_some() {
            let media_type = part.media_type;
            return Ok((fields, Some(FilePart { media_type, form })));
        }
        let value = text(&mut form).await?;
        fields.put(part.name, value)?;
    }
    Ok((fields, None))
}

async fn urlencoded(body: Body) -> Result<Fields, Failure> {
    let body = axum::body::to_bytes(body, MAX_FIELD_BYTES)
        .await
        .map_err(|_| bad("The form breaks off or is over 64 KiB; send it again, a file as `multipart/form-data`."))?;
    let mut fields = Fields::default();
    for (name, value) in form_urlencoded::parse(&body) {
        fields.put(name.into_owned(), value.into_owned())?;
    }
    Ok(fields)
}

/// The text of the current part.
async fn text(form: &mut Multipart<BodyAborted>) -> Result<String, Failure> {
    let mut text = Vec::new();
    while let Some(bytes) = form.chunk().await.map_err(|error| unreadable(&error))? {
        text.extend_from_slice(&bytes);
        if text.len() > MAX_FIELD_BYTES {
            return Err(bad(
                "A field of the form is over 64 KiB; only the file may be.",
            ));
        }
    }
    String::from_utf8(text).map_err(|_| bad("A field of the form is not UTF-8."))
}

impl FilePart {
    pub(super) fn media_type(&self) -> Option<String> {
        self.media_type.clone()
    }

    /// The bytes of the file. They break off where the form does, and where a field follows the file: its value would
    /// come too late.
    pub(super) fn into_stream(self) -> (ByteStream, FormEnd) {
        let end = FormEnd::default();
        let noting = end.clone();
        let bytes = try_unfold((self.form, noting), async |(mut form, end)| {
            match form.chunk().await {
                Ok(Some(bytes)) => return Ok(Some((bytes, (form, end)))),
                Ok(None) => {}
                Err(error) => return Err(end.broken(&error)),
            }
            match form.next_part().await {
                Ok(None) => Ok(None),
                Ok(Some(_)) => Err(end.field_follows()),
                Err(error) => Err(end.broken(&error)),
            }
        });
        (Box::pin(bytes), end)
    }
}

/// What is wrong with a form from its file on, once that was noticed.
#[derive(Clone, Default)]
pub(super) struct FormEnd(Arc<OnceLock<Problem>>);

impl FormEnd {
    fn field_follows(&self) -> BodyAborted {
        let detail =
            "A field of the form follows the file, where it comes too late; send the file last.";
        self.note(ProblemKind::FieldAfterFile, detail.to_owned())
    }

    fn broken(&self, error: &MultipartError<BodyAborted>) -> BodyAborted {
        match error {
            // A body that breaks off has its own answer.
            MultipartError::Body(_) | MultipartError::Truncated => BodyAborted,
            other => self.note(ProblemKind::BadRequest, other.to_string()),
        }
    }

    fn note(&self, kind: ProblemKind, detail: String) -> BodyAborted {
        // Only the first counts: nothing is read after it.
        let _ = self.0.set(Problem::new(kind, detail));
        BodyAborted
    }

    /// The failure that it is, or the one that there was instead.
    pub(super) fn or(&self, failure: impl Into<Failure>) -> Failure {
        match self.0.get() {
            Some(problem) => problem.clone().into(),
            None => failure.into(),
        }
    }
}

impl Fields {
    fn put(&mut self, name: String, value: String) -> Result<(), Failure> {
        if self.0.len() == MAX_FIELDS {
            return Err(bad("The form has over 64 fields."));
        }
        // An existing client may say more than this version knows, but each thing once.
        if self.0.contains_key(&name) {
            return Err(bad("A field of the form came twice; send each once."));
        }
        self.0.insert(name, value);
        Ok(())
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let value = self.0.get(name).map(String::as_str);
        value.filter(|value| !value.is_empty())
    }

    /// A whole number.
    pub(super) fn number(&self, name: &str) -> Result<Option<u32>, Failure> {
        let number = self.get(name).map(str::parse);
        number.transpose().map_err(|_| {
            bad(&format!(
                "`{name}` is not a whole number from 0 to {}.",
                u32::MAX
            ))
        })
    }

    /// The digest that a file must have.
    pub(super) fn sha256(&self) -> Result<Option<Sha256Digest>, Failure> {
        let digest = self.get("sha256").map(str::parse);
        digest
            .transpose()
            .map_err(|_| bad("`sha256` is not 64 hexadecimal characters."))
    }

    /// The file that the fields announce.
    pub(super) fn into_file(
        self,
        site: &Site,
        caller: &Caller,
        part: Option<&FilePart>,
    ) -> Result<NewFile, Failure> {
        let disk = disk_name(self.get("disk"))?;
        let disk = site.uploads().disk_or_default(disk.as_ref())?.name.clone();
        let missing = || {
            bad("The form names no `path`, or it stands behind the file, where it comes too late.")
        };
        let path = self.0.get("path").ok_or_else(missing)?;
        let path: DiskPath = disk_path(Some(path))?;
        let declared = self.get("content_type").map(str::to_owned);
        Ok(NewFile {
            disk,
            path,
            media_type: declared.or_else(|| part.and_then(FilePart::media_type)),
            metadata: metadata(self.get("metadata"))?,
            sha256: self.sha256()?,
            principal: caller.principal.clone(),
            client: caller.client,
        })
    }
}

/// `metadata` is a JSON object. What is no text in it becomes its JSON, and `null` is nothing.
fn metadata(text: Option<&str>) -> Result<Attributes, Failure> {
    let mut attributes = Attributes::default();
    let Some(text) = text.filter(|text| !text.trim().is_empty()) else {
        return Ok(attributes);
    };
    let object: serde_json::Map<String, Value> = serde_json::from_str(text)
        .map_err(|error| bad(&format!("`metadata` is not a JSON object ({error}).")))?;
    for (name, value) in &object {
        let added = match value {
            Value::Null => Ok(()),
            Value::String(text) => attributes.insert(name, text),
            other => attributes.insert(name, &other.to_string()),
        };
        added.map_err(|error| bad(&format!("`metadata` cannot be used: {error}.")))?;
    }
    Ok(attributes)
}

fn unreadable(error: &MultipartError<BodyAborted>) -> Failure {
    match error {
        MultipartError::Encoded { .. } => {
            Problem::new(ProblemKind::UnsupportedCoding, error.to_string()).into()
        }
        _ => bad(&error.to_string()),
    }
}
