pub(crate) mod json;

use std::fmt::Write as _;

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
    /// What its values are, as an object of JSON Schema; empty for anything.
    pub schema: &'static str,
}

impl Setting {
    /// A key that must be there.
    pub const fn required(name: &'static str, summary: &'static str) -> Self {
        Self {
            name,
            summary,
            required: true,
            schema: "",
        }
    }

    /// A key that has a default.
    pub const fn optional(name: &'static str, summary: &'static str) -> Self {
        Self {
            name,
            summary,
            required: false,
            schema: "",
        }
    }

    /// With what its values are, as an object of JSON Schema: `{"type": "integer", "minimum": 1}`.
    #[must_use]
    pub const fn of(mut self, schema: &'static str) -> Self {
        self.schema = schema;
        self
    }
}

/// The settings as a JSON Schema (draft 2020-12): which keys there are, what they are, and which must be there.
pub(crate) fn schema(settings: &[Setting]) -> String {
    let (mut properties, mut required) = (String::new(), String::new());
    for setting in settings {
        let comma = |list: &str| if list.is_empty() { "" } else { "," };
        let (name, summary) = (json::quoted(setting.name), json::quoted(setting.summary));
        // What stands between the braces.
        let more = setting.schema.strip_prefix('{');
        let more = more.and_then(|more| more.strip_suffix('}'));
        let more = more.unwrap_or_default();
        // Writing to a text cannot fail.
        let _ = write!(
            properties,
            "{}{name}:{{\"description\":{summary}{}{more}}}",
            comma(&properties),
            if more.is_empty() { "" } else { "," }
        );
        if setting.required {
            required.push_str(comma(&required));
            required.push_str(&name);
        }
    }
    format!(
        "{{\"$schema\":\"https://json-schema.org/draft/2020-12/schema\",\"type\":\"object\",\"properties\":{{{properties}}},\"required\":[{required}],\"additionalProperties\":false}}"
    )
}

/// The settings of a policy that takes none: any key is refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoSettings {}

/// Reads the settings that the host hands over as JSON. The error is one sentence that names the key;
/// it gives no line and column, since the administrator wrote the settings in another file.
pub(crate) fn parse<S: DeserializeOwned>(json: &str) -> Result<S, String> {
    // serde would also take an array, field by field.
    if !json.trim_start().starts_with('{') {
        return Err("the settings must be a table of keys and values".to_owned());
    }
    let mut reader = json::Reader::new(json);
    let settings = S::deserialize(&mut reader).and_then(|settings| {
        reader.end()?;
        Ok(settings)
    });
    settings.map_err(|json::Wrong { path, cause }| {
        if path.is_empty() {
            cause
        } else {
            format!("setting `{path}`: {cause}")
        }
    })
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
    fn the_schema_says_what_values_are() {
        let settings = [
            Setting::required("max-rows", "At most so \"many\".")
                .of(r#"{"type": "integer", "enum": [1, {"a": 2}]}"#),
            Setting::optional("note", "Anything."),
        ];
        let schema: serde_json::Value = serde_json::from_str(&schema(&settings)).expect("is JSON");
        let wanted = serde_json::json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "object",
            "properties": {
                "max-rows": {"description": "At most so \"many\".", "type": "integer", "enum": [1, {"a": 2}]},
                "note": {"description": "Anything."},
            },
            "required": ["max-rows"],
            "additionalProperties": false,
        });
        assert_eq!(schema, wanted);
    }

    #[test]
    fn a_policy_without_settings_refuses_every_key() {
        let error = parse::<NoSettings>(r#"{"a": 1}"#).expect_err("there is no such key");
        assert_eq!(error, "unknown setting `a`, this policy takes none");
    }
}
