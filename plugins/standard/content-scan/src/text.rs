//! Free text while it comes: whole lines at once, the beginning of a line that is not complete kept for later, and
//! lines without an end in pieces that overlap.

use crate::detect::{Detector, REACH, REACH_BEFORE};
use crate::report::{Place, Report};

/// The longest line that is looked at whole, in bytes.
const LINE_BYTES: usize = 64 << 10;

/// The text.
pub(crate) struct Text {
    pub(crate) detector: Detector,
    pub(crate) report: Report,
    /// The beginning of a line, from `offset` on; what begins before `from` has been looked at.
    begun: Vec<u8>,
    from: usize,
    /// Where in the file the next byte to be looked at stands.
    offset: u64,
    /// The line that it is in, from 1.
    line: u64,
}

impl Text {
    pub(crate) fn new(detector: Detector, report: Report) -> Self {
        Self {
            detector,
            report,
            begun: Vec::new(),
            from: 0,
            offset: 0,
            line: 1,
        }
    }

    pub(crate) fn push(&mut self, mut bytes: &[u8]) {
        while !self.begun.is_empty() && !bytes.is_empty() {
            let room = LINE_BYTES - self.begun.len();
            let window = &bytes[..bytes.len().min(room)];
            let end = memchr::memchr(b'\n', window).map(|end| end + 1);
            let taken = end.unwrap_or(window.len());
            self.begun.extend_from_slice(&bytes[..taken]);
            bytes = &bytes[taken..];
            if end.is_some() {
                self.end_line();
            } else if self.begun.len() == LINE_BYTES {
                self.shift();
            }
        }
        if bytes.is_empty() {
            return;
        }
        let whole = memchr::memrchr(b'\n', bytes).map_or(0, |end| end + 1);
        let (lines, rest) = bytes.split_at(whole);
        self.look(lines, 0, lines.len());
        self.offset += lines.len() as u64;
        self.begun.extend_from_slice(rest);
        if self.begun.len() >= LINE_BYTES {
            self.shift();
        }
    }

    pub(crate) fn finish(&mut self) {
        self.end_line();
    }

    fn end_line(&mut self) {
        let begun = std::mem::take(&mut self.begun);
        self.look(&begun, self.from, begun.len());
        self.offset += begun.len() as u64;
        self.from = 0;
        self.begun = begun;
        self.begun.clear();
    }

    /// Looks at the beginning of a long line, as far as all that can begin there is at hand.
    fn shift(&mut self) {
        let begun = std::mem::take(&mut self.begun);
        let until = begun.len() - REACH;
        self.look(&begun, self.from, until);
        // What stands before the next place is needed to know whether something begins there.
        let kept = until - REACH_BEFORE;
        self.offset += kept as u64;
        self.from = REACH_BEFORE;
        self.begun = begun[kept..].to_vec();
    }

    /// Looks at what begins in `text[from..until]`, of which the first byte stands at `offset`.
    fn look(&mut self, text: &[u8], from: usize, until: usize) {
        let (mut line, mut counted) = (self.line, 0);
        let (report, offset) = (&mut self.report, self.offset);
        let mut found = |kind, at: usize| {
            // What was found begins before where it was noticed: never before what has been counted.
            if at > counted {
                line += memchr::memchr_iter(b'\n', &text[counted..at]).count() as u64;
                counted = at;
            }
            let place = Place {
                row: line,
                column: None,
                offset: offset + at as u64,
            };
            report.add(kind, &place);
        };
        self.detector.scan(text, from, until, &mut found);
        let rest = &text[counted..until.max(counted)];
        self.line = line + memchr::memchr_iter(b'\n', rest).count() as u64;
    }
}
