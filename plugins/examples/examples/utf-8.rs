//! Text must be UTF-8: a state that crosses the cuts, and that survives a pause.

use portcullis_policy::{
    Admission, Conclusion, End, Extent, Failure, NoSettings, Progress, Refusal, Rule, Upload,
    Validator,
};

/// The beginning of a character that was cut: at most three bytes.
#[derive(Default)]
struct Utf8 {
    begun: Vec<u8>,
}

impl Validator for Utf8 {
    const NAME: &'static str = "utf-8";
    const SUMMARY: &'static str = "The file is text in UTF-8.";
    const RULES: &'static [Rule] = &[Rule::new("encoding", "The file is UTF-8.")];
    type Settings = NoSettings;

    fn new(_: NoSettings) -> Result<Self, String> {
        Ok(Self::default())
    }

    fn admit(&mut self, _: &Upload) -> Result<Admission, Failure> {
        Ok(Admission::Inspect(Extent::All))
    }

    fn chunk(&mut self, offset: u64, bytes: &[u8]) -> Result<Progress, Failure> {
        let start = offset - self.begun.len() as u64;
        let text = [self.begun.as_slice(), bytes].concat();
        let Err(error) = std::str::from_utf8(&text) else {
            self.begun.clear();
            return Ok(Progress::More);
        };
        let valid = error.valid_up_to();
        if error.error_len().is_some() {
            let byte = start + valid as u64;
            return Refusal::new(
                "encoding",
                format!("The file is not UTF-8 at byte {byte}; save it as UTF-8."),
            )
            .into();
        }
        self.begun = text[valid..].to_vec();
        Ok(Progress::More)
    }

    fn finish(&mut self, _: &End) -> Result<Conclusion, Failure> {
        if self.begun.is_empty() {
            return Ok(Conclusion::Accept);
        }
        Refusal::new(
            "encoding",
            "The file ends within a character; check that it is whole.",
        )
        .into()
    }

    fn suspend(&mut self) -> Result<Option<Vec<u8>>, Failure> {
        Ok(Some(self.begun.clone()))
    }

    fn resume(&mut self, _: &Upload, state: &[u8]) -> Result<(), Failure> {
        self.begun = state.to_vec();
        Ok(())
    }
}

portcullis_policy::validator!(Utf8);
