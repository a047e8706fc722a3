//! What a client is told: receipts and problems, as JSON for programs and as pages for people.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use hyper::ext::ReasonPhrase;
use portcullis_engine::{RefusalCause, Refused, Upload};
use portcullis_hop::{Conclusion, Epoch, Problem, ProblemKind, Receipt, StoreError};
use portcullis_server::join_trace;
use portcullis_telemetry::{
    Attribute, Detail, ErrorType, Label, Line, Metric, Outcome, Span, metrics,
};
use portcullis_types::{UploadId, Verdict};
use serde::Serialize;

use crate::gateway::Failure;
use crate::lines;
use crate::linger::{BodyError, STOPPING};
use crate::{page, session};

/// One file of a request, in the end.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub enum Answer {
    /// It is stored.
    Stored(Box<StoredAnswer>),
    /// It is not.
    Problem(Box<Problem>),
}

/// The members of an answer whose length depends on what policies find.
pub(crate) const DETAILS: [&str; 2] = ["findings", "tallies"];

impl Answer {
    /// How many findings and tallies it lists.
    pub(crate) fn details(&self) -> usize {
        match self {
            Self::Stored(stored) => stored.receipt.findings.len() + stored.receipt.tallies.len(),
            Self::Problem(problem) => {
                let listed = DETAILS.map(|name| problem.extensions.get(name));
                let listed = listed.into_iter().flatten();
                listed
                    .filter_map(|list| list.as_array())
                    .map(Vec::len)
                    .sum()
            }
        }
    }

    /// Drops them.
    pub(crate) fn clear_details(&mut self) {
        match self {
            Self::Stored(stored) => {
                stored.receipt.findings.clear();
                stored.receipt.tallies.clear();
            }
            Self::Problem(problem) => {
                for name in DETAILS {
                    problem.extensions.remove(name);
                }
            }
        }
    }
}

/// A receipt, with the name under which the client knows the file.
#[derive(Clone, Debug, Serialize)]
pub struct StoredAnswer {
    /// The name of the file as the client gave it.
    pub filename: String,
    /// What services answered.
    #[serde(flatten)]
    pub receipt: Receipt,
}

/// How the client wants to be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Json,
    Html,
    /// As it comes, one object on each line.
    Lines,
}

impl Format {
    /// Lines when the client names their media type, a page when it names `text/html`, as browsers do for
    /// forms; JSON otherwise.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let accepts = |wanted: &str| {
            let values = headers.get_all(header::ACCEPT).iter();
            let mut ranges = values
                .filter_map(|value| value.to_str().ok())
                .flat_map(|value| value.split(','));
            ranges.any(|range| {
                let kind = range.split(';').next().unwrap_or_default();
                kind.trim().eq_ignore_ascii_case(wanted)
            })
        };
        if accepts(lines::MEDIA_TYPE) {
            Self::Lines
        } else if accepts("text/html") {
            Self::Html
        } else {
            Self::Json
        }
    }
}

/// The answer to one file, and its one line in the log.
pub(crate) fn file(upload: &Upload, outcome: Result<Receipt, Failure>, span: &Span) -> Answer {
    match ended(upload.id, outcome, span) {
        Ok(receipt) => Answer::Stored(Box::new(StoredAnswer {
            filename: upload.filename.clone(),
            receipt,
        })),
        Err(problem) => {
            let problem = problem.with("filename", &upload.filename);
            Answer::Problem(Box::new(problem))
        }
    }
}

/// How an upload ended, and its one line in the log.
pub(crate) fn ended(
    id: UploadId,
    outcome: Result<Receipt, Failure>,
    span: &Span,
) -> Result<Receipt, Problem> {
    let receipt = outcome.map_err(|failure| failed(id, failure, span))?;
    let outcome = receipt.status.outcome();
    metrics::count(Metric::Uploads, 1, [Label::Outcome(outcome)]);
    span.set(Attribute::Outcome(outcome));
    let details = [
        Attribute::UploadId(id),
        Attribute::Outcome(outcome),
        Attribute::Bytes(receipt.size),
    ];
    span.log(Line::UploadEnded, details.map(Detail::from));
    Ok(receipt)
}

/// Has every way in which an upload can end be counted from the beginning.
pub(crate) fn expect_endings() {
    let well = [Outcome::Stored, Outcome::Quarantined, Outcome::Cancelled];
    for outcome in well {
        metrics::expect(Metric::Uploads, [Label::Outcome(outcome)]);
    }
    for error in ErrorType::ALL {
        let labels = [Label::Outcome(outcome_of(error)), Label::Error(error)];
        metrics::expect(Metric::Uploads, labels);
    }
}

/// How an upload ends that is not stored for this reason.
fn outcome_of(error: ErrorType) -> Outcome {
    match error {
        ErrorType::Rejected | ErrorType::PolicyFailed => Outcome::Rejected,
        _ => Outcome::Failed,
    }
}

/// The same of one that did not end well.
pub(crate) fn failed(id: UploadId, failure: Failure, span: &Span) -> Problem {
    let trace_id = span.context().trace_id();
    let error = error_type(&failure);
    span.fail(error);
    let labels = [Label::Outcome(outcome_of(error)), Label::Error(error)];
    metrics::count(Metric::Uploads, 1, labels.clone());
    let upload = Attribute::UploadId(id).into();
    let details = labels.map(Detail::from).into_iter().chain([upload]);
    span.log(Line::UploadEnded, details);
    problem(failure).with("id", id).with_support_id(trace_id)
}

/// The answer to a request whose body broke off before anything was made of it.
pub(crate) fn broken(error: BodyError) -> Problem {
    problem(Failure::Body(error))
}

/// The answer to a request that could not be read.
pub(crate) fn unreadable(problem: Problem, span: &Span) -> Answer {
    span.fail(ErrorType::BadRequest);
    Answer::Problem(Box::new(problem.with_support_id(span.context().trace_id())))
}

/// The response to a request: one receipt, one problem, or the list of both.
pub(crate) fn respond(
    mut answers: Vec<Answer>,
    format: Format,
    page: &page::PageSettings,
    span: &Span,
) -> Response {
    let status = status(&answers);
    let mut response = match (format, answers.len()) {
        (Format::Html, _) => html(status, page::outcome(&answers, page.trace_url.as_ref())),
        (Format::Json | Format::Lines, _) if status == StatusCode::CREATED => {
            json(status, &serde_json::json!({ "uploads": answers }))
        }
        (Format::Json | Format::Lines, 1) if matches!(answers[0], Answer::Problem(_)) => {
            match answers.remove(0) {
                Answer::Problem(problem) => problem_response(*problem),
                Answer::Stored(stored) => json(status, &serde_json::json!({ "uploads": [stored] })),
            }
        }
        (Format::Json | Format::Lines, count) => {
            let stored = answers
                .iter()
                .filter(|answer| matches!(answer, Answer::Stored(_)))
                .count();
            let detail = format!(
                "{stored} of {count} files were stored; mend the others and send them again."
            );
            let problem = Problem::new(ProblemKind::SomeRejected, detail).with("uploads", &answers);
            problem_response(problem.with_support_id(span.context().trace_id()))
        }
    };
    join_trace(&mut response, span);
    response
}

/// A problem as a response.
pub(crate) fn problem_response(problem: Problem) -> Response {
    let is_of_checksum = problem.kind == ProblemKind::ChecksumMismatch;
    let mut response = problem.into_response().map(Body::from).into_response();
    if response.status() == StatusCode::UNAUTHORIZED {
        let scheme = HeaderValue::from_static("Bearer");
        response
            .headers_mut()
            .insert(header::WWW_AUTHENTICATE, scheme);
    }
    if is_of_checksum {
        // The words of the tus protocol for its own status code, of which HTTP knows none.
        let reason = ReasonPhrase::from_static(b"Checksum Mismatch");
        response.extensions_mut().insert(reason);
    }
    response
}

/// A page as a response, with the headers that keep it harmless.
pub(crate) fn html(status: StatusCode, page: String) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (
            header::CONTENT_SECURITY_POLICY,
            page::CONTENT_SECURITY_POLICY,
        ),
        (header::CACHE_CONTROL, "no-store"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (status, headers, page).into_response()
}

fn json(status: StatusCode, value: &impl Serialize) -> Response {
    let headers = [(header::CACHE_CONTROL, "no-store")];
    (status, headers, axum::Json(value)).into_response()
}

fn status(answers: &[Answer]) -> StatusCode {
    match answers {
        [Answer::Problem(problem)] => problem.kind.status(),
        _ if answers
            .iter()
            .all(|answer| matches!(answer, Answer::Stored(_))) =>
        {
            StatusCode::CREATED
        }
        _ => ProblemKind::SomeRejected.status(),
    }
}

/// The one place in which failures become problems.
pub(crate) fn problem(failure: Failure) -> Problem {
    match failure {
        Failure::Refused(refused) => refusal_problem(&refused),
        Failure::Store(StoreError::Stopping { .. }) => Problem::new(
            ProblemKind::Stopping,
            "Storage is being stopped; nothing was stored, send the file again in a moment.",
        ),
        Failure::Store(error) => error.problem(),
        Failure::Body(BodyError::ClientGone) => Problem::new(
            ProblemKind::BadRequest,
            "The upload ended before all of it had come; send it again.",
        ),
        Failure::Body(BodyError::Stopping) => Problem::new(ProblemKind::Stopping, STOPPING),
        Failure::Body(BodyError::Idle(idle)) => Problem::new(
            ProblemKind::TooSlow,
            format!(
                "No byte came for {} s; send the file again over a better line.",
                idle.as_secs()
            ),
        ),
        Failure::Body(error @ BodyError::Slow(_)) => Problem::saying(ProblemKind::TooSlow, &error),
        Failure::Body(error @ (BodyError::Overtaken | BodyError::TooLong)) => {
            Problem::saying(ProblemKind::BadRequest, &error)
        }
        Failure::Length { declared, arrived } => Problem::new(
            ProblemKind::BadRequest,
            format!("{arrived} bytes came where {declared} were announced; send the file again."),
        ),
        Failure::Changed => Problem::new(
            ProblemKind::DigestMismatch,
            "The file that arrived has another SHA-256 than the one that was announced, as when it is changed while it is sent. Nothing was stored. Send the file again.",
        ),
        Failure::TooLarge { limit } => Problem::new(
            ProblemKind::TooLarge,
            format!(
                "The file is larger than {limit} bytes, the most that this site takes; split it."
            ),
        ),
        Failure::Overloaded => overloaded(),
        Failure::TooMany { most } => Problem::new(
            ProblemKind::TooMany,
            format!(
                "{most} uploads were begun with this sender's name within a minute, and more are not taken; go on in a moment."
            ),
        ),
    }
}

fn overloaded() -> Problem {
    Problem::new(
        ProblemKind::Overloaded,
        "As many uploads as this site can take are under way; try again in a moment.",
    )
}

fn refusal_problem(refused: &Refused) -> Problem {
    match &refused.cause {
        RefusalCause::NoPolicies => {
            let detail = "This site has no policies in force yet and takes nothing without them; try again in a moment, and tell the operator if it lasts.";
            Problem::new(ProblemKind::NotReady, detail)
        }
        RefusalCause::Overloaded => overloaded(),
        _ => concluded_problem(&session::conclusion(refused, Epoch::FIRST)),
    }
}

/// What a client is told of an upload that policies refused: the same in the moment in which they do, and whenever it
/// asks again.
pub(crate) fn concluded_problem(conclusion: &Conclusion) -> Problem {
    let said = |verdict| {
        let mut policies = conclusion.policies.iter();
        policies.find(|policy| policy.verdict == verdict)
    };
    let problem = if let Some(refusal) = &conclusion.refusal {
        let problem = Problem::new(ProblemKind::PolicyRejected, refusal.message.clone());
        let by = said(Verdict::Reject).map(|policy| &policy.name);
        problem.with("policy", by).with("rule", &refusal.rule)
    } else if let Some(policy) = said(Verdict::Failed) {
        // The cause is for the operator, in the log and the span; the uploader cannot mend it.
        let detail = format!(
            "The check `{}` failed on this file, so the file was not stored; tell the operator, with the support id.",
            policy.name
        );
        Problem::new(ProblemKind::PolicyFailed, detail).with("policy", &policy.name)
    } else {
        let detail = "No policy says where an upload with these fields goes; check the fields, or ask the operator.";
        Problem::new(ProblemKind::PolicyRejected, detail)
    };
    problem
        .with("policies", &conclusion.policies)
        .with("findings", &conclusion.findings.listed)
        .with("tallies", &conclusion.findings.tallies)
}

/// The one place in which failures become `error.type`.
fn error_type(failure: &Failure) -> ErrorType {
    match failure {
        Failure::Refused(refused) => match refused.cause {
            RefusalCause::Rejected { .. } | RefusalCause::NoRoute => ErrorType::Rejected,
            RefusalCause::Failed(_) => ErrorType::PolicyFailed,
            RefusalCause::NoPolicies | RefusalCause::Overloaded => ErrorType::Overloaded,
        },
        Failure::Store(error) => error.error_type(),
        Failure::Body(BodyError::ClientGone) => ErrorType::ClientGone,
        Failure::Body(BodyError::Idle(_) | BodyError::Slow(_)) => ErrorType::Timeout,
        Failure::Length { .. }
        | Failure::Changed
        | Failure::TooLarge { .. }
        | Failure::Body(BodyError::Overtaken | BodyError::TooLong) => ErrorType::BadRequest,
        Failure::Overloaded | Failure::TooMany { .. } | Failure::Body(BodyError::Stopping) => {
            ErrorType::Overloaded
        }
    }
}
