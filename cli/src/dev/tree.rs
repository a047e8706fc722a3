//! The spans of one upload as a tree with times, once all of them have come.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::{Duration, Instant};

use portcullis_telemetry::collector::ExportedSpan;

/// The root of every upload.
const ROOT: &str = "POST /uploads";
/// How long nothing must have come for a trace: both servers send what they have several times a second.
const QUIET: Duration = Duration::from_millis(800);
/// The most traces that wait at once; the oldest goes for another.
const MAX_WAITING: usize = 100;
/// The most spans of a trace that are kept.
const MAX_SPANS: usize = 1_000;

/// Traces on their way.
pub(super) struct Trees {
    waiting: BTreeMap<String, Waiting>,
    colours: bool,
}

struct Waiting {
    spans: Vec<ExportedSpan>,
    last: Instant,
}

impl Trees {
    pub(super) fn new(colours: bool) -> Self {
        Self {
            waiting: BTreeMap::new(),
            colours,
        }
    }

    /// Takes in spans, and gives the trees that are complete.
    pub(super) fn take_in(&mut self, spans: Vec<ExportedSpan>) -> Vec<String> {
        for span in spans {
            let waiting = self
                .waiting
                .entry(span.trace_id.clone())
                .or_insert_with(|| Waiting {
                    spans: Vec::new(),
                    last: Instant::now(),
                });
            waiting.last = Instant::now();
            if waiting.spans.len() < MAX_SPANS {
                waiting.spans.push(span);
            }
        }
        let mut done = Vec::new();
        let colours = self.colours;
        self.waiting.retain(|_, waiting| {
            if waiting.last.elapsed() < QUIET {
                return true;
            }
            // Other traces are of health checks and direct calls to services.
            done.extend(tree(&waiting.spans, colours));
            false
        });
        while self.waiting.len() > MAX_WAITING {
            self.waiting.pop_first();
        }
        done
    }
}

/// The tree of an upload; absent for other traces.
fn tree(spans: &[ExportedSpan], colours: bool) -> Option<String> {
    let root = spans
        .iter()
        .find(|span| span.parent_id.is_empty() && span.name == ROOT)?;
    let mut text = String::new();
    let status = root.attribute("http.response.status_code").unwrap_or("?");
    let failed = root
        .attribute("error.type")
        .map(|kind| format!(" ({kind})"));
    let label = format!("{ROOT} {status}{}", failed.unwrap_or_default());
    line(&mut text, "", &label, root, root.failed, colours);
    branches(&mut text, spans, root, "", colours);
    let _ = write!(text, "trace {}", root.trace_id);
    Some(text)
}

fn branches(
    text: &mut String,
    spans: &[ExportedSpan],
    parent: &ExportedSpan,
    indent: &str,
    colours: bool,
) {
    let mut children: Vec<&ExportedSpan> = spans
        .iter()
        .filter(|span| span.parent_id == parent.span_id)
        .collect();
    children.sort_by_key(|span| span.times);
    let count = children.len();
    for (index, child) in children.into_iter().enumerate() {
        let last = index + 1 == count;
        let (branch, below) = if last {
            ("└─ ", "   ")
        } else {
            ("├─ ", "│  ")
        };
        line(
            text,
            &format!("{indent}{branch}"),
            &label(child, parent),
            child,
            child.failed,
            colours,
        );
        branches(text, spans, child, &format!("{indent}{below}"), colours);
    }
}

/// What the span says beside its name: where it runs, when that changes, and its verdict.
fn label(span: &ExportedSpan, parent: &ExportedSpan) -> String {
    let place = if span.service == parent.service {
        String::new()
    } else {
        format!("{}: ", span.service.trim_start_matches("portcullis-"))
    };
    let said = ["portcullis.policy.verdict", "http.response.status_code"];
    let said = said.iter().find_map(|key| span.attribute(key));
    let said = said.map(|said| format!(" {said}")).unwrap_or_default();
    format!("{place}{}{said}", span.name)
}

fn line(
    text: &mut String,
    indent: &str,
    label: &str,
    span: &ExportedSpan,
    failed: bool,
    colours: bool,
) {
    let (from, to) = span.times;
    let ms = Duration::from_nanos(to.saturating_sub(from)).as_secs_f64() * 1e3;
    let width = 64_usize.saturating_sub(indent.chars().count());
    let (on, off) = match (colours, failed) {
        (false, _) => ("", ""),
        (true, true) => ("\u{1b}[31m", "\u{1b}[0m"),
        (true, false) => ("\u{1b}[36m", "\u{1b}[0m"),
    };
    let _ = writeln!(text, "{indent}{on}{label:<width$}{off} {ms:>9.2} ms");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(id: &str, parent: &str, name: &str, service: &str, times: (u64, u64)) -> ExportedSpan {
        ExportedSpan {
            service: service.to_owned(),
            name: name.to_owned(),
            trace_id: "t".to_owned(),
            span_id: id.to_owned(),
            parent_id: parent.to_owned(),
            kind: 1,
            attributes: vec![("http.response.status_code".to_owned(), "201".to_owned())],
            links: Vec::new(),
            failed: false,
            times,
        }
    }

    #[test]
    fn an_upload_is_drawn_in_the_order_in_which_things_happened() {
        let (web, services) = ("portcullis-web", "portcullis-services");
        let spans = [
            span("c", "b", "fsync", services, (3_000_000, 4_000_000)),
            span("b", "a", "commit", services, (2_000_000, 5_000_000)),
            span("d", "a", "policy x", web, (1_000_000, 2_000_000)),
            span("a", "", ROOT, web, (0, 10_000_000)),
        ];
        let drawn = tree(&spans, false).expect("is an upload");
        let lines: Vec<&str> = drawn.lines().collect();
        assert_eq!(lines.len(), 5, "{drawn}");
        assert!(
            lines[0].starts_with("POST /uploads 201") && lines[0].ends_with("10.00 ms"),
            "{drawn}"
        );
        assert!(lines[1].starts_with("├─ policy x"), "{drawn}");
        assert!(lines[2].starts_with("└─ services: commit 201"), "{drawn}");
        assert!(lines[3].starts_with("   └─ fsync"), "{drawn}");
        assert_eq!(lines[4], "trace t");
    }

    #[test]
    fn other_traces_are_not_drawn() {
        assert_eq!(
            tree(&[span("a", "", "GET /readyz", "w", (0, 1))], false),
            None
        );
    }
}
