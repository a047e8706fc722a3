//! Data definitions: what the columns of a table hold, as a JSON array with an object for each column.
//!
//! The format is that of the NA-ACCORD data depot (`docs/reference/validators.md` there); what each key and
//! validator means here stands in `docs/policies/csv-schema.md`.

mod column;
mod json;
mod written;

pub use column::{Bounds, Column, Condition, Effect, Kind, Presence, When};

use portcullis_policy::Severity;

/// A table.
#[derive(Clone, Debug)]
pub struct Definition {
    /// Its columns, in the order of the definition.
    pub columns: Vec<Column>,
    /// What it asks for and this policy does not check: the column and what it is.
    pub unchecked: Vec<(String, String)>,
}

/// The most columns of a definition.
pub const MAX_COLUMNS: usize = 4_096;

impl Definition {
    /// Reads a definition.
    ///
    /// # Errors
    ///
    /// A sentence that names the column and the key: for whoever wrote the definition.
    pub fn parse(json: &[u8]) -> Result<Self, String> {
        let written: Vec<json::Column> = serde_json::from_slice(json).map_err(|error| {
            format!("it is not a JSON array with an object for each column: {error}")
        })?;
        if written.is_empty() || written.len() > MAX_COLUMNS {
            return Err(format!("it must have 1 to {MAX_COLUMNS} columns"));
        }
        let mut definition = Self {
            columns: Vec::with_capacity(written.len()),
            unchecked: Vec::new(),
        };
        for column in written {
            let name = column.name.clone();
            let read = column
                .read(&mut definition.unchecked)
                .map_err(|wrong| format!("column `{name}`: {wrong}"))?;
            if definition.position(&name).is_some() {
                return Err(format!("column `{name}`: it is there twice"));
            }
            definition.columns.push(read);
        }
        definition.check_conditions()?;
        Ok(definition)
    }

    /// The place of a column.
    pub fn position(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.name == name)
    }

    fn check_conditions(&self) -> Result<(), String> {
        for column in &self.columns {
            for other in column.others() {
                if self.position(other).is_none() {
                    let name = &column.name;
                    return Err(format!(
                        "column `{name}`: a validator names the column `{other}`, which is not there"
                    ));
                }
            }
        }
        Ok(())
    }
}

/// A severity as definitions write it.
fn severity(word: &str) -> Result<Severity, String> {
    match word {
        "error" => Ok(Severity::Error),
        "warning" | "warn" => Ok(Severity::Warning),
        "info" => Ok(Severity::Info),
        other => Err(format!(
            "`severity` is {other:?}; it may be \"error\", \"warning\" or \"info\""
        )),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    fn shipped(table: &str) -> Definition {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../policies/definitions");
        let json = fs::read(folder.join(format!("{table}.json"))).expect("is there");
        Definition::parse(&json).expect(table)
    }

    fn parse(json: &str) -> Result<Definition, String> {
        Definition::parse(json.as_bytes())
    }

    #[test]
    fn every_shipped_definition_is_understood() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../policies/definitions");
        let mut seen = 0;
        for entry in fs::read_dir(folder).expect("a folder") {
            let name = entry.expect("an entry").file_name();
            let name = name.to_str().expect("a name").to_owned();
            let table = name.strip_suffix(".json").expect("a definition");
            let definition = shipped(table);
            let unchecked: Vec<&str> = definition
                .unchecked
                .iter()
                .map(|(_, what)| what.as_str())
                .collect();
            if table == "patient" {
                assert_eq!(unchecked, [""; 0]);
            } else {
                assert_eq!(
                    unchecked,
                    ["that the value stands in `patient.cohortPatientId`"],
                    "{table}"
                );
            }
            seen += 1;
        }
        assert_eq!(seen, 11);
    }

    #[test]
    fn validators_and_choices_are_read_in_all_their_shapes() {
        let patient = shipped("patient");
        let column = |name: &str| &patient.columns[patient.position(name).expect(name)];
        assert!(column("cohortPatientId").is_unique);
        let Kind::Year(bounds) = &column("birthYear").kind else {
            panic!("a year");
        };
        assert_eq!((bounds.low, bounds.high), (Some(1900.0), Some(2025.0)));
        for (name, values) in [
            ("birthSex", &["Female", "Male", "Intersexed"][..]),
            ("hivNegative", &["Y", "S"]),
            ("hispanic", &["Unknown", "No", "Yes"]),
        ] {
            let (Kind::Enum(choices) | Kind::Boolean(choices)) = &column(name).kind else {
                panic!("choices");
            };
            assert_eq!(choices.values(), values, "{name}");
        }
        let when = &column("birthSex").when;
        assert_eq!(
            (when[0].effect, when[0].condition),
            (Effect::Required, Condition::Absent)
        );
        assert_eq!(when[1].severity, Severity::Warning);
        assert_eq!(column("birthSex").presence, Presence::Optional);
        assert_eq!(
            column("enrollDate").presence,
            Presence::Required(Severity::Error)
        );
        assert_eq!(column("deathDate").presence, Presence::Optional);
        let laboratory = shipped("laboratory");
        let recommended = |name: &str| {
            let column = &laboratory.columns[laboratory.position(name).expect(name)];
            column.recommended.as_deref()
        };
        assert!(recommended("normalMin").is_some_and(|message| message.starts_with("If a normal")));
    }

    #[test]
    fn what_is_not_known_is_said_by_name() {
        for (json, said) in [
            ("{}", "not a JSON array"),
            ("[]", "1 to 4096 columns"),
            (r#"[{"name": "a"}]"#, "missing field `type`"),
            (
                r#"[{"name": "a", "type": "id", "name": "b"}]"#,
                "duplicate field `name`",
            ),
            (
                r#"[{"name": "a", "type": "id", "validators": [3]}]"#,
                "expected the name of a validator, or an object",
            ),
            (r#"["a"]"#, "expected an object with the `name`"),
            (
                r#"[{"name": "a", "type": "colour"}]"#,
                "column `a`: the type \"colour\" is not known",
            ),
            (r#"[{"name": " a", "type": "id"}]"#, "spaces"),
            (
                r#"[{"name": "a", "type": "id"}, {"name": "a", "type": "id"}]"#,
                "column `a`: it is there twice",
            ),
            (
                r#"[{"name": "a", "type": "enum"}]"#,
                "column `a`: `allowed_values` must be",
            ),
            (
                r#"[{"name": "a", "type": "date", "date_format": "QQ"}]"#,
                "\"QQ\" is not known",
            ),
            (
                r#"[{"name": "a", "type": "id", "validators": ["no_duplicate"]}]"#,
                "validator `no_duplicate`: it is not known",
            ),
            (
                r#"[{"name": "a", "type": "year", "validators": [{"name": "range", "params": [2, 1]}]}]"#,
                "no value lies within",
            ),
            (
                r#"[{"name": "a", "type": "year", "validators": [{"name": "range"}]}]"#,
                "[LOW, HIGH]",
            ),
            (
                r#"[{"name": "a", "type": "date", "validators": ["int"]}]"#,
                "its type is \"date\", but a validator makes it \"int\"",
            ),
            (
                r#"[{"name": "a", "type": "id", "validators": [{"name": "required_when", "params": {"absent": "b"}}]}]"#,
                "names the column `b`, which is not there",
            ),
            (
                r#"[{"name": "a", "type": "id", "validators": [{"name": "required_when", "params": {}}]}]"#,
                "one of `present` and `absent`",
            ),
        ] {
            let wrong = parse(json).expect_err(json);
            assert!(wrong.contains(said), "{json}: {wrong}");
        }
    }

    #[test]
    fn keys_that_are_not_known_are_reported_as_not_checked() {
        let definition =
            parse(r#"[{"name": "a", "type": "string", "max_length": 3, "label": "A"}]"#);
        let unchecked = definition.expect("is read").unchecked;
        assert_eq!(
            unchecked,
            [(
                "a".to_owned(),
                "the key `max_length` of the definition".to_owned()
            )]
        );
    }

    #[test]
    fn ranges_can_be_of_days_and_open() {
        let json = r#"[
            {"name": "a", "type": "date", "date_format": "DD.MM.YYYY",
             "validators": [{"name": "range", "params": ["01.01.2000", null]}]},
            {"name": "b", "type": "string", "validators": [{"name": "range", "params": {"max": 5}}]}
        ]"#;
        let columns = parse(json).expect("is read").columns;
        assert!(
            matches!(&columns[0].kind, Kind::Date(_, bounds) if bounds.low.is_some() && bounds.high.is_none())
        );
        assert!(matches!(&columns[1].kind, Kind::Number(bounds) if bounds.high == Some(5.0)));
    }
}
