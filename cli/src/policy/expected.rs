//! What a policy says to an upload, as `expected.toml` has it.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use portcullis_engine::{Outcome, Trial};
use portcullis_types::{Severity, Tally};
use serde::{Deserialize, Serialize};
use similar::{ChangeTag, TextDiff};

use crate::policy::screen::{BAD, DIM, GOOD, styled};
use crate::policy::verdict::Word;

/// All that must be the same whenever the same upload comes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Expected {
    verdict: Word,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rule: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    disk: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    path: Option<String>,
    /// The call and the cause.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    failure: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    facts: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    finding: Vec<Finding>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    total: Vec<Total>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Finding {
    rule: String,
    severity: Severity,
    message: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    row: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    column: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    offset: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    excerpt: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Total {
    rule: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    column: Option<String>,
    count: u64,
}

impl Expected {
    /// What was said.
    pub(crate) fn of(trial: &Trial) -> Self {
        let (mut rule, mut message, mut disk, mut path) = (None, None, None, None);
        match &trial.outcome {
            Ok(Outcome::Reject(refusal) | Outcome::Quarantine(refusal)) => {
                rule = Some(refusal.rule.clone());
                message = Some(refusal.message.clone());
            }
            Ok(Outcome::Route(named, at)) => {
                disk = Some(named.to_string());
                path = Some(at.to_string());
            }
            Ok(Outcome::Accept) | Err(_) => {}
        }
        let failure = trial.outcome.as_ref().err();
        let finding = |finding: &portcullis_types::Finding| Finding {
            rule: finding.rule.clone(),
            severity: finding.severity,
            message: finding.message.clone(),
            row: finding.row,
            column: finding.column.clone(),
            offset: finding.offset,
            excerpt: finding.excerpt.clone(),
        };
        let total = |tally: &Tally| Total {
            rule: tally.rule.clone(),
            column: tally.column.clone(),
            count: tally.count,
        };
        Self {
            verdict: Word::of(trial),
            rule,
            message,
            disk,
            path,
            failure: failure.map(|failure| format!("in `{}`: {}", failure.call, failure.cause)),
            facts: trial.facts.iter().cloned().collect(),
            finding: trial.findings.listed.iter().map(finding).collect(),
            total: trial.findings.tallies.iter().map(total).collect(),
        }
    }

    /// As the file has it.
    pub(crate) fn to_toml(&self) -> Result<String> {
        toml::to_string(self).context("what the policy said cannot be written as TOML")
    }
}

/// What is expected and not said, and what is said and not expected; nothing where they are the same.
pub(crate) fn difference(expected: Option<&Expected>, said: &Expected) -> Result<Option<String>> {
    if expected == Some(said) {
        return Ok(None);
    }
    let expected = expected.map_or_else(|| Ok(String::new()), Expected::to_toml)?;
    let said = said.to_toml()?;
    let diff = TextDiff::from_lines(&expected, &said);
    let mut lines = String::new();
    for group in diff.grouped_ops(2) {
        for change in group.iter().flat_map(|op| diff.iter_changes(op)) {
            let line = change.value().trim_end();
            let line = match change.tag() {
                ChangeTag::Delete => styled(BAD, format!("- {line}")),
                ChangeTag::Insert => styled(GOOD, format!("+ {line}")),
                ChangeTag::Equal => styled(DIM, format!("  {line}")),
            };
            lines.push_str("      ");
            lines.push_str(&line);
            lines.push('\n');
        }
    }
    Ok(Some(lines))
}
