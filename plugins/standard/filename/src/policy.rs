use portcullis_policy::{
    Admission, Failure, Finding, Refusal, Rule, Setting, Upload, Validator, findings,
};
use regex_lite::Regex;
use serde::Deserialize;

use crate::portable::{self, NotPortable};
use crate::reader::{self, Deceptive};

/// What an administrator sets.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Settings {
    /// Regular expressions of which one must match the whole name; empty for any name.
    pub patterns: Vec<String>,
    /// What uploaders are told that a name looks like, in words.
    pub pattern_hint: Option<String>,
    /// The most bytes of a name in UTF-8.
    pub max_bytes: usize,
    /// Whether only ASCII may stand in a name.
    pub ascii_only: bool,
    /// What becomes of a name that is not what it looks like.
    pub deceptive: Deceptions,
}

/// What becomes of a name that is not what it looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Deceptions {
    /// It is refused.
    Reject,
    /// It passes, with a warning.
    Warn,
}

/// What most file systems take.
const MAX_BYTES: usize = 255;

impl Default for Settings {
    fn default() -> Self {
        Self {
            patterns: Vec::new(),
            pattern_hint: None,
            max_bytes: MAX_BYTES,
            ascii_only: false,
            deceptive: Deceptions::Reject,
        }
    }
}

/// The policy. It decides with the headers alone.
#[derive(Debug)]
pub struct Filename {
    settings: Settings,
    patterns: Vec<Regex>,
}

impl Validator for Filename {
    const NAME: &'static str = "filename";
    const SUMMARY: &'static str =
        "The name of a file fits the site, every file system, and is what it looks like.";
    const SETTINGS: &'static [Setting] = &[
        Setting::optional(
            "patterns",
            "Regular expressions of which one must match the whole name, a list; any name unless set. They match case as it is; begin with `(?i)` for any case.",
        )
        .of(r#"{"type": "array", "items": {"type": "string", "format": "regex"}, "default": []}"#),
        Setting::optional(
            "pattern-hint",
            "What uploaders read about the patterns, such as `TABLE_YEAR.csv`; a name that fits is described by nothing else.",
        )
        .of(r#"{"type": "string"}"#),
        Setting::optional("max-bytes", "The most bytes of a name in UTF-8, a number; 255 unless set.")
            .of(r#"{"type": "integer", "minimum": 1, "maximum": 255, "default": 255}"#),
        Setting::optional("ascii-only", "Whether only ASCII may stand in a name; false unless set.")
            .of(r#"{"type": "boolean", "default": false}"#),
        Setting::optional(
            "deceptive",
            "What becomes of a name that is not what it looks like: `reject` (unless set), or `warn`.",
        )
        .of(r#"{"enum": ["reject", "warn"], "default": "reject"}"#),
    ];
    const RULES: &'static [Rule] = &[
        Rule::new("missing", "The file has a name."),
        Rule::new("length", "The name is not longer than allowed."),
        Rule::new("portable", "The name can be kept by every file system."),
        Rule::new("reserved", "The name is not that of a device or a folder."),
        Rule::new("ascii", "The name is ASCII, where that is asked for."),
        Rule::new("invisible", "Every character of the name is to be seen."),
        Rule::new(
            "normal-form",
            "The name is in Unicode Normalization Form C.",
        ),
        Rule::new(
            "confusable",
            "No word of the name looks like one in ASCII (UTS #39).",
        ),
        Rule::new(
            "mixed-scripts",
            "No word of the name mixes scripts that no language mixes (UTS #39).",
        ),
        Rule::new("pattern", "The name fits a pattern, where there are any."),
    ];
    type Settings = Settings;

    fn new(settings: Settings) -> Result<Self, String> {
        if !(1..=MAX_BYTES).contains(&settings.max_bytes) {
            return Err(format!("setting `max-bytes`: must be 1 to {MAX_BYTES}"));
        }
        let patterns = settings
            .patterns
            .iter()
            .enumerate()
            .map(|(index, pattern)| {
                Regex::new(&format!("^(?:{pattern})$")).map_err(|error| {
                    format!("setting `patterns[{index}]`: is no regular expression: {error}")
                })
            });
        Ok(Self {
            patterns: patterns.collect::<Result<_, _>>()?,
            settings,
        })
    }

    fn admit(&mut self, upload: &Upload) -> Result<Admission, Failure> {
        match self.judge(&upload.filename) {
            Ok(()) => Ok(Admission::Accept),
            Err(refusal) => refusal.into(),
        }
    }
}

impl Filename {
    fn judge(&self, name: &str) -> Result<(), Refusal> {
        if name.is_empty() {
            let message = "The file has no name; send it with one.";
            return Err(Refusal::new("missing", message));
        }
        if name.len() > self.settings.max_bytes {
            let message = format!(
                "The name of the file has {} bytes; at most {} are allowed. Shorten it.",
                name.len(),
                self.settings.max_bytes
            );
            return Err(Refusal::new("length", message));
        }
        portable::check(name).map_err(refuse_unportable)?;
        if self.settings.ascii_only && !name.is_ascii() {
            let message = "The name of the file has characters that are not ASCII; use a to z, digits, dots, dashes and underscores.";
            return Err(Refusal::new("ascii", message));
        }
        if let Err(deceptive) = reader::check(name) {
            let refusal = refuse_deceptive(deceptive);
            match self.settings.deceptive {
                Deceptions::Reject => return Err(refusal),
                Deceptions::Warn => {
                    findings::report(Finding::warning(refusal.rule, refusal.message));
                }
            }
        }
        if !self.patterns.is_empty() && !self.patterns.iter().any(|one| one.is_match(name)) {
            return Err(self.refuse_pattern());
        }
        Ok(())
    }

    fn refuse_pattern(&self) -> Refusal {
        let wanted = match &self.settings.pattern_hint {
            Some(hint) => format!("name it like {hint}"),
            None => format!("it must match {}", self.settings.patterns.join(" or ")),
        };
        let message = format!("The name of the file is not one that is taken here; {wanted}.");
        Refusal::new("pattern", message)
    }
}

fn refuse_unportable(why: NotPortable) -> Refusal {
    let (rule, message) = match why {
        NotPortable::Dots => (
            "reserved",
            "The name of the file is that of a folder; give it another one.".to_owned(),
        ),
        NotPortable::Device => (
            "reserved",
            "The name of the file is that of a device on Windows; give it another one.".to_owned(),
        ),
        NotPortable::Separator => (
            "portable",
            "The name of the file has a slash or a backslash, which separates folders; remove it."
                .to_owned(),
        ),
        NotPortable::Character(char) => (
            "portable",
            format!(
                "The name of the file has the character {char}, which not every file system takes; remove it."
            ),
        ),
        NotPortable::Control => (
            "portable",
            "The name of the file has a control character; remove it.".to_owned(),
        ),
        NotPortable::Edge => (
            "portable",
            "The name of the file begins or ends in a space, or ends in a dot; remove it."
                .to_owned(),
        ),
        NotPortable::Start => (
            "portable",
            "The name of the file begins with a dot or a dash; remove it.".to_owned(),
        ),
    };
    Refusal::new(rule, message)
}

fn refuse_deceptive(why: Deceptive) -> Refusal {
    match why {
        Deceptive::Invisible(char) => Refusal::new(
            "invisible",
            format!(
                "The name of the file has a character that is not to be seen (U+{:04X}); type the name anew.",
                u32::from(char)
            ),
        ),
        Deceptive::NotNormal => Refusal::new(
            "normal-form",
            "The name of the file has accents apart from their letters, as another name can have that looks the same; type the name anew.",
        ),
        Deceptive::Confusable => Refusal::new(
            "confusable",
            "A word in the name of the file looks like one in Latin letters, and has letters of another script; type the name anew.",
        ),
        Deceptive::MixedScripts => Refusal::new(
            "mixed-scripts",
            "A word in the name of the file mixes scripts, as no language does; type the name anew.",
        ),
    }
}
