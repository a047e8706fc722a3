//! What the web host answers: the page, its assets, uploads, and whether it is alive.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{OriginalUri, Path, Request, State};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use bytes::Bytes;
use futures_util::Stream;
use http::{HeaderMap, StatusCode, header};
use portcullis_engine::{Revision, Upload};
use portcullis_hop::wire::Ready;
use portcullis_hop::{ApiKey, Build, Problem, ProblemKind};
use portcullis_server::{Cut, Peer, body_headers, join_trace};
use portcullis_telemetry::{Attribute, Span, SpanName, TraceContext};
use portcullis_types::Principal;
use serde_json::Value;

use crate::answer::{self, Answer, Format};
use crate::client_address::client_address;
use crate::cors::Origin;
use crate::gateway::{Failure, Gateway};
use crate::lines::{self, Live};
use crate::linger::{BodyError, LingeringBody, Pace};
use crate::metadata::Headers;
use crate::multipart::Form;
use crate::policies::Policies;
use crate::session::{Appended, Source, Staged, UploadSession};
use crate::unread::{self, Unread};
use crate::{cors, media_type, page, raw, traced, tus};

/// How long the answer to a refused file waits for the next file of the same form.
const NEXT_FILE_WAIT: Duration = Duration::from_millis(500);
/// Once the files of one form have more findings and tallies together, no further file of it is judged: all of them are in
/// memory until it is answered.
const MAX_FORM_DETAILS: usize = 5_000;
/// How long it holds what services said of a token: what comes at once is not asked about twice.
const RIGHTS_HOLD: Duration = Duration::from_millis(50);

/// What the handlers share.
pub(crate) struct Site {
    pub(crate) gateway: Arc<Gateway>,
    pub(crate) policies: Arc<Policies>,
    /// Whoever shows it is told more.
    pub(crate) api_key: ApiKey,
    pub(crate) page: page::PageSettings,
    /// How fast a client has to send.
    pub(crate) pace: Pace,
    /// When uploads under way have to end.
    pub(crate) cut: Cut,
    /// Whether uploads without a token are taken.
    pub(crate) allow_anonymous: bool,
    /// Who is believed when they say for whom they call.
    pub(crate) trusted_proxies: Vec<IpAddr>,
    /// Pages of other sites that may upload.
    pub(crate) cors_origins: Arc<[Origin]>,
    /// Whether parts of uploads are taken side by side.
    pub(crate) concatenation: bool,
    /// What answers may hold of memory that nobody reads.
    pub(crate) unread: Unread,
}

pub(crate) fn router(site: Arc<Site>) -> Router {
    let unread_answers = from_fn_with_state(site.unread.clone(), unread::bounded);
    let others = from_fn_with_state(Arc::clone(&site.cors_origins), cors::allow);
    let begin = post(uploads).options(tus::options);
    let begin = begin.layer(unread_answers.clone());
    let one = any(tus::upload).layer(unread_answers);
    Router::new()
        .route("/", get(form))
        .route("/assets/{name}", get(asset))
        // Clients and proxies add a slash at the end.
        .route("/uploads", begin.clone())
        .route("/uploads/", begin)
        .route("/uploads/{id}", one.clone())
        .route("/uploads/{id}/", one)
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(others)
        .layer(from_fn(traced::answered))
        .with_state(site)
}

async fn form(State(site): State<Arc<Site>>) -> Response {
    answer::html(StatusCode::OK, page::upload_form(&site.page))
}

async fn asset(Path(name): Path<String>) -> Response {
    let Some(asset) = page::asset(&name) else {
        return not_found().await;
    };
    let caching = if asset.immutable {
        "public, max-age=31536000, immutable"
    } else {
        "no-cache"
    };
    let headers = [
        (header::CONTENT_TYPE, asset.media_type),
        (header::CACHE_CONTROL, caching),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (headers, asset.bytes).into_response()
}

/// Whether this process is alive. It says nothing of what stands behind it.
async fn healthz() -> Response {
    axum::Json(serde_json::json!({ "status": "alive" })).into_response()
}

/// Whether an upload would be taken now: policies are in force, there is room for it, and services answer to this key, whose catalog
/// and disks take something. More is told to those who show the key between the servers: why the last change of the policies was
/// refused, and how the disks are.
async fn readyz(State(site): State<Arc<Site>>, headers: HeaderMap) -> Response {
    let Some(revision) = site.gateway.engine().revision() else {
        let detail = "No policies are in force yet; look at the log of the web host if it lasts.";
        return answer::problem_response(Problem::new(ProblemKind::NotReady, detail));
    };
    if !site.gateway.has_room() {
        return answer::problem_response(answer::problem(Failure::Overloaded));
    }
    let span = Span::root(SpanName::Ready, None);
    let mut response = match site.gateway.store().ready(&span).await {
        Ok(services) => axum::Json(ready(&site, &headers, &revision, &services)).into_response(),
        Err(error) => answer::problem_response(error.problem()),
    };
    join_trace(&mut response, &span);
    response
}

fn ready(site: &Site, headers: &HeaderMap, revision: &Revision, services: &Ready) -> Value {
    let status = site.policies.status();
    let mut ready = serde_json::json!({
        "status": "ready",
        "revision": revision.digest(),
        "policies": status.last_change,
    });
    let key = headers.get(portcullis_hop::wire::API_KEY);
    if key.is_some_and(|shown| site.api_key.is(shown.as_bytes())) {
        ready["details"] = serde_json::json!({
            "build": Build::this(),
            "services": services.build,
            "disks": services.disks,
            "uploads-open": site.gateway.open(),
            "policies": status,
        });
    }
    ready
}

async fn not_found() -> Response {
    answer::problem_response(Problem::new(
        ProblemKind::NotFound,
        "There is nothing at this address; uploads go to /uploads.",
    ))
}

async fn method_not_allowed() -> Response {
    let detail = "This address does not take this method; send uploads with POST to /uploads.";
    answer::problem_response(Problem::new(ProblemKind::MethodNotAllowed, detail))
}

/// One request with one or more uploads.
async fn uploads(State(site): State<Arc<Site>>, uri: OriginalUri, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    if tus::is_spoken(&parts.headers) {
        return tus::create(site, parts, body).await;
    }
    let span = Arc::new(Span::root(
        SpanName::Upload,
        inbound(&parts.headers).as_ref(),
    ));
    let format = Format::of(&parts.headers);
    let body = LingeringBody::new(body, site.pace, &site.cut, site.gateway.tasks().clone());
    let principal = match principal(&site, &parts.headers, &span).await {
        Ok(principal) => principal,
        Err(problem) => {
            let answers = vec![answer::unreadable(problem, &span)];
            return answer::respond(answers, format, &site.page, &span);
        }
    };
    let client = parts
        .extensions
        .get()
        .map(|Peer(peer)| client_address(*peer, &parts.headers, &site.trusted_proxies));
    let request = Incoming {
        client,
        headers: parts.headers,
        uri,
        principal,
        authenticated: Instant::now(),
    };
    if format == Format::Lines {
        let own = Arc::clone(&site);
        let of_work = Arc::clone(&span);
        let (tasks, unread) = (site.gateway.tasks(), &site.unread);
        let mut response = lines::respond(tasks, unread, |live| async move {
            take(&own, request, body, &live, &of_work).await
        });
        join_trace(&mut response, &span);
        return response;
    }
    let answers = take(&site, request, body, &Live::default(), &span).await;
    answer::respond(answers, format, &site.page, &span)
}

/// A request but for its body.
struct Incoming {
    headers: HeaderMap,
    uri: OriginalUri,
    principal: Principal,
    /// When services said that this is who sends it.
    authenticated: Instant,
    /// From where.
    client: Option<IpAddr>,
}

impl Incoming {
    async fn may_still_store(&self, site: &Site, span: &Span) -> Result<(), Problem> {
        may_still_store(site, &self.headers, self.authenticated, span).await
    }
}

/// Looks again before anything is stored: a token may have been revoked while the bytes came.
pub(crate) async fn may_still_store(
    site: &Site,
    headers: &HeaderMap,
    authenticated: Instant,
    span: &Span,
) -> Result<(), Problem> {
    if authenticated.elapsed() < RIGHTS_HOLD {
        return Ok(());
    }
    principal(site, headers, span).await.map(|_| ())
}

/// Who sends this: whoever the token belongs to, or nobody where that is allowed.
pub(crate) async fn principal(
    site: &Site,
    headers: &HeaderMap,
    span: &Span,
) -> Result<Principal, Problem> {
    let unauthenticated = |detail| Problem::new(ProblemKind::Unauthenticated, detail);
    let Some(shown) = headers.get(header::AUTHORIZATION) else {
        return if site.allow_anonymous {
            Ok(Principal::anonymous())
        } else {
            Err(unauthenticated(
                "This site takes no upload without a token; send it as `Authorization: Bearer ...`.",
            ))
        };
    };
    // RFC 6750, section 2.1; schemes are compared without regard to case (RFC 9110, section 11.1).
    let token = shown.to_str().ok().and_then(|text| text.split_once(' '));
    match token {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => {
            let found = site.gateway.store().authenticate(token.trim(), span).await;
            found.map_err(|error| error.problem())
        }
        _ => Err(unauthenticated(
            "The header `Authorization` is not a bearer token; send it as `Authorization: Bearer ...`.",
        )),
    }
}

/// Takes what the request brings, by its content type.
async fn take(
    site: &Site,
    request: Incoming,
    body: LingeringBody,
    live: &Live,
    span: &Arc<Span>,
) -> Vec<Answer> {
    if let Err(problem) = body_headers::check(&request.headers) {
        return vec![answer::unreadable(problem, span)];
    }
    let content_type = request.headers.get(header::CONTENT_TYPE);
    let content_type = content_type.and_then(|value| value.to_str().ok());
    let content_type = content_type.unwrap_or_default();
    match media_type::essence(content_type).as_deref() {
        Some("multipart/form-data") => match Form::new(content_type, body) {
            Ok(form) => files(site, form, &request, live, span).await,
            Err(problem) => vec![answer::unreadable(problem, span)],
        },
        Some(other) if other.starts_with("multipart/") => {
            let detail = format!(
                "A body of type {other} cannot be uploaded; send `multipart/form-data`, or the file itself."
            );
            let problem = Problem::new(ProblemKind::UnsupportedMediaType, detail);
            vec![answer::unreadable(problem, span)]
        }
        _ => vec![single(site, &request, body, live, span).await],
    }
}

/// The body of the request is the file.
async fn single(
    site: &Site,
    request: &Incoming,
    body: LingeringBody,
    live: &Live,
    span: &Arc<Span>,
) -> Answer {
    let headers = match raw::headers(&request.headers, &request.uri) {
        Ok(headers) => headers,
        Err(problem) => return answer::unreadable(problem, span),
    };
    let gateway = &site.gateway;
    let sha256 = headers.sha256;
    let upload = gateway.receive(headers, request.principal.clone());
    span.set(Attribute::UploadId(upload.id));
    let source = Source {
        client: request.client,
        span: Arc::clone(span),
        metadata: None,
        composition: None,
        sha256,
    };
    let outcome = match stage(gateway, &upload, &source, body, live).await {
        Ok(mut staged) => {
            if let Err(problem) = request.may_still_store(site, span).await {
                return answer::unreadable(problem, span);
            }
            staged.commit(span).await
        }
        Err(failure) => Err(failure),
    };
    answer::file(&upload, outcome, span)
}

/// Has an upload judged, all of which is this body. One that does not come to its end is cancelled.
async fn stage<B>(
    gateway: &Arc<Gateway>,
    upload: &Upload,
    source: &Source,
    body: B,
    live: &Live,
) -> Result<Staged, Failure>
where
    B: Stream<Item = Result<Bytes, BodyError>> + Unpin,
{
    let session =
        UploadSession::create(gateway, upload.clone(), source, live.listener(upload.id)).await?;
    let Appended { session, broken } = session.append_whole(body, &source.span).await?;
    match broken {
        None => session.finish(&source.span).await,
        Some(error) => {
            session.cancel().await;
            Err(Failure::Body(error))
        }
    }
}

/// The body of the request is a form. Its files are committed after the closing boundary: only then is it
/// known that no field follows them, which the policies would have had to see.
async fn files(
    site: &Site,
    mut form: Form,
    request: &Incoming,
    live: &Live,
    span: &Arc<Span>,
) -> Vec<Answer> {
    let mut source = Source {
        client: request.client,
        span: Arc::clone(span),
        metadata: None,
        composition: None,
        sha256: None,
    };
    let gateway = &site.gateway;
    let mut judged = Vec::new();
    let mut details = 0;
    let mut next = next_present(&mut form).await;
    let broken = loop {
        let headers = match next {
            Ok(Some(headers)) => headers,
            Ok(None) => break None,
            Err(problem) => break Some(problem),
        };
        if details > MAX_FORM_DETAILS {
            break Some(too_many_findings());
        }
        source.sha256 = headers.sha256;
        let upload = gateway.receive(headers, request.principal.clone());
        span.set(Attribute::UploadId(upload.id));
        let failure = match stage(gateway, &upload, &source, form.file_body(), live).await {
            Ok(staged) => {
                details += staged.details();
                judged.push(Judged::Staged(Box::new((upload, staged))));
                next = next_present(&mut form).await;
                continue;
            }
            Err(failure) => failure,
        };
        let broke_off = matches!(failure, Failure::Body(_));
        // Nothing counts it as an upload any more: only its answer is kept while others come.
        let answer = answer::file(&upload, Err(failure), span);
        details += answer.details();
        judged.push(Judged::Ended(answer));
        if broke_off {
            // There is no next file, and this one's answer says why.
            break None;
        }
        // The rest of a refused file stands before the next one: a verdict does not wait for it.
        next = match tokio::time::timeout(NEXT_FILE_WAIT, next_present(&mut form)).await {
            Ok(following) => following,
            Err(_) => break None,
        };
    };
    if let Some(problem) = &broken
        && problem.kind == ProblemKind::FieldAfterFile
    {
        // Whatever the policies said of the files, they said it without that field.
        return vec![answer::unreadable(problem.clone(), span)];
    }
    let is_staged = |judged: &Judged| matches!(judged, Judged::Staged(_));
    let broken = match broken {
        None if judged.iter().any(is_staged) => request.may_still_store(site, span).await.err(),
        broken => broken,
    };
    let mut answers = Vec::new();
    for judged in judged {
        match judged {
            Judged::Ended(answer) => answers.push(answer),
            Judged::Staged(staged) if broken.is_none() => {
                let (upload, mut staged) = *staged;
                let outcome = staged.commit(span).await;
                answers.push(answer::file(&upload, outcome, span));
            }
            // Nothing of the form is stored: what was staged is cancelled, and why is told once.
            Judged::Staged(_) => {}
        }
    }
    if let Some(problem) = broken {
        answers.push(answer::unreadable(problem, span));
    }
    if answers.is_empty() {
        let detail = "The form has no file; choose one and send it in a part named `file`.";
        let problem = Problem::new(ProblemKind::BadRequest, detail);
        answers.push(answer::unreadable(problem, span));
    }
    answers
}

/// A file of a form, as far as it has come before the form ends.
enum Judged {
    /// It may be stored.
    Staged(Box<(Upload, Staged)>),
    /// It is not stored.
    Ended(Answer),
}

/// The next file of a form for which the browser has sent one.
async fn next_present(form: &mut Form) -> Result<Option<Headers>, Problem> {
    loop {
        match form.next_file().await? {
            Some(headers) if form.is_absent(&headers).await => {}
            next => return Ok(next),
        }
    }
}

fn too_many_findings() -> Problem {
    let detail = format!(
        "The files of this form have over {MAX_FORM_DETAILS} findings together, so that the files after them were not judged; \
         fix the findings, or send each file in a form of its own."
    );
    Problem::new(ProblemKind::BadRequest, detail)
}

/// The caller's span, as a link: the public edge begins traces of its own.
pub(crate) fn inbound(headers: &HeaderMap) -> Option<TraceContext> {
    let header = headers.get(portcullis_hop::wire::TRACEPARENT)?;
    header.to_str().ok()?.parse().ok()
}
