use bytes::Bytes;
use portcullis_telemetry::{Span, SpanName};
use portcullis_types::Sha256Digest;
use reqwest::{Method, RequestBuilder, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::client::{body_up_to, json, policy_file, problem_of, unanswered, with_json};
use crate::policies::shadow::{ShadowQuery, ShadowSummary};
use crate::policies::trial::DropTrial;
use crate::policies::{
    Activate, Activation, Digests, NewRevision, PolicyRevision, RevisionNumber, Revisions, Sent,
};
use crate::{ApiKey, ClientError, HopClient, HopSettings, Problem, StoreError, wire};

/// Services as an administrator reaches them, with a key of the scope `admin`. Nothing is repeated by itself: the
/// administrator sees what went wrong.
#[derive(Clone, Debug)]
pub struct AdminClient(HopClient);

/// Why services did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// They say why.
    #[error("{}", .0.detail)]
    Problem(Box<Problem>),
    /// They do not answer, or not as services do.
    #[error("services at {address} did not do it: {}", unanswered_because(.why))]
    Unanswered {
        /// Where they were looked for.
        address: String,
        /// What happened.
        why: StoreError,
    },
}

/// What an administrator can do about it: for uploaders the same errors have other words.
fn unanswered_because(why: &StoreError) -> String {
    let words = match why {
        StoreError::Unavailable | StoreError::Aborted => {
            "nobody answers there; are they running, and can they be reached from here?"
        }
        StoreError::Timeout => {
            "no answer came in time, so it is not known whether anything was changed; look at `portcullis policy revisions`"
        }
        StoreError::Refused => {
            "what answers there are no services, or another version of them; compare the address and the versions"
        }
        StoreError::DigestMismatch => "a file did not arrive as they keep it; try again",
        other => return other.to_string(),
    };
    words.to_owned()
}

impl AdminClient {
    /// A client of the services at an address without a path.
    ///
    /// # Errors
    /// The address cannot be used.
    pub fn new(services: &str, key: ApiKey) -> Result<Self, ClientError> {
        HopClient::new(services, key, HopSettings::default()).map(Self)
    }

    /// All revisions and activations, and which web hosts run what.
    pub async fn revisions(&self) -> Result<Revisions, AdminError> {
        let request = self.request(Method::GET, wire::POLICY_REVISIONS);
        self.json(request).await
    }

    /// A revision with the digests of its files.
    pub async fn revision(&self, number: RevisionNumber) -> Result<PolicyRevision, AdminError> {
        let path = wire::policy_revision(number);
        self.json(self.request(Method::GET, &path)).await
    }

    /// The content of a file of a revision.
    pub async fn file(&self, digest: Sha256Digest) -> Result<Bytes, AdminError> {
        let request = self.request(Method::GET, &wire::policy_file(digest));
        let response = self.answer(request).await?;
        let bytes = policy_file(response, digest).await;
        bytes.map_err(|why| self.unanswered(why))
    }

    /// Which of these files services do not have.
    pub async fn missing(
        &self,
        digests: Vec<Sha256Digest>,
    ) -> Result<Vec<Sha256Digest>, AdminError> {
        let digests = Digests { digests };
        let answer: Digests = self.post(wire::POLICY_MISSING, &digests).await?;
        Ok(answer.digests)
    }

    /// Sends a file.
    pub async fn put_file(&self, digest: Sha256Digest, bytes: Bytes) -> Result<(), AdminError> {
        let request = self.request(Method::PUT, &wire::policy_file(digest));
        self.answer(request.body(bytes)).await.map(|_| ())
    }

    /// Sends a revision, whose files services have, and makes it the active one or begins its trial.
    pub async fn send(&self, new: &NewRevision) -> Result<Sent, AdminError> {
        self.post(wire::POLICY_REVISIONS, new).await
    }

    /// Makes a revision the active one.
    pub async fn activate(&self, wanted: &Activate) -> Result<Activation, AdminError> {
        self.post(wire::POLICY_ACTIVE, wanted).await
    }

    /// Ends the trial of a revision.
    pub async fn drop_trial(&self, wanted: &DropTrial) -> Result<(), AdminError> {
        self.post::<serde_json::Value>(wire::POLICY_TRIAL_DROP, wanted)
            .await
            .map(|_| ())
    }

    /// What shadow policies would have done.
    pub async fn shadow_summary(&self, query: &ShadowQuery) -> Result<ShadowSummary, AdminError> {
        self.post(wire::POLICY_SHADOW_SUMMARY, query).await
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let span = Span::root(SpanName::PolicyAdminCall, None);
        let request = self.0.request(method, path, &span);
        request.timeout(self.0.settings().commit_timeout)
    }

    async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, AdminError> {
        let body = json(body).map_err(|why| self.unanswered(why))?;
        let request = self.request(Method::POST, path);
        self.json(with_json(request, body.into())).await
    }

    async fn json<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T, AdminError> {
        let response = self.answer(request).await?;
        let body = body_up_to(response, wire::MAX_JSON_BYTES).await;
        let body = body.map_err(|why| self.unanswered(why))?;
        serde_json::from_slice(&body).map_err(|_| self.unanswered(StoreError::Refused))
    }

    async fn answer(&self, request: RequestBuilder) -> Result<Response, AdminError> {
        let sent = request.send().await;
        let response = sent.map_err(|error| self.unanswered(unanswered(&error)))?;
        if response.status().is_success() {
            return Ok(response);
        }
        match problem_of(response).await {
            Ok(problem) => Err(AdminError::Problem(Box::new(problem))),
            Err(why) => Err(self.unanswered(why)),
        }
    }

    fn unanswered(&self, why: StoreError) -> AdminError {
        let address = self.0.services().to_owned();
        AdminError::Unanswered { address, why }
    }
}
