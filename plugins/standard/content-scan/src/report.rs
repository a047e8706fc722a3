//! What was found: told to the host at once until it has enough, then counted.

use std::collections::BTreeMap;

use portcullis_policy::{Finding, Refusal, Severity, findings};

use crate::kind::Kind;

/// The most pairs of kind and column that are counted apart.
const MAX_COUNTED: usize = 500;

/// All of it.
pub(crate) struct Report {
    severity: Severity,
    /// How often each kind was found.
    counts: [u64; Kind::ALL.len()],
    /// Kinds of which the host keeps no more.
    is_full: [bool; Kind::ALL.len()],
    /// What was not told, by kind and column.
    untold: BTreeMap<(usize, Option<String>), u64>,
}

/// Where something was found.
pub(crate) struct Place<'a> {
    /// The row of a table, or the line of a text, from 1; absent for the names of columns.
    pub(crate) row: Option<u64>,
    pub(crate) column: Option<&'a str>,
    /// Where the cell or the thing itself begins.
    pub(crate) offset: u64,
}

impl Report {
    pub(crate) fn new(severity: Severity) -> Self {
        Self {
            severity,
            counts: [0; Kind::ALL.len()],
            is_full: [false; Kind::ALL.len()],
            untold: BTreeMap::new(),
        }
    }

    pub(crate) fn add(&mut self, kind: Kind, place: &Place<'_>) {
        let nth = kind as usize;
        self.counts[nth] += 1;
        if self.is_full[nth] {
            let column = place.column.map(str::to_owned);
            let key = (nth, column);
            let is_known = self.untold.contains_key(&key) || self.untold.len() < MAX_COUNTED;
            let key = if is_known { key } else { (nth, None) };
            *self.untold.entry(key).or_default() += 1;
            return;
        }
        let message = format!("This looks like {}.", kind.name());
        let mut finding = Finding::new(self.severity, kind.rule(), message).at_byte(place.offset);
        if let Some(row) = place.row {
            finding = finding.at_row(row);
        }
        if let Some(column) = place.column {
            finding = finding.in_column(column);
        }
        self.is_full[nth] = !findings::report(finding);
    }

    /// Tells the host what was only counted; gives how much there is in all.
    pub(crate) fn finish(&mut self) -> u64 {
        for ((nth, column), count) in std::mem::take(&mut self.untold) {
            findings::tally(Kind::ALL[nth].rule(), column.as_deref(), count);
        }
        self.counts.iter().sum()
    }

    /// Why the upload may not pass.
    pub(crate) fn refusal(&self) -> Refusal {
        let found = Kind::ALL
            .iter()
            .zip(self.counts)
            .filter(|(_, count)| *count > 0);
        let found: Vec<_> = found.collect();
        let list: Vec<_> = found
            .iter()
            .map(|(kind, count)| match count {
                1 => format!("{} once", kind.name()),
                count => format!("{} {count} times", kind.name()),
            })
            .collect();
        let rule = found.first().map_or("", |(kind, _)| kind.rule());
        Refusal::new(
            rule,
            format!(
                "The file has what identifies a person: {}. Remove it, or put something else in its place.",
                list.join(", ")
            ),
        )
    }
}
