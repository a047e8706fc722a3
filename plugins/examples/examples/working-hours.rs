//! Refuses uploads outside of working hours: the headers are enough, no byte is looked at.

use portcullis_policy::{Admission, Failure, Refusal, Rule, Setting, Upload, Validator};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    from: u64,
    until: u64,
}

struct WorkingHours(Settings);

impl Validator for WorkingHours {
    const NAME: &'static str = "working-hours";
    const SUMMARY: &'static str = "Uploads come within working hours, in UTC.";
    const SETTINGS: &'static [Setting] = &[
        Setting::required("from", "The hour from which uploads are taken, in UTC.")
            .of(r#"{"type": "integer", "minimum": 0, "maximum": 23}"#),
        Setting::required("until", "The hour from which they are not taken any more.")
            .of(r#"{"type": "integer", "minimum": 1, "maximum": 24}"#),
    ];
    const RULES: &'static [Rule] = &[Rule::new("hours", "The upload comes within working hours.")];
    type Settings = Settings;

    fn new(settings: Settings) -> Result<Self, String> {
        if settings.from >= settings.until || settings.until > 24 {
            return Err("setting `until`: must be after `from`, and at most 24".to_owned());
        }
        Ok(Self(settings))
    }

    fn admit(&mut self, upload: &Upload) -> Result<Admission, Failure> {
        // The only clock that a policy has: the same upload is judged the same, whenever it is judged.
        let hour = upload.received_at_ms / 3_600_000 % 24;
        let Settings { from, until } = self.0;
        if (from..until).contains(&hour) {
            return Ok(Admission::Accept);
        }
        let message =
            format!("Uploads are taken from {from} to {until} o'clock UTC; come again then.");
        Refusal::new("hours", message).into()
    }
}

portcullis_policy::validator!(WorkingHours);
