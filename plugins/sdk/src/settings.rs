use serde::Deserialize;
use serde::de::DeserializeOwned;

/// One key of the settings that a policy takes, as the administrator reads about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setting {
    /// The key.
    pub name: &'static str,
    /// One sentence: what it does, its type, its unit, its default.
    pub summary: &'static str,
    /// Whether the policy refuses to work without it.
    pub required: bool,
}

impl Setting {
    /// A key that must be there.
    pub const fn required(name: &'static str, summary: &'static str) -> Self {
        Self {
            name,
            summary,
            required: true,
        }
    }

    /// A key that has a default.
    pub const fn optional(name: &'static str, summary: &'static str) -> Self {
        Self {
            name,
            summary,
            required: false,
        }
    }
}

/// The settings as a JSON Schema (draft 2020-12): which keys there are, and which must be there.
pub(crate) fn schema(settings: &[Setting]) -> String {
    let property = |setting: &Setting| {
        let described = serde_json::json!({ "description": setting.summary });
        (setting.name.to_owned(), described)
    };
    let properties: serde_json::Map<_, _> = settings.iter().map(property).collect();
    let required = settings.iter().filter(|setting| setting.required);
    let required: Vec<&str> = required.map(|setting| setting.name).collect();
    let schema = serde_json::json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    });
    schema.to_string()
}

/// The settings of a policy that takes none: any key is refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoSettings {}

/// What a cause begins with that is about a key and not about a value.
const UNKNOWN: &str = "unknown setting";

/// Reads the settings that the host hands over as JSON. The error is one sentence that names the key;
/// it gives no line and column, since the administrator wrote the settings in another file.
pub(crate) fn parse<S: DeserializeOwned>(json: &str) -> Result<S, String> {
    // serde would also take an array, field by field.
    if !json.trim_start().starts_with('{') {
        return Err("the settings must be a table of keys and values".to_owned());
    }
    let mut deserializer = serde_json::Deserializer::from_str(json);
    let settings = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let path = error.path().to_string();
        let cause = without_position(&error.into_inner());
        // Such a cause names the key itself, and the path may end in it.
        let place = if cause.starts_with(UNKNOWN) {
            path.rsplit_once('.').map_or("", |(table, _)| table)
        } else {
            path.trim_matches('.')
        };
        if place.is_empty() {
            cause
        } else {
            format!("setting `{place}`: {cause}")
        }
    })?;
    deserializer
        .end()
        .map_err(|error| without_position(&error))?;
    Ok(settings)
}

fn without_position(error: &serde_json::Error) -> String {
    let mut text = error.to_string();
    let position = format!(" at line {} column {}", error.line(), error.column());
    if text.ends_with(&position) {
        text.truncate(text.len() - position.len());
    }
    text.replacen("unknown field", UNKNOWN, 1)
        .replacen("missing field", "missing setting", 1)
        .replacen("there are no fields", "this policy takes none", 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields, rename_all = "kebab-case")]
    struct Limits {
        max_rows: u64,
        #[serde(default)]
        nested: Option<Nested>,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Nested {
        names: Vec<String>,
    }

    fn error(json: &str) -> String {
        parse::<Limits>(json).expect_err("these settings are wrong")
    }

    #[test]
    fn good_settings_are_read() {
        let wanted = Limits {
            max_rows: 3,
            nested: None,
        };
        assert_eq!(parse(r#"{"max-rows": 3}"#), Ok(wanted));
        assert_eq!(parse(" {} "), Ok(NoSettings {}));
    }

    #[test]
    fn every_error_is_a_sentence_that_names_the_key() {
        for (json, message) in [
            ("{}", "missing setting `max-rows`"),
            (
                r#"{"max-row": 3}"#,
                "unknown setting `max-row`, expected `max-rows` or `nested`",
            ),
            (
                r#"{"max-rows": "3"}"#,
                "setting `max-rows`: invalid type: string \"3\", expected u64",
            ),
            (
                r#"{"max-rows": 3, "nested": {"names": [1]}}"#,
                "setting `nested.names[0]`: invalid type: integer `1`, expected a string",
            ),
            (
                r#"{"max-rows": 3, "nested": {"name": []}}"#,
                "setting `nested`: unknown setting `name`, expected `names`",
            ),
            ("[3]", "the settings must be a table of keys and values"),
            ("", "the settings must be a table of keys and values"),
            (r#"{"max-rows": 3} {}"#, "trailing characters"),
        ] {
            assert_eq!(error(json), message, "{json}");
        }
    }

    #[test]
    fn a_policy_without_settings_refuses_every_key() {
        let error = parse::<NoSettings>(r#"{"a": 1}"#).expect_err("there is no such key");
        assert_eq!(error, "unknown setting `a`, this policy takes none");
    }
}
