//! An attribute must be one of a list that the site keeps in a file of the policy set.

use portcullis_policy::{
    Admission, Attribute, Failure, NoSettings, Refusal, Rule, Upload, Validator, resources,
};

struct KnownSite;

impl Validator for KnownSite {
    const NAME: &'static str = "known-site";
    const SUMMARY: &'static str = "The attribute `site` is one of those in sites.txt.";
    const RULES: &'static [Rule] = &[Rule::new("site", "The site is a known one.")];
    const ATTRIBUTES: &'static [Attribute] = &[Attribute {
        name: "site",
        label: "Site",
        required: true,
        choices: &[],
    }];
    const RESOURCES: &'static [&'static str] = &["sites.txt"];
    type Settings = NoSettings;

    fn new(_: NoSettings) -> Result<Self, String> {
        Ok(Self)
    }

    fn admit(&mut self, upload: &Upload) -> Result<Admission, Failure> {
        let Some(sites) = resources::get("sites.txt") else {
            return Err(Failure::MissingData(
                "there is no sites.txt beside the policy set".to_owned(),
            ));
        };
        let site = upload.attribute("site").unwrap_or_default();
        let mut known = sites.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
        if !site.is_empty() && known.any(|known| known == site.as_bytes()) {
            return Ok(Admission::Accept);
        }
        let message =
            "The attribute `site` is missing, or names no known site; check how it is spelled.";
        Refusal::new("site", message).into()
    }
}

portcullis_policy::validator!(KnownSite);
