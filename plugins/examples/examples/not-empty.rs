//! Refuses empty files: a decision at the end, or at the first byte.

use portcullis_policy::{
    Admission, Conclusion, End, Extent, Failure, NoSettings, Progress, Refusal, Rule, Upload,
    Validator,
};

struct NotEmpty;

impl Validator for NotEmpty {
    const NAME: &'static str = "not-empty";
    const SUMMARY: &'static str = "There is at least one byte.";
    const RULES: &'static [Rule] = &[Rule::new("empty", "The file is not empty.")];
    type Settings = NoSettings;

    fn new(_: NoSettings) -> Result<Self, String> {
        Ok(Self)
    }

    fn admit(&mut self, _: &Upload) -> Result<Admission, Failure> {
        // One byte is enough; the rest need not be shown.
        Ok(Admission::Inspect(Extent::Prefix(1)))
    }

    fn chunk(&mut self, _: u64, _: &[u8]) -> Result<Progress, Failure> {
        Ok(Progress::Accept)
    }

    fn finish(&mut self, _: &End) -> Result<Conclusion, Failure> {
        Refusal::new("empty", "The file is empty; check that it was saved.").into()
    }
}

portcullis_policy::validator!(NotEmpty);
