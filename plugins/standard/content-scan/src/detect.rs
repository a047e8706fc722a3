//! What identifies a person, found in bytes. Everything is decided within [`REACH_BEFORE`] and [`REACH`] bytes of
//! the place where it begins, so that a text can be looked at in pieces that overlap.

use std::ops::Range;

use crate::kind::{Kind, Kinds};
use crate::masks::{BLOCK_BYTES, Masks};
use crate::shape::{address, day, record_number, skip, social_security, telephone};

/// How far before its beginning something is looked at: the longest local part of an address (RFC 5321, 4.5.3.1.1)
/// and one byte.
pub(crate) const REACH_BEFORE: usize = 65;
/// How far behind its beginning: an address of 64 and 255 bytes, and a label with what stands behind it.
pub(crate) const REACH: usize = 400;

/// Something that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) kind: Kind,
    /// Where it begins.
    pub(crate) at: usize,
    /// Where it lies, with the label in front of it.
    pub(crate) span: Range<usize>,
}

impl Found {
    fn of(kind: Kind, span: Range<usize>) -> Self {
        Self {
            kind,
            at: span.start,
            span,
        }
    }
}

/// What is looked for.
pub(crate) struct Detector {
    kinds: Kinds,
    labels: Vec<(Vec<u8>, Kind)>,
    /// The letters with which labels begin, in lower case, and the bytes that can come second.
    firsts: Vec<u8>,
    seconds: [bool; 256],
    /// For each byte what it can be a part of, for a glance at a short cell.
    roles: [u8; 256],
}

/// What a byte can be a part of.
const DIGIT: u8 = 1;
const SEPARATOR: u8 = 2;
const FIRST: u8 = 4;
const AT: u8 = 8;
const PLUS: u8 = 16;
/// It is not ASCII, and what a reader takes it for is not known yet.
const WIDE: u8 = 32;
/// The shortest that can be found, in bytes: groups of digits, a label with what stands behind it, an address.
const SHORTEST_GROUPS: usize = 11;
const SHORTEST_LABELLED: usize = 8;
const SHORTEST: usize = 6;
/// The fewest digits of a number in groups, and behind a label.
const FEWEST_GROUPED: u32 = 9;
const FEWEST_LABELLED: u32 = 4;
/// How far behind its label something may stand: forms align it.
const LABEL_GAP_BYTES: usize = 32;
/// Cells up to this long have a glance first.
const SHORT_CELL: usize = 24;

/// Words behind which something stands. They are written in lower case; a space stands for any that are there.
const LABELS: [(&str, Kind); 14] = [
    ("medical record number", Kind::Mrn),
    ("medical record no", Kind::Mrn),
    ("medical record #", Kind::Mrn),
    ("medical record", Kind::Mrn),
    ("mrn", Kind::Mrn),
    ("mr#", Kind::Mrn),
    ("mr no", Kind::Mrn),
    ("date of birth", Kind::BirthDate),
    ("birth date", Kind::BirthDate),
    ("birthdate", Kind::BirthDate),
    ("d.o.b", Kind::BirthDate),
    ("dob", Kind::BirthDate),
    ("born on", Kind::BirthDate),
    ("born", Kind::BirthDate),
];

impl Detector {
    pub(crate) fn new(kinds: &[Kind], record_labels: &[String]) -> Self {
        let kinds = Kinds::of(kinds);
        let own = record_labels
            .iter()
            .map(|label| (label.to_ascii_lowercase().into_bytes(), Kind::Mrn));
        let usual = LABELS
            .iter()
            .map(|(label, kind)| (label.as_bytes().to_vec(), *kind));
        let labels: Vec<_> = own
            .chain(usual)
            .filter(|(_, kind)| kinds.has(*kind))
            .collect();
        let (mut firsts, mut seconds) = (Vec::new(), [false; 256]);
        for (label, _) in &labels {
            let (Some(first), second) = (label.first(), label.get(1)) else {
                continue;
            };
            if !firsts.contains(first) {
                firsts.push(*first);
            }
            match second {
                None => seconds = [true; 256],
                Some(b' ') => b" _-\t"
                    .iter()
                    .for_each(|byte| seconds[usize::from(*byte)] = true),
                Some(byte) => {
                    seconds[usize::from(byte.to_ascii_lowercase())] = true;
                    seconds[usize::from(byte.to_ascii_uppercase())] = true;
                }
            }
        }
        let mut roles = [0; 256];
        roles[0x80..].fill(WIDE);
        (b'0'..=b'9').for_each(|digit| roles[usize::from(digit)] = DIGIT);
        b"-.() "
            .iter()
            .for_each(|byte| roles[usize::from(*byte)] = SEPARATOR);
        roles[usize::from(b'+')] = PLUS;
        roles[usize::from(b'@')] = AT;
        for first in &firsts {
            roles[usize::from(*first)] = FIRST;
            roles[usize::from(first.to_ascii_uppercase())] = FIRST;
        }
        Self {
            kinds,
            labels,
            firsts,
            seconds,
            roles,
        }
    }

    /// Whether nothing can be in a cell, at a glance.
    #[inline]
    pub(crate) fn is_clean(&self, cell: &[u8]) -> bool {
        if cell.len() < SHORTEST {
            return true;
        }
        if cell.len() > SHORT_CELL {
            return false;
        }
        let (mut roles, mut digits) = (0, 0u32);
        for byte in cell {
            let role = self.roles[usize::from(*byte)];
            roles |= role;
            digits += u32::from(role & DIGIT);
        }
        let has = |wanted: u8| roles & wanted == wanted;
        let groups = digits >= FEWEST_GROUPED && has(SEPARATOR) && cell.len() >= SHORTEST_GROUPS;
        let labelled = digits >= FEWEST_LABELLED && has(FIRST) && cell.len() >= SHORTEST_LABELLED;
        !(groups || labelled || has(AT) || has(DIGIT | PLUS) || has(WIDE))
    }

    /// Whether a label has this word, in any case.
    pub(crate) fn is_label_word(&self, word: &[u8]) -> bool {
        let mut words = self
            .labels
            .iter()
            .flat_map(|(label, _)| label.split(|byte| !byte.is_ascii_alphanumeric()));
        !word.is_empty() && words.any(|known| known.eq_ignore_ascii_case(word))
    }

    /// Whether it is looked for.
    pub(crate) fn wants(&self, kind: Kind) -> bool {
        self.kinds.has(kind)
    }

    /// Finds what begins in `text[from..until]`, looking around it in all of `text`; gives where what was found last ends,
    /// where that is behind `until`.
    #[inline]
    pub(crate) fn scan(
        &self,
        text: &[u8],
        from: usize,
        until: usize,
        found: &mut impl FnMut(Found),
    ) -> usize {
        let before = from.checked_sub(1).map(|before| text[before]);
        let mut before = u64::from(before.is_some_and(|byte| byte.is_ascii_alphanumeric()));
        let mut plus_before = u64::from(from > 0 && text[from - 1] == b'+');
        let mut masks = Masks::of(text, from, &self.firsts);
        // What has been found ends here.
        let mut free = from;
        let mut block = from;
        while block < until {
            let next = if block + BLOCK_BYTES < text.len() {
                Masks::of(text, block + BLOCK_BYTES, &self.firsts)
            } else {
                Masks::default()
            };
            let words = masks.digits | masks.letters;
            let begins = !(words << 1 | before);
            let mut starts = masks.ats | masks.firsts & begins;
            if self.kinds.has(Kind::Ssn) || self.kinds.has(Kind::Telephone) {
                starts |= group_starts(&masks, &next, begins, plus_before);
            }
            while starts != 0 {
                let at = block + starts.trailing_zeros() as usize;
                starts &= starts - 1;
                if at >= until {
                    break;
                }
                if at >= free {
                    free = self.look(text, at, found);
                }
            }
            before = words >> 63;
            plus_before = masks.pluses >> 63;
            masks = next;
            block += BLOCK_BYTES;
        }
        free
    }

    /// Looks at a place where something can begin; gives where what is there ends.
    fn look(&self, text: &[u8], at: usize, found: &mut impl FnMut(Found)) -> usize {
        match text[at] {
            b'@' => {
                if self.kinds.has(Kind::Email)
                    && let Some(span) = address(text, at)
                {
                    found(Found::of(Kind::Email, span));
                }
                at + 1
            }
            b'0'..=b'9' => self.grouped(text, at, found),
            _ if !text
                .get(at + 1)
                .is_some_and(|second| self.seconds[usize::from(*second)]) =>
            {
                at + 1
            }
            _ => self.label(text, at, found),
        }
    }

    /// Looks at groups of digits of which the first one is short.
    #[cold]
    fn grouped(&self, text: &[u8], at: usize, found: &mut impl FnMut(Found)) -> usize {
        if self.kinds.has(Kind::Ssn)
            && let Some(end) = social_security(text, at)
        {
            found(Found::of(Kind::Ssn, at..end));
            return end;
        }
        if self.kinds.has(Kind::Telephone)
            && let Some(end) = telephone(text, at)
        {
            found(Found::of(Kind::Telephone, at..end));
            return end;
        }
        at + 1
    }

    /// Looks for a label, and what it labels; gives where to go on.
    #[cold]
    fn label(&self, text: &[u8], at: usize, found: &mut impl FnMut(Found)) -> usize {
        let beginning =
            [at, at + 1, at + 2].map(|at| text.get(at).map_or(0, u8::to_ascii_lowercase));
        for (label, kind) in &self.labels {
            // Most words that begin like a label are told apart by their third letter.
            let differs = |nth: usize| {
                let wanted = label.get(nth);
                wanted.is_some_and(|wanted| *wanted != b' ' && *wanted != beginning[nth])
            };
            if differs(0) || differs(1) || differs(2) && label[1] != b' ' {
                continue;
            }
            let Some(end) = matches_label(text, at, label) else {
                continue;
            };
            let label_end = end;
            let end = skip(
                text,
                end,
                |byte| b" \t:#.=-\"'([*".contains(&byte),
                LABEL_GAP_BYTES,
            );
            let ends = match kind {
                Kind::BirthDate => day(text, end),
                _ => record_number(text, end),
            };
            let between = &text[label_end..end];
            let ends_sentence = !is_abbreviation(label) && between.starts_with(b". ");
            if let Some(ends) = ends
                && !ends_sentence
            {
                found(Found {
                    kind: *kind,
                    at: end,
                    span: at..ends,
                });
                return end;
            }
        }
        at + 1
    }
}

/// Where groups of digits begin that can be a number of something: three digits or a single 1 and then a separator, or
/// any behind a plus sign.
#[inline]
fn group_starts(masks: &Masks, next: &Masks, begins: u64, plus_before: u64) -> u64 {
    let later = |mask: u64, next: u64, by: u32| mask >> by | next << (64 - by);
    let digit = |by| later(masks.digits, next.digits, by);
    let separator = |by| later(masks.separators, next.separators, by);
    let starts = masks.digits & begins;
    let three = digit(1) & digit(2) & !digit(3) & separator(3);
    let one = masks.ones & !digit(1) & separator(1);
    let after_plus = masks.pluses << 1 | plus_before;
    starts & (three | one | after_plus)
}

/// Whether a label is an abbreviation: a full stop behind it ends no sentence.
pub(crate) fn is_abbreviation(label: &[u8]) -> bool {
    const WORDS: [&[u8]; 7] = [
        b"medical record",
        b"medical record number",
        b"date of birth",
        b"birth date",
        b"birthdate",
        b"born on",
        b"born",
    ];
    let label = label.trim_ascii_end().to_ascii_lowercase();
    !WORDS.contains(&label.as_slice())
}

/// Whether a whole cell is what its column says it is: less is asked of its content.
pub(crate) fn is_whole(kind: Kind, cell: &[u8]) -> bool {
    // As spreadsheets and programs write a text or a number: `="123"`, `'123`, `123.0`.
    let begins_number = |byte: &u8| kind == Kind::Telephone && b"+(".contains(byte);
    let is_edge = |byte: &u8| !byte.is_ascii_alphanumeric() && !begins_number(byte);
    let begin = cell.iter().position(|byte| !is_edge(byte)).unwrap_or(0);
    let end = cell
        .iter()
        .rposition(|byte| !is_edge(byte))
        .map_or(0, |at| at + 1);
    let cell = cell.get(begin..end).unwrap_or_default();
    let cell = cell.strip_suffix(b".0").unwrap_or(cell);
    let digits = cell.iter().filter(|byte| byte.is_ascii_digit()).count();
    let others = |allowed: &[u8]| {
        cell.iter()
            .all(|byte| byte.is_ascii_digit() || allowed.contains(byte))
    };
    match kind {
        Kind::Ssn => digits == 9 && others(b"- "),
        Kind::Mrn => digits >= 4 && cell.len() <= 20,
        Kind::Email => cell
            .iter()
            .position(|byte| *byte == b'@')
            .is_some_and(|at| address(cell, at).is_some()),
        Kind::Telephone => (7..=15).contains(&digits) && others(b"+-(). "),
        Kind::BirthDate => day(cell, 0).is_some(),
    }
}

fn matches_label(text: &[u8], at: usize, label: &[u8]) -> Option<usize> {
    let mut end = at;
    for wanted in label {
        if *wanted == b' ' {
            let after = skip(
                text,
                end,
                |byte| matches!(byte, b' ' | b'_' | b'-' | b'\t'),
                4,
            );
            if after == end {
                return None;
            }
            end = after;
            continue;
        }
        if text.get(end)?.to_ascii_lowercase() != *wanted {
            return None;
        }
        end += 1;
    }
    // A label ends where a word ends.
    let next = text.get(end);
    (!next.is_some_and(u8::is_ascii_alphabetic)).then_some(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<(Kind, usize)> {
        let detector = Detector::new(&Kind::ALL, &["Patient No".to_owned()]);
        let mut all = Vec::new();
        detector.scan(text.as_bytes(), 0, text.len(), &mut |found| {
            all.push((found.kind, found.at));
        });
        all
    }

    #[test]
    fn what_identifies_a_person_is_found_where_it_begins() {
        for (text, kind, at) in [
            ("ssn 123-45-6789.", Kind::Ssn, 4),
            ("123 45 6789", Kind::Ssn, 0),
            ("call (212) 555-0100 now", Kind::Telephone, 6),
            ("212-555-0100", Kind::Telephone, 0),
            ("212.555.0100", Kind::Telephone, 0),
            ("1-212-555-0100", Kind::Telephone, 0),
            ("1 (212) 555-0100", Kind::Telephone, 0),
            ("+44 20 7946 0958", Kind::Telephone, 1),
            ("+15555550100", Kind::Telephone, 1),
            ("<a.b+c@example.co.uk>", Kind::Email, 1),
            ("write to x@example.org.", Kind::Email, 9),
            ("MRN: 00123456", Kind::Mrn, 5),
            ("Medical Record Number A1234567", Kind::Mrn, 22),
            ("patient no 445566", Kind::Mrn, 11),
            ("DOB 5/12/1980", Kind::BirthDate, 4),
            ("Date of birth: 1980-05-12", Kind::BirthDate, 15),
            ("born May 12, 1980", Kind::BirthDate, 5),
            ("born on 12 May 1980", Kind::BirthDate, 8),
        ] {
            assert_eq!(found(text), [(kind, at)], "{text}");
        }
    }

    #[test]
    fn what_only_looks_like_it_is_not() {
        for text in [
            "000-12-3456",
            "666-12-3456",
            "900-12-3456",
            "123-00-4567",
            "123-45-0000",
            "1123-45-6789",
            "123-45-67890",
            "123-45-6789-1",
            "x123-45-6789",
            "2024-05-06",
            "12.5",
            "1,234,567",
            "112-555-0100",
            "212-155-0100",
            "212-555-01001",
            "+1234567",
            "a@b",
            "@example.org",
            "x@example.c",
            "x@-.org",
            "MRN pending",
            "mrna 123456",
            "dob unknown",
            "born in 1980",
            "5/12/1980",
            "192.168.100.200",
            "1e-05",
            "A-212-555-0100x",
        ] {
            assert_eq!(found(text), [], "{text}");
        }
    }

    #[test]
    fn a_column_asks_less_of_its_cells() {
        for (kind, cell, wanted) in [
            (Kind::Ssn, "123456789", true),
            (Kind::Ssn, "12345678", false),
            (Kind::Mrn, "A-1234", true),
            (Kind::Mrn, "n/a", false),
            (Kind::Telephone, "2125550100", true),
            (Kind::Telephone, "none", false),
            (Kind::BirthDate, "1980-05-12", true),
            (Kind::BirthDate, "1980", false),
            (Kind::Email, "x@example.org", true),
        ] {
            assert_eq!(is_whole(kind, cell.as_bytes()), wanted, "{cell}");
        }
    }
}
