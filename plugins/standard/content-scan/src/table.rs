//! A table while it comes: the cells of the columns that are looked at.

use portcullis_csv::{Cell, Row, Sink};

use crate::columns;
use crate::detect::{Detector, is_whole};
use crate::kind::Kind;
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
        let expected = columns::expected(&name).filter(|kind| self.detector.wants(*kind));
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
            return;
        }
        // Cells beyond the header have no column, and are looked at unless some columns were chosen.
        let (is_looked_at, expected) = match self.columns.get(nth) {
            Some(column) => (column.is_looked_at, column.expected),
            None => (self.wanted.is_empty(), None),
        };
        if !is_looked_at {
            return;
        }
        if let Some(kind) = expected
            && is_whole(kind, value)
        {
            return self.found(kind, nth, offset);
        }
        if !self.detector.is_clean(value) {
            self.scan(nth, value, offset);
        }
    }

    #[inline(never)]
    fn scan(&mut self, nth: usize, value: &[u8], offset: u64) {
        let mut kinds = Vec::new();
        let mut found = |kind, _| kinds.push(kind);
        self.detector.scan(value, 0, value.len(), &mut found);
        for kind in kinds {
            self.found(kind, nth, offset);
        }
    }

    #[cold]
    fn found(&mut self, kind: Kind, nth: usize, offset: u64) {
        let place = Place {
            row: self.row,
            column: self.columns.get(nth).map(|column| column.name.as_str()),
            offset,
        };
        self.report.add(kind, &place);
    }
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
