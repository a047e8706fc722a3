//! What one policy reports about one upload, kept within limits and counted beyond them.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use portcullis_types::{Attributes, Finding, Findings, PolicyName, Tally};
use serde::{Deserialize, Serialize};

use crate::Limits;

/// The most pairs of rule and column that are counted apart; what comes beyond is counted by rule.
const MAX_TALLIES: usize = 1_000;
/// The most facts of one upload.
const MAX_FACTS: usize = Attributes::MAX;

/// Hears of each finding that is kept, in the moment in which the policy reports it. It must not wait.
pub type FindingListener = Arc<dyn Fn(&Finding) + Send + Sync>;

/// Findings, counts and facts of one policy.
#[derive(Default)]
pub(crate) struct Collected {
    listener: Option<FindingListener>,
    listed: Vec<Finding>,
    listed_by_rule: BTreeMap<String, usize>,
    unlisted: BTreeMap<(String, Option<String>), u64>,
    facts: Vec<(String, String)>,
}

/// What one policy has reported so far, written down.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Written {
    listed: Vec<Finding>,
    /// By rule and column.
    unlisted: Vec<(String, Option<String>, u64)>,
    facts: Vec<(String, String)>,
}

impl Written {
    /// The findings that are kept.
    pub(crate) fn listed(&self) -> &[Finding] {
        &self.listed
    }
}

impl fmt::Debug for Collected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Collected")
            .field("listed", &self.listed.len())
            .finish_non_exhaustive()
    }
}

impl Collected {
    /// Nothing yet; each finding is told to the listener.
    pub(crate) fn heard_by(listener: Option<FindingListener>) -> Self {
        Self {
            listener,
            ..Self::default()
        }
    }

    /// What there is so far, to be written down.
    pub(crate) fn written(&self) -> Written {
        let unlisted = self.unlisted.iter();
        Written {
            listed: self.listed.clone(),
            unlisted: unlisted
                .map(|((rule, column), n)| (rule.clone(), column.clone(), *n))
                .collect(),
            facts: self.facts.clone(),
        }
    }

    /// Goes on from there. The listener heard of it before.
    pub(crate) fn read(written: Written, listener: Option<FindingListener>) -> Self {
        let mut listed_by_rule = BTreeMap::<String, usize>::new();
        for finding in &written.listed {
            *listed_by_rule.entry(finding.rule.clone()).or_default() += 1;
        }
        let unlisted = written.unlisted.into_iter();
        Self {
            listener,
            listed: written.listed,
            listed_by_rule,
            unlisted: unlisted
                .map(|(rule, column, n)| ((rule, column), n))
                .collect(),
            facts: written.facts,
        }
    }

    /// Keeps a finding, or only counts it. Says whether it was kept.
    pub(crate) fn report(&mut self, finding: Finding, limits: &Limits) -> bool {
        let of_rule = self.listed_by_rule.entry(finding.rule.clone()).or_default();
        if *of_rule < limits.findings_per_rule && self.listed.len() < limits.findings {
            *of_rule += 1;
            if let Some(listener) = &self.listener {
                listener(&finding);
            }
            self.listed.push(finding);
            return true;
        }
        self.tally(finding.rule, finding.column, 1);
        false
    }

    /// Counts what was not reported.
    pub(crate) fn tally(&mut self, rule: String, column: Option<String>, n: u64) {
        let key = (rule, column);
        let known = self.unlisted.contains_key(&key);
        let key = if known || self.unlisted.len() < MAX_TALLIES {
            key
        } else {
            (key.0, None)
        };
        let count = self.unlisted.entry(key).or_default();
        *count = count.saturating_add(n);
    }

    /// Keeps a fact, unless there is one of this name, it is too long, or there are too many.
    pub(crate) fn set_fact(&mut self, name: String, value: String) {
        let known = self.facts.iter().any(|(set, _)| *set == name);
        let fits = !name.is_empty()
            && name.len() <= 64
            && value.len() <= Attributes::MAX_VALUE_BYTES
            && self.facts.len() < MAX_FACTS;
        if fits && !known {
            self.facts.push((name, value));
        }
    }

    /// How many breaches there are in all.
    pub(crate) fn count(&self) -> u64 {
        let unlisted: u64 = self.unlisted.values().sum();
        unlisted.saturating_add(self.listed.len() as u64)
    }

    /// Hands everything over: findings as they were made, and for each rule and column that is not listed in
    /// full its true total.
    pub(crate) fn hand_over(
        self,
        policy: &PolicyName,
        findings: &mut Findings,
        facts: &mut Vec<(String, String)>,
    ) {
        let listed = |rule: &str, column: &Option<String>| {
            let same = |found: &&Finding| found.rule == rule && found.column == *column;
            self.listed.iter().filter(same).count() as u64
        };
        let tally = |((rule, column), unlisted): (&(String, Option<String>), &u64)| Tally {
            policy: policy.clone(),
            rule: rule.clone(),
            column: column.clone(),
            count: unlisted.saturating_add(listed(rule, column)),
        };
        findings.tallies.extend(self.unlisted.iter().map(tally));
        findings.listed.extend(self.listed);
        for (name, value) in self.facts {
            if !facts.iter().any(|(set, _)| *set == name) {
                facts.push((name, value));
            }
        }
    }
}
