use std::collections::BTreeMap;

use serde::Deserialize;

use crate::constraint::Constraint;
use crate::part;
use crate::template::{FIELDS, Template, is_attribute_name};

/// What an administrator sets.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Settings {
    /// Where uploads go: a path with names in braces.
    pub template: String,
    /// The disk; `local` unless set.
    #[serde(default = "local")]
    pub disk: String,
    /// What attributes may be. Each is required, whether the template names it or not.
    #[serde(default)]
    pub attributes: BTreeMap<String, Constraint>,
    /// Attributes that may be there and are not looked at.
    #[serde(default)]
    pub ignore: Vec<String>,
}

fn local() -> String {
    "local".to_owned()
}

/// The settings once they are known to fit together.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) template: Template,
    pub(crate) disk: String,
    /// Every attribute that must be there: the template's, and those that have a constraint.
    pub(crate) required: BTreeMap<String, Constraint>,
    pub(crate) ignored: Vec<String>,
}

impl TryFrom<Settings> for Plan {
    /// A sentence for the administrator.
    type Error = String;

    fn try_from(settings: Settings) -> Result<Self, String> {
        let template = Template::parse(&settings.template)
            .map_err(|wrong| format!("setting `template`: {wrong}"))?;
        if !is_disk_name(&settings.disk) {
            let disk = &settings.disk;
            return Err(format!(
                "setting `disk`: {disk:?} is not the name of a disk: use 1 to 64 of a-z, 0-9, `_` and `-`"
            ));
        }
        for (name, constraint) in &settings.attributes {
            check_attribute(name, constraint)?;
        }
        for name in &settings.ignore {
            check_name("ignore", name)?;
            let named_in_template = template.attributes().any(|used| used == name);
            if named_in_template || settings.attributes.contains_key(name) {
                return Err(format!(
                    "setting `ignore`: the attribute `{name}` is used as well; take it out of one of the two"
                ));
            }
        }
        let mut required = settings.attributes;
        for name in template.attributes() {
            required.entry(name.to_owned()).or_default();
        }
        Ok(Self {
            template,
            disk: settings.disk,
            required,
            ignored: settings.ignore,
        })
    }
}

fn check_attribute(name: &str, constraint: &Constraint) -> Result<(), String> {
    check_name("attributes", name)?;
    if let Constraint::OneOf(values) = constraint {
        for value in values {
            part::check(value).map_err(|wrong| {
                let wrong = wrong.sentence();
                format!("setting `attributes.{name}`: the value {value:?} {wrong}")
            })?;
        }
    }
    Ok(())
}

fn check_name(setting: &str, name: &str) -> Result<(), String> {
    if FIELDS.iter().any(|(field, _)| *field == name) {
        return Err(format!(
            "setting `{setting}`: `{name}` has a meaning of its own in the template; give the attribute another name"
        ));
    }
    if !is_attribute_name(name) {
        return Err(format!(
            "setting `{setting}`: {name:?} is not the name of an attribute: use 1 to 64 of a-z, A-Z, 0-9, `_`, `-` and `.`"
        ));
    }
    Ok(())
}

fn is_disk_name(name: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'_' | b'-');
    (1..=64).contains(&name.len()) && name.bytes().all(allowed) && !name.starts_with(['_', '-'])
}
