use serde::{Deserialize, Serialize};

use crate::PolicyName;

/// How much a finding weighs, lightest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Something worth knowing, for example a check that was not made.
    Info,
    /// The data is allowed but looks wrong.
    Warning,
    /// The data breaks a rule.
    Error,
}

/// One thing that a policy noticed about the data. It goes to the uploader and to services, never into
/// telemetry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Finding {
    /// The policy that noticed it.
    pub policy: PolicyName,
    /// The rule in kebab-case.
    pub rule: String,
    /// How much it weighs.
    pub severity: Severity,
    /// One sentence for the uploader, without any content of the data.
    pub message: String,
    /// The row, counted from 1 for the first one after the header, which is row 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub row: Option<u64>,
    /// The column as it is named in the header.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<String>,
    /// Where the row or value begins, in bytes from the start of the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offset: Option<u64>,
    /// Content of the data, only where the administrator lets this policy quote it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub excerpt: Option<String>,
}

/// How often a rule was broken in all, when that is more often than it is listed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tally {
    /// The policy that counted.
    pub policy: PolicyName,
    /// The rule in kebab-case.
    pub rule: String,
    /// The column, where the rule is counted by column.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<String>,
    /// How many there are.
    pub count: u64,
}

/// What the policies noticed about one upload: findings in the order in which they were made, and true
/// totals for the rules that broke more often than findings are listed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Findings {
    /// What is listed.
    #[serde(default)]
    pub listed: Vec<Finding>,
    /// Totals of what is not listed in full.
    #[serde(default)]
    pub tallies: Vec<Tally>,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    prop_compose! {
        fn any_finding()(
            severity in prop::sample::select(vec![Severity::Info, Severity::Warning, Severity::Error]),
            texts in prop::array::uniform3("\\PC{0,20}"),
            place in any::<(Option<u64>, Option<u64>)>(),
            content in prop::option::of("\\PC{0,20}"),
        ) -> Finding {
            let [rule, message, column] = texts;
            Finding {
                policy: "csv-schema".parse().expect("is a name"),
                rule,
                severity,
                message,
                row: place.0,
                column: Some(column),
                offset: place.1,
                excerpt: content,
            }
        }
    }

    proptest! {
        #[test]
        fn findings_survive_their_json_and_what_is_not_known_is_refused(
            listed in prop::collection::vec(any_finding(), 0..4),
            count in any::<u64>(),
        ) {
            let policy = "csv-schema".parse().expect("is a name");
            let tally = Tally { policy, rule: "range".to_owned(), column: None, count };
            let findings = Findings { listed, tallies: vec![tally] };
            let mut json = serde_json::to_value(&findings).expect("is JSON");
            prop_assert_eq!(serde_json::from_value::<Findings>(json.clone()).ok(), Some(findings));
            json["more"] = true.into();
            prop_assert!(serde_json::from_value::<Findings>(json).is_err());
        }
    }

    #[test]
    fn severities_are_ordered_by_weight() {
        assert!(Severity::Info < Severity::Warning && Severity::Warning < Severity::Error);
    }
}
