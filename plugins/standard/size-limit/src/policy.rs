use portcullis_policy::{
    Admission, Conclusion, End, Extent, Failure, Progress, Refusal, Rule, Setting, Upload,
    Validator,
};

use crate::settings::{Settings, Sizes};

/// The policy, with what the one upload that it judges may have.
#[derive(Debug)]
pub struct SizeLimit {
    settings: Settings,
    sizes: Sizes,
}

impl Validator for SizeLimit {
    const NAME: &'static str = "size-limit";
    const SUMMARY: &'static str =
        "An upload has the size that its attributes and its sender allow.";
    const SETTINGS: &'static [Setting] = &[
        Setting::optional(
            "max-bytes",
            "The most bytes of an upload to which no exception applies; no limit unless set.",
        )
        .of(r#"{"type": "integer", "minimum": 0}"#),
        Setting::optional("min-bytes", "The fewest bytes of such an upload; 0 unless set.")
            .of(r#"{"type": "integer", "minimum": 0, "default": 0}"#),
        Setting::optional(
            "exceptions",
            "Other sizes for some uploads, a list of tables. Each says for which uploads it is, by `attributes` (names, each with a list of values), `subjects` and `groups`, and which `max-bytes` and `min-bytes` they have; the first one that applies counts.",
        )
        .of(
            r#"{"type": "array", "items": {"type": "object", "additionalProperties": false, "properties": {"attributes": {"type": "object", "additionalProperties": {"type": "array", "minItems": 1, "items": {"type": "string"}}}, "subjects": {"type": "array", "items": {"type": "string"}}, "groups": {"type": "array", "items": {"type": "string"}}, "max-bytes": {"type": "integer", "minimum": 0}, "min-bytes": {"type": "integer", "minimum": 0}}}}"#,
        ),
        Setting::optional(
            "require-length",
            "Whether uploads must declare their length, so that they are judged before they are sent; false unless set.",
        )
        .of(r#"{"type": "boolean", "default": false}"#),
    ];
    const RULES: &'static [Rule] = &[
        Rule::new("too-large", "The upload has no more bytes than allowed."),
        Rule::new("too-small", "The upload has no fewer bytes than allowed."),
        Rule::new(
            "no-length",
            "The upload declares its length, where that is asked for.",
        ),
    ];
    type Settings = Settings;

    fn new(settings: Settings) -> Result<Self, String> {
        match settings.problem() {
            Some(problem) => Err(problem),
            None => Ok(Self {
                sizes: Sizes { min: 0, max: 0 },
                settings,
            }),
        }
    }

    fn admit(&mut self, upload: &Upload) -> Result<Admission, Failure> {
        self.sizes = self.settings.sizes(upload);
        match upload.length {
            // The host ends an upload that has another length than it declared.
            Some(length) => match self.sizes.refuse(length) {
                Some(refusal) => refusal.into(),
                None => Ok(Admission::Accept),
            },
            None if self.settings.require_length => Refusal::new(
                "no-length",
                "The length of the upload is not declared, and is asked for here; send it with a Content-Length.",
            )
            .into(),
            None if self.sizes == Sizes::ANY => Ok(Admission::Accept),
            None => Ok(Admission::Inspect(Extent::All)),
        }
    }

    fn chunk(&mut self, offset: u64, bytes: &[u8]) -> Result<Progress, Failure> {
        match self.sizes.refuse_large(offset + bytes.len() as u64) {
            Some(refusal) => refusal.into(),
            None => Ok(Progress::More),
        }
    }

    fn finish(&mut self, end: &End) -> Result<Conclusion, Failure> {
        match self.sizes.refuse(end.length) {
            Some(refusal) => refusal.into(),
            None => Ok(Conclusion::Accept),
        }
    }

    fn suspend(&mut self) -> Result<Option<Vec<u8>>, Failure> {
        // What it knows follows from the upload.
        Ok(Some(Vec::new()))
    }

    fn resume(&mut self, upload: &Upload, _: &[u8]) -> Result<(), Failure> {
        self.sizes = self.settings.sizes(upload);
        Ok(())
    }
}

impl Sizes {
    const ANY: Self = Self {
        min: 0,
        max: u64::MAX,
    };

    fn refuse(self, length: u64) -> Option<Refusal> {
        let too_small = || {
            (length < self.min).then(|| {
                let message = format!(
                    "The upload has {length} bytes; at least {} are asked for. Check that it is whole.",
                    self.min
                );
                Refusal::new("too-small", message)
            })
        };
        self.refuse_large(length).or_else(too_small)
    }

    /// The number that came so far is not said: it depends on how the body is cut.
    fn refuse_large(self, length: u64) -> Option<Refusal> {
        (length > self.max).then(|| {
            let message = format!(
                "The upload has more than the {} bytes that are allowed; divide it, or ask for a higher limit.",
                self.max
            );
            Refusal::new("too-large", message)
        })
    }
}
