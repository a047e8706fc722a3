//! Who calls, and from where.

use std::convert::Infallible;
use std::net::IpAddr;
use std::ops::Deref;

use axum::extract::FromRequestParts;
use http::HeaderMap;
use http::request::Parts;
use portcullis_server::Peer;
use portcullis_telemetry::{Span, TraceId};
use portcullis_types::Principal;

use crate::catalog::Actor;
use crate::keys::Key;

/// The head of a request, and whom it comes from.
pub(super) struct Head {
    headers: HeaderMap,
    /// Whom it comes from.
    peer: Option<IpAddr>,
}

impl<S: Sync> FromRequestParts<S> for Head {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self {
            headers: std::mem::take(&mut parts.headers),
            peer: parts.extensions.get().map(|Peer(peer)| *peer),
        })
    }
}

impl Deref for Head {
    type Target = HeaderMap;

    fn deref(&self) -> &HeaderMap {
        &self.headers
    }
}

/// Whoever calls, and may.
pub(super) struct Caller {
    pub(super) principal: Principal,
    /// From where.
    pub(super) client: Option<IpAddr>,
    trace: TraceId,
}

impl Caller {
    pub(super) fn new(key: &Key, head: &Head, span: &Span) -> Self {
        Self {
            principal: key.principal(),
            client: head.peer,
            trace: span.context().trace_id(),
        }
    }

    /// Who it is.
    pub(super) fn subject(&self) -> &str {
        self.principal.subject()
    }

    /// The same for the audit.
    pub(super) fn actor(&self) -> Actor {
        Actor {
            subject: self.subject().to_owned(),
            client: self.client,
            trace: Some(self.trace),
        }
    }
}
