//! What services answer: the hop, the file API, the quarantine, the policies, and whether they are well.

mod audit;
mod caller;
mod files;
mod hop;
mod policies;
mod quarantine;

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::Query;
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt;
use headers::{ContentRange, HeaderMapExt};
use http::{HeaderMap, StatusCode, Uri};
use portcullis_hop::{
    BodyAborted, Build, ByteStream, HopVersion, Problem, ProblemKind, StoreError, wire,
};
use portcullis_server::{body_headers, join_trace};
use portcullis_telemetry::{Attribute, ErrorType, Span, SpanName, TraceContext};
use portcullis_types::UploadId;
use serde::Serialize;
use serde::de::DeserializeOwned;

use self::caller::{Caller, Head};
use crate::health::{Health, Readiness};
use crate::idempotency::{Calls, IdempotencyKey, Once};
use crate::keys::{Keys, Scope};
use crate::policies::Policies;
use crate::uploads::Uploads;

/// Names a call that may be sent again (draft-ietf-httpapi-idempotency-key-header-07).
const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// What the handlers share.
#[derive(Clone, Debug)]
pub struct Site(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    uploads: Uploads,
    policies: Policies,
    keys: Keys,
    calls: Calls,
    readiness: Readiness,
}

impl Site {
    /// These uploads and policies for those who have one of these keys.
    pub fn new(uploads: Uploads, policies: Policies, keys: Keys) -> Self {
        Self(Arc::new(Inner {
            uploads,
            policies,
            keys,
            calls: Calls::default(),
            readiness: Readiness::default(),
        }))
    }

    /// Everything that services answer.
    pub fn router(self) -> Router {
        Router::new()
            .merge(hop::routes())
            .merge(files::routes())
            .merge(quarantine::routes())
            .merge(policies::routes())
            .merge(audit::routes())
            .fallback(not_found)
            .method_not_allowed_fallback(method_not_allowed)
            .with_state(self)
    }

    async fn health(&self) -> Result<Health, Failure> {
        Ok(self.0.readiness.of(&self.0.uploads).await?)
    }

    fn uploads(&self) -> &Uploads {
        &self.0.uploads
    }

    /// The call that a header `Idempotency-Key` makes of this one, where there is one.
    fn once(&self, headers: &HeaderMap, caller: &Caller) -> Result<Option<Once>, Failure> {
        let Some(value) = headers.get(IDEMPOTENCY_KEY) else {
            return Ok(None);
        };
        let parsed = value.to_str().unwrap_or_default().parse::<IdempotencyKey>();
        let parsed = parsed.map_err(|error| Problem::saying(ProblemKind::BadRequest, &error))?;
        Ok(Some(self.0.calls.begin(caller.subject(), parsed)?))
    }

    fn policies(&self) -> &Policies {
        &self.0.policies
    }

    /// Answers one call: within a span that hangs beneath the caller's, and only for those whose key allows
    /// it. Every failure becomes a problem here.
    async fn answer(
        &self,
        name: SpanName,
        head: &Head,
        scope: Scope,
        call: impl AsyncFnOnce(Caller, Arc<Span>) -> Result<Response, Failure>,
    ) -> Response {
        self.answer_any(name, head, &[scope], call).await
    }

    /// The same for those whose key has any of these scopes.
    async fn answer_any(
        &self,
        name: SpanName,
        head: &Head,
        scopes: &[Scope],
        call: impl AsyncFnOnce(Caller, Arc<Span>) -> Result<Response, Failure>,
    ) -> Response {
        let span = Arc::new(Span::child_of(name, parent(head).as_ref()));
        let allowed = self.0.keys.authorise(head, scopes);
        let readable = || fitting(head).and_then(|()| body_headers::check(head));
        let answered = match allowed.and_then(|key| readable().map(|()| key)) {
            Ok(key) => {
                let caller = Caller::new(key, head, &span);
                span.within(call(caller, Arc::clone(&span))).await
            }
            Err(problem) => Err(Failure::Problem(Box::new(problem))),
        };
        let response = answered.unwrap_or_else(|failure| failure.answer(&span));
        joined(response, &span)
    }
}

/// Why a call is not answered with what it asked for.
enum Failure {
    Store(StoreError),
    Problem(Box<Problem>),
    /// A range that is not in a file.
    Range {
        problem: Box<Problem>,
        /// The file's length in bytes.
        size: u64,
    },
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<crate::Fault> for Failure {
    fn from(fault: crate::Fault) -> Self {
        Self::Store(fault.0)
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self::Problem(Box::new(problem))
    }
}

impl Failure {
    fn answer(self, span: &Span) -> Response {
        let (problem, error_type) = match self {
            Self::Store(error) => (error.problem(), error.error_type()),
            Self::Range { problem, size } => {
                let mut response = Self::Problem(problem).answer(span);
                let headers = response.headers_mut();
                headers.typed_insert(ContentRange::unsatisfied_bytes(size));
                return response;
            }
            Self::Problem(problem) => {
                let error_type = match problem.kind {
                    ProblemKind::Unauthenticated | ProblemKind::Forbidden => {
                        ErrorType::Unauthorized
                    }
                    ProblemKind::NotFound => ErrorType::NotFound,
                    ProblemKind::VersionSkew => ErrorType::VersionSkew,
                    _ => ErrorType::BadRequest,
                };
                (*problem, error_type)
            }
        };
        span.fail(error_type);
        problem_response(problem.with_support_id(span.context().trace_id()))
    }
}

/// A problem, in which clients of the documented file API find the sentence under `error`, too.
fn problem_response(problem: Problem) -> Response {
    let error = problem.detail.clone();
    problem
        .with("error", error)
        .into_response()
        .map(Body::from)
        .into_response()
}

fn json(value: &impl Serialize) -> Response {
    (StatusCode::OK, axum::Json(value)).into_response()
}

/// Whether the caller speaks a hop that is understood here. One that does not say, such as a client of the file API,
/// is taken at its word.
fn fitting(headers: &HeaderMap) -> Result<(), Problem> {
    let Some(said) = headers.get(wire::HOP_VERSION) else {
        return Ok(());
    };
    let said = said.to_str().unwrap_or("?");
    if HopVersion::parse(said).is_some_and(HopVersion::is_understood) {
        return Ok(());
    }
    let detail = format!(
        "The caller speaks version {said} of the hop, and these services, {}, understand {} to {}; update services first, then web hosts.",
        Build::this(),
        HopVersion::OLDEST,
        HopVersion::CURRENT
    );
    Err(Problem::new(ProblemKind::VersionSkew, detail))
}

/// The caller's span, when it says which.
fn parent(headers: &HeaderMap) -> Option<TraceContext> {
    headers.get(wire::TRACEPARENT)?.to_str().ok()?.parse().ok()
}

/// Which upload a call is about, which its span says from then on.
fn upload_of(id: &str, span: &Span) -> Result<UploadId, Failure> {
    let id = id.parse().map_err(|_| StoreError::NotFound)?;
    span.set(Attribute::UploadId(id));
    Ok(id)
}

/// A body as bytes on their way.
fn stream(body: Body) -> ByteStream {
    Box::pin(
        body.into_data_stream()
            .map(|bytes| bytes.map_err(|_| BodyAborted)),
    )
}

/// A call that cannot be understood, and what is wrong with it.
fn bad(detail: &str) -> Failure {
    Problem::new(ProblemKind::BadRequest, detail).into()
}

/// What the query of a call says.
fn query<T: DeserializeOwned>(uri: &Uri) -> Result<T, Failure> {
    let parsed = Query::try_from_uri(uri).map(|Query(parsed)| parsed);
    parsed.map_err(|error| {
        let detail = format!(
            "{}; compare the call with its description.",
            error.body_text()
        );
        bad(&detail)
    })
}

/// A whole JSON body within its limit.
async fn parsed<T: DeserializeOwned>(body: Body) -> Result<T, Failure> {
    let bytes = axum::body::to_bytes(body, wire::MAX_JSON_BYTES)
        .await
        .map_err(|_| bad("The body of the call broke off or is too large; send it again."))?;
    // Otherwise a list would do, too, whose order stands for the names.
    if !bytes.trim_ascii_start().starts_with(b"{") {
        return Err(bad("The body of the call is not a JSON object."));
    }
    serde_json::from_slice(&bytes).map_err(|error| {
        let detail = format!(
            "The body of the call is not what this version expects ({error}); compare the versions of both servers."
        );
        bad(&detail)
    })
}

async fn not_found(headers: HeaderMap) -> Response {
    let detail = "There is nothing at this address; services answer /internal/uploads, /internal/storage, /internal/quarantine, /internal/policies and /internal/audit.";
    unmatched(&headers, Problem::new(ProblemKind::NotFound, detail))
}

async fn method_not_allowed(headers: HeaderMap) -> Response {
    let detail = "This address does not take this method.";
    unmatched(
        &headers,
        Problem::new(ProblemKind::MethodNotAllowed, detail),
    )
}

fn unmatched(headers: &HeaderMap, problem: Problem) -> Response {
    let span = Span::child_of(SpanName::Unmatched, parent(headers).as_ref());
    let problem = problem.with_support_id(span.context().trace_id());
    joined(problem_response(problem), &span)
}

fn joined(mut response: Response, span: &Span) -> Response {
    join_trace(&mut response, span);
    response
}
