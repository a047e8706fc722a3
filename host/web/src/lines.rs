//! An answer that comes while the upload still does: one JSON object on each line, for clients that accept
//! `application/x-ndjson`. Findings come as they are made; each file ends with its receipt or its problem.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

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
use crate::unread::{PATIENCE, Reading, Room, Unread};

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

/// The most bytes of findings that wait for a client that does not read. Further ones are left out: the line that ends
/// their file lists them, too.
const MAX_UNREAD_BYTES: usize = 1 << 20;

/// What a finding or a tally in an answer takes of memory, in bytes, more or less.
const DETAIL_BYTES: usize = 512;

/// Where findings go while the upload is received; nowhere, for answers in one piece.
#[derive(Clone, Debug, Default)]
pub(crate) struct Live(Option<Findings>);

/// The sending end of the lines of one answer.
#[derive(Clone, Debug)]
struct Findings {
    lines: mpsc::UnboundedSender<Waiting>,
    unread_bytes: Arc<AtomicUsize>,
    unread: Unread,
}

/// What waits to become bytes of an answer, and the room that it takes.
#[derive(Debug)]
enum Waiting {
    Finding {
        line: Bytes,
        _room: Room,
    },
    /// Becomes a line only when it is read: many of them can be large together.
    Answer {
        answer: Answer,
        _room: Option<Room>,
    },
}

impl Live {
    /// What reports the findings of one upload.
    pub(crate) fn listener(&self, id: UploadId) -> Option<FindingListener> {
        let findings = self.0.clone()?;
        Some(Arc::new(move |finding: &Finding| {
            findings.send(Line::Finding { id, finding }.bytes());
        }))
    }
}

impl Findings {
    fn send(&self, line: Bytes) {
        let waiting_bytes = self.unread_bytes.fetch_add(line.len(), Ordering::Relaxed);
        let room = self.unread.room(line.len());
        match room.filter(|_| waiting_bytes + line.len() <= MAX_UNREAD_BYTES) {
            // A client that is gone is noticed where its bytes are read.
            Some(room) => drop(self.lines.send(Waiting::Finding { line, _room: room })),
            None => {
                self.unread_bytes.fetch_sub(line.len(), Ordering::Relaxed);
            }
        }
    }

    /// The end of a file, with its findings if there is room for them.
    fn end(&self, mut answer: Answer) {
        let room = self.unread.room(answer.details() * DETAIL_BYTES);
        if room.is_none() {
            answer.clear_details();
        }
        let _ = self.lines.send(Waiting::Answer {
            answer,
            _room: room,
        });
    }
}

impl Waiting {
    fn bytes(self, unread_bytes: &AtomicUsize) -> Bytes {
        match self {
            Self::Finding { line, .. } => {
                unread_bytes.fetch_sub(line.len(), Ordering::Relaxed);
                line
            }
            Self::Answer { answer, .. } => match &answer {
                Answer::Stored(stored) => Line::Stored(stored).bytes(),
                Answer::Problem(problem) => Line::Problem(problem).bytes(),
            },
        }
    }
}

impl Line<'_> {
    fn bytes(&self) -> Bytes {
        let mut bytes = serde_json::to_vec(self).expect("strings and numbers are JSON");
        bytes.push(b'\n');
        bytes.into()
    }
}

/// The response whose lines come from `work`, which goes on whether or not the client reads them: one that first sends
/// all and then reads must not wait for itself. [`MAX_UNREAD_BYTES`] bounds the findings that wait for it, and the room of
/// `unread` bounds everything that waits for all clients.
pub(crate) fn respond<W, F>(tasks: &TaskTracker, unread: &Unread, work: W) -> Response
where
    W: FnOnce(Live) -> F,
    F: Future<Output = Vec<Answer>> + Send + 'static,
{
    let (lines, received) = mpsc::unbounded_channel();
    let unread_bytes = Arc::new(AtomicUsize::new(0));
    let findings = Findings {
        lines,
        unread_bytes: Arc::clone(&unread_bytes),
        unread: unread.clone(),
    };
    let work = work(Live(Some(findings.clone())));
    tasks.spawn(async move {
        for answer in work.await {
            findings.end(answer);
        }
    });
    let reading = Reading::new(received, PATIENCE);
    let body = futures_util::stream::poll_fn(move |cx| {
        reading.poll(|received| {
            let next = received.poll_recv(cx);
            next.map(|next| next.map(|waiting: Waiting| waiting.bytes(&unread_bytes)))
        })
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

#[cfg(test)]
mod tests {
    use portcullis_hop::ProblemKind;
    use portcullis_types::Severity;

    use super::*;

    fn finding(row: u64) -> Finding {
        Finding {
            policy: "csv-schema".parse().expect("is a name"),
            rule: "date".to_owned(),
            severity: Severity::Error,
            message: "x".repeat(1000),
            row: Some(row),
            column: None,
            offset: None,
            excerpt: None,
        }
    }

    #[tokio::test]
    async fn a_client_that_does_not_read_holds_bounded_memory_and_gets_its_answer() {
        let tasks = TaskTracker::new();
        let response = respond(&tasks, &Unread::new(), |live| async move {
            let listener = live.listener(UploadId::generate());
            let listener = listener.expect("somebody listens");
            (0..10_000).for_each(|row| listener(&finding(row)));
            let problem = Problem::new(ProblemKind::PolicyRejected, "It has findings.");
            vec![Answer::Problem(Box::new(problem))]
        });
        tasks.close();
        tasks.wait().await;
        let body = axum::body::to_bytes(response.into_body(), usize::MAX).await;
        let body = body.expect("cannot fail");
        assert!(body.len() <= MAX_UNREAD_BYTES + 1000, "{}", body.len());
        let lines: Vec<_> = body.split(|byte| *byte == b'\n').collect();
        assert!(lines[0].starts_with(b"{\"finding\""), "the first is there");
        assert!(lines[lines.len() - 2].starts_with(b"{\"problem\""));
    }
}
