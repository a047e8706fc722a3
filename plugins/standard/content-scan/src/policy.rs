use portcullis_csv::{Parser, Separator};
use portcullis_policy::{
    Admission, Conclusion, End, Extent, Failure, Finding, Progress, Rule, Setting, Severity,
    Upload, Validator, findings,
};

use crate::detect::Detector;
use crate::kind::Kind;
use crate::report::Report;
use crate::settings::{Action, Settings};
use crate::table::Table;
use crate::text::Text;

/// How much of a file says whether it is text.
const START_BYTES: usize = 512;

/// The policy, with what it knows about the one upload that it judges.
pub struct ContentScan {
    settings: Settings,
    /// What stands between the cells, if the upload is a table.
    separator: Option<Separator>,
    reading: Reading,
}

enum Reading {
    /// Too little has come to say what it is.
    Start(Vec<u8>),
    Table(Box<(Parser, Table)>),
    Text(Box<Text>),
}

impl Validator for ContentScan {
    const NAME: &'static str = "content-scan";
    const SUMMARY: &'static str = "Text and tables are free of what identifies a person; it says how often and where, and never what.";
    const SETTINGS: &'static [Setting] = &[
        Setting::optional(
            "find",
            "What is looked for, a list; everything unless set.",
        )
        .of(
            r#"{"type": "array", "minItems": 1, "items": {"enum": ["ssn", "mrn", "email", "telephone", "birth-date"]}}"#,
        ),
        Setting::optional(
            "columns",
            "The columns of tables that are looked at, a list of names in any case; all columns unless set. Other columns pass as they are.",
        )
        .of(r#"{"type": "array", "items": {"type": "string"}, "default": []}"#),
        Setting::optional("ignore-columns", "Columns of tables that are not looked at, a list; none unless set.")
            .of(r#"{"type": "array", "items": {"type": "string"}, "default": []}"#),
        Setting::optional(
            "record-labels",
            "Words behind which a medical record number stands, beside `MRN`, `MR#` and `medical record number`; a list, none unless set.",
        )
        .of(r#"{"type": "array", "items": {"type": "string"}, "default": []}"#),
        Setting::optional("max-matches", "How many may be found; 0 unless set.")
            .of(r#"{"type": "integer", "minimum": 0, "default": 0}"#),
        Setting::optional(
            "action",
            "What becomes of an upload in which more is found: `reject` (unless set), `quarantine`, or `warn`, which lets it pass.",
        )
        .of(r#"{"enum": ["reject", "quarantine", "warn"], "default": "reject"}"#),
    ];
    const RULES: &'static [Rule] = &[
        Rule::new(Kind::Ssn.rule(), "There are no US Social Security numbers."),
        Rule::new(Kind::Mrn.rule(), "There are no medical record numbers."),
        Rule::new(Kind::Email.rule(), "There are no e-mail addresses."),
        Rule::new(Kind::Telephone.rule(), "There are no telephone numbers."),
        Rule::new(Kind::BirthDate.rule(), "There are no dates of birth."),
        Rule::new(
            "not-text",
            "What is not text is not looked at, and that is said.",
        ),
        Rule::new(
            "missing-column",
            "A column that is to be looked at and is not there is said.",
        ),
    ];
    type Settings = Settings;

    fn new(settings: Settings) -> Result<Self, String> {
        match settings.problem() {
            Some(problem) => Err(problem),
            None => Ok(Self {
                settings,
                separator: None,
                reading: Reading::Start(Vec::new()),
            }),
        }
    }

    fn admit(&mut self, upload: &Upload) -> Result<Admission, Failure> {
        self.separator = separator(upload);
        Ok(Admission::Inspect(Extent::All))
    }

    fn chunk(&mut self, _: u64, bytes: &[u8]) -> Result<Progress, Failure> {
        if let Reading::Start(start) = &mut self.reading {
            start.extend_from_slice(bytes);
            if start.len() < START_BYTES {
                return Ok(Progress::More);
            }
            if !self.begin() {
                return Ok(Progress::Accept);
            }
        } else {
            self.read(bytes);
        }
        Ok(Progress::More)
    }

    fn finish(&mut self, _: &End) -> Result<Conclusion, Failure> {
        if matches!(self.reading, Reading::Start(_)) && !self.begin() {
            return Ok(Conclusion::Accept);
        }
        let report = match &mut self.reading {
            Reading::Table(reading) => {
                let (parser, table) = &mut **reading;
                parser.finish(table);
                for missing in table.missing() {
                    let message = "This column is to be looked at, and the table does not have it.";
                    findings::report(Finding::info("missing-column", message).in_column(missing));
                }
                &mut table.report
            }
            Reading::Text(text) => {
                text.finish();
                &mut text.report
            }
            Reading::Start(_) => return Ok(Conclusion::Accept),
        };
        if report.finish() <= self.settings.max_matches {
            return Ok(Conclusion::Accept);
        }
        Ok(match self.settings.action {
            Action::Reject => Conclusion::Reject(report.refusal()),
            Action::Quarantine => Conclusion::Quarantine(report.refusal()),
            Action::Warn => Conclusion::Accept,
        })
    }
}

impl ContentScan {
    /// Begins to read what has come so far; false for what is not text.
    fn begin(&mut self) -> bool {
        let Reading::Start(start) = &mut self.reading else {
            return true;
        };
        let start = std::mem::take(start);
        if start[..start.len().min(START_BYTES)].contains(&0) {
            let message =
                "The file is not text in an encoding that keeps ASCII; it was not looked at.";
            findings::report(Finding::info("not-text", message));
            return false;
        }
        let detector = Detector::new(&self.settings.find, &self.settings.record_labels);
        let report = Report::new(match self.settings.action {
            Action::Warn => Severity::Warning,
            Action::Reject | Action::Quarantine => Severity::Error,
        });
        self.reading = match self.separator {
            Some(separator) => {
                let table = Table::new(detector, report, &self.settings);
                Reading::Table(Box::new((Parser::new(separator), table)))
            }
            None => Reading::Text(Box::new(Text::new(detector, report))),
        };
        self.read(&start);
        true
    }

    fn read(&mut self, bytes: &[u8]) {
        match &mut self.reading {
            Reading::Table(reading) => {
                let (parser, table) = &mut **reading;
                parser.push(bytes, table);
            }
            Reading::Text(text) => text.push(bytes),
            Reading::Start(_) => {}
        }
    }
}

/// What stands between the cells of a table: the name says it, or the media type.
fn separator(upload: &Upload) -> Option<Separator> {
    match (upload.extension().as_deref(), upload.media_type.as_deref()) {
        (Some("tsv" | "tab"), _) | (_, Some("text/tab-separated-values")) => Some(Separator::Tab),
        (Some("csv"), _) | (_, Some("text/csv")) => Some(Separator::Comma),
        _ => None,
    }
}
