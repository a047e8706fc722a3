//! What people write in a definition, with its many shapes for one thing.

use portcullis_policy::Severity;
use serde_json::Value;

use super::json::{Column, Validator};
use super::{Bounds, Column as Read, Condition, Effect, Kind, Presence, When, severity};
use crate::choices::Choices;
use crate::date::{Day, Format};

/// The range as it is written: what it means depends on the kind of the column.
#[derive(Default)]
struct Range {
    low: Value,
    high: Value,
}

/// What the validators of a column say together.
#[derive(Default)]
struct Said {
    kind: Option<String>,
    allowed_values: Option<Value>,
    date_format: Option<Format>,
    presence: Option<Presence>,
    range: Option<Range>,
    when: Vec<When>,
    recommended: Option<String>,
    is_unique: bool,
}

impl Column {
    pub(super) fn read(self, unchecked: &mut Vec<(String, String)>) -> Result<Read, String> {
        if self.name.is_empty() || self.name.trim() != self.name {
            return Err("`name` must not be empty and have no spaces around it".to_owned());
        }
        for key in &self.unknown {
            let what = format!("the key `{key}` of the definition");
            unchecked.push((self.name.clone(), what));
        }
        let mut said = Said::default();
        for Validator { name, params } in &self.validators {
            if name == "in_file" || name.starts_with("in_file:") {
                let place = name.strip_prefix("in_file:").unwrap_or("another file");
                let what = format!("that the value stands in `{}`", place.replace(':', "."));
                unchecked.push((self.name.clone(), what));
                continue;
            }
            said.take(name, params)
                .map_err(|wrong| format!("validator `{name}`: {wrong}"))?;
        }
        let is_optional =
            self.value_optional.unwrap_or(false) || !self.value_required.unwrap_or(true);
        let presence = match said.presence.take() {
            _ if is_optional => Presence::Optional,
            Some(presence) => presence,
            // A condition says it all.
            None if said.when.iter().any(|when| when.effect == Effect::Required) => {
                Presence::Optional
            }
            None => Presence::Required(Severity::Error),
        };
        let may_be_missing =
            self.variable_optional.unwrap_or(false) || !self.variable_required.unwrap_or(true);
        let kind = self.kind(&mut said)?;
        Ok(Read {
            name: self.name,
            kind,
            may_be_missing,
            presence,
            when: said.when,
            recommended: said.recommended,
            is_unique: said.is_unique,
        })
    }

    fn kind(&self, said: &mut Said) -> Result<Kind, String> {
        let mut kind = self.kind.as_str();
        // A validator can say what the type leaves open.
        if let Some(validated) = &said.kind {
            if matches!(kind, "string" | "text" | "id") {
                kind = validated;
            } else if same_kind(kind) != same_kind(validated) {
                return Err(format!(
                    "its type is {kind:?}, but a validator makes it {validated:?}"
                ));
            }
        }
        let range = said.range.take();
        let allowed = said
            .allowed_values
            .as_ref()
            .or(self.allowed_values.as_ref());
        let kind = match (same_kind(kind), &range) {
            ("id", None) => Kind::Id,
            ("string", None) => Kind::Text,
            ("number" | "string" | "id", _) => Kind::Number(numbers(range.as_ref())?),
            ("integer", _) => Kind::Integer(numbers(range.as_ref())?),
            ("year", _) => Kind::Year(numbers(range.as_ref())?),
            ("date", _) => {
                let format = self.format(said)?;
                let days = days(&format, range.as_ref())?;
                Kind::Date(format, days)
            }
            ("enum" | "boolean", Some(_)) => {
                return Err("it has a range, which needs a number or a date".to_owned());
            }
            ("enum", None) => Kind::Enum(choices(allowed)?),
            ("boolean", None) => Kind::Boolean(choices(allowed)?),
            _ => {
                return Err(format!(
                    "the type {kind:?} is not known; use \"string\", \"id\", \"enum\", \"boolean\", \"date\", \"year\", \"numeric\" or \"integer\""
                ));
            }
        };
        Ok(kind)
    }

    fn format(&self, said: &mut Said) -> Result<Format, String> {
        match (
            said.date_format.take(),
            &self.date_format,
            &self.pd_date_format,
        ) {
            (Some(format), _, _) => Ok(format),
            (None, Some(written), _) => Format::parse(written),
            (None, None, Some(written)) => Format::parse_percent(written),
            (None, None, None) if self.kind == "datetime" => Format::parse("YYYY-MM-DD HH:mm:ss"),
            (None, None, None) => Format::parse("YYYY-MM-DD"),
        }
    }
}

impl Said {
    fn take(&mut self, name: &str, params: &Value) -> Result<(), String> {
        match name {
            "no_duplicates" => self.is_unique = true,
            "range" => self.range = Some(range(params)?),
            "required" => self.presence = Some(presence(params)?),
            "required_when" => self.when.push(when(Effect::Required, params)?),
            "forbidden_when" => self.when.push(when(Effect::Forbidden, params)?),
            "recommended" => {
                let message = text(params, "message")?;
                let usual = "A value is recommended here.";
                self.recommended = Some(message.unwrap_or(usual).to_owned());
            }
            "enum_allowed_values" | "boolean_allowed_values" => {
                self.kind = Some(name.trim_end_matches("_allowed_values").to_owned());
                self.allowed_values = (!params.is_null()).then(|| params.clone());
            }
            "date" => {
                self.kind = Some(name.to_owned());
                let (format, percent) = (
                    text(params, "date_format")?,
                    text(params, "pd_date_format")?,
                );
                self.date_format = match (format, percent) {
                    (Some(written), _) => Some(Format::parse(written)?),
                    (None, Some(written)) => Some(Format::parse_percent(written)?),
                    (None, None) => None,
                };
            }
            "string" => {}
            "int" | "integer" | "float" | "number" | "numeric" | "year" => {
                self.kind = Some(name.to_owned());
            }
            _ => {
                return Err("it is not known; use `no_duplicates`, `range`, `required`, `required_when`, `forbidden_when`, `recommended` or `in_file:TABLE:COLUMN`".to_owned());
            }
        }
        Ok(())
    }
}

/// One word for the words that mean the same.
fn same_kind(kind: &str) -> &str {
    match kind {
        "text" => "string",
        "int" => "integer",
        "numeric" | "float" | "decimal" => "number",
        "bool" => "boolean",
        "datetime" => "date",
        other => other,
    }
}

/// A text among the parameters of a validator.
fn text<'a>(params: &'a Value, key: &str) -> Result<Option<&'a str>, String> {
    match params.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(format!("`{key}` must be a text")),
    }
}

fn severity_of(params: &Value) -> Result<Severity, String> {
    text(params, "severity")?.map_or(Ok(Severity::Error), severity)
}

fn presence(params: &Value) -> Result<Presence, String> {
    match params {
        Value::Bool(false) => Ok(Presence::Optional),
        Value::Null | Value::Bool(true) | Value::Object(_) => {
            let severity = severity_of(params)?;
            Ok(match text(params, "optional_when")? {
                Some(other) => Presence::RequiredUnless(other.to_owned(), severity),
                None => Presence::Required(severity),
            })
        }
        _ => Err("its parameters must be true, false or an object with `optional_when`".to_owned()),
    }
}

fn when(effect: Effect, params: &Value) -> Result<When, String> {
    let (condition, column) = match (text(params, "present")?, text(params, "absent")?) {
        (Some(column), None) => (Condition::Present, column),
        (None, Some(column)) => (Condition::Absent, column),
        _ => return Err("its parameters must have one of `present` and `absent`".to_owned()),
    };
    Ok(When {
        effect,
        condition,
        column: column.to_owned(),
        severity: severity_of(params)?,
    })
}

fn range(params: &Value) -> Result<Range, String> {
    let wrong = || {
        "its parameters must be [LOW, HIGH] or an object with `min` and `max`; null stands for no limit"
            .to_owned()
    };
    match params {
        Value::Array(ends) => match ends.as_slice() {
            [low, high] => Ok(Range {
                low: low.clone(),
                high: high.clone(),
            }),
            _ => Err(wrong()),
        },
        Value::Object(ends) if ends.keys().all(|key| key == "min" || key == "max") => Ok(Range {
            low: params["min"].clone(),
            high: params["max"].clone(),
        }),
        _ => Err(wrong()),
    }
}

fn bounds<T: PartialOrd + Copy>(
    range: Option<&Range>,
    read: impl Fn(&Value) -> Result<T, String>,
) -> Result<Bounds<T>, String> {
    let Some(range) = range else {
        return Ok(Bounds::default());
    };
    let end = |value: &Value| (!value.is_null()).then(|| read(value)).transpose();
    let (low, high) = (end(&range.low)?, end(&range.high)?);
    if let (Some(low), Some(high)) = (low, high)
        && low > high
    {
        return Err("validator `range`: no value lies within it".to_owned());
    }
    Ok(Bounds { low, high })
}

fn numbers(range: Option<&Range>) -> Result<Bounds<f64>, String> {
    bounds(range, |value| {
        let wrong = || format!("validator `range`: {value} is not a number");
        value.as_f64().ok_or_else(wrong)
    })
}

fn days(format: &Format, range: Option<&Range>) -> Result<Bounds<Day>, String> {
    bounds(range, |value| {
        let day = value
            .as_str()
            .and_then(|text| format.read(text.as_bytes()).ok());
        day.ok_or_else(|| {
            let format = format.written();
            format!("validator `range`: {value} is not a date of the form {format}")
        })
    })
}

/// A text, a number or a truth value, as a cell would have it.
fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        _ => None,
    }
}

/// The allowed values in each of their shapes: a list of texts or numbers, a list of objects with a
/// `value`, and an object whose members list the spellings of one meaning.
fn choices(allowed: Option<&Value>) -> Result<Choices, String> {
    let wrong = || {
        "`allowed_values` must be a list of values, a list of objects with a `value`, or an object of lists"
            .to_owned()
    };
    let spelling = |value: &Value| match value {
        Value::Object(members) => scalar(members.get("value")?),
        other => scalar(other),
    };
    let values: Vec<&Value> = match allowed {
        Some(Value::Array(values)) => values.iter().collect(),
        Some(Value::Object(meanings)) => {
            let lists = meanings
                .values()
                .map(|list| list.as_array().ok_or_else(wrong));
            lists
                .collect::<Result<Vec<_>, _>>()?
                .into_iter()
                .flatten()
                .collect()
        }
        _ => return Err(wrong()),
    };
    let values: Option<Vec<String>> = values.into_iter().map(spelling).collect();
    let values = values
        .filter(|values| !values.is_empty())
        .ok_or_else(wrong)?;
    if values.iter().any(String::is_empty) {
        return Err("`allowed_values` has an empty text; say `value_optional` instead".to_owned());
    }
    Ok(Choices::new(values))
}
