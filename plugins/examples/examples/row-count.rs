//! Counts rows, tells the routing policy and the operator, and sets large files apart.

use portcullis_policy::{
    Admission, Conclusion, End, Extent, Failure, Progress, Refusal, Rule, Setting, Upload,
    Validator, facts, log,
};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Settings {
    max_rows: u64,
}

struct RowCount {
    settings: Settings,
    rows: u64,
    ends_in_line: bool,
}

impl Validator for RowCount {
    const NAME: &'static str = "row-count";
    const SUMMARY: &'static str =
        "Files with more rows than usual are set apart, for somebody to look at.";
    const SETTINGS: &'static [Setting] =
        &[
            Setting::required("max-rows", "How many rows are usual, a number.")
                .of(r#"{"type": "integer", "minimum": 1}"#),
        ];
    const RULES: &'static [Rule] = &[Rule::new("rows", "The file has no more rows than usual.")];
    type Settings = Settings;

    fn new(settings: Settings) -> Result<Self, String> {
        Ok(Self {
            settings,
            rows: 0,
            ends_in_line: false,
        })
    }

    fn admit(&mut self, _: &Upload) -> Result<Admission, Failure> {
        Ok(Admission::Inspect(Extent::All))
    }

    fn chunk(&mut self, _: u64, bytes: &[u8]) -> Result<Progress, Failure> {
        self.rows += bytes.split(|byte| *byte == b'\n').count() as u64 - 1;
        self.ends_in_line = bytes.last().is_some_and(|byte| *byte != b'\n');
        Ok(Progress::More)
    }

    fn finish(&mut self, _: &End) -> Result<Conclusion, Failure> {
        let rows = self.rows + u64::from(self.ends_in_line);
        facts::set("rows", &rows.to_string());
        if rows <= self.settings.max_rows {
            return Ok(Conclusion::Accept);
        }
        log::info(&format!(
            "{rows} rows, more than {}",
            self.settings.max_rows
        ));
        let message =
            format!("The file has {rows} rows, more than usual; somebody will look at it.");
        Ok(Conclusion::Quarantine(Refusal::new("rows", message)))
    }
}

portcullis_policy::validator!(RowCount);
