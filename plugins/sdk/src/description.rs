use crate::bindings::validation::portcullis::policy::types;
use crate::{Description, Setting, settings};

/// A rule that a policy checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// In kebab-case, at most 64 bytes, stable across versions of the policy.
    pub id: &'static str,
    /// One sentence: what the data must be.
    pub summary: &'static str,
}

impl Rule {
    /// A rule.
    pub const fn new(id: &'static str, summary: &'static str) -> Self {
        Self { id, summary }
    }
}

/// An attribute that a policy uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attribute {
    /// Its name.
    pub name: &'static str,
    /// What a form calls it.
    pub label: &'static str,
    /// Whether an upload needs it.
    pub required: bool,
    /// The values that it may have; empty when any will do.
    pub choices: &'static [&'static str],
}

/// What an author says in constants.
pub(crate) struct Said {
    pub(crate) name: &'static str,
    pub(crate) version: &'static str,
    pub(crate) summary: &'static str,
    pub(crate) settings: &'static [Setting],
    pub(crate) rules: &'static [Rule],
    pub(crate) attributes: &'static [Attribute],
    pub(crate) resources: &'static [&'static str],
    pub(crate) counters: &'static [&'static str],
}

impl Said {
    /// The same in the words of the contract.
    pub(crate) fn into_description(self) -> Description {
        let owned = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect();
        let rule = |rule: &Rule| types::Rule {
            id: rule.id.to_owned(),
            summary: rule.summary.to_owned(),
        };
        let attribute = |attribute: &Attribute| types::Attribute {
            name: attribute.name.to_owned(),
            label: attribute.label.to_owned(),
            required: attribute.required,
            choices: owned(attribute.choices),
        };
        Description {
            name: self.name.to_owned(),
            version: self.version.to_owned(),
            summary: self.summary.to_owned(),
            settings_schema: settings::schema(self.settings),
            attributes: self.attributes.iter().map(attribute).collect(),
            rules: self.rules.iter().map(rule).collect(),
            resources: owned(self.resources),
            counters: owned(self.counters),
        }
    }
}
