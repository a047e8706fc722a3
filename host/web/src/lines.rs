//! An answer that comes while the upload still does: one JSON object on each line, for clients that accept
//! `application/x-ndjson`. Findings come as they are made; each file ends with its receipt or its problem.

use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header;
use portcullis_engine::FindingListener;
use portcullis_hop::Problem;
use portcullis_types::{Finding, UploadId};
use serde::Serialize;
use tokio::sync::mpsc;
use tokio_util::task::TaskTracker;

use crate::answer::{Answer, StoredAnswer};

/// What clients accept and this answer is.
pub(crate) const MEDIA_TYPE: &str = "application/x-ndjson";

/// One line. Each is an object with one member, whose name says what it is.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
enum Line<'a> {
    Finding {
        /// The upload that it is about.
        id: UploadId,
        #[serde(flatten)]
        finding: &'a Finding,
    },
    Stored(&'a StoredAnswer),
    Problem(&'a Problem),
}

/// Where findings go while the upload comes; nowhere, for answers in one piece.
#[derive(Clone, Debug, Default)]
pub(crate) struct Live(Option<mpsc::UnboundedSender<Bytes>>);

impl Live {
    /// What tells of the findings of one upload.
    pub(crate) fn listener(&self, id: UploadId) -> Option<FindingListener> {
        let lines = self.0.clone()?;
        Some(Arc::new(move |finding: &Finding| {
            // A client that is gone is noticed where its bytes are read.
            let _ = lines.send(Line::Finding { id, finding }.bytes());
        }))
    }
}

impl Line<'_> {
    fn bytes(&self) -> Bytes {
        let mut bytes = serde_json::to_vec(self).expect("strings and numbers are JSON");
        bytes.push(b'\n');
        bytes.into()
    }
}

/// The response whose lines come from `work`, which goes on whether or not the client reads them: one that
/// first sends all and then reads must not wait for itself. The number of lines is bounded, as the number of
/// findings of a policy is.
pub(crate) fn respond<W, F>(tasks: &TaskTracker, work: W) -> Response
where
    W: FnOnce(Live) -> F,
    F: Future<Output = Vec<Answer>> + Send + 'static,
{
    let (lines, mut received) = mpsc::unbounded_channel();
    let work = work(Live(Some(lines.clone())));
    tasks.spawn(async move {
        for answer in work.await {
            let line = match &answer {
                Answer::Stored(stored) => Line::Stored(stored),
                Answer::Problem(problem) => Line::Problem(problem),
            };
            let _ = lines.send(line.bytes());
        }
    });
    let body = futures_util::stream::poll_fn(move |cx| {
        let line = received.poll_recv(cx);
        line.map(|line| line.map(Ok::<_, Infallible>))
    });
    let headers = [
        (header::CONTENT_TYPE.as_str(), MEDIA_TYPE),
        (header::CACHE_CONTROL.as_str(), "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS.as_str(), "nosniff"),
        // nginx would hold the lines back until it has many.
        ("x-accel-buffering", "no"),
    ];
    (headers, Body::from_stream(body)).into_response()
}
