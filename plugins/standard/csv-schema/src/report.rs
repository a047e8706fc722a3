//! Findings on their way to the host: sent at once until it has enough of a rule, then counted.

use portcullis_policy::{Finding, Severity, findings};
use serde::{Deserialize, Serialize};

use crate::rule::Rule;

/// Where something was found.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'a> {
    /// Counted from 1 for the first row after the header, which is row 0.
    pub(crate) row: u64,
    /// A column by its place in the file and its name.
    pub(crate) column: Option<(usize, &'a str)>,
    /// In bytes from the start of the file.
    pub(crate) offset: Option<u64>,
    /// What stands there.
    pub(crate) content: Option<&'a [u8]>,
}

/// The longest excerpt that the host takes, in bytes.
const MAX_EXCERPT_BYTES: usize = 256;

/// What has been found.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Report {
    rules: Vec<Found>,
    /// Findings of the severity `error`.
    errors: u64,
}

/// What has been found about one rule.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Found {
    /// Those that make the table one that does not fit.
    errors: u64,
    /// The host wants no more of it.
    is_full: bool,
    /// Not yet told to the host: without a column first, then by place of the column.
    untold: Vec<u64>,
}

impl Report {
    pub(crate) fn new() -> Self {
        Self {
            rules: vec![Found::default(); Rule::ALL.len()],
            errors: 0,
        }
    }

    /// Reports something. The message is made only when the host takes it.
    #[cold]
    pub(crate) fn add(
        &mut self,
        rule: Rule,
        severity: Severity,
        place: Place<'_>,
        message: impl FnOnce() -> String,
    ) {
        let found = &mut self.rules[rule as usize];
        if severity == Severity::Error {
            found.errors += 1;
            self.errors += 1;
        }
        if found.is_full {
            found.count(place.column.map_or(0, |(nth, _)| nth + 1), 1);
            return;
        }
        let mut finding = Finding::new(severity, rule.id(), message()).at_row(place.row);
        if let Some((_, name)) = place.column {
            finding = finding.in_column(beginning(name));
        }
        if let Some(offset) = place.offset {
            finding = finding.at_byte(offset);
        }
        if let Some(content) = place.content {
            let content = &content[..content.len().min(MAX_EXCERPT_BYTES)];
            finding = finding.quoting(beginning(&String::from_utf8_lossy(content)));
        }
        found.is_full = !findings::report(finding);
    }

    /// Counts what the host wants no more findings of, and what is no error.
    pub(crate) fn count(&mut self, rule: Rule, column: usize, n: u64) {
        if n > 0 {
            self.rules[rule as usize].count(column + 1, n);
        }
    }

    /// Whether the host wants no more findings of a rule.
    pub(crate) fn is_full(&self, rule: Rule) -> bool {
        self.rules[rule as usize].is_full
    }

    /// Tells the host what was only counted. `names` are the columns of the file.
    pub(crate) fn tally<'a>(&mut self, names: impl Fn(usize) -> Option<&'a str>) {
        for (found, rule) in self.rules.iter_mut().zip(Rule::ALL) {
            for (column, untold) in found.untold.iter_mut().enumerate() {
                if *untold > 0 {
                    let name = column.checked_sub(1).and_then(&names);
                    findings::tally(rule.id(), name, *untold);
                    *untold = 0;
                }
            }
        }
    }

    /// How often something was found that makes the table one that does not fit.
    pub(crate) fn errors(&self) -> u64 {
        self.errors
    }

    /// The same by rule, the most frequent first.
    pub(crate) fn errors_by_rule(&self) -> Vec<(Rule, u64)> {
        let counts = Rule::ALL.iter().zip(&self.rules);
        let mut counts: Vec<_> = counts
            .map(|(rule, found)| (*rule, found.errors))
            .filter(|(_, errors)| *errors > 0)
            .collect();
        counts.sort_by_key(|(_, errors)| std::cmp::Reverse(*errors));
        counts
    }
}

impl Found {
    fn count(&mut self, place: usize, n: u64) {
        if self.untold.len() <= place {
            self.untold.resize(place + 1, 0);
        }
        self.untold[place] += n;
    }
}

/// What fits into a finding of a name or an excerpt.
fn beginning(text: &str) -> &str {
    &text[..text.floor_char_boundary(MAX_EXCERPT_BYTES)]
}
