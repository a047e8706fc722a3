//! TODO: say in one sentence what this policy checks.

use portcullis_policy::{
    Admission, Conclusion, End, Extent, Failure, Finding, Progress, Refusal, Rule, Setting, Upload,
    Validator, findings,
};
use serde::Deserialize;

/// What an administrator sets.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Settings {
    /// The longest line in bytes.
    #[serde(default = "max_line_bytes")]
    max_line_bytes: u64,
}

fn max_line_bytes() -> u64 {
    1000
}

/// One value judges one upload: what it keeps between calls belongs to that upload.
struct Policy {
    settings: Settings,
    /// The line that is being read, from 1, and how many of its bytes have come.
    line: u64,
    bytes: u64,
    /// How many lines are too long.
    too_long: u64,
}

impl Validator for Policy {
    const NAME: &'static str = "{{name}}";
    const SUMMARY: &'static str = "No line of the file is longer than allowed.";
    const SETTINGS: &'static [Setting] = &[Setting::optional(
        "max-line-bytes",
        "The longest line in bytes, a number; 1000 unless set.",
    )];
    const RULES: &'static [Rule] = &[Rule::new("line-length", "No line is longer than allowed.")];
    type Settings = Settings;

    fn new(settings: Settings) -> Result<Self, String> {
        if settings.max_line_bytes == 0 {
            return Err("setting `max-line-bytes`: must be more than 0".to_owned());
        }
        Ok(Self {
            settings,
            line: 1,
            bytes: 0,
            too_long: 0,
        })
    }

    /// The headers: file name, attributes, who sends it.
    fn admit(&mut self, _: &Upload) -> Result<Admission, Failure> {
        Ok(Admission::Inspect(Extent::All))
    }

    /// The next bytes, cut anywhere.
    fn chunk(&mut self, offset: u64, bytes: &[u8]) -> Result<Progress, Failure> {
        for (at, byte) in (offset..).zip(bytes) {
            if *byte == b'\n' {
                self.line += 1;
                self.bytes = 0;
                continue;
            }
            self.bytes += 1;
            if self.bytes == self.settings.max_line_bytes + 1 {
                self.too_long += 1;
                let finding = Finding::error("line-length", "The line is longer than allowed.");
                findings::report(finding.at_row(self.line).at_byte(at));
            }
        }
        Ok(Progress::More)
    }

    /// The end of the upload.
    fn finish(&mut self, _: &End) -> Result<Conclusion, Failure> {
        match self.too_long {
            0 => Ok(Conclusion::Accept),
            lines => Refusal::new(
                "line-length",
                format!(
                    "Lines with more than {} bytes: {lines}. Break them.",
                    self.settings.max_line_bytes
                ),
            )
            .into(),
        }
    }
}

portcullis_policy::validator!(Policy);

#[cfg(test)]
mod tests {
    use portcullis_policy::testing::{self, Outcome};

    use super::*;

    #[test]
    fn a_long_line_is_refused_where_it_is() {
        let mut policy: Policy = testing::configure(r#"{"max-line-bytes": 3}"#).expect("are good");
        let outcome = testing::run(&mut policy, &testing::upload("a.txt"), b"abc\nabcd\n");
        assert!(matches!(outcome, Ok(Outcome::Reject(_))), "{outcome:?}");
        assert_eq!(testing::take_findings()[0].row, Some(2));
    }
}
