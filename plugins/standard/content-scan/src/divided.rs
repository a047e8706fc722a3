//! Finds what a line end divides. The lines around it are joined twice: directly, as when a number is broken, and with a
//! space, as when text wraps between words.
//!
//! Most neighbouring lines have nothing to do with each other, so the rules are stricter here than within a line.

use crate::detect::{Detector, Found, is_abbreviation};
use crate::kind::Kind;
use crate::plain::LINE_END;

/// How far before and behind a line end something that it divides may lie.
const LEFT_BYTES: usize = 64;
const RIGHT_BYTES: usize = 64;
/// How far behind a line end a digit is in a number that it divides.
const DIGIT_BYTES: usize = 20;
/// The widest blank before a line end, and behind it.
const BLANK_BYTES: usize = 64;
/// How far before a line end is looked.
pub(crate) const REACH_BEFORE: usize = LEFT_BYTES + BLANK_BYTES;
/// How many findings before a place can overlap it.
const OVERLAPPING: usize = 8;
/// Words before a Social Security number that is divided where a space would be.
const SSN_WORDS: [&[u8]; 2] = [b"ssn", b"social"];

/// Whether a byte ends a line, or a page.
fn is_line_end(byte: u8) -> bool {
    matches!(byte, b'\n' | b'\r' | LINE_END | 0x0c)
}

/// The first byte of each line end in a part of a text.
pub(crate) fn line_ends(text: &[u8], from: usize, until: usize) -> impl Iterator<Item = usize> {
    let ends = memchr::memchr2_iter(b'\n', b'\r', &text[from..until]);
    let others = memchr::memchr2_iter(LINE_END, 0x0c, &text[from..until]);
    let all = ends.chain(others).map(move |at| from + at);
    all.filter(|at| *at == 0 || !is_line_end(text[at - 1]))
}

/// Finds what this line end divides and is not in `already`, which is sorted by where findings begin.
pub(crate) fn scan(
    detector: &Detector,
    text: &[u8],
    line_end: usize,
    already: &[Found],
) -> Vec<Found> {
    let mut all = Vec::new();
    let Some(sides) = Sides::of(text, line_end) else {
        return all;
    };
    for between in [None, Some(b' ')] {
        let is_possible = match between {
            None => sides.can_be_broken(text),
            Some(_) => sides.can_be_wrapped(text, detector),
        };
        if !is_possible {
            continue;
        }
        let joined = sides.joined(text, between);
        let likely = |found: &Found| match between {
            None => joined.is_broken(found),
            Some(_) => joined.is_wrapped(found),
        };
        detector.scan(&joined.text, 0, joined.text.len(), &mut |found| {
            if !joined.is_divided(&found) || !likely(&found) {
                return;
            }
            let found = Found {
                kind: found.kind,
                at: joined.places[found.at],
                span: joined.places[found.span.start]..joined.places[found.span.end - 1] + 1,
            };
            if !is_known(already, &found) && !is_known(&all, &found) {
                all.push(found);
            }
        });
    }
    all
}

/// What is on both sides of a line end.
struct Sides {
    /// Where the line before it begins, as far as it matters, and where it ends but for blanks.
    left: std::ops::Range<usize>,
    /// Where the line behind it begins but for blanks.
    right: usize,
}

/// Both sides as one text.
struct Joined {
    text: Vec<u8>,
    /// Where in the whole text each byte is.
    places: Vec<usize>,
    /// Where the left side ends.
    end: usize,
    /// Where the right side begins.
    begin: usize,
}

impl Sides {
    /// Absent where nothing can be divided: a line is empty, or no digit and no at sign is near.
    fn of(text: &[u8], line_end: usize) -> Option<Self> {
        // Most lines begin with a word, and no digit is near.
        if let Some([letter, near @ ..]) = text.get(line_end + 1..)
            && letter.is_ascii_alphabetic()
            && !near.iter().take(DIGIT_BYTES).any(u8::is_ascii_digit)
            && !text[..before_blanks(text, line_end)].ends_with(b"@")
        {
            return None;
        }
        let end = before_blanks(text, line_end);
        // A break that is encoded (RFC 2045, section 6.7).
        let end = end - usize::from(end == line_end && text[..end].ends_with(b"="));
        let last = *text[..end].last()?;
        let right = next_line(text, line_end)?;
        let near = &text[right..text.len().min(right + DIGIT_BYTES)];
        if last != b'@' && !near.iter().any(u8::is_ascii_digit) {
            return None;
        }
        let from = end.saturating_sub(LEFT_BYTES);
        let begin = text[from..end].iter().rposition(|byte| is_line_end(*byte));
        let left = from + begin.map_or(0, |at| at + 1)..end;
        (!left.is_empty()).then_some(Self { left, right })
    }

    /// Whether a thing can be broken within: a number that has groups or a label, or an address.
    fn can_be_broken(&self, text: &[u8]) -> bool {
        let left = &text[self.left.clone()];
        let near = &text[self.right..text.len().min(self.right + DIGIT_BYTES)];
        let (Some(last), Some(first)) = (left.last(), near.first()) else {
            return false;
        };
        let line = near
            .split(|byte| is_line_end(*byte))
            .next()
            .unwrap_or_default();
        let tells = |byte: &u8| !byte.is_ascii_digit();
        *last == b'@'
            || is_part(*last)
                && is_part(*first)
                && (left.iter().any(tells) || line.iter().any(tells))
    }

    /// Whether a space can have been replaced by the line end: after a word of a label, or between groups of digits on a line
    /// that has more than digits.
    fn can_be_wrapped(&self, text: &[u8], detector: &Detector) -> bool {
        let left = &text[self.left.clone()];
        let is_end = |byte: &u8| byte.is_ascii_alphanumeric();
        let end = left.iter().rposition(is_end).map_or(0, |at| at + 1);
        let begin = left[..end]
            .iter()
            .rposition(|byte| !is_end(byte))
            .map_or(0, |at| at + 1);
        let word = &left[begin..end];
        let is_number = word.iter().all(u8::is_ascii_digit);
        if is_number {
            left.iter().any(|byte| !byte.is_ascii_digit())
        } else {
            detector.is_label_word(word)
        }
    }

    /// Both sides with this between them and in place of further line ends.
    fn joined(&self, text: &[u8], between: Option<u8>) -> Joined {
        let mut joined = Joined {
            text: text[self.left.clone()].to_vec(),
            places: self.left.clone().collect(),
            end: self.left.len(),
            begin: self.left.len() + between.iter().count(),
        };
        let mut at = self.right;
        let push = |joined: &mut Joined, byte: u8, place: usize| {
            joined.text.push(byte);
            joined.places.push(place);
        };
        if let Some(between) = between {
            push(&mut joined, between, self.right);
        }
        while joined.text.len() < joined.end + RIGHT_BYTES && at < text.len() {
            if !is_line_end(text[at]) {
                push(&mut joined, text[at], at);
                at += 1;
                continue;
            }
            let Some(next) = next_line(text, at) else {
                break;
            };
            if let Some(between) = between {
                push(&mut joined, between, at);
            }
            at = next;
        }
        joined
    }
}

impl Joined {
    /// Whether a finding crosses the line end.
    fn is_divided(&self, found: &Found) -> bool {
        found.span.start < self.end && found.span.end > self.begin
    }

    /// Whether a thing is broken within: a number between its parts, or an address behind its at sign.
    fn is_broken(&self, found: &Found) -> bool {
        let (left, right) = (self.text[self.end - 1], self.text[self.begin]);
        if found.kind == Kind::Email {
            return left == b'@';
        }
        found.at < self.end && is_part(left) && is_part(right) && self.has_group(found)
    }

    /// Whether a thing is divided where a space would be: behind its label, or between groups of digits where little else
    /// is written so.
    fn is_wrapped(&self, found: &Found) -> bool {
        let (left, thing) = (&self.text[..self.end], &self.text[found.span.clone()]);
        match found.kind {
            Kind::Email => false,
            Kind::Ssn => {
                let words = left.to_ascii_lowercase();
                let mut known = SSN_WORDS.iter();
                known.any(|word| memchr::memmem::find(&words, word).is_some())
            }
            Kind::Telephone => {
                let behind_plus = found.span.start > 0 && self.text[found.span.start - 1] == b'+';
                let is_grouped =
                    thing.contains(&b')') && (thing.contains(&b'-') || thing.contains(&b'.'));
                is_grouped || behind_plus && self.has_group(found)
            }
            // After the end of a sentence, the next line has nothing to do with the label.
            Kind::Mrn | Kind::BirthDate => {
                let label = &self.text[found.span.start..found.at];
                is_abbreviation(label) && !left.ends_with(b".")
                    || left.ends_with(b":")
                    || left.ends_with(b"#")
                    || {
                        // The label itself is divided.
                        let label_end = label
                            .iter()
                            .rposition(u8::is_ascii_alphanumeric)
                            .unwrap_or(0);
                        found.span.start + label_end >= self.begin
                    }
            }
        }
    }

    /// Whether a number has more than one group of digits on the left side, or the end of one.
    fn has_group(&self, found: &Found) -> bool {
        let left = &self.text[found.at.min(self.end)..self.end];
        let is_separator = |byte: &u8| b"-./() ".contains(byte);
        found.kind != Kind::Telephone || left.iter().any(is_separator)
    }
}

/// Whether a byte can be part of such a number.
fn is_part(byte: u8) -> bool {
    byte.is_ascii_digit() || b"-./()".contains(&byte)
}

/// Where the text ends before blanks.
fn before_blanks(text: &[u8], end: usize) -> usize {
    let blanks = text[..end].iter().rev().take(BLANK_BYTES);
    end - blanks
        .take_while(|byte| matches!(byte, b' ' | b'\t'))
        .count()
}

/// Where the line behind a line end begins: behind blanks, and marks of a quotation or a comment. Absent where an empty line
/// is between.
fn next_line(text: &[u8], line_end: usize) -> Option<usize> {
    let rest = &text[line_end..text.len().min(line_end + BLANK_BYTES)];
    let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t') || is_line_end(*byte);
    let blanks = rest.iter().take_while(|byte| is_blank(byte)).count();
    let blanks = &rest[..blanks];
    let feeds = memchr::memchr_iter(b'\n', blanks).count();
    let returns = blanks.iter().enumerate();
    let returns =
        returns.filter(|(at, byte)| **byte == b'\r' && blanks.get(at + 1) != Some(&b'\n'));
    let mut begin = line_end + blanks.len();
    let marks = text[begin..].iter().take(8);
    let marks = marks
        .take_while(|byte| matches!(byte, b'>' | b'|' | b'#' | b'*' | b'/' | b' '))
        .count();
    if text[begin..begin + marks].ends_with(b" ") {
        begin += marks;
    }
    (feeds + returns.count() <= 1 && begin < text.len()).then_some(begin)
}

/// Whether something of the kind was found there.
fn is_known(already: &[Found], found: &Found) -> bool {
    let behind = already.partition_point(|known| known.span.start < found.span.end);
    let known = &already[behind.saturating_sub(OVERLAPPING)..behind];
    known
        .iter()
        .any(|known| known.kind == found.kind && known.span.end > found.span.start)
}
