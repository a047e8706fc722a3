//! Settings of policies: TOML values become the JSON that `configure` is given.

use serde_json::{Map, Value};

/// Why settings cannot be handed over.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// A value that JSON does not have.
    #[error("{0} cannot be written in JSON; use text or a finite number")]
    NotInJson(&'static str),
    /// No JSON.
    #[error("they are no JSON: {0}")]
    NotJson(serde_json::Error),
    /// JSON that is no object.
    #[error("they are JSON and no object")]
    NoObject,
    /// A value that a policy set does not have.
    #[error("they cannot stand in a policy set, which is TOML: leave out what is null")]
    NotInToml,
}

/// Settings that are written as JSON. A policy set is TOML: what TOML cannot say, no policy is ever told.
///
/// # Errors
/// They are no JSON object, or hold what TOML does not have.
pub fn settings_from_json(text: &str) -> Result<toml::Table, SettingsError> {
    let value: Value = serde_json::from_str(text).map_err(SettingsError::NotJson)?;
    if !value.is_object() {
        return Err(SettingsError::NoObject);
    }
    toml::Table::try_from(&value).map_err(|_| SettingsError::NotInToml)
}

/// The settings as JSON.
pub(crate) fn to_json(settings: &toml::Table) -> Result<Value, SettingsError> {
    let member = |(key, value): (&String, &toml::Value)| Ok((key.clone(), value_to_json(value)?));
    let members = settings.iter().map(member);
    Ok(Value::Object(members.collect::<Result<Map<_, _>, _>>()?))
}

fn value_to_json(value: &toml::Value) -> Result<Value, SettingsError> {
    match value {
        toml::Value::String(text) => Ok(Value::String(text.clone())),
        toml::Value::Integer(number) => Ok(Value::from(*number)),
        toml::Value::Float(number) if number.is_finite() => Ok(Value::from(*number)),
        toml::Value::Float(_) => Err(SettingsError::NotInJson("infinity or not-a-number")),
        toml::Value::Boolean(yes) => Ok(Value::Bool(*yes)),
        toml::Value::Datetime(_) => Err(SettingsError::NotInJson("a date without quotes")),
        toml::Value::Array(values) => {
            let values = values.iter().map(value_to_json);
            Ok(Value::Array(values.collect::<Result<_, _>>()?))
        }
        toml::Value::Table(table) => to_json(table),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_handed_over_as_they_stand() {
        let toml = "n = 1\nallow = ['csv']\n[t]\nyes = true\nx = 0.5";
        let json = to_json(&toml.parse().expect("is TOML")).expect("is JSON");
        let wanted = serde_json::json!({"n": 1, "allow": ["csv"], "t": {"yes": true, "x": 0.5}});
        assert_eq!(json, wanted);
        for toml in ["a = inf", "a = 2024-01-01"] {
            assert!(to_json(&toml.parse().expect("is TOML")).is_err(), "{toml}");
        }
    }
}
