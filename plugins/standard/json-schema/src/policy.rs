use portcullis_policy::{
    Admission, Attribute, Conclusion, End, Extent, Failure, Progress, Refusal, Rule, Setting,
    Upload, Validator, resources,
};

use crate::lexer::{Lexer, Wrong};
use crate::schema::Schema;
use crate::settings::{Format, Settings};
use crate::validate;

/// The policy, with what it knows about the one upload that it judges.
pub struct JsonSchema {
    settings: Settings,
    reading: Option<Reading>,
}

struct Reading {
    /// The name of the schema.
    name: String,
    validator: validate::Validator,
    lexer: Lexer,
    is_lines: bool,
    /// Whether the rest of the line is not read, because it is no JSON.
    is_lost: bool,
    offset: u64,
}

impl Validator for JsonSchema {
    const NAME: &'static str = "json-schema";
    const SUMMARY: &'static str = "JSON and JSON lines fit their JSON Schema, value by value.";
    const SETTINGS: &'static [Setting] = &[
        Setting::optional(
            "schema",
            "The schema for all uploads: the name of its file in `schemas`, without `.json`. Unless set, the attribute names it.",
        )
        .of(r#"{"type": "string"}"#),
        Setting::optional(
            "attribute",
            "The attribute of the upload that names its schema, a text; `table` unless set.",
        )
        .of(r#"{"type": "string", "default": "table"}"#),
        Setting::optional(
            "format",
            "What a file is: `json`, one value; `lines`, a value on each line; `auto` (unless set: lines when the name ends in .ndjson or .jsonl, or the media type says so).",
        )
        .of(r#"{"enum": ["auto", "json", "lines"], "default": "auto"}"#),
        Setting::optional(
            "stop-after-errors",
            "After how many errors the upload is refused without waiting for its end, a number; never unless set.",
        )
        .of(r#"{"type": "integer", "minimum": 1}"#),
    ];
    const RULES: &'static [Rule] = &[
        Rule::new(
            "no-schema",
            "The upload says which schema it fits, and there is one of that name.",
        ),
        Rule::new(
            "syntax",
            "The file is JSON (RFC 8259), in UTF-8, and nested at most 64 deep.",
        ),
        Rule::new("duplicate-key", "No object has a key twice."),
        Rule::new(
            "type",
            "A value has one of the types that are asked for (`type`).",
        ),
        Rule::new(
            "enum",
            "A value is one of those that are allowed (`enum`, `const`).",
        ),
        Rule::new(
            "required",
            "What must be there is there (`required`, `dependentRequired`).",
        ),
        Rule::new(
            "not-allowed",
            "Nothing is there that may not be (`additionalProperties`, `false`).",
        ),
        Rule::new(
            "range",
            "A number is within its bounds (`minimum`, `maximum`, ...).",
        ),
        Rule::new(
            "multiple-of",
            "A number is a multiple of what it must be (`multipleOf`).",
        ),
        Rule::new(
            "length",
            "A string is as long as it must be (`minLength`, `maxLength`).",
        ),
        Rule::new("pattern", "A string matches (`pattern`, `propertyNames`)."),
        Rule::new(
            "format",
            "A string is a date, time, date-time, email, uuid, ipv4 or ipv6 (`format`).",
        ),
        Rule::new(
            "too-long",
            "A string that is to be checked has at most 64 KiB.",
        ),
        Rule::new(
            "items",
            "An array has as many items as it must (`minItems`, `contains`, ...).",
        ),
        Rule::new(
            "unique-items",
            "No item is twice in an array (`uniqueItems`).",
        ),
        Rule::new(
            "members",
            "An object has as many members as it must (`minProperties`, ...).",
        ),
        Rule::new(
            "alternatives",
            "A value fits its alternatives (`anyOf`, `oneOf`, `not`, `if`).",
        ),
    ];
    const ATTRIBUTES: &'static [Attribute] = &[Attribute {
        name: "table",
        label: "Table",
        required: false,
        choices: &[],
    }];
    const RESOURCES: &'static [&'static str] = &["schemas/*.json"];
    type Settings = Settings;

    fn new(settings: Settings) -> Result<Self, String> {
        if settings.stop_after_errors == Some(0) {
            return Err("setting `stop-after-errors`: must be more than 0".to_owned());
        }
        Ok(Self {
            settings,
            reading: None,
        })
    }

    fn admit(&mut self, upload: &Upload) -> Result<Admission, Failure> {
        let named = self.settings.schema.as_deref();
        let name = named.or_else(|| upload.attribute(&self.settings.attribute));
        let Some(name) = name else {
            let attribute = &self.settings.attribute;
            let message = format!(
                "The upload does not say which schema it fits; send the attribute `{attribute}`."
            );
            return Refusal::new("no-schema", message).into();
        };
        let is_name = name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
        let text = is_name
            .then(|| resources::get(&format!("schemas/{name}.json")))
            .flatten();
        let Some(text) = text else {
            let message =
                "There is no schema of the name that the upload gives; check how it is spelled.";
            return Refusal::new("no-schema", message).into();
        };
        let schema = Schema::compile(&text).map_err(|why| {
            Failure::MissingData(format!(
                "the schema `schemas/{name}.json` cannot be used: {why}"
            ))
        })?;
        let is_lines = self.is_lines(upload);
        let mut validator =
            validate::Validator::new(schema, self.settings.stop_after_errors.unwrap_or(u64::MAX));
        validator.line = is_lines.then_some(1);
        self.reading = Some(Reading {
            name: name.to_owned(),
            validator,
            lexer: Lexer::new(),
            is_lines,
            is_lost: false,
            offset: 0,
        });
        Ok(Admission::Inspect(Extent::All))
    }

    fn chunk(&mut self, _: u64, bytes: &[u8]) -> Result<Progress, Failure> {
        let Some(reading) = &mut self.reading else {
            return Ok(Progress::Accept);
        };
        if reading.push(bytes) {
            return Ok(Progress::More);
        }
        reading.refusal().into()
    }

    fn finish(&mut self, _: &End) -> Result<Conclusion, Failure> {
        let Some(reading) = &mut self.reading else {
            return Ok(Conclusion::Accept);
        };
        reading.end_value();
        match reading.validator.errors {
            0 => Ok(Conclusion::Accept),
            _ => reading.refusal().into(),
        }
    }
}

impl JsonSchema {
    fn is_lines(&self, upload: &Upload) -> bool {
        match self.settings.format {
            Format::Json => false,
            Format::Lines => true,
            Format::Auto => {
                let extension = upload.extension();
                let is_named = matches!(extension.as_deref(), Some("ndjson" | "jsonl"));
                let media_types = [
                    "application/x-ndjson",
                    "application/ndjson",
                    "application/jsonl",
                ];
                is_named
                    || upload
                        .media_type
                        .as_deref()
                        .is_some_and(|media_type| media_types.contains(&media_type))
            }
        }
    }
}

impl Reading {
    /// Takes the next bytes; false when the upload is refused now.
    fn push(&mut self, bytes: &[u8]) -> bool {
        if !self.is_lines {
            return self.take(bytes) && !self.validator.has_enough();
        }
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            if self.is_lost {
                self.offset += line.len() as u64;
            } else {
                self.is_lost = !self.take(line);
            }
            if line.ends_with(b"\n") {
                self.end_line();
            }
            if self.validator.has_enough() {
                return false;
            }
        }
        true
    }

    /// Reads; false where it is no JSON.
    fn take(&mut self, bytes: &[u8]) -> bool {
        let at = self.offset;
        self.offset += bytes.len() as u64;
        match self.lexer.push(bytes, at, &mut self.validator) {
            Ok(()) => true,
            Err(wrong) => self.no_json(wrong),
        }
    }

    fn no_json(&mut self, Wrong { what, at }: Wrong) -> bool {
        self.validator.reset();
        self.validator
            .report("syntax", at, || format!("This is no JSON: {what}."));
        false
    }

    fn end_line(&mut self) {
        self.end_value();
        self.lexer = Lexer::new();
        self.validator.reset();
        self.is_lost = false;
        if let Some(line) = &mut self.validator.line {
            *line += 1;
        }
    }

    /// The end of a value: an empty line has none.
    fn end_value(&mut self) {
        if self.is_lost || self.lexer.is_over() || self.is_lines && self.lexer.is_fresh() {
            return;
        }
        if let Err(wrong) = self.lexer.finish(self.offset, &mut self.validator) {
            self.no_json(wrong);
        }
    }

    fn refusal(&self) -> Refusal {
        let (name, errors) = (&self.name, self.validator.errors);
        let message = match errors {
            1 => format!(
                "The file does not fit the schema `{name}`: there is an error; see the findings."
            ),
            errors => format!(
                "The file does not fit the schema `{name}`: there are {errors} errors; see the findings."
            ),
        };
        Refusal::new(self.validator.first.unwrap_or("syntax"), message)
    }
}
