//! A table while it comes: the cells of the columns that are looked at.

use std::borrow::Cow;

use portcullis_csv::{Cell, Row, Sink};

use crate::columns;
use crate::detect::{Detector, is_whole};
use crate::divided;
use crate::kind::Kind;
use crate::plain;
use crate::report::{Place, Report};
use crate::settings::Settings;

/// The longest name of a column that is kept, in bytes, and the most columns with names.
const MAX_NAME_BYTES: usize = 256;
const MAX_COLUMNS: usize = 4096;

/// The table.
pub(crate) struct Table {
    pub(crate) detector: Detector,
    pub(crate) report: Report,
    wanted: Vec<String>,
    ignored: Vec<String>,
    columns: Vec<Column>,
    /// 0 while the header is read.
    row: u64,
}

struct Column {
    name: String,
    is_looked_at: bool,
    expected: Option<Kind>,
}

impl Table {
    pub(crate) fn new(detector: Detector, report: Report, settings: &Settings) -> Self {
        let lower = |names: &[String]| names.iter().map(|name| name.to_lowercase()).collect();
        Self {
            detector,
            report,
            wanted: lower(&settings.columns),
            ignored: lower(&settings.ignore_columns),
            columns: Vec::new(),
            row: 0,
        }
    }

    /// Columns that are to be looked at and are not there.
    pub(crate) fn missing(&self) -> Vec<&str> {
        let is_there = |wanted: &&String| {
            let mut columns = self.columns.iter();
            !columns.any(|column| column.name.to_lowercase() == **wanted)
        };
        self.wanted
            .iter()
            .filter(is_there)
            .map(String::as_str)
            .collect()
    }

    fn add_column(&mut self, value: &[u8]) {
        if self.columns.len() == MAX_COLUMNS {
            return;
        }
        let name = String::from_utf8_lossy(value);
        let end = name.floor_char_boundary(MAX_NAME_BYTES);
        let name = name[..end].to_owned();
        let lower = name.to_lowercase();
        let is_wanted = self.wanted.is_empty() || self.wanted.contains(&lower);
        let shown = plain::cell(name.as_bytes());
        let expected = columns::expected(&String::from_utf8_lossy(&shown));
        let expected = expected.filter(|kind| self.detector.wants(*kind));
        self.columns.push(Column {
            is_looked_at: is_wanted && !self.ignored.contains(&lower),
            expected,
            name,
        });
    }

    #[inline]
    fn look(&mut self, nth: usize, value: &[u8], offset: u64) {
        if self.row == 0 {
            self.add_column(value);
            // A table without names begins with data.
            let value = plain::cell(value);
            return self.scan(nth, &value, offset);
        }
        // Cells beyond the header have no column, and are looked at unless some columns were chosen.
        let (is_looked_at, expected) = match self.columns.get(nth) {
            Some(column) => (column.is_looked_at, column.expected),
            None => (self.wanted.is_empty(), None),
        };
        if !is_looked_at {
            return;
        }
        if expected.is_none() && self.detector.is_clean(value) {
            return;
        }
        let value = plain::cell(value);
        if let Some(kind) = expected
            && (is_whole(kind, &value) || is_whole(kind, &in_one_line(&value)))
        {
            return self.found(kind, nth, offset);
        }
        if !self.detector.is_clean(&value) {
            self.scan(nth, &value, offset);
        }
    }

    #[inline(never)]
    fn scan(&mut self, nth: usize, value: &[u8], offset: u64) {
        let mut all = Vec::new();
        let mut found = |one| all.push(one);
        self.detector.scan(value, 0, value.len(), &mut found);
        all.sort_by_key(|found| found.span.start);
        let line_ends = divided::line_ends(value, 0, value.len());
        let divided = line_ends.flat_map(|at| divided::scan(&self.detector, value, at, &all));
        let divided: Vec<_> = divided.collect();
        for one in all.into_iter().chain(divided) {
            self.found(one.kind, nth, offset);
        }
    }

    #[cold]
    fn found(&mut self, kind: Kind, nth: usize, offset: u64) {
        // The name itself is the finding, so it must not appear as the column.
        let column = self.columns.get(nth).filter(|_| self.row > 0);
        let place = Place {
            row: Some(self.row).filter(|row| *row > 0),
            column: column.map(|column| column.name.as_str()),
            offset,
        };
        self.report.add(kind, &place);
    }
}

/// A cell without its line ends, as where a column is narrow.
fn in_one_line(value: &[u8]) -> Cow<'_, [u8]> {
    let is_line_end = |byte: &u8| matches!(*byte, b'\n' | b'\r' | plain::LINE_END);
    if !value.iter().any(is_line_end) {
        return Cow::Borrowed(value);
    }
    let others = value.iter().copied().filter(|byte| !is_line_end(byte));
    others.collect()
}

impl Sink for Table {
    fn cell(&mut self, nth: usize, cell: Cell<'_>) {
        self.look(nth, cell.value, cell.offset);
    }

    #[inline]
    fn plain_cell(&mut self, nth: usize, value: &[u8], offset: u64) {
        self.look(nth, value, offset);
    }

    fn row_end(&mut self, _: Row) {
        self.row += 1;
    }
}
