//! Lets only members of a group upload: who sends it, as the web host knows.

use portcullis_policy::{Admission, Failure, Refusal, Rule, Setting, Upload, Validator};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    groups: Vec<String>,
}

struct MembersOnly(Settings);

impl Validator for MembersOnly {
    const NAME: &'static str = "members-only";
    const SUMMARY: &'static str = "The sender is in one of the groups that may upload.";
    const SETTINGS: &'static [Setting] =
        &[
            Setting::required("groups", "The groups that may upload, a list.")
                .of(r#"{"type": "array", "items": {"type": "string"}}"#),
        ];
    const RULES: &'static [Rule] = &[Rule::new(
        "group",
        "The sender is in a group that may upload.",
    )];
    type Settings = Settings;

    fn new(settings: Settings) -> Result<Self, String> {
        Ok(Self(settings))
    }

    fn admit(&mut self, upload: &Upload) -> Result<Admission, Failure> {
        let mut groups = upload.principal.groups.iter();
        if groups.any(|group| self.0.groups.contains(group)) {
            return Ok(Admission::Accept);
        }
        let message = "Your account may not upload here; ask the site's administrator.";
        Refusal::new("group", message).into()
    }
}

portcullis_policy::validator!(MembersOnly);
