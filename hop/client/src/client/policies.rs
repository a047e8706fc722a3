//! A web host follows the revision of the policies that is active on services.

use std::time::Duration;

use bytes::Bytes;
use portcullis_telemetry::{Span, SpanName};
use portcullis_types::Sha256Digest;
use reqwest::Method;

use super::{HopClient, json, parsed, policy_file, with_json};
use crate::policies::shadow::ShadowReports;
use crate::policies::{Poll, PollAnswer};
use crate::{StoreError, wire};

impl HopClient {
    /// Says what this web host runs, and waits for another revision to become active: as long as the poll says and
    /// the time of a call.
    pub async fn poll_policies(&self, poll: &Poll, span: &Span) -> Result<PollAnswer, StoreError> {
        let body = Bytes::from(json(poll)?);
        let request = |span: &Span| {
            with_json(
                self.request(Method::POST, wire::POLICY_POLL, span),
                body.clone(),
            )
        };
        let wait = Duration::from_secs(u64::from(poll.wait_seconds));
        let timeout = self.settings.call_timeout + wait;
        let response = self.call(SpanName::PolicyPollCall, span, timeout, request);
        parsed(response.await?).await
    }

    /// Says what shadow policies would have said.
    pub async fn report_shadows(
        &self,
        reports: &ShadowReports,
        span: &Span,
    ) -> Result<(), StoreError> {
        let name = SpanName::PolicyShadowCall;
        self.post::<serde_json::Value>(name, wire::POLICY_SHADOW, reports, span)
            .await
            .map(|_| ())
    }

    /// A file of a revision. Bytes that do not have this digest are [`StoreError::DigestMismatch`].
    pub async fn policy_file(
        &self,
        digest: Sha256Digest,
        span: &Span,
    ) -> Result<Bytes, StoreError> {
        let path = wire::policy_file(digest);
        let request = |span: &Span| self.request(Method::GET, &path, span);
        let timeout = self.settings.call_timeout;
        let response = self.call(SpanName::PolicyFileCall, span, timeout, request);
        policy_file(response.await?, digest).await
    }
}
