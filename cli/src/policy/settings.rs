//! Settings as an author gives them: JSON in the command line, or a file.

use std::path::Path;

use anyhow::{Context, Result, bail};
use portcullis_engine::settings_from_json;

/// What can be given instead of what is wrong.
const FORMS: &str =
    "give a JSON object such as '{\"key\": 3}', or a file that ends in .json or .toml";

/// From an argument: JSON, or the path of a file.
pub(crate) fn parse(text: &str) -> Result<toml::Table> {
    if text.trim_start().starts_with(['{', '[', '"']) {
        return from_json(text).context("the settings are not usable");
    }
    read(Path::new(text))
}

/// From a file.
pub(crate) fn read(path: &Path) -> Result<toml::Table> {
    let shown = path.display();
    let is = |extension: &str| path.extension().is_some_and(|found| found == extension);
    if !is("json") && !is("toml") {
        bail!("the settings `{shown}` are neither JSON nor a settings file; {FORMS}");
    }
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("the settings {shown} cannot be read; {FORMS}"))?;
    let parsed = if is("json") {
        from_json(&text)
    } else {
        toml::from_str(&text).map_err(|error| anyhow::anyhow!("{}", error.to_string().trim()))
    };
    parsed.with_context(|| format!("the settings {shown} are not usable"))
}

fn from_json(text: &str) -> Result<toml::Table> {
    settings_from_json(text).context(FORMS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_json_or_a_file() {
        let table = parse(r#"{"max": 3, "allow": ["csv"]}"#).expect("is good");
        assert_eq!(table["max"].as_integer(), Some(3));
        for (text, says) in [
            ("{max: 3}", "they are no JSON"),
            ("[3]", "no object"),
            (r#"{"a": null}"#, "null"),
            ("settings", "neither JSON nor a settings file"),
            ("missing.json", "cannot be read"),
        ] {
            let error = format!("{:#}", parse(text).expect_err("is wrong"));
            assert!(error.contains(says), "{text}: {error}");
        }
    }
}
