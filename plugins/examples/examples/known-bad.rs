//! Refuses files whose digest is on a list: what the host knows at the end, without looking at a byte.

use portcullis_policy::{
    Admission, Conclusion, End, Extent, Failure, NoSettings, Progress, Refusal, Rule, Upload,
    Validator, resources,
};

struct KnownBad;

impl Validator for KnownBad {
    const NAME: &'static str = "known-bad";
    const SUMMARY: &'static str =
        "The file is none of those whose SHA-256 stands in known-bad.txt.";
    const RULES: &'static [Rule] = &[Rule::new("known-bad", "The file is not on the list.")];
    const RESOURCES: &'static [&'static str] = &["known-bad.txt"];
    type Settings = NoSettings;

    fn new(_: NoSettings) -> Result<Self, String> {
        Ok(Self)
    }

    fn admit(&mut self, _: &Upload) -> Result<Admission, Failure> {
        Ok(Admission::Inspect(Extent::All))
    }

    fn chunk(&mut self, _: u64, _: &[u8]) -> Result<Progress, Failure> {
        Ok(Progress::More)
    }

    fn finish(&mut self, end: &End) -> Result<Conclusion, Failure> {
        let list = resources::get("known-bad.txt").unwrap_or_default();
        let mut digests = list.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
        if digests.any(|digest| digest == end.sha256.as_bytes()) {
            return Refusal::new(
                "known-bad",
                "This file is known to do harm, and is not accepted.",
            )
            .into();
        }
        Ok(Conclusion::Accept)
    }
}

portcullis_policy::validator!(KnownBad);
