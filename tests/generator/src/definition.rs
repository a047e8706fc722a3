//! Data definitions as the generator understands them: what a valid cell of each column is.

use std::path::Path;

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// A table: its columns in order.
#[derive(Clone, Debug)]
pub struct Definition {
    /// Its columns.
    pub columns: Vec<Column>,
}

/// One column.
#[derive(Clone, Debug)]
pub struct Column {
    /// Its name in the header.
    pub name: String,
    /// What its cells hold.
    pub kind: Kind,
    /// Whether it is called a boolean: its allowed values are spellings of true and false.
    pub is_boolean: bool,
    /// Whether a cell may be empty whatever stands in the others.
    pub optional: bool,
    /// What else must hold.
    pub rules: Vec<Rule>,
}

/// What a cell holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// The identifier of a patient.
    Id,
    /// Any text; the definition's examples, if it has some.
    Text(Vec<String>),
    /// One of these.
    Choice(Vec<String>),
    /// A day, in a format such as `YYYY-MM-DD`.
    Date(String),
    /// A year of four digits.
    Year,
    /// A number, with or without a fraction.
    Number,
    /// A number without a fraction.
    Integer,
}

/// A validator of the definition.
#[derive(Clone, Debug, PartialEq)]
pub enum Rule {
    /// No value comes twice.
    Unique,
    /// From one number to another, both included.
    Range(f64, f64),
    /// The cell must be filled on this condition.
    RequiredWhen(Condition),
    /// The cell must be empty on this condition.
    ForbiddenWhen(Condition),
    /// What does not decide whether a cell is valid, such as a reference to another file.
    Elsewhere,
}

/// A condition on another cell of the row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// That column has a value.
    Present(String),
    /// That column has none.
    Absent(String),
}

impl Condition {
    /// The other column.
    pub fn column(&self) -> &str {
        match self {
            Self::Present(column) | Self::Absent(column) => column,
        }
    }
}

impl Definition {
    /// One of those that the project ships: `policies/definitions/{table}.json`.
    ///
    /// # Errors
    ///
    /// There is none, or it is not understood.
    pub fn shipped(table: &str) -> Result<Self> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../policies/definitions");
        Self::read(&folder.join(format!("{table}.json")))
    }

    /// Reads a definition from a file.
    ///
    /// # Errors
    ///
    /// It cannot be read, or is not understood.
    pub fn read(file: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
        Self::parse(&text).with_context(|| file.display().to_string())
    }

    /// Reads a definition: a JSON array with an object for each column.
    ///
    /// # Errors
    ///
    /// Which column is not understood, and why.
    pub fn parse(json: &str) -> Result<Self> {
        let columns: Vec<Value> = serde_json::from_str(json)?;
        let columns = columns
            .iter()
            .map(|value| column(value).with_context(|| format!("column {}", value["name"])));
        Ok(Self {
            columns: columns.collect::<Result<_>>()?,
        })
    }

    /// The place of a column.
    pub fn position(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.name == name)
    }

    /// Whether the presence of some column depends on this one.
    pub fn is_condition(&self, name: &str) -> bool {
        self.columns.iter().any(|column| column.depends_on(name))
    }
}

impl Column {
    /// Whether no value may come twice.
    pub fn is_unique(&self) -> bool {
        self.rules.contains(&Rule::Unique)
    }

    /// Whether other cells decide if this one is filled.
    pub fn is_conditional(&self) -> bool {
        let conditional =
            |rule: &Rule| matches!(rule, Rule::RequiredWhen(_) | Rule::ForbiddenWhen(_));
        self.rules.iter().any(conditional)
    }

    /// Whether its presence depends on the other column.
    pub fn depends_on(&self, other: &str) -> bool {
        self.rules.iter().any(|rule| match rule {
            Rule::RequiredWhen(condition) | Rule::ForbiddenWhen(condition) => {
                condition.column() == other
            }
            _ => false,
        })
    }

    /// Whether a cell may be filled or empty, whatever stands in the others.
    pub fn is_free(&self) -> bool {
        self.optional && !self.is_conditional()
    }

    /// Whether a cell may be empty as long as no condition asks for a value.
    pub fn may_be_empty(&self) -> bool {
        let required_when = |rule: &Rule| matches!(rule, Rule::RequiredWhen(_));
        self.optional || self.rules.iter().any(required_when)
    }

    /// The numbers that are allowed, if they are limited.
    pub fn range(&self) -> Option<(f64, f64)> {
        self.rules.iter().find_map(|rule| match rule {
            Rule::Range(low, high) => Some((*low, *high)),
            _ => None,
        })
    }
}

fn column(value: &Value) -> Result<Column> {
    let text = |key: &str| value[key].as_str().map(str::to_owned);
    let kind = match value["type"].as_str().context("no `type`")? {
        "id" => Kind::Id,
        "string" | "text" => Kind::Text(examples(value["example"].as_str().unwrap_or_default())),
        "boolean" if value["allowed_values"].is_null() => {
            Kind::Choice(vec!["true".to_owned(), "false".to_owned()])
        }
        "enum" | "boolean" => Kind::Choice(choices(&value["allowed_values"])?),
        "date" => Kind::Date(text("date_format").unwrap_or_else(|| "YYYY-MM-DD".to_owned())),
        "year" => Kind::Year,
        "numeric" | "number" | "float" => Kind::Number,
        "integer" | "int" => Kind::Integer,
        other => bail!("the type `{other}` is not known here"),
    };
    let validators = value["validators"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    Ok(Column {
        name: text("name").context("no `name`")?,
        kind,
        is_boolean: value["type"] == "boolean",
        optional: value["value_optional"].as_bool().unwrap_or(false),
        rules: validators
            .iter()
            .map(rule)
            .collect::<Result<Vec<_>>>()?
            .concat(),
    })
}

fn examples(text: &str) -> Vec<String> {
    text.split(',')
        .map(str::trim)
        .filter(|example| !example.is_empty())
        .map(str::to_owned)
        .collect()
}

/// The allowed values in each of their three shapes: a list of texts, a list of objects with a `value`,
/// and an object whose members list the spellings of one meaning.
fn choices(allowed: &Value) -> Result<Vec<String>> {
    let spelling = |value: &Value| match value {
        Value::Object(members) => members
            .get("value")
            .and_then(Value::as_str)
            .map(str::to_owned),
        other => other.as_str().map(str::to_owned),
    };
    let lists: Vec<&Value> = match allowed {
        Value::Array(values) => values.iter().collect(),
        Value::Object(meanings) => meanings
            .values()
            .filter_map(Value::as_array)
            .flatten()
            .collect(),
        _ => bail!("no `allowed_values`"),
    };
    let choices: Option<Vec<String>> = lists.into_iter().map(spelling).collect();
    choices
        .filter(|choices| !choices.is_empty())
        .context("`allowed_values` has a shape that is not known here")
}

fn rule(validator: &Value) -> Result<Vec<Rule>> {
    let name = validator
        .as_str()
        .or_else(|| validator["name"].as_str())
        .context("a validator without a name")?;
    let parameters = &validator["params"];
    let condition = |key: &str, make: fn(String) -> Condition| {
        parameters[key]
            .as_str()
            .map(|column| make(column.to_owned()))
    };
    let conditions = || {
        let both = [
            condition("present", Condition::Present),
            condition("absent", Condition::Absent),
        ];
        both.into_iter().flatten()
    };
    Ok(match name.split(':').next().unwrap_or_default() {
        "no_duplicates" => vec![Rule::Unique],
        "range" => {
            let bound = |at: usize| {
                parameters[at]
                    .as_f64()
                    .context("`range` without two numbers")
            };
            vec![Rule::Range(bound(0)?, bound(1)?)]
        }
        "required_when" => conditions().map(Rule::RequiredWhen).collect(),
        "forbidden_when" => conditions().map(Rule::ForbiddenWhen).collect(),
        _ => vec![Rule::Elsewhere],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shipped_definition_is_understood() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../policies/definitions");
        let mut seen = 0;
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let name = entry
                .expect("an entry")
                .file_name()
                .into_string()
                .expect("a name");
            let table = name.strip_suffix(".json").expect("a definition");
            assert!(!Definition::shipped(table).expect(table).columns.is_empty());
            seen += 1;
        }
        assert!(seen >= 11, "only {seen} definitions");
    }

    #[test]
    fn rules_and_choices_are_read_in_all_their_shapes() {
        let patient = Definition::shipped("patient").expect("is read");
        let column = |name: &str| &patient.columns[patient.position(name).expect("is there")];
        assert!(column("cohortPatientId").is_unique());
        assert_eq!(column("birthYear").range(), Some((1900.0, 2025.0)));
        assert_eq!(
            column("hivNegative").kind,
            Kind::Choice(vec!["Y".to_owned(), "S".to_owned()])
        );
        assert!(matches!(&column("hispanic").kind, Kind::Choice(values) if values.len() == 3));
        let when = Condition::Absent("presentSex".to_owned());
        assert!(column("birthSex").rules.contains(&Rule::RequiredWhen(when)));
        assert!(column("deathDate").optional && !column("enrollDate").optional);
    }
}
