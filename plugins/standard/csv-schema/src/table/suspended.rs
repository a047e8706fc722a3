//! A table between two pieces of its file, written down: what its definition says is not part of it, and is read again.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::Table;
use crate::header::Named;
use crate::report::Report;
use crate::seen::{self, Seen};

/// All that is known of a table beside its definition.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Suspended<'a> {
    /// The names of the columns: all of them, or those that have come of a header under way.
    names: Vec<Cow<'a, str>>,
    /// Where they stand, while the header is under way.
    offsets: Vec<u64>,
    is_in_header: bool,
    rows: u64,
    report: Cow<'a, Report>,
    /// Of the row under way, and of those before it; one for each column of a complete header.
    #[serde(borrow)]
    columns: Vec<Column<'a>>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Column<'a> {
    is_filled: bool,
    offset: u64,
    #[serde(borrow)]
    seen: Option<seen::Suspended<'a>>,
}

impl Table {
    /// What of it is to be written down, if that is at most so many bytes, or not much more. Everything that was only
    /// counted has been told.
    pub(crate) fn suspend(&self, most_bytes: usize) -> Option<Suspended<'_>> {
        let seen = self
            .columns
            .iter()
            .filter_map(|column| column.seen.as_ref());
        if seen.map(Seen::bytes).sum::<usize>() > most_bytes {
            return None;
        }
        let column = |column: &'_ super::FileColumn| Column {
            is_filled: column.is_filled,
            offset: column.offset,
            seen: None,
        };
        let mut columns: Vec<Column<'_>> = self.columns.iter().map(column).collect();
        for (written, column) in columns.iter_mut().zip(&self.columns) {
            written.seen = column.seen.as_ref().map(Seen::suspend);
        }
        let begun = self.header.iter();
        let complete = self.columns.iter().map(|column| column.name.as_str());
        Some(Suspended {
            names: begun
                .clone()
                .map(|cell| cell.name.as_str())
                .chain(complete)
                .map(Cow::Borrowed)
                .collect(),
            offsets: begun.map(|cell| cell.offset).collect(),
            is_in_header: self.is_in_header,
            rows: self.rows,
            report: Cow::Borrowed(&self.report),
            columns,
        })
    }

    /// Goes on from there, as a table of the same definition that nothing has come of; none where it is no state of it.
    pub(crate) fn resume(mut self, suspended: Suspended<'_>) -> Option<Self> {
        let offsets = suspended
            .offsets
            .iter()
            .copied()
            .chain(std::iter::repeat(0));
        let cell = |(name, offset): (&Cow<'_, str>, u64)| Named {
            name: name.clone().into_owned(),
            offset,
        };
        self.header = suspended.names.iter().zip(offsets).map(cell).collect();
        if !suspended.is_in_header {
            self.header_end();
        }
        if self.unusable.is_some() || self.columns.len() != suspended.columns.len() {
            return None;
        }
        for (column, written) in self.columns.iter_mut().zip(suspended.columns) {
            column.is_filled = written.is_filled;
            column.offset = written.offset;
            column.seen = match (column.seen.take(), written.seen) {
                (None, None) => None,
                (Some(fresh), Some(written)) => Some(fresh.resumed(&written)?),
                _ => return None,
            };
        }
        self.rows = suspended.rows;
        // What was found again in the header was told before.
        self.report = suspended.report.into_owned();
        Some(self)
    }
}
