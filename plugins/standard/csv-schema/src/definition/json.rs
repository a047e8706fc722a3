//! The objects of a definition as they stand in its JSON. What is only for people is passed over and not kept: a policy
//! reads its definition anew for each upload.

use std::collections::BTreeSet;
use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{self, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// What the keys of a column may be.
#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
enum Key {
    Name,
    Type,
    AllowedValues,
    DateFormat,
    PdDateFormat,
    Validators,
    ValueOptional,
    ValueRequired,
    VariableOptional,
    VariableRequired,
    /// This and the others are for people and summaries, and nothing to check.
    #[serde(
        alias = "label",
        alias = "example",
        alias = "examples",
        alias = "summarizers",
        alias = "notes",
        alias = "note",
        alias = "comment",
        alias = "title",
        alias = "unit",
        alias = "units"
    )]
    Description,
    Unknown(String),
}

/// One object of the array.
#[derive(Default)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) kind: String,
    pub(super) allowed_values: Option<Value>,
    pub(super) date_format: Option<String>,
    pub(super) pd_date_format: Option<String>,
    pub(super) validators: Vec<Validator>,
    pub(super) value_optional: Option<bool>,
    pub(super) value_required: Option<bool>,
    pub(super) variable_optional: Option<bool>,
    pub(super) variable_required: Option<bool>,
    /// Keys that nobody knows.
    pub(super) unknown: BTreeSet<String>,
}

/// A name, or a name with parameters.
pub(super) struct Validator {
    pub(super) name: String,
    pub(super) params: Value,
}

impl<'de> Deserialize<'de> for Column {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(ColumnVisitor)
    }
}

struct ColumnVisitor;

impl<'de> Visitor<'de> for ColumnVisitor {
    type Value = Column;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with the `name` and the `type` of a column")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Column, M::Error> {
        let (mut column, mut name, mut kind, mut validators) =
            (Column::default(), None, None, None);
        while let Some(key) = map.next_key()? {
            let column = &mut column;
            match key {
                Key::Name => once(&mut map, "name", &mut name)?,
                Key::Type => once(&mut map, "type", &mut kind)?,
                Key::AllowedValues => once(&mut map, "allowed_values", &mut column.allowed_values)?,
                Key::DateFormat => once(&mut map, "date_format", &mut column.date_format)?,
                Key::PdDateFormat => once(&mut map, "pd_date_format", &mut column.pd_date_format)?,
                Key::Validators => once(&mut map, "validators", &mut validators)?,
                Key::ValueOptional => once(&mut map, "value_optional", &mut column.value_optional)?,
                Key::ValueRequired => once(&mut map, "value_required", &mut column.value_required)?,
                Key::VariableOptional => {
                    once(&mut map, "variable_optional", &mut column.variable_optional)?;
                }
                Key::VariableRequired => {
                    once(&mut map, "variable_required", &mut column.variable_required)?;
                }
                Key::Description => {
                    map.next_value::<IgnoredAny>()?;
                }
                Key::Unknown(key) => {
                    map.next_value::<IgnoredAny>()?;
                    column.unknown.insert(key);
                }
            }
        }
        column.name = name.ok_or_else(|| de::Error::missing_field("name"))?;
        column.kind = kind.ok_or_else(|| de::Error::missing_field("type"))?;
        column.validators = validators.unwrap_or_default();
        Ok(column)
    }
}

/// The value of a key that may come once; `null` counts as not there.
fn once<'de, M: MapAccess<'de>, T: Deserialize<'de>>(
    map: &mut M,
    key: &'static str,
    place: &mut Option<T>,
) -> Result<(), M::Error> {
    if place.is_some() {
        return Err(de::Error::duplicate_field(key));
    }
    *place = map.next_value()?;
    Ok(())
}

impl<'de> Deserialize<'de> for Validator {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(ValidatorVisitor)
    }
}

struct ValidatorVisitor;

/// The longer way to write a validator.
#[derive(Deserialize)]
struct Full {
    name: String,
    #[serde(default)]
    params: Value,
}

impl<'de> Visitor<'de> for ValidatorVisitor {
    type Value = Validator;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a validator, or an object with its `name` and its `params`")
    }

    fn visit_str<E: de::Error>(self, name: &str) -> Result<Validator, E> {
        let (name, params) = (name.to_owned(), Value::Null);
        Ok(Validator { name, params })
    }

    fn visit_map<M: MapAccess<'de>>(self, map: M) -> Result<Validator, M::Error> {
        let Full { name, params } = Full::deserialize(MapAccessDeserializer::new(map))?;
        Ok(Validator { name, params })
    }
}
