//! What a server answered, as a client sees it.

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use reqwest::header::HeaderMap;
use serde_json::Value;

/// A whole answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// What was asked for.
    pub url: reqwest::Url,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl Answer {
    /// Sends a request and reads the answer to its end.
    pub async fn of(request: reqwest::RequestBuilder) -> Result<Self> {
        let response = request.send().await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let url = response.url().clone();
        Ok(Self {
            status,
            url,
            headers,
            body: response.bytes().await?,
        })
    }

    /// The body as JSON.
    pub fn json(&self) -> Result<Value> {
        serde_json::from_slice(&self.body).with_context(|| format!("{} is not JSON", self.shown()))
    }

    /// The receipt of a stored upload; anything else is an error that shows the answer.
    pub fn receipt(&self) -> Result<Value> {
        ensure!(
            self.status == 201,
            "the upload was not stored: {}",
            self.shown()
        );
        let uploads = self.json()?["uploads"].take();
        let [receipt] = uploads.as_array().map(Vec::as_slice).unwrap_or_default() else {
            anyhow::bail!("not one upload: {}", self.shown());
        };
        Ok(receipt.clone())
    }

    /// A problem of this type and status (RFC 9457), which must say more than its title.
    pub fn problem(&self, slug: &str, status: u16) -> Result<Value> {
        let media_type = self
            .headers
            .get("content-type")
            .and_then(|value| value.to_str().ok());
        ensure!(
            self.status == status,
            "not the status {status}: {}",
            self.shown()
        );
        ensure!(
            media_type == Some("application/problem+json"),
            "not a problem: {}",
            self.shown()
        );
        let problem = self.json()?;
        ensure!(
            problem["type"] == format!("urn:portcullis:problem:{slug}"),
            "not {slug}: {}",
            self.shown()
        );
        ensure!(
            problem["status"] == status,
            "the problem has another status: {}",
            self.shown()
        );
        ensure!(
            problem["detail"]
                .as_str()
                .is_some_and(|detail| detail.ends_with('.')),
            "no sentence: {}",
            self.shown()
        );
        Ok(problem)
    }

    fn shown(&self) -> String {
        let body = String::from_utf8_lossy(&self.body[..self.body.len().min(2000)]);
        format!("{} {body}", self.status)
    }
}
