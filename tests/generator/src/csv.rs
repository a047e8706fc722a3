//! Realistic CSV files of any size from a definition: valid, or with errors planted at known places.
//!
//! The same seed gives the same bytes. A file is made while it is read, in bounded memory, faster than any
//! server takes it: rows come from a pool of prepared ones, and only what must be unique is written anew.

use std::collections::BTreeMap;

use crate::definition::{Column, Definition};
use crate::dice::Dice;
use crate::fault::{Expected, Fault, Planted};
use crate::values;

/// How many different rows there are, apart from their unique cells.
const POOL_ROWS: usize = 1024;
/// How many bytes come at once, about.
const BLOCK_BYTES: usize = 128 << 10;

/// A file to be made.
#[derive(Clone, Debug)]
pub struct Csv {
    definition: Definition,
    seed: u64,
    length: Length,
    style: Style,
    planted: BTreeMap<u64, Planted>,
}

/// How the file is written.
#[derive(Clone, Copy, Debug)]
struct Style {
    separator: u8,
    line_end: LineEnd,
    quoted: bool,
    bom: bool,
}

/// What stands behind each row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineEnd {
    /// As on Unix.
    Lf,
    /// As Excel and SAS write it.
    CrLf,
}

impl LineEnd {
    fn bytes(self) -> &'static [u8] {
        match self {
            Self::Lf => b"\n",
            Self::CrLf => b"\r\n",
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Length {
    Rows(u64),
    Bytes(u64),
}

impl Csv {
    /// A valid file of one row.
    pub fn of(definition: &Definition) -> Self {
        Self {
            definition: definition.clone(),
            seed: 1,
            length: Length::Rows(1),
            style: Style {
                separator: b',',
                line_end: LineEnd::Lf,
                quoted: false,
                bom: false,
            },
            planted: BTreeMap::new(),
        }
    }

    /// Another seed than 1.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// With so many rows after the header.
    #[must_use]
    pub fn rows(mut self, rows: u64) -> Self {
        self.length = Length::Rows(rows);
        self
    }

    /// With as many rows as it takes for so many bytes: the last row is whole.
    #[must_use]
    pub fn bytes(mut self, bytes: u64) -> Self {
        self.length = Length::Bytes(bytes);
        self
    }

    /// With commas, quotes and line breaks within texts.
    #[must_use]
    pub fn quoted(mut self) -> Self {
        self.style.quoted = true;
        self
    }

    /// With a byte order mark.
    #[must_use]
    pub fn bom(mut self) -> Self {
        self.style.bom = true;
        self
    }

    /// With tabs between cells.
    #[must_use]
    pub fn tabs(mut self) -> Self {
        self.style.separator = b'\t';
        self
    }

    /// With another line end than LF.
    #[must_use]
    pub fn line_end(mut self, line_end: LineEnd) -> Self {
        self.style.line_end = line_end;
        self
    }

    /// With an error. One row has at most one.
    #[must_use]
    pub fn plant(mut self, planted: Planted) -> Self {
        let row = planted.row;
        assert!(
            self.planted.insert(row, planted).is_none(),
            "two errors in row {row}"
        );
        self
    }

    /// With errors of every kind that the definition allows, each up to three times, in rows of their own.
    /// Another seed, other places.
    #[must_use]
    pub fn plant_some(mut self, seed: u64) -> Self {
        let Length::Rows(rows) = self.length else {
            return self;
        };
        let mut dice = Dice::new(seed);
        for _ in 0..3 {
            for fault in Fault::ALL {
                let planted = Planted::somewhere(fault, &self.definition, rows, &mut dice);
                if let Some(planted) = planted
                    && planted.row <= rows
                {
                    self.planted.entry(planted.row).or_insert(planted);
                }
            }
        }
        self
    }

    /// What must be found in it, by row.
    pub fn expected(&self) -> Vec<Expected> {
        self.planted
            .values()
            .map(|planted| planted.expected(&self.definition))
            .collect()
    }

    /// The file as it is sent, a block at a time.
    pub fn blocks(&self) -> Blocks {
        let mut dice = Dice::new(self.seed);
        let pool = (0..POOL_ROWS).map(|_| Prepared::new(&self.definition, &mut dice, self.style));
        let pool = pool.collect();
        Blocks {
            counter: Counter::new(1),
            csv: self.clone(),
            pool,
            dice,
            row: 0,
            made: 0,
        }
    }

    /// The whole file, for those that fit into memory.
    pub fn whole(&self) -> Vec<u8> {
        let mut file = Vec::new();
        for block in self.blocks() {
            file.extend_from_slice(&block);
        }
        file
    }
}

/// A file under way.
#[derive(Clone, Debug)]
pub struct Blocks {
    csv: Csv,
    pool: Vec<Prepared>,
    dice: Dice,
    /// The unique value of the next row.
    counter: Counter,
    /// Rows made, the header not counted.
    row: u64,
    /// Bytes made.
    made: u64,
}

impl Iterator for Blocks {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        let mut block = Vec::with_capacity(BLOCK_BYTES + (4 << 10));
        if self.made == 0 {
            self.header(&mut block);
        }
        while block.len() < BLOCK_BYTES && self.goes_on(block.len() as u64) {
            self.row(&mut block);
        }
        self.made += block.len() as u64;
        (!block.is_empty()).then_some(block)
    }
}

impl Blocks {
    fn goes_on(&self, in_block: u64) -> bool {
        match self.csv.length {
            Length::Rows(rows) => self.row < rows,
            Length::Bytes(bytes) => self.made + in_block < bytes,
        }
    }

    fn header(&self, into: &mut Vec<u8>) {
        if self.csv.style.bom {
            into.extend_from_slice(b"\xef\xbb\xbf");
        }
        for (at, column) in self.csv.definition.columns.iter().enumerate() {
            if at > 0 {
                into.push(self.csv.style.separator);
            }
            values::write_cell(column.name.as_bytes(), self.csv.style.separator, into);
        }
        into.extend_from_slice(self.csv.style.line_end.bytes());
    }

    fn row(&mut self, into: &mut Vec<u8>) {
        self.row += 1;
        let prepared = self.dice.pick(&self.pool);
        match self.csv.planted.get(&self.row) {
            Some(planted) => prepared.spoilt(planted, &self.csv, &self.counter, into),
            None => prepared.write(&self.counter, into),
        }
        self.counter.advance();
    }
}

/// A row but for its unique cells: as cells, and as the bytes between those.
#[derive(Clone, Debug)]
struct Prepared {
    cells: Vec<String>,
    pieces: Vec<Piece>,
}

#[derive(Clone, Debug)]
enum Piece {
    Bytes(Vec<u8>),
    Unique,
}

impl Prepared {
    fn new(definition: &Definition, dice: &mut Dice, style: Style) -> Self {
        let cells = values::row(definition, dice, style.quoted);
        let mut pieces = Vec::new();
        let mut bytes = Vec::new();
        for (at, (cell, column)) in cells.iter().zip(&definition.columns).enumerate() {
            if at > 0 {
                bytes.push(style.separator);
            }
            if column.is_unique() {
                pieces.push(Piece::Bytes(std::mem::take(&mut bytes)));
                pieces.push(Piece::Unique);
            } else {
                values::write_cell(cell.as_bytes(), style.separator, &mut bytes);
            }
        }
        bytes.extend_from_slice(style.line_end.bytes());
        pieces.push(Piece::Bytes(bytes));
        Self { cells, pieces }
    }

    fn write(&self, counter: &Counter, into: &mut Vec<u8>) {
        for piece in &self.pieces {
            match piece {
                Piece::Bytes(bytes) => into.extend_from_slice(bytes),
                Piece::Unique => into.extend_from_slice(&counter.text),
            }
        }
    }

    fn spoilt(&self, planted: &Planted, csv: &Csv, counter: &Counter, into: &mut Vec<u8>) {
        let own = |(cell, column): (&String, &Column)| {
            if column.is_unique() {
                counter.text.clone()
            } else {
                cell.clone().into_bytes()
            }
        };
        let mut cells: Vec<Vec<u8>> = self
            .cells
            .iter()
            .zip(&csv.definition.columns)
            .map(own)
            .collect();
        planted
            .fault
            .spoil(&mut cells, planted.column, &csv.definition, &values::id(1));
        for (at, cell) in cells.iter().enumerate() {
            if at > 0 {
                into.push(csv.style.separator);
            }
            if planted.fault == Fault::StrayQuote && at == planted.column {
                into.extend_from_slice(cell);
            } else {
                values::write_cell(cell, csv.style.separator, into);
            }
        }
        into.extend_from_slice(csv.style.line_end.bytes());
    }
}

/// [`values::id`] of one number after another, without formatting each.
#[derive(Clone, Debug)]
struct Counter {
    text: Vec<u8>,
}

impl Counter {
    fn new(first: u64) -> Self {
        Self {
            text: values::id(first).into_bytes(),
        }
    }

    fn advance(&mut self) {
        for digit in self.text[1..].iter_mut().rev() {
            if *digit < b'9' {
                *digit += 1;
                return;
            }
            *digit = b'0';
        }
        // All nines: the next number has a digit more.
        self.text.insert(1, b'1');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(bytes: &[u8], wanted: u8) -> usize {
        bytes.split(|byte| *byte == wanted).count() - 1
    }

    fn patient() -> Definition {
        Definition::shipped("patient").expect("is read")
    }

    #[test]
    fn the_same_seed_gives_the_same_bytes_and_another_seed_others() {
        let csv = Csv::of(&patient()).rows(500).quoted();
        assert_eq!(csv.whole(), csv.whole());
        assert_ne!(csv.whole(), csv.seed(2).whole());
    }

    #[test]
    fn a_file_has_the_size_that_was_asked_for_and_whole_rows() {
        let bytes = Csv::of(&patient()).bytes(1_000_000).whole();
        assert!(
            (1_000_000..1_001_000).contains(&bytes.len()),
            "{}",
            bytes.len()
        );
        assert!(bytes.ends_with(b"\n"));
        let lines = bytes
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty());
        assert!(
            lines
                .map(|line| count(line, b','))
                .all(|commas| commas == patient().columns.len() - 1)
        );
        assert_eq!(count(&Csv::of(&patient()).rows(3).whole(), b'\n'), 4);
    }

    #[test]
    fn identifiers_are_unique_and_a_planted_one_is_not() {
        let csv = Csv::of(&patient()).rows(2000);
        let unique = |bytes: &[u8]| {
            let rows = bytes
                .split(|byte| *byte == b'\n')
                .skip(1)
                .filter(|row| !row.is_empty());
            let ids: std::collections::BTreeSet<_> =
                rows.map(|row| row.split(|b| *b == b',').next()).collect();
            ids.len()
        };
        assert_eq!(unique(&csv.whole()), 2000);
        let planted = Planted {
            fault: Fault::Duplicate,
            row: 77,
            column: 0,
        };
        assert_eq!(unique(&csv.plant(planted).whole()), 1999);
    }

    #[test]
    fn a_planted_error_changes_its_row_only() {
        let column = patient().position("birthYear").expect("is there");
        let csv = Csv::of(&patient()).rows(300);
        let spoilt = csv.clone().plant(Planted {
            fault: Fault::OutOfRange,
            row: 123,
            column,
        });
        let (good, bad) = (csv.whole(), spoilt.whole());
        let lines = |bytes: &[u8]| {
            bytes
                .split(|byte| *byte == b'\n')
                .map(<[u8]>::to_vec)
                .collect::<Vec<_>>()
        };
        let differing: Vec<usize> = lines(&good)
            .iter()
            .zip(lines(&bad))
            .enumerate()
            .filter(|(_, (a, b))| *a != b)
            .map(|(at, _)| at)
            .collect();
        assert_eq!(differing, [123]);
        let expected = Expected {
            row: 123,
            column: Some("birthYear".to_owned()),
            rule: "range",
        };
        assert_eq!(spoilt.expected(), [expected]);
    }

    #[test]
    fn a_counter_goes_past_its_last_digit() {
        let mut counter = Counter::new(999_999_999);
        counter.advance();
        assert_eq!(counter.text, values::id(1_000_000_000).into_bytes());
    }
}
