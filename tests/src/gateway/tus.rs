//! An upload by the tus protocol, one request at a time, so that a test may cut it where it likes.

use anyhow::{Context, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::{Method, RequestBuilder};
use serde_json::Value;

use super::{Answer, Contents, TestGateway};

/// Its address, as the web host gave it.
#[derive(Clone, Debug)]
pub struct TusUpload {
    location: String,
}

/// What a client says of a file.
pub fn tus_metadata(pairs: &[(&str, &str)]) -> String {
    let encode = |(key, value): &(&str, &str)| format!("{key} {}", STANDARD.encode(value));
    pairs.iter().map(encode).collect::<Vec<_>>().join(",")
}

impl TestGateway {
    /// A request of the protocol.
    pub fn tus(&self, method: Method, target: &str) -> RequestBuilder {
        let request = self.web_request(method, target);
        request.header("tus-resumable", "1.0.0")
    }

    /// A request for a new upload of a submission that the policies that ship accept.
    pub fn tus_create(&self, filename: &str) -> RequestBuilder {
        let metadata = tus_metadata(&[
            ("filename", filename),
            ("filetype", "text/csv"),
            ("cohort", "c1"),
            ("protocol_year", "2024"),
            ("table", "patient"),
        ]);
        self.tus(Method::POST, "/uploads")
            .header("upload-metadata", metadata)
    }

    /// Creates one of so many bytes.
    pub async fn tus_begin(&self, filename: &str, length: usize) -> Result<TusUpload> {
        let request = self.tus_create(filename).header("upload-length", length);
        TusUpload::of(&Answer::of(request).await?)
    }
}

impl TusUpload {
    /// The upload that was created.
    pub fn of(answer: &Answer) -> Result<Self> {
        ensure!(answer.status == 201, "not created: {answer:?}");
        let location = answer.header("location").context("no location")?;
        let location = answer.url.join(location)?.path().to_owned();
        Ok(Self { location })
    }

    /// Its address.
    pub fn location(&self) -> &str {
        &self.location
    }

    /// A request about it.
    pub fn request(&self, gateway: &TestGateway, method: Method) -> RequestBuilder {
        gateway.tus(method, &self.location)
    }

    /// A request with bytes.
    pub fn bytes(
        &self,
        gateway: &TestGateway,
        from: u64,
        contents: impl Into<Contents>,
    ) -> RequestBuilder {
        self.request(gateway, Method::PATCH)
            .header("upload-offset", from)
            .header("content-type", "application/offset+octet-stream")
            .body(contents.into().into_body())
    }

    /// Sends bytes.
    pub async fn send(
        &self,
        gateway: &TestGateway,
        from: u64,
        contents: impl Into<Contents>,
    ) -> Result<Answer> {
        Answer::of(self.bytes(gateway, from, contents)).await
    }

    /// Sends bytes and gives how far the upload has come then.
    pub async fn sent(
        &self,
        gateway: &TestGateway,
        from: u64,
        contents: impl Into<Contents>,
    ) -> Result<u64> {
        let answer = self.send(gateway, from, contents).await?;
        ensure!(answer.status == 204, "not taken: {answer:?}");
        answer.offset()
    }

    /// Asks how far it has come.
    pub async fn head(&self, gateway: &TestGateway) -> Result<Answer> {
        Answer::of(self.request(gateway, Method::HEAD)).await
    }

    /// How far it has come.
    pub async fn offset(&self, gateway: &TestGateway) -> Result<u64> {
        let answer = self.head(gateway).await?;
        ensure!(answer.status == 200, "not answered: {answer:?}");
        answer.offset()
    }

    /// All that is known of it.
    pub async fn record(&self, gateway: &TestGateway) -> Result<Value> {
        let answer = Answer::of(gateway.web_request(Method::GET, &self.location)).await?;
        ensure!(answer.status == 200, "no record: {answer:?}");
        answer.json()
    }
}

impl Answer {
    /// A header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// How far the upload has come, as it says.
    pub fn offset(&self) -> Result<u64> {
        let offset = self.header("upload-offset");
        let offset = offset.with_context(|| format!("no offset: {self:?}"))?;
        Ok(offset.parse()?)
    }
}
