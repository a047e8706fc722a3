mod inspect;
mod policies;

use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
pub use inspect::{Found, Inspection};
use portcullis_telemetry::{Attribute, Span, SpanName};
use portcullis_types::{Offset, Principal, Sha256Digest, UploadId};
use reqwest::{Method, RequestBuilder, Response, StatusCode, Url};

use crate::policies::MAX_FILE_BYTES;
use crate::wire;
use crate::{
    ApiKey, AppendMode, BodyAborted, Build, ByteStream, Commit, Conclusion, Epoch, HopVersion,
    MAX_STATE_BYTES, NewUpload, Problem, Receipt, StoreError, UploadRecord, UploadStatus,
    UploadStore,
};

/// Services, reached over HTTP: connections are pooled, bodies stream, and a call is retried only when
/// repeating it is safe.
///
/// All calls but an append are retried after a lost connection or a 503,
/// because services tell a repetition by the upload's id. An append is not: its bytes are gone from this
/// process, and the caller decides from the recorded offset.
#[derive(Clone, Debug)]
pub struct HopClient {
    http: reqwest::Client,
    services: Url,
    key: ApiKey,
    settings: HopSettings,
}

/// Time limits of the hop.
#[derive(Clone, Copy, Debug)]
pub struct HopSettings {
    /// For making a connection. Default 2 s: both servers stand in one building.
    pub connect_timeout: Duration,
    /// For the answer to a call without a body of bytes. Default 15 s.
    pub call_timeout: Duration,
    /// For the answer to a commit, which waits for the NAS to make the file durable. Default 300 s.
    pub commit_timeout: Duration,
    /// For a pause within a body that is read back, and for services to take the next bytes of an append
    /// (which the sender of the stream enforces). Default 30 s.
    pub stall_timeout: Duration,
}

impl Default for HopSettings {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(2),
            call_timeout: Duration::from_secs(15),
            commit_timeout: Duration::from_mins(5),
            stall_timeout: Duration::from_secs(30),
        }
    }
}

/// The client cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The address of services cannot be used.
    #[error("SERVICES_URL must be an http address without a path, such as http://10.0.0.5:8001")]
    Address,
    /// The HTTP client cannot be built.
    #[error("the HTTP client for services cannot be built: {0}")]
    Http(#[source] reqwest::Error),
}

/// How often a call that may be repeated is tried, and the pause before each repetition.
const RETRY_PAUSES: [Duration; 2] = [Duration::from_millis(50), Duration::from_millis(250)];

/// How long a connection waits for its next call. Services close one after 15 s without a head; one that
/// they are just closing would fail an append, which cannot be repeated.
const POOL_IDLE: Duration = Duration::from_secs(5);

/// How long a body that is read back may take in all, while it keeps coming.
const LONGEST_READ: Duration = Duration::from_hours(24);

/// The longest problem or receipt that is read, in bytes.
const MAX_ANSWER_BYTES: usize = wire::MAX_JSON_BYTES;

impl HopClient {
    /// A client of the services at `services`, an address without a path.
    pub fn new(services: &str, key: ApiKey, settings: HopSettings) -> Result<Self, ClientError> {
        let services = Url::parse(services).map_err(|_| ClientError::Address)?;
        let plain =
            services.path() == "/" && services.query().is_none() && services.username().is_empty();
        if services.scheme() != "http" || !services.has_host() || !plain {
            return Err(ClientError::Address);
        }
        let http = reqwest::Client::builder()
            // A key must not travel on: neither to a redirect's target nor through a proxy.
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            // It speaks http only, and needs no authorities.
            .tls_certs_only([])
            .connect_timeout(settings.connect_timeout)
            .tcp_nodelay(true)
            .pool_max_idle_per_host(64)
            .pool_idle_timeout(POOL_IDLE)
            .build()
            .map_err(ClientError::Http)?;
        Ok(Self {
            http,
            services,
            key,
            settings,
        })
    }

    /// Where services are.
    pub(crate) fn services(&self) -> &str {
        self.services.as_str().trim_end_matches('/')
    }

    /// The time limits in force.
    pub fn settings(&self) -> &HopSettings {
        &self.settings
    }

    /// Who a bearer token belongs to. One that is not known or was revoked is
    /// [`StoreError::UnknownToken`].
    pub async fn authenticate(&self, token: &str, span: &Span) -> Result<Principal, StoreError> {
        let body = wire::TokenToCheck {
            token: token.to_owned(),
        };
        self.post(SpanName::AuthenticateCall, wire::PRINCIPALS, &body, span)
            .await
            .map_err(|error| match error {
                StoreError::NotFound => StoreError::UnknownToken,
                other => other,
            })
    }

    /// Whether services take this web host's key and could take an upload now; gives
    /// what they are.
    pub async fn check(&self, span: &Span) -> Result<Build, StoreError> {
        self.ready(span).await.map(|ready| ready.build)
    }

    /// The same with what they say of their disks.
    ///
    /// # Errors
    /// As for [`check`](Self::check).
    pub async fn ready(&self, span: &Span) -> Result<wire::Ready, StoreError> {
        let request = |span: &Span| self.request(Method::GET, wire::READY, span);
        let timeout = self.settings.call_timeout;
        let answered = self.call(SpanName::ReadyCall, span, timeout, request);
        parsed(answered.await?).await
    }

    /// Posts JSON and reads JSON, within the time of a call.
    async fn post<T: serde::de::DeserializeOwned>(
        &self,
        name: SpanName,
        path: &str,
        body: &impl serde::Serialize,
        span: &Span,
    ) -> Result<T, StoreError> {
        let body = Bytes::from(json(body)?);
        let request = |span: &Span| with_json(self.request(Method::POST, path, span), body.clone());
        let timeout = self.settings.call_timeout;
        parsed(self.call(name, span, timeout, request).await?).await
    }

    pub(crate) fn request(&self, method: Method, path: &str, span: &Span) -> RequestBuilder {
        let mut url = self.services.clone();
        url.set_path(path);
        self.http
            .request(method, url)
            .header(wire::API_KEY, self.key.expose())
            .header(wire::HOP_VERSION, HopVersion::CURRENT.to_string())
            .header(wire::TRACEPARENT, span.context().to_string())
    }

    /// Sends a request that may be repeated: a lost connection or a 503 is tried again after a pause.
    /// Each attempt has a span of its own.
    async fn call(
        &self,
        name: SpanName,
        parent: &Span,
        timeout: Duration,
        request: impl Fn(&Span) -> RequestBuilder,
    ) -> Result<Response, StoreError> {
        let mut pauses = RETRY_PAUSES.into_iter();
        let mut attempt = 1;
        loop {
            let span = parent.child(name.clone());
            span.set(Attribute::Attempt(attempt));
            let outcome = match request(&span).timeout(timeout).send().await {
                Ok(response) => answered(response, &span).await,
                Err(error) => Err(unanswered(&error)),
            };
            let error = match outcome {
                Ok(response) => return Ok(response),
                Err(error) => error,
            };
            span.fail(error.error_type());
            drop(span);
            match pauses.next() {
                Some(pause) if error == StoreError::Unavailable => {
                    name.count_retry();
                    tokio::time::sleep(pause).await;
                }
                _ => return Err(error),
            }
            attempt += 1;
        }
    }
}

impl UploadStore for HopClient {
    async fn create(&self, upload: &NewUpload, span: &Span) -> Result<UploadStatus, StoreError> {
        self.post(SpanName::CreateCall, wire::UPLOADS, upload, span)
            .await
    }

    async fn record(&self, id: UploadId, span: &Span) -> Result<UploadRecord, StoreError> {
        let path = wire::target(wire::UPLOAD, id);
        let request = |span: &Span| self.request(Method::GET, &path, span);
        let timeout = self.settings.call_timeout;
        let response = self.call(SpanName::StatusCall, span, timeout, request);
        parsed(response.await?).await
    }

    async fn take_over(&self, id: UploadId, span: &Span) -> Result<UploadStatus, StoreError> {
        let path = wire::target(wire::EPOCH, id);
        self.post(SpanName::TakeOverCall, &path, &(), span).await
    }

    async fn declare_length(
        &self,
        id: UploadId,
        epoch: Epoch,
        length: u64,
        span: &Span,
    ) -> Result<UploadStatus, StoreError> {
        let path = wire::target(wire::LENGTH, id);
        let body = wire::Length { epoch, length };
        self.post(SpanName::LengthCall, &path, &body, span).await
    }

    async fn append(
        &self,
        id: UploadId,
        epoch: Epoch,
        from: Offset,
        mode: AppendMode,
        bytes: ByteStream,
        span: &Span,
    ) -> Result<UploadStatus, StoreError> {
        let span = span.child(SpanName::AppendCall);
        let request = self
            .request(Method::PATCH, &wire::target(wire::UPLOAD, id), &span)
            .header(wire::UPLOAD_EPOCH, epoch.number())
            .header(wire::UPLOAD_OFFSET, from.bytes())
            .header(wire::UPLOAD_MODE, wire::mode_word(mode))
            .header(http::header::CONTENT_TYPE, "application/octet-stream")
            .body(reqwest::Body::wrap_stream(bytes));
        let outcome = match request.send().await {
            Ok(response) => answered(response, &span).await,
            Err(error) => Err(unanswered(&error)),
        };
        let outcome = match outcome {
            Ok(response) => parsed(response).await,
            Err(error) => Err(error),
        };
        if let Err(error) = &outcome {
            span.fail(error.error_type());
        }
        outcome
    }

    async fn checkpoint(
        &self,
        id: UploadId,
        epoch: Epoch,
        offset: Offset,
        span: &Span,
    ) -> Result<UploadStatus, StoreError> {
        let path = wire::target(wire::CHECKPOINT, id);
        let body = wire::Checkpoint { epoch, offset };
        self.post(SpanName::CheckpointCall, &path, &body, span)
            .await
    }

    async fn read(
        &self,
        id: UploadId,
        from: Offset,
        span: &Span,
    ) -> Result<ByteStream, StoreError> {
        let path = wire::target(wire::CONTENT, id);
        let request = |span: &Span| {
            self.request(Method::GET, &path, span)
                .query(&[("from", from.bytes())])
        };
        // The answer's head within the call's time; its body may take as long as it keeps coming.
        let response = tokio::time::timeout(
            self.settings.call_timeout,
            self.call(SpanName::ReadCall, span, LONGEST_READ, request),
        );
        let response = response.await.map_err(|_| StoreError::Timeout)??;
        let stall = self.settings.stall_timeout;
        let body = response.bytes_stream();
        let bytes = futures_util::stream::unfold(Some(body), move |body| async move {
            let mut body = body?;
            match tokio::time::timeout(stall, body.next()).await {
                Ok(Some(Ok(bytes))) => Some((Ok(bytes), Some(body))),
                Ok(None) => None,
                Ok(Some(Err(_))) | Err(_) => Some((Err(BodyAborted), None)),
            }
        });
        Ok(Box::pin(bytes))
    }

    async fn suspend(
        &self,
        id: UploadId,
        epoch: Epoch,
        offset: Offset,
        state: Bytes,
        span: &Span,
    ) -> Result<UploadStatus, StoreError> {
        let path = wire::target(wire::STATE, id);
        let request = |span: &Span| {
            self.request(Method::PUT, &path, span)
                .header(wire::UPLOAD_EPOCH, epoch.number())
                .header(wire::UPLOAD_OFFSET, offset.bytes())
                .header(http::header::CONTENT_TYPE, "application/octet-stream")
                .body(state.clone())
        };
        let timeout = self.settings.call_timeout;
        let response = self.call(SpanName::SuspendCall, span, timeout, request);
        parsed(response.await?).await
    }

    async fn suspended(&self, id: UploadId, span: &Span) -> Result<Option<Bytes>, StoreError> {
        let path = wire::target(wire::STATE, id);
        let request = |span: &Span| self.request(Method::GET, &path, span);
        let timeout = self.settings.call_timeout;
        let response = self
            .call(SpanName::SuspendedCall, span, timeout, request)
            .await?;
        if response.status() == StatusCode::NO_CONTENT {
            return Ok(None);
        }
        body_up_to(response, MAX_STATE_BYTES)
            .await
            .map(|bytes| Some(bytes.into()))
    }

    async fn commit(
        &self,
        id: UploadId,
        commit: &Commit,
        span: &Span,
    ) -> Result<Receipt, StoreError> {
        let path = wire::target(wire::COMMIT, id);
        let body = Bytes::from(json(commit)?);
        let request =
            |span: &Span| with_json(self.request(Method::POST, &path, span), body.clone());
        let timeout = self.settings.commit_timeout;
        let response = self.call(SpanName::CommitCall, span, timeout, request);
        parsed(response.await?).await
    }

    async fn store(
        &self,
        upload: &NewUpload,
        commit: &Commit,
        bytes: Bytes,
        span: &Span,
    ) -> Result<Receipt, StoreError> {
        let path = wire::target(wire::UPLOAD, upload.id);
        let whole = wire::Whole {
            upload: upload.clone(),
            commit: commit.clone(),
        };
        let body = Bytes::from(whole.with_bytes(&bytes).map_err(|_| not_json())?);
        let request = |span: &Span| {
            self.request(Method::PUT, &path, span)
                .header(http::header::CONTENT_TYPE, "application/octet-stream")
                .body(body.clone())
        };
        let timeout = self.settings.commit_timeout;
        let response = self.call(SpanName::StoreCall, span, timeout, request);
        parsed(response.await?).await
    }

    async fn conclude(
        &self,
        id: UploadId,
        conclusion: &Conclusion,
        span: &Span,
    ) -> Result<UploadStatus, StoreError> {
        let path = wire::target(wire::CONCLUSION, id);
        self.post(SpanName::ConcludeCall, &path, conclusion, span)
            .await
    }
}

pub(crate) fn json(value: &impl serde::Serialize) -> Result<Vec<u8>, StoreError> {
    serde_json::to_vec(value).map_err(|_| not_json())
}

fn not_json() -> StoreError {
    StoreError::Invalid("the call cannot be written as JSON".to_owned())
}

pub(crate) fn with_json(request: RequestBuilder, body: Bytes) -> RequestBuilder {
    request
        .header(http::header::CONTENT_TYPE, "application/json")
        .body(body)
}

/// The answer if it is a success, otherwise the error that its problem stands for.
async fn answered(response: Response, span: &Span) -> Result<Response, StoreError> {
    let status = response.status();
    span.set(Attribute::StatusCode(status.as_u16()));
    if status.is_success() {
        return Ok(response);
    }
    let problem = problem_of(response).await?;
    Err(StoreError::from_problem(&problem))
}

/// The problem that an answer is; without one, whatever answers there is not services.
pub(crate) async fn problem_of(response: Response) -> Result<Problem, StoreError> {
    let status = response.status();
    let is_problem = response
        .headers()
        .get(http::header::CONTENT_TYPE)
        .is_some_and(|value| value.as_bytes().starts_with(Problem::MEDIA_TYPE.as_bytes()));
    if !is_problem {
        // Whatever answers here is not services: a proxy before it, or a wrong address.
        let gateway = [
            StatusCode::BAD_GATEWAY,
            StatusCode::SERVICE_UNAVAILABLE,
            StatusCode::GATEWAY_TIMEOUT,
        ];
        let error = if gateway.contains(&status) {
            StoreError::Unavailable
        } else {
            StoreError::Refused
        };
        return Err(error);
    }
    let problem = body_up_to(response, MAX_ANSWER_BYTES).await?;
    serde_json::from_slice(&problem).map_err(|_| StoreError::Refused)
}

/// Why no answer came. The error's text may hold an address; it goes no further.
pub(crate) fn unanswered(error: &reqwest::Error) -> StoreError {
    if error.is_connect() {
        StoreError::Unavailable
    } else if error.is_timeout() {
        StoreError::Timeout
    } else if caused_by_our_stream(error) {
        StoreError::Aborted
    } else {
        StoreError::Unavailable
    }
}

fn caused_by_our_stream(error: &reqwest::Error) -> bool {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if error.is::<BodyAborted>() {
            return true;
        }
        cause = error.source();
    }
    false
}

/// The whole body, of at most so many bytes.
pub(crate) async fn body_up_to(
    response: Response,
    most_bytes: usize,
) -> Result<Vec<u8>, StoreError> {
    let mut body = Vec::new();
    let mut stream = response.bytes_stream();
    while let Some(bytes) = stream.next().await {
        let bytes = bytes.map_err(|error| unanswered(&error))?;
        if body.len() + bytes.len() > most_bytes {
            return Err(StoreError::Refused);
        }
        body.extend_from_slice(&bytes);
    }
    Ok(body)
}

/// The body of a file of policies, which must have this digest.
pub(crate) async fn policy_file(
    response: Response,
    digest: Sha256Digest,
) -> Result<Bytes, StoreError> {
    let bytes = Bytes::from(body_up_to(response, MAX_FILE_BYTES).await?);
    if Sha256Digest::of(&bytes) != digest {
        return Err(StoreError::DigestMismatch);
    }
    Ok(bytes)
}

/// The body as what it should be.
async fn parsed<T: serde::de::DeserializeOwned>(response: Response) -> Result<T, StoreError> {
    let body = body_up_to(response, MAX_ANSWER_BYTES).await?;
    serde_json::from_slice(&body).map_err(|_| StoreError::Refused)
}
