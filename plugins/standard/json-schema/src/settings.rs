use serde::Deserialize;

/// What an administrator sets.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Settings {
    /// The schema for all uploads, by the name of its file.
    pub schema: Option<String>,
    /// The attribute that names the schema, where there is not one for all.
    pub attribute: String,
    /// What a file is.
    pub format: Format,
    /// After how many errors the upload is refused without waiting for its end.
    pub stop_after_errors: Option<u64>,
}

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// As its name or its media type says.
    Auto,
    /// One value.
    Json,
    /// A value on each line.
    Lines,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            schema: None,
            attribute: "table".to_owned(),
            format: Format::Auto,
            stop_after_errors: None,
        }
    }
}
