use std::collections::BTreeMap;

use serde::Deserialize;

use portcullis_types::Attributes;

/// Which uploads a policy is asked about: those whose attributes all have one of the values given.
/// Without any, all uploads.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub(crate) struct Matching(BTreeMap<String, Values>);

/// One value, several, or `"*"` for any value as long as there is one.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
enum Values {
    One(String),
    Several(Vec<String>),
}

impl Matching {
    pub(crate) fn applies_to(&self, attributes: &Attributes) -> bool {
        self.0.iter().all(|(name, values)| {
            attributes
                .get(name)
                .is_some_and(|value| values.include(value))
        })
    }
}

impl Values {
    fn include(&self, value: &str) -> bool {
        let fits = |wanted: &String| wanted == "*" || wanted == value;
        match self {
            Self::One(wanted) => fits(wanted),
            Self::Several(wanted) => wanted.iter().any(fits),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matching(toml: &str) -> Matching {
        toml::from_str(toml).expect("parses")
    }

    #[test]
    fn all_named_attributes_must_fit() {
        let mut upload = Attributes::default();
        upload.insert("table", "patient").expect("fits");
        upload.insert("year", "2024").expect("fits");
        for (toml, applies) in [
            ("", true),
            ("table = 'patient'", true),
            ("table = ['census', 'patient']", true),
            ("table = '*'", true),
            ("table = 'patient'\nyear = '2023'", false),
            ("cohort = '*'", false),
        ] {
            assert_eq!(matching(toml).applies_to(&upload), applies, "{toml}");
        }
    }
}
