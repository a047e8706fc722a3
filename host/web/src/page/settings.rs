//! What a site decides about its upload page.

use portcullis_types::Attributes;
use serde::Deserialize;

use crate::metadata;

/// The form field that holds the file; no attribute can have its name.
const FILE_FIELD: &str = "file";

/// The longest extension in bytes, with its dot.
const MAX_EXTENSION_BYTES: usize = 32;

/// The tables whose definitions ship with Portcullis.
const TABLES: [&str; 11] = [
    "census",
    "diagnosis",
    "discharge_dx",
    "hospitalization",
    "insurance",
    "laboratory",
    "medication_administration",
    "mortality",
    "patient",
    "procedure",
    "substance_survey",
];

/// What the page shows. The default fits the policies that ship with Portcullis.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct PageSettings {
    /// The name of the site, beside the name of the product. Default: none.
    pub site_name: String,
    /// What uploaders are asked about the data, in this order.
    pub fields: Vec<FormField>,
    /// The files that can be chosen; empty for any. Policies judge whatever comes all the same.
    pub extensions: Vec<Extension>,
    /// Where receipts lead for their trace. Default: nowhere.
    pub trace_url: Option<TraceUrl>,
}

/// One question about the data: an attribute of the upload.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct FormField {
    /// The name of the attribute, as policies know it.
    pub name: FieldName,
    /// What stands before the field.
    pub label: String,
    /// Whether the form can be sent without it.
    #[serde(default)]
    pub required: bool,
    /// The values to choose from; empty for free text.
    #[serde(default)]
    pub choices: Vec<String>,
    /// Whether a value that is not among the choices can be typed as well.
    #[serde(default)]
    pub other: bool,
    /// A few words below the field; empty for none.
    #[serde(default)]
    pub hint: String,
}

/// The name of an attribute, within the limits of the policy contract.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct FieldName(Box<str>);

/// The end of a file name from its last dot on, such as `.csv`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Extension(Box<str>);

/// The address at which a trace is looked at, with `{trace_id}` in the place of its id.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct TraceUrl(Box<str>);

/// Why the settings of the page cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPage {
    /// Not a name for an attribute.
    #[error(
        "`{0}` cannot be the name of a field; use 1 to 64 characters of a-z, A-Z, 0-9, `_`, `-` and `.`, but not `file`"
    )]
    FieldName(String),
    /// A name under which clients describe the file itself.
    #[error(
        "`{0}` cannot be the name of a field: under it clients say what the file is called, of what type it is or where it lies; choose another, such as `data-{0}`"
    )]
    AboutFile(String),
    /// Not an extension.
    #[error("`{0}` is not an extension; write a dot and letters or digits, such as `.csv`")]
    Extension(String),
    /// Not an address of traces.
    #[error(
        "`{0}` cannot be where traces are looked at; write an address that begins with `https://` or `http://` and has `{{trace_id}}` where the id of the trace belongs"
    )]
    TraceUrl(String),
}

impl Default for PageSettings {
    fn default() -> Self {
        let field = |name: &str, label: &str, choices: &[&str], hint: &str| FormField {
            name: FieldName(name.into()),
            label: label.to_owned(),
            required: true,
            choices: choices.iter().map(|&choice| choice.to_owned()).collect(),
            other: true,
            hint: hint.to_owned(),
        };
        Self {
            site_name: String::new(),
            fields: vec![
                field("cohort", "Cohort", &[], "The short name of your site"),
                field(
                    "protocol_year",
                    "Protocol year",
                    &[],
                    "Four digits, such as 2024",
                ),
                field(
                    "table",
                    "Table",
                    &TABLES,
                    "The definition that the data follows",
                ),
            ],
            extensions: vec![Extension(".csv".into()), Extension(".tsv".into())],
            trace_url: None,
        }
    }
}

impl FieldName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for FieldName {
    type Error = InvalidPage;

    fn try_from(name: String) -> Result<Self, InvalidPage> {
        if metadata::describes_the_file(&name) {
            return Err(InvalidPage::AboutFile(name));
        }
        if name == FILE_FIELD || Attributes::default().insert(&name, "").is_err() {
            return Err(InvalidPage::FieldName(name));
        }
        Ok(Self(name.into()))
    }
}

impl Extension {
    /// The extension with its dot.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Extension {
    type Error = InvalidPage;

    fn try_from(text: String) -> Result<Self, InvalidPage> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
        let valid = text.strip_prefix('.').is_some_and(|rest| {
            !rest.is_empty() && rest.bytes().all(allowed) && text.len() <= MAX_EXTENSION_BYTES
        });
        if valid {
            Ok(Self(text.into()))
        } else {
            Err(InvalidPage::Extension(text))
        }
    }
}

/// What stands for the id of a trace.
const TRACE_ID: &str = "{trace_id}";

impl TraceUrl {
    /// With the place for the id, as the page's own program needs it.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// The address of one trace.
    pub(super) fn of(&self, trace_id: &str) -> String {
        self.0.replace(TRACE_ID, trace_id)
    }
}

impl TryFrom<String> for TraceUrl {
    type Error = InvalidPage;

    fn try_from(text: String) -> Result<Self, InvalidPage> {
        // Of no other scheme, such as one that runs as a script.
        let is_web = ["https://", "http://"]
            .iter()
            .any(|scheme| text.starts_with(scheme));
        if is_web && text.contains(TRACE_ID) {
            Ok(Self(text.into()))
        } else {
            Err(InvalidPage::TraceUrl(text))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_site_can_ask_its_own_questions() {
        let text = r#"
            site-name = "North Clinic"
            extensions = [".csv"]
            [[fields]]
            name = "study"
            label = "Study"
            required = true
            choices = ["A", "B"]
        "#;
        let settings: PageSettings = toml::from_str(text).expect("is valid");
        assert_eq!(settings.fields[0].name.as_str(), "study");
        assert!(settings.fields[0].required && !settings.fields[0].other);
    }

    #[test]
    fn what_is_left_out_has_a_default_that_fits_the_policies_that_ship() {
        let settings: PageSettings = toml::from_str("").expect("is valid");
        let names: Vec<_> = settings
            .fields
            .iter()
            .map(|field| field.name.as_str())
            .collect();
        assert_eq!(names, ["cohort", "protocol_year", "table"]);
    }

    #[test]
    fn names_that_no_policy_could_be_shown_are_refused_with_advice() {
        for name in ["", "file", "two words", "a/b"] {
            let refused = FieldName::try_from(name.to_owned()).expect_err(name);
            assert!(
                refused.to_string().contains("1 to 64 characters"),
                "{refused}"
            );
        }
        for name in ["type", "name", "relativePath"] {
            let refused = FieldName::try_from(name.to_owned()).expect_err(name);
            assert!(refused.to_string().contains("choose another"), "{refused}");
        }
        for extension in ["csv", ".", ".c sv", ".csv,.exe"] {
            assert!(
                Extension::try_from(extension.to_owned()).is_err(),
                "{extension}"
            );
        }
    }

    #[test]
    fn traces_are_looked_at_where_the_web_is() {
        let address = "https://tracing.example.org/trace/{trace_id}?embed=1";
        let url = TraceUrl::try_from(address.to_owned()).expect("is one");
        assert_eq!(url.of("ab"), "https://tracing.example.org/trace/ab?embed=1");
        for address in [
            "",
            "https://tracing.example.org/",
            "javascript:alert('{trace_id}')",
            "/trace/{trace_id}",
        ] {
            let refused = TraceUrl::try_from(address.to_owned()).expect_err(address);
            assert!(refused.to_string().contains("{trace_id}"), "{refused}");
        }
    }

    #[test]
    fn a_misspelt_key_is_said_and_not_ignored() {
        let refused = toml::from_str::<PageSettings>("sitename = \"x\"").expect_err("is unknown");
        assert!(refused.to_string().contains("sitename"), "{refused}");
    }
}
