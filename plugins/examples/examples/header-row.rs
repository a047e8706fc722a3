//! The first line must be the one that the site asks for: a prefix is enough.

use portcullis_policy::{
    Admission, Conclusion, End, Extent, Failure, Finding, Progress, Refusal, Rule, Setting, Upload,
    Validator, findings,
};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    header: String,
}

struct HeaderRow {
    wanted: Vec<u8>,
    seen: Vec<u8>,
}

impl Validator for HeaderRow {
    const NAME: &'static str = "header-row";
    const SUMMARY: &'static str = "The first line is the header that the site asks for.";
    const SETTINGS: &'static [Setting] =
        &[
            Setting::required("header", "The first line, without its line end.")
                .of(r#"{"type": "string"}"#),
        ];
    const RULES: &'static [Rule] = &[Rule::new("header", "The first line is as asked for.")];
    type Settings = Settings;

    fn new(Settings { header }: Settings) -> Result<Self, String> {
        if header.is_empty() || header.contains('\n') {
            return Err("setting `header`: must be one line that is not empty".to_owned());
        }
        Ok(Self {
            wanted: header.into_bytes(),
            seen: Vec::new(),
        })
    }

    fn admit(&mut self, _: &Upload) -> Result<Admission, Failure> {
        // The line, and the byte behind it.
        Ok(Admission::Inspect(Extent::Prefix(
            self.wanted.len() as u64 + 1,
        )))
    }

    fn chunk(&mut self, _: u64, bytes: &[u8]) -> Result<Progress, Failure> {
        self.seen.extend_from_slice(bytes);
        if self.seen.len() <= self.wanted.len() {
            return Ok(Progress::More);
        }
        match self.judge() {
            Ok(()) => Ok(Progress::Accept),
            Err(refusal) => refusal.into(),
        }
    }

    fn finish(&mut self, _: &End) -> Result<Conclusion, Failure> {
        match self.judge() {
            Ok(()) => Ok(Conclusion::Accept),
            Err(refusal) => refusal.into(),
        }
    }
}

impl HeaderRow {
    fn judge(&self) -> Result<(), Refusal> {
        let rest = self.seen.strip_prefix(self.wanted.as_slice());
        if matches!(rest, Some([] | [b'\r' | b'\n'])) {
            return Ok(());
        }
        let same = self
            .wanted
            .iter()
            .zip(&self.seen)
            .take_while(|(wanted, seen)| wanted == seen);
        let finding = Finding::error(
            "header",
            "From here on the first line is another one than asked for.",
        );
        findings::report(finding.at_row(0).at_byte(same.count() as u64));
        let wanted = String::from_utf8_lossy(&self.wanted);
        Err(Refusal::new(
            "header",
            format!("The first line must be {wanted}; see the site's template."),
        ))
    }
}

portcullis_policy::validator!(HeaderRow);
