//! One request: who sends it, which upload it is about, and how it is refused.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Instant, SystemTime};

use axum::body::Body;
use axum::response::Response;
use http::HeaderMap;
use http::request::Parts;
use portcullis_hop::{Problem, ProblemKind, StoreError, UploadRecord, UploadStore};
use portcullis_server::{Peer, join_trace};
use portcullis_telemetry::{Attribute, Span, SpanName, TraceContext};
use portcullis_types::{Principal, UploadId};

use super::standing;
use crate::answer;
use crate::client_address::client_address;
use crate::linger::LingeringBody;
use crate::routes::{self, Site};
use crate::session;
use crate::sessions::Turn;

/// A request, but for its body.
pub(super) struct Call {
    pub(super) site: Arc<Site>,
    pub(super) headers: HeaderMap,
    pub(super) client: Option<IpAddr>,
    /// Whether its address has a slash at the end, to which relative ones refer.
    pub(super) ends_in_slash: bool,
    name: SpanName,
    began: Instant,
    began_at: SystemTime,
    /// The trace that the client is in.
    inbound: Option<TraceContext>,
    /// The request itself, until it is known which upload it is about; then what is done for that.
    span: Mutex<Arc<Span>>,
}

impl Call {
    pub(super) fn new(site: Arc<Site>, parts: Parts, name: SpanName) -> Self {
        Self::within(site, parts, name, None)
    }

    /// The same about an upload. Where that is known here, all that is done stands in its trace from the beginning.
    pub(super) fn about(site: Arc<Site>, parts: Parts, name: SpanName, id: UploadId) -> Self {
        let known = site.gateway.sessions().known(id);
        Self::within(site, parts, name, known.map(|(_, trace)| trace))
    }

    fn within(site: Arc<Site>, parts: Parts, name: SpanName, trace: Option<TraceContext>) -> Self {
        let (began, began_at) = (Instant::now(), SystemTime::now());
        let inbound = routes::inbound(&parts.headers);
        let span = match trace {
            Some(trace) => Span::child_since(name.clone(), &trace, began_at, inbound.as_slice()),
            None => Span::root(name.clone(), inbound.as_ref()),
        };
        let peer = parts.extensions.get();
        let client =
            peer.map(|Peer(peer)| client_address(*peer, &parts.headers, &site.trusted_proxies));
        Self {
            site,
            ends_in_slash: parts.uri.path().ends_with('/'),
            headers: parts.headers,
            client,
            name,
            began,
            began_at,
            inbound,
            span: Mutex::new(Arc::new(span)),
        }
    }

    /// The span of what is under way.
    pub(super) fn span(&self) -> Arc<Span> {
        Arc::clone(&self.span.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// From here on it is done for an upload, in whose trace all of its requests stand. What was done before, to find that
    /// out, is linked with it.
    fn work(&self, trace: &TraceContext) {
        let mut span = self.span.lock().unwrap_or_else(PoisonError::into_inner);
        let before = span.context();
        if before.trace_id() != trace.trace_id() {
            let linked: Vec<_> = self.inbound.iter().cloned().chain([before]).collect();
            let name = self.name.clone();
            *span = Arc::new(Span::child_since(name, trace, self.began_at, &linked));
        }
    }

    /// Its body.
    pub(super) fn body(&self, body: Body) -> LingeringBody {
        let tasks = self.site.gateway.tasks().clone();
        LingeringBody::new(body, self.site.pace, &self.site.cut, tasks)
    }

    /// Who sends it, now: a token may have been revoked since the last request.
    pub(super) async fn principal(&self) -> Result<Principal, Problem> {
        routes::principal(&self.site, &self.headers, &self.span()).await
    }

    /// Looks again before anything is stored.
    pub(super) async fn may_still_store(&self) -> Result<(), Problem> {
        routes::may_still_store(&self.site, &self.headers, self.began, &self.span()).await
    }

    /// What services know of an upload, for its owner. For others there is none.
    pub(super) async fn owned(
        &self,
        id: UploadId,
        owner: &Principal,
    ) -> Result<UploadRecord, Problem> {
        let span = self.span();
        span.set(Attribute::UploadId(id));
        let record = self.site.gateway.store().record(id, &span).await;
        let record = record.map_err(|error| match error {
            StoreError::NotFound => unknown(),
            error => error.problem(),
        })?;
        if record.upload.principal.subject() != owner.subject() {
            return Err(unknown());
        }
        self.work(&record.upload.traceparent);
        Ok(record)
    }

    /// The turn on an upload; absent where whoever has it does not stop in time.
    pub(super) async fn turn(&self, record: &UploadRecord) -> Option<Turn> {
        let (upload, sessions) = (&record.upload, self.site.gateway.sessions());
        let turn = sessions.turn(upload.id, &upload.principal, &upload.traceparent);
        turn.await
    }

    /// What services know of an upload once it is taken over, if it is not over: from then on nobody else changes it.
    pub(super) async fn taken_over(
        &self,
        id: UploadId,
        owner: &Principal,
    ) -> Result<UploadRecord, Problem> {
        let taken = self.site.gateway.store().take_over(id, &self.span()).await;
        taken.map_err(|error| error.problem())?;
        self.owned(id, owner).await
    }

    /// Gives an upload up, whoever has it.
    pub(super) async fn give_up(&self, id: UploadId) -> Result<(), StoreError> {
        let (store, span) = (self.site.gateway.store(), self.span());
        let status = store.take_over(id, &span).await?;
        let cancelled = session::cancellation(status.epoch);
        store.conclude(id, &cancelled, &span).await.map(|_| ())
    }

    /// The answer to the request, which names its trace.
    pub(super) fn answer(&self, answered: Result<Response, Problem>) -> Response {
        let mut response = answered.unwrap_or_else(|problem| self.refuse(problem));
        join_trace(&mut response, &self.span());
        response
    }

    /// The answer to a request that fails. Where an upload was refused before, its own trace is the one to look at.
    fn refuse(&self, problem: Problem) -> Response {
        let span = self.span();
        if problem.kind.status().is_server_error() {
            span.fail(portcullis_telemetry::ErrorType::ServicesUnavailable);
        }
        let problem = match problem.support_id {
            Some(_) => problem,
            None => problem.with_support_id(span.context().trace_id()),
        };
        let mut response = answer::problem_response(problem.clone());
        standing::speak(&mut response, &problem);
        response
    }
}

/// There is no such upload, or it is somebody else's.
pub(super) fn unknown() -> Problem {
    let detail = "There is no such upload, or no longer; start it anew with POST to /uploads.";
    Problem::new(ProblemKind::NotFound, detail)
}

/// It was given up.
pub(super) fn gone() -> Problem {
    let detail = "This upload was given up or has expired, and nothing of it is kept; start it anew with POST to /uploads.";
    Problem::new(ProblemKind::Gone, detail)
}

/// What a client hears that only asks how far it has come. Refused in any other way it would start from the beginning,
/// although the upload waits for it: for services, or for a token that is valid.
pub(super) fn instead_of_losing_it(problem: Problem) -> Problem {
    match problem.kind {
        ProblemKind::NotFound | ProblemKind::Gone | ProblemKind::UnsupportedProtocol => problem,
        _ => Problem::new(ProblemKind::Locked, problem.detail),
    }
}
