//! Warns of line ends that are mixed: a finding that does not refuse.

use portcullis_policy::{
    Admission, Conclusion, End, Extent, Failure, Finding, NoSettings, Progress, Rule, Upload,
    Validator, findings,
};

#[derive(Default)]
struct LineEnds {
    line: u64,
    is_after_cr: bool,
    /// Whether the first line ends with CR LF.
    usual: Option<bool>,
    is_told: bool,
}

impl Validator for LineEnds {
    const NAME: &'static str = "line-ends";
    const SUMMARY: &'static str = "All lines end alike; it warns and never refuses.";
    const RULES: &'static [Rule] = &[Rule::new(
        "line-ends",
        "All lines end with LF, or all with CR LF.",
    )];
    type Settings = NoSettings;

    fn new(_: NoSettings) -> Result<Self, String> {
        Ok(Self::default())
    }

    fn admit(&mut self, _: &Upload) -> Result<Admission, Failure> {
        Ok(Admission::Inspect(Extent::All))
    }

    fn chunk(&mut self, offset: u64, bytes: &[u8]) -> Result<Progress, Failure> {
        for (at, byte) in (offset..).zip(bytes) {
            if *byte == b'\n' {
                self.line += 1;
                let usual = *self.usual.get_or_insert(self.is_after_cr);
                if usual != self.is_after_cr && !self.is_told {
                    self.is_told = true;
                    let message = "This line ends otherwise than the first one.";
                    findings::report(
                        Finding::warning("line-ends", message)
                            .at_row(self.line)
                            .at_byte(at),
                    );
                }
            }
            self.is_after_cr = *byte == b'\r';
        }
        Ok(Progress::More)
    }

    fn finish(&mut self, _: &End) -> Result<Conclusion, Failure> {
        Ok(Conclusion::Accept)
    }
}

portcullis_policy::validator!(LineEnds);
