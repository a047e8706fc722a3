use serde::{Deserialize, Serialize};

use crate::block::{BLOCK_BYTES, Masks};
use crate::cell::{self, Cell, Quotes, Separator};
use crate::scan::{self, State};

/// The most bytes of one cell that are kept, quotes included: 64 KiB. The rest of a longer one is skipped.
pub const MAX_CELL_BYTES: usize = 64 << 10;

/// The UTF-8 encoding of U+FEFF, which Excel puts before its files.
const BYTE_ORDER_MARK: &[u8; 3] = b"\xef\xbb\xbf";

/// Takes what a [`Parser`] finds, in the order of the file.
pub trait Sink {
    /// The next cell of the row; `nth` counts from 0.
    fn cell(&mut self, nth: usize, cell: Cell<'_>);

    /// The next cell of the row, which is written without quotes and [plain](Cell::is_plain), as most are: a
    /// sink for which every nanosecond counts looks at it here.
    #[inline]
    fn plain_cell(&mut self, nth: usize, value: &[u8], offset: u64) {
        self.cell(nth, Cell::plain(value, offset));
    }

    /// The row is complete.
    fn row_end(&mut self, row: Row);
}

/// A row that is complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// How many cells it had, at least one.
    pub cells: usize,
    /// Where it begins, in bytes from the start of the file.
    pub offset: u64,
    /// Where its line end stands, or the end of the file.
    pub end: u64,
}

/// Splits a file that comes in pieces.
///
/// Rows end with LF, CR LF or CR; empty lines are skipped; a byte order mark at the start is skipped.
/// Memory: at most [`MAX_CELL_BYTES`] twice, for a cell that was cut in two. One that is written down between two pieces and read again
/// goes on as if nothing had been.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Parser {
    separator: u8,
    state: State,
    /// Bytes taken so far.
    offset: u64,
    /// How many bytes of a byte order mark have come; absent once it is known whether there is one.
    mark: Option<usize>,
    /// How many cells the row has already.
    cells: usize,
    /// Where it began.
    row_offset: u64,
    cell: Under,
    #[serde(skip)]
    scratch: Vec<u8>,
}

/// The cell that is under way.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Under {
    /// Where it began, if it is carried.
    offset: u64,
    /// Its bytes from before this piece of the file.
    carried: Vec<u8>,
    has_quote: bool,
    has_odd: bool,
    is_cut: bool,
}

/// A block of the file, scanned.
struct Scanned {
    masks: Masks,
    /// Where cells end.
    ends: u64,
}

impl Parser {
    /// Before the first byte.
    pub fn new(separator: Separator) -> Self {
        Self {
            separator: separator.byte(),
            state: State::Start,
            offset: 0,
            mark: Some(0),
            cells: 0,
            row_offset: 0,
            cell: Under::default(),
            scratch: Vec::new(),
        }
    }

    /// Takes the next bytes of the file, and gives every cell that ends in them.
    pub fn push<S: Sink>(&mut self, bytes: &[u8], sink: &mut S) {
        let bytes = self.skip_mark(bytes, sink);
        if !bytes.is_empty() {
            self.split(bytes, sink);
        }
    }

    /// Ends the file: gives the last row, if no line end stands behind it.
    pub fn finish<S: Sink>(&mut self, sink: &mut S) {
        if let Some(seen) = self.mark.take().filter(|&seen| seen > 0) {
            self.split(&BYTE_ORDER_MARK[..seen], sink);
        }
        if self.cells > 0 || self.state != State::Start {
            self.emit(&[], 0, sink);
            self.end_row(self.offset, sink);
        }
    }

    /// The bytes behind a byte order mark, or all of them.
    fn skip_mark<'a, S: Sink>(&mut self, bytes: &'a [u8], sink: &mut S) -> &'a [u8] {
        let Some(seen) = self.mark else {
            return bytes;
        };
        let rest = &BYTE_ORDER_MARK[seen..];
        let same = rest.iter().zip(bytes).take_while(|(a, b)| a == b).count();
        if same == rest.len() {
            self.mark = None;
            self.offset = BYTE_ORDER_MARK.len() as u64;
            self.row_offset = self.offset;
            return &bytes[same..];
        }
        if same == bytes.len() {
            self.mark = Some(seen + same);
            return &[];
        }
        self.mark = None;
        if seen > 0 {
            self.split(&BYTE_ORDER_MARK[..seen], sink);
        }
        bytes
    }

    fn split<S: Sink>(&mut self, bytes: &[u8], sink: &mut S) {
        let mut start = 0;
        let (blocks, tail) = bytes.as_chunks::<BLOCK_BYTES>();
        for (nth, block) in blocks.iter().enumerate() {
            let scanned = self.scan(block, BLOCK_BYTES);
            let at = nth * BLOCK_BYTES;
            if self.is_simple(&scanned, at - start) {
                self.simple_cells(bytes, at, &scanned, &mut start, sink);
            } else {
                self.other_cells(bytes, at, &scanned, &mut start, sink);
            }
        }
        if !tail.is_empty() {
            let mut block = [b' '; BLOCK_BYTES];
            block[..tail.len()].copy_from_slice(tail);
            let scanned = self.scan(&block, tail.len());
            self.other_cells(bytes, bytes.len() - tail.len(), &scanned, &mut start, sink);
        }
        self.carry(&bytes[start..], self.offset + start as u64);
        self.offset += bytes.len() as u64;
    }

    #[inline]
    fn scan(&mut self, block: &[u8; BLOCK_BYTES], length: usize) -> Scanned {
        let mut masks = Masks::of(block, self.separator);
        masks.odd &= !(masks.separators | masks.newlines);
        let (ends, state) = scan::ends(self.state, &masks, length);
        self.state = state;
        Scanned { masks, ends }
    }

    /// Whether all cells that end in a block are as they stand in the file. `before` is how many bytes of the
    /// first one came before it.
    #[inline]
    fn is_simple(&self, scanned: &Scanned, before: usize) -> bool {
        scanned.masks.quotes | scanned.masks.odd == 0
            && self.cell.is_simple()
            && before < MAX_CELL_BYTES - BLOCK_BYTES
    }

    /// Gives the cells that end in a block which begins at `at`, where each is as it stands in the file:
    /// nearly all are, and this loop is where the time goes. `start` is where the first of them begins.
    #[expect(
        clippy::inline_always,
        reason = "measured: a call for each block costs a tenth of the speed"
    )]
    #[inline(always)]
    fn simple_cells<S: Sink>(
        &mut self,
        bytes: &[u8],
        at: usize,
        scanned: &Scanned,
        start: &mut usize,
        sink: &mut S,
    ) {
        let mut ends = scanned.ends;
        let mut nth = self.cells;
        while ends != 0 {
            let end = ends.trailing_zeros();
            ends &= ends - 1;
            let stop = at + end as usize;
            let is_newline = scanned.masks.newlines >> end & 1 == 1;
            let value = &bytes[*start..stop];
            let offset = self.offset + *start as u64;
            *start = stop + 1;
            let is_empty_line = is_newline && nth == 0 && value.is_empty();
            if !is_empty_line {
                sink.plain_cell(nth, value, offset);
                nth += 1;
            }
            if is_newline {
                self.cells = nth;
                self.end_row(self.offset + stop as u64, sink);
                nth = 0;
            }
        }
        self.cells = nth;
    }

    /// As [`simple_cells`](Self::simple_cells), whatever the cells are.
    #[inline(never)]
    fn other_cells<S: Sink>(
        &mut self,
        bytes: &[u8],
        at: usize,
        scanned: &Scanned,
        start: &mut usize,
        sink: &mut S,
    ) {
        let masks = &scanned.masks;
        let mut ends = scanned.ends;
        // The bits from the start of the cell on.
        let mut from = u64::MAX;
        while ends != 0 {
            let end = ends & ends.wrapping_neg();
            ends ^= end;
            let of_cell = from & (end - 1);
            from = !(end | (end - 1));
            self.cell.has_quote |= masks.quotes & of_cell != 0;
            self.cell.has_odd |= masks.odd & of_cell != 0;
            let stop = at + end.trailing_zeros() as usize;
            let is_newline = masks.newlines & end != 0;
            let is_empty_line =
                is_newline && stop == *start && self.cells == 0 && !self.cell.is_carried();
            if !is_empty_line {
                self.emit(&bytes[*start..stop], *start, sink);
            }
            if is_newline {
                self.end_row(self.offset + stop as u64, sink);
            }
            *start = stop + 1;
        }
        self.cell.has_quote |= masks.quotes & from != 0;
        self.cell.has_odd |= masks.odd & from != 0;
    }

    /// Gives the cell under way, whose last bytes, which begin at `start`, are these.
    fn emit<S: Sink>(&mut self, bytes: &[u8], start: usize, sink: &mut S) {
        let nth = self.cells;
        self.cells += 1;
        let offset = self.offset + start as u64;
        if self.cell.is_carried() {
            self.carry(bytes, offset);
        }
        let cell = &self.cell;
        let (raw, offset, is_cut) = if cell.is_carried() {
            (cell.carried.as_slice(), cell.offset, cell.is_cut)
        } else {
            let kept = bytes.len().min(MAX_CELL_BYTES);
            (&bytes[..kept], offset, kept < bytes.len())
        };
        let (value, quotes) = if cell.has_quote && raw.contains(&b'"') {
            cell::unquote(raw, &mut self.scratch)
        } else {
            (raw, Quotes::None)
        };
        let is_plain = !cell.has_odd;
        let cell = Cell {
            value,
            offset,
            quotes,
            is_plain,
            is_cut,
        };
        sink.cell(nth, cell);
        self.cell.clear();
    }

    /// Ends the row, whose line end stands at `end`; an empty line is none.
    #[inline]
    fn end_row<S: Sink>(&mut self, end: u64, sink: &mut S) {
        if self.cells > 0 {
            sink.row_end(Row {
                cells: self.cells,
                offset: self.row_offset,
                end,
            });
        }
        self.cells = 0;
        self.row_offset = end + 1;
    }

    /// Keeps the next bytes, which stand at `offset`, of a cell that goes on in the next piece.
    fn carry(&mut self, bytes: &[u8], offset: u64) {
        if bytes.is_empty() {
            return;
        }
        let cell = &mut self.cell;
        if !cell.is_carried() {
            cell.offset = offset;
        }
        let room = MAX_CELL_BYTES - cell.carried.len();
        let kept = bytes.len().min(room);
        cell.carried.extend_from_slice(&bytes[..kept]);
        cell.is_cut |= kept < bytes.len();
    }
}

impl Under {
    fn is_carried(&self) -> bool {
        !self.carried.is_empty()
    }

    /// Nothing that came of it needs a closer look.
    fn is_simple(&self) -> bool {
        !(self.has_quote | self.has_odd | self.is_carried())
    }

    /// Ready for the next cell; the memory is kept.
    fn clear(&mut self) {
        self.carried.clear();
        self.has_quote = false;
        self.has_odd = false;
        self.is_cut = false;
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    /// All that a parser says, in words.
    #[derive(Default)]
    struct Heard(Vec<String>, usize);

    impl Sink for Heard {
        fn cell(&mut self, nth: usize, cell: Cell<'_>) {
            assert_eq!(nth, self.1);
            self.1 += 1;
            let value = String::from_utf8_lossy(cell.value);
            let mut heard = format!("{}:{value}", cell.offset);
            if cell.quotes != Quotes::None {
                let _ = write!(heard, " {:?}", cell.quotes);
            }
            if !cell.is_plain {
                heard.push_str(" odd");
            }
            self.0.push(heard);
        }

        fn row_end(&mut self, row: Row) {
            assert_eq!(std::mem::take(&mut self.1), row.cells);
            self.0.push(format!("row {} to {}", row.offset, row.end));
        }
    }

    fn heard(text: &str, piece: usize) -> Vec<String> {
        let mut parser = Parser::new(Separator::Comma);
        let mut heard = Heard::default();
        for bytes in text.as_bytes().chunks(piece) {
            parser.push(bytes, &mut heard);
        }
        parser.finish(&mut heard);
        heard.0
    }

    #[test]
    fn cells_come_with_their_place_and_how_they_were_written() {
        for piece in 1..8 {
            for (text, expected) in [
                ("", &[][..]),
                ("\n\r\n", &[]),
                ("a,b\n", &["0:a", "2:b", "row 0 to 3"]),
                ("a,", &["0:a", "2:", "row 0 to 2"]),
                (
                    "\u{feff}a\r\n\r\n\"\"\r\n",
                    &["3:a", "row 3 to 4", "8: Regular", "row 8 to 10"],
                ),
                (
                    "\"x\ny\",\"say \"\"hi\"\"\"\n",
                    &["0:x\ny Regular", "6:say \"hi\" Regular", "row 0 to 18"],
                ),
                (
                    "5\" pipe,\"a\"b\n\u{e9},\"open",
                    &[
                        "0:5\" pipe Stray",
                        "8:ab Stray",
                        "row 0 to 12",
                        "13:\u{e9} odd",
                        "16:open Unclosed",
                        "row 13 to 21",
                    ],
                ),
            ] {
                assert_eq!(heard(text, piece), expected, "{text:?} in {piece}s");
            }
        }
    }

    #[test]
    fn a_cell_that_is_too_long_is_cut_and_the_file_goes_on() {
        #[derive(Default)]
        struct Lengths(Vec<(usize, bool)>);
        impl Sink for Lengths {
            fn cell(&mut self, _: usize, cell: Cell<'_>) {
                self.0.push((cell.value.len(), cell.is_cut));
            }
            fn row_end(&mut self, _: Row) {}
        }
        let long = "x".repeat(3 * MAX_CELL_BYTES);
        let text = format!("{long},\"{long}\",y\n");
        for piece in [1000, 64 << 10, text.len()] {
            let mut parser = Parser::new(Separator::Comma);
            let mut lengths = Lengths::default();
            for bytes in text.as_bytes().chunks(piece) {
                parser.push(bytes, &mut lengths);
            }
            parser.finish(&mut lengths);
            let expected = [
                (MAX_CELL_BYTES, true),
                (MAX_CELL_BYTES - 1, true),
                (1, false),
            ];
            assert_eq!(lengths.0, expected, "in pieces of {piece}");
        }
    }
}
