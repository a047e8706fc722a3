//! What policies in the shadow would have done, summed up over many uploads.

use std::collections::BTreeMap;
use std::time::Duration;

use portcullis_hop::policies::shadow::{
    Decided, ShadowAttribute, ShadowPolicy, ShadowQuery, ShadowReport, ShadowReports, ShadowSummary,
};
use portcullis_telemetry::{Detail, Label, Line, Metric, ShadowChange, log, metrics};
use portcullis_types::Verdict;

use super::{Policies, PolicyError};
use crate::catalog::{CatalogError, Rows, ShadowRow, ShadowRows};

/// The most verdicts of one summary, newest first.
const MAX_VERDICTS: u32 = 100_000;
/// The most examples of one rule.
const MAX_EXAMPLES: usize = 5;
/// The most values of attributes in a summary of one policy.
const MAX_VALUES: usize = 100;
/// How long verdicts are kept.
pub(super) const KEPT: Duration = Duration::from_hours(30 * 24);

impl Policies {
    /// Keeps what a web host reports.
    pub async fn note_shadows(&self, reports: ShadowReports) -> Result<(), PolicyError> {
        if reports.lost > 0 {
            log(Line::ShadowLost, [Detail::Count(reports.lost)]);
        }
        reports.reports.iter().for_each(count);
        let now = self.0.clock.now();
        let add = move |rows: &Rows| {
            let mut reports = reports.reports.iter();
            reports.try_for_each(|report| ShadowRows::add(rows, report, now))
        };
        Ok(self.0.catalog.run(add).await?)
    }

    /// What shadow policies would have done to the uploads that a query is about.
    pub async fn shadow_summary(&self, query: ShadowQuery) -> Result<ShadowSummary, PolicyError> {
        let find = move |rows: &Rows| {
            let found = ShadowRows::find(rows, &query, MAX_VERDICTS)?;
            Ok::<_, CatalogError>(found)
        };
        let verdicts = self.0.catalog.read(find).await?;
        let mut policies: BTreeMap<_, Counted> = BTreeMap::new();
        for row in &verdicts {
            let key = (row.policy.clone(), row.candidate, row.digest);
            let counted = policies.entry(key).or_insert_with(|| Counted::of(row));
            counted.count(row);
        }
        let policies = policies.into_values();
        Ok(ShadowSummary {
            truncated: verdicts.len() == MAX_VERDICTS as usize,
            policies: policies.map(Counted::sum).collect(),
        })
    }
}

/// What is counted of one policy.
struct Counted {
    sum: ShadowPolicy,
    /// For each value of an attribute: how many were judged, and how many would end otherwise.
    values: BTreeMap<(String, String), (u64, u64)>,
}

/// What a verdict would have changed; absent where there is none.
pub(super) fn change(row: &ShadowRow) -> Option<ShadowChange> {
    let is_set_apart = row.verdict == Verdict::Quarantine.as_str();
    let is_own = row.decided_by.as_ref() == Some(&row.policy);
    Some(changed(row.decided, is_own, row.passes?, is_set_apart))
}

/// The same of an upload of which that became, by the policy of the same name or not, and would have passed, or been set apart.
fn changed(decided: Decided, is_own: bool, passes: bool, is_set_apart: bool) -> ShadowChange {
    match decided {
        Decided::Accept | Decided::Quarantine if !passes => ShadowChange::NewlyRefused,
        Decided::Accept if is_set_apart => ShadowChange::NewlySetApart,
        // Refused by what it would replace. Where another policy refused, that one still would.
        Decided::Reject if passes && is_own => ShadowChange::NewlyPassed,
        _ => ShadowChange::None,
    }
}

/// Counts what the policies in the shadow would have done to an upload.
fn count(report: &ShadowReport) {
    for said in &report.verdicts {
        let Some(passes) = said.passes else {
            continue;
        };
        let name = &said.policy.name;
        let is_set_apart = said.policy.verdict == Verdict::Quarantine;
        let is_own = report.by.as_ref() == Some(name);
        let change = changed(report.decided, is_own, passes, is_set_apart);
        let labels = [Label::Policy(name.clone()), Label::Change(change)];
        metrics::count(Metric::ShadowChanges, 1, labels);
    }
}

impl Counted {
    /// Nothing yet, of the policy that a verdict is of.
    fn of(row: &ShadowRow) -> Self {
        Self {
            sum: ShadowPolicy {
                policy: row.policy.clone(),
                digest: row.digest,
                set: row.candidate,
                judged: 0,
                unchanged: 0,
                newly_refused: 0,
                newly_set_apart: 0,
                newly_passed: 0,
                failed: 0,
                incomplete: BTreeMap::new(),
                rules: BTreeMap::new(),
                attributes: Vec::new(),
            },
            values: BTreeMap::new(),
        }
    }

    fn count(&mut self, row: &ShadowRow) {
        let sum = &mut self.sum;
        let Some(change) = change(row) else {
            if let Some(why) = row.incomplete {
                *sum.incomplete.entry(why).or_default() += 1;
            }
            return;
        };
        sum.judged += 1;
        sum.failed += u64::from(row.verdict == Verdict::Failed.as_str());
        match change {
            ShadowChange::None => sum.unchanged += 1,
            ShadowChange::NewlyRefused => sum.newly_refused += 1,
            ShadowChange::NewlySetApart => sum.newly_set_apart += 1,
            ShadowChange::NewlyPassed => sum.newly_passed += 1,
        }
        let is_worse = matches!(
            change,
            ShadowChange::NewlyRefused | ShadowChange::NewlySetApart
        );
        if is_worse {
            let rule = row.rule.clone().unwrap_or_else(|| row.verdict.clone());
            let rule = sum.rules.entry(rule).or_default();
            rule.uploads += 1;
            rule.findings += row.rules.values().sum::<u64>();
            if rule.examples.len() < MAX_EXAMPLES {
                rule.examples.push(row.upload);
            }
        }
        for (name, value) in row.attributes.iter() {
            let key = (name.to_owned(), value.to_owned());
            if self.values.len() < MAX_VALUES || self.values.contains_key(&key) {
                let (judged, changed) = self.values.entry(key).or_default();
                *judged += 1;
                *changed += u64::from(is_worse);
            }
        }
    }

    fn sum(mut self) -> ShadowPolicy {
        let values = self.values.into_iter();
        let attribute = |((name, value), (judged, changed))| ShadowAttribute {
            name,
            value,
            judged,
            changed,
        };
        self.sum.attributes = values.map(attribute).collect();
        self.sum
    }
}
