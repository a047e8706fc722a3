//! Free text while it comes, in windows that overlap. Where they begin depends on the text alone, not on how it is cut.

use std::ops::Range;

use crate::detect::{Detector, Found, REACH, REACH_BEFORE};
use crate::divided;
use crate::plain::Plain;
use crate::report::{Place, Report};

/// How much is looked at together, in bytes.
const WINDOW_BYTES: usize = 32 << 10;

/// How many bytes of the last window are kept, because the bytes before a place decide whether something begins there.
const KEPT_BYTES: usize = REACH_BEFORE + divided::REACH_BEFORE;

/// The text.
pub(crate) struct Text {
    pub(crate) detector: Detector,
    pub(crate) report: Report,
    plain: Plain,
    /// What begins before this place has been looked at.
    from: usize,
    /// What was found last ends here.
    free: usize,
    /// Findings that may overlap later ones, sorted by where they begin.
    found: Vec<Found>,
    /// The line of the place in `from`, from 1.
    line: u64,
}

impl Text {
    pub(crate) fn new(detector: Detector, report: Report) -> Self {
        Self {
            detector,
            report,
            plain: Plain::default(),
            from: 0,
            free: 0,
            found: Vec::new(),
            line: 1,
        }
    }

    pub(crate) fn push(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            self.plain.push(&mut bytes, WINDOW_BYTES);
            if self.plain.text().len() >= WINDOW_BYTES {
                self.look(self.plain.text().len() - REACH);
                self.shift();
            }
        }
    }

    pub(crate) fn finish(&mut self) {
        self.plain.finish();
        self.look(self.plain.text().len());
    }

    /// Drops what is not needed any more.
    fn shift(&mut self) {
        let dropped = self.from - KEPT_BYTES;
        self.plain.drain(dropped);
        self.from = KEPT_BYTES;
        self.free = self.free.saturating_sub(dropped);
        self.found.retain(|found| found.span.end > dropped);
        for found in &mut self.found {
            found.at = found.at.saturating_sub(dropped);
            found.span = found.span.start.saturating_sub(dropped)..found.span.end - dropped;
        }
    }

    /// Looks at what begins before a place and was not looked at.
    fn look(&mut self, until: usize) {
        let (text, from) = (self.plain.text(), self.from);
        let mut new = Vec::new();
        let free = self.free.max(from);
        let mut found = |one| new.push(one);
        self.free = self.detector.scan(text, free, until, &mut found);
        self.found.extend(new.iter().cloned());
        // An address begins before the sign by which it is noticed.
        self.found.sort_by_key(|found| found.span.start);
        for at in divided::line_ends(text, from, until) {
            new.extend(divided::scan(&self.detector, text, at, &self.found));
        }
        new.sort_by_key(|found| found.at);
        let ends = line_ends(text);
        let breaks = |range: Range<usize>| {
            let before = |at| ends.partition_point(|end| *end < at);
            (before(range.end) - before(range.start)) as u64
        };
        let (mut line, mut counted) = (self.line, from);
        for one in new {
            let row = if one.at < counted {
                line - breaks(one.at..counted)
            } else {
                line += breaks(counted..one.at);
                counted = one.at;
                line
            };
            let place = Place {
                row: Some(row),
                column: None,
                offset: self.plain.place(one.at),
            };
            self.report.add(one.kind, &place);
        }
        self.line = if until < counted {
            line - breaks(until..counted)
        } else {
            line + breaks(counted..until)
        };
        self.from = until;
    }
}

/// Where lines end: by a line feed, a carriage return, or both.
fn line_ends(text: &[u8]) -> Vec<usize> {
    let ends = memchr::memchr2_iter(b'\n', b'\r', text);
    ends.filter(|at| text[*at] == b'\n' || text.get(at + 1) != Some(&b'\n'))
        .collect()
}
