//! What stands at the address of services, for those who look for a fault.

use std::error::Error;
use std::time::{Duration, SystemTime};

use http::header::DATE;
use portcullis_telemetry::{Span, SpanName};
use reqwest::{Method, Response};

use super::{HopClient, body_up_to, problem_of};
use crate::{Build, Problem, ProblemKind, wire};

/// The most bytes of an answer that are read.
const MAX_ANSWER_BYTES: usize = 64 << 10;

/// What was found at an address, by one call that is not repeated.
#[derive(Clone, Debug)]
pub struct Inspection {
    /// What answered.
    pub found: Found,
    /// How far its clock is ahead of ours, in seconds, negative when it is behind; absent when it did not say. Exact to
    /// about a second, as HTTP dates are.
    pub clock_ahead_seconds: Option<i64>,
}

/// What answered.
#[derive(Clone, Debug)]
pub enum Found {
    /// Services that would take an upload.
    Ready(Build),
    /// Services that would not, and say why.
    Problem(Box<Problem>),
    /// Something that is no services of ours, with this status code.
    Stranger(u16),
    /// Nothing, for this reason.
    Nothing(String),
}

impl HopClient {
    /// Asks once whether services are there and ready.
    pub async fn inspect(&self) -> Inspection {
        let span = Span::root(SpanName::Ready, None);
        let request = self.request(Method::GET, wire::READY, &span);
        let before = SystemTime::now();
        let answer = request.timeout(self.settings().call_timeout).send().await;
        match answer {
            Ok(answer) => Inspection {
                clock_ahead_seconds: ahead(&answer, before),
                found: found(answer).await,
            },
            Err(error) => Inspection {
                found: Found::Nothing(root_cause(&error)),
                clock_ahead_seconds: None,
            },
        }
    }
}

async fn found(answer: Response) -> Found {
    let status = answer.status();
    if !status.is_success() {
        return match problem_of(answer).await {
            // Services answer at this address, whatever else they say.
            Ok(problem) if problem.kind != ProblemKind::NotFound => {
                Found::Problem(Box::new(problem))
            }
            _ => Found::Stranger(status.as_u16()),
        };
    }
    let body = body_up_to(answer, MAX_ANSWER_BYTES).await;
    let ready = body
        .ok()
        .and_then(|body| serde_json::from_slice::<wire::Ready>(&body).ok());
    ready.map_or(Found::Stranger(status.as_u16()), |ready| {
        Found::Ready(ready.build)
    })
}

/// The clock of whoever answered, against the middle of the time that the answer took.
fn ahead(answer: &Response, before: SystemTime) -> Option<i64> {
    let date = answer.headers().get(DATE)?.to_str().ok()?;
    let date = httpdate::parse_http_date(date).ok()?;
    let took = before.elapsed().unwrap_or_default();
    let here = before + took / 2;
    let seconds = |time: Duration| i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
    Some(match date.duration_since(here) {
        Ok(ahead) => seconds(ahead),
        Err(behind) => -seconds(behind.duration()),
    })
}

/// The first cause of an error: the outer ones only say that a request failed.
fn root_cause(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "no answer came in time".to_owned();
    }
    let mut cause: &dyn Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}
