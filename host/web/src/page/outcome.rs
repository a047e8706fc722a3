//! The page that answers a plain form: what became of each file, why, and what to do.

use maud::{Markup, html};
use portcullis_hop::{Problem, ProblemKind, Status};
use serde::de::DeserializeOwned;

use super::findings::{count, findings};
use super::layout::{Scripts, document};
use super::prose::prose;
use super::quantity::{counted, size};
use super::receipt::{particulars, receipt};
use super::settings::TraceUrl;
use crate::answer::{Answer, StoredAnswer};

/// The page for the answers to one form, in the order in which the files came.
pub fn outcome(answers: &[Answer], traces: Option<&TraceUrl>) -> String {
    let main = html! {
        div class="intro" { h1 { (headline(answers)) } }
        @for answer in answers {
            @match answer {
                Answer::Stored(stored) => { (file_stored(stored, traces)) }
                Answer::Problem(problem) => { (file_refused(problem, traces)) }
            }
        }
        (way_back("Send more files"))
    };
    document("", &headline(answers), Scripts::Leave, &main)
}

/// The page for a request that is about no file.
pub fn problem(problem: &Problem) -> String {
    let main = html! {
        div class="intro" {
            h1 { (problem.title) }
            p class="lead" { (prose(&problem.detail)) }
            @if let Some(id) = &problem.support_id { p class="hint" { "Support id " code { (id) } } }
        }
        (way_back("Go to the upload page"))
    };
    document("", &problem.title, Scripts::Leave, &main)
}

fn headline(answers: &[Answer]) -> String {
    let stored = answers
        .iter()
        .filter(|answer| matches!(answer, Answer::Stored(_)))
        .count();
    match (answers, stored) {
        ([Answer::Stored(stored)], _) if stored.receipt.status == Status::Quarantined => {
            "Your file is held for review".to_owned()
        }
        ([Answer::Stored(_)], _) => "Your file is stored".to_owned(),
        ([Answer::Problem(problem)], _) if !has_file(problem) => problem.title.clone(),
        ([Answer::Problem(_)], _) => "Your file was not stored".to_owned(),
        (all, stored) if all.len() == stored => "Your files are stored".to_owned(),
        (_, 0) => "None of your files was stored".to_owned(),
        (all, stored) => format!("{stored} of {} files are stored", all.len()),
    }
}

fn file_stored(stored: &StoredAnswer, traces: Option<&TraceUrl>) -> Markup {
    let file = &stored.receipt;
    let (class, verdict) = match file.status {
        Status::Accepted => ("accepted", "Accepted"),
        Status::Quarantined => ("quarantined", "Quarantined"),
    };
    html! {
        article class={ "card outcome " (class) } {
            (head(&stored.filename, verdict))
            p class="sentence" {
                @match file.status {
                    Status::Accepted => {
                        (size(file.size)) " stored and verified. "
                        @match count(&file.findings, &file.tallies) {
                            0 => "Every check passed.",
                            count => { "The checks left " (counted(count, "remark")) "." }
                        }
                    }
                    Status::Quarantined => {
                        (size(file.size)) " stored apart. "
                        @if let Some(refusal) = &file.refusal { (prose(&refusal.message)) " " }
                        "An administrator looks at it and then releases or discards it; "
                        "there is no need to send it again."
                    }
                }
            }
            (findings(&file.findings, &file.tallies))
            (receipt(file, traces))
        }
    }
}

fn file_refused(problem: &Problem, traces: Option<&TraceUrl>) -> Markup {
    let rejected = problem.kind == ProblemKind::PolicyRejected;
    let filename: Option<String> = member(problem, "filename");
    let policies: Vec<_> = member(problem, "policies").unwrap_or_default();
    let listed: Vec<_> = member(problem, "findings").unwrap_or_default();
    let tallies: Vec<_> = member(problem, "tallies").unwrap_or_default();
    html! {
        article class={ "card outcome " @if rejected { "rejected" } @else { "failed" } } {
            (head(filename.as_deref().unwrap_or("The upload"), if rejected { "Rejected" } else { "Not stored" }))
            p class="sentence" { (prose(&problem.detail)) }
            (findings(&listed, &tallies))
            (particulars(&policies, problem.kind.slug(), problem.support_id.as_deref(), traces))
        }
    }
}

fn head(filename: &str, verdict: &str) -> Markup {
    html! {
        div class="outcome-head" {
            h2 class="filename" { (filename) }
            p class="verdict" { (verdict) }
        }
    }
}

fn way_back(words: &str) -> Markup {
    html! { p class="way-back" { a class="button" href="./" { (words) } } }
}

fn has_file(problem: &Problem) -> bool {
    problem.extensions.contains_key("filename")
}

/// A member that only some problems have. Absent as well when it is not what it should be.
fn member<T: DeserializeOwned>(problem: &Problem, name: &str) -> Option<T> {
    serde_json::from_value(problem.extensions.get(name)?.clone()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use portcullis_hop::{Receipt, Refusal};
    use portcullis_types::{Finding, Severity, Sha256Digest, UploadId};

    fn stored(filename: &str, status: Status) -> Answer {
        let receipt = Receipt {
            id: UploadId::generate(),
            status,
            disk: "local".parse().expect("is a disk"),
            path: "submissions/c1/2024/patient/patient.csv"
                .parse()
                .expect("is a path"),
            version: 1,
            size: 1_234_567,
            sha256: Sha256Digest::of(b"patient"),
            stored_sha256: Sha256Digest::of(b"patient"),
            refusal: match status {
                Status::Accepted => None,
                Status::Quarantined => Some(Refusal {
                    rule: "under-review".to_owned(),
                    message: "Somebody looks at <all> of them.".to_owned(),
                }),
            },
            policies: Vec::new(),
            findings: Vec::new(),
            tallies: Vec::new(),
            stored_at: "2024-05-01T10:00:00Z".parse().expect("is a time"),
            trace_id: "0af7651916cd43dd8448eb211c80319c"
                .parse()
                .expect("is an id"),
        };
        Answer::Stored(Box::new(StoredAnswer {
            filename: filename.to_owned(),
            receipt,
        }))
    }

    fn rejected(filename: &str) -> Answer {
        let finding = Finding {
            policy: "csv-schema".parse().expect("is a name"),
            rule: "range".to_owned(),
            severity: Severity::Error,
            message: "birthYear is out of range".to_owned(),
            row: Some(3),
            column: Some("birthYear".to_owned()),
            offset: Some(120),
            excerpt: None,
        };
        let problem = Problem::new(
            ProblemKind::PolicyRejected,
            "1 value breaks a rule; mend it.",
        )
        .with("filename", filename)
        .with("findings", [finding])
        .with_support_id(
            "0af7651916cd43dd8448eb211c80319c"
                .parse()
                .expect("is an id"),
        );
        Answer::Problem(Box::new(problem))
    }

    #[test]
    fn a_stored_file_has_its_receipt() {
        let page = outcome(&[stored("patient.csv", Status::Accepted)], None);
        for words in [
            "Your file is stored",
            "Accepted",
            "1,234,567 bytes",
            "local:submissions/c1",
            "Every check passed",
        ] {
            assert!(page.contains(words), "{words}");
        }
    }

    #[test]
    fn a_quarantined_file_is_not_called_accepted() {
        let page = outcome(&[stored("patient.csv", Status::Quarantined)], None);
        assert!(
            page.contains("Quarantined")
                && page.contains("Somebody looks at &lt;all&gt; of them. An administrator")
                && !page.contains("Accepted")
        );
    }

    #[test]
    fn a_rejected_file_has_its_sentence_findings_and_support_id() {
        let page = outcome(&[rejected("patient.csv")], None);
        for words in [
            "was not stored",
            "Rejected",
            "mend it",
            "birthYear is out of range",
            "0af7651916cd43dd8448eb211c80319c",
        ] {
            assert!(page.contains(words), "{words}");
        }
    }

    #[test]
    fn a_receipt_leads_to_its_trace_where_the_site_says_where_that_is() {
        let traces = TraceUrl::try_from("https://tracing.example.org/{trace_id}".to_owned());
        let traces = traces.expect("is one");
        let leads = r#"<a href="https://tracing.example.org/0af7651916cd43dd8448eb211c80319c""#;
        for answer in [stored("a.csv", Status::Accepted), rejected("b.csv")] {
            let answers = [answer];
            assert!(outcome(&answers, Some(&traces)).contains(leads));
            assert!(!outcome(&answers, None).contains("https:"));
        }
    }

    #[test]
    fn several_files_are_counted() {
        let page = outcome(
            &[
                stored("a.csv", Status::Accepted),
                rejected("b.csv"),
                rejected("c.csv"),
            ],
            None,
        );
        assert!(page.contains("1 of 3 files are stored"));
    }

    #[test]
    fn a_request_without_a_file_is_explained_by_its_own_title() {
        let answer = Answer::Problem(Box::new(Problem::new(
            ProblemKind::BadRequest,
            "The form has no file.",
        )));
        let page = outcome(&[answer], None);
        assert!(
            page.contains("<h1>The request cannot be read</h1>") && page.contains("Not stored"),
            "{page}"
        );
    }

    #[test]
    fn a_file_name_is_text_and_never_markup() {
        for answer in [
            stored("<img src=x onerror=alert(1)>.csv", Status::Accepted),
            rejected("<svg/onload=x>.csv"),
        ] {
            let page = outcome(&[answer], None);
            assert!(
                !page.contains("<img src=x") && !page.contains("<svg"),
                "{page}"
            );
        }
    }

    #[test]
    fn members_that_are_not_what_they_should_be_are_left_out() {
        let problem = Problem::new(ProblemKind::PolicyRejected, "No.")
            .with("findings", "none")
            .with("filename", 7);
        assert!(outcome(&[Answer::Problem(Box::new(problem))], None).contains("The upload"));
    }

    #[test]
    fn result_pages_load_no_script() {
        assert!(!outcome(&[stored("a.csv", Status::Accepted)], None).contains("<script"));
        assert!(
            !problem(&Problem::new(ProblemKind::NotFound, "Nothing is here.")).contains("<script")
        );
    }
}
