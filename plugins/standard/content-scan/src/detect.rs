//! What identifies a person, found in bytes. Everything is decided within [`REACH_BEFORE`] and [`REACH`] bytes of
//! the place where it begins, so that a text can be looked at in pieces that overlap.

use crate::kind::{Kind, Kinds};
use crate::masks::{BLOCK_BYTES, Masks};

/// How far before its beginning something is looked at: the longest local part of an address (RFC 5321, 4.5.3.1.1)
/// and one byte.
pub(crate) const REACH_BEFORE: usize = 65;
/// How far behind its beginning: an address of 64 and 255 bytes, and a label with what stands behind it.
pub(crate) const REACH: usize = 400;

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
/// The shortest that can be found, in bytes: groups of digits, a label with what stands behind it, an address.
const SHORTEST_GROUPS: usize = 11;
const SHORTEST_LABELLED: usize = 8;
const SHORTEST: usize = 6;
/// The fewest digits of a number in groups, and behind a label.
const FEWEST_GROUPED: u32 = 9;
const FEWEST_LABELLED: u32 = 4;
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
                Some(b' ') => b" _-"
                    .iter()
                    .for_each(|byte| seconds[usize::from(*byte)] = true),
                Some(byte) => {
                    seconds[usize::from(byte.to_ascii_lowercase())] = true;
                    seconds[usize::from(byte.to_ascii_uppercase())] = true;
                }
            }
        }
        let mut roles = [0; 256];
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
        !(groups || labelled || has(AT) || has(DIGIT | PLUS))
    }

    /// Whether it is looked for.
    pub(crate) fn wants(&self, kind: Kind) -> bool {
        self.kinds.has(kind)
    }

    /// Finds what begins in `text[from..until]`, looking around it in all of `text`; gives where each begins.
    #[inline]
    pub(crate) fn scan(
        &self,
        text: &[u8],
        from: usize,
        until: usize,
        found: &mut impl FnMut(Kind, usize),
    ) {
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
    }

    /// Looks at a place where something can begin; gives where what is there ends.
    fn look(&self, text: &[u8], at: usize, found: &mut impl FnMut(Kind, usize)) -> usize {
        match text[at] {
            b'@' => {
                if self.kinds.has(Kind::Email)
                    && let Some(begin) = address(text, at)
                {
                    found(Kind::Email, begin);
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
    fn grouped(&self, text: &[u8], at: usize, found: &mut impl FnMut(Kind, usize)) -> usize {
        if self.kinds.has(Kind::Ssn)
            && let Some(end) = social_security(text, at)
        {
            found(Kind::Ssn, at);
            return end;
        }
        if self.kinds.has(Kind::Telephone)
            && let Some(end) = telephone(text, at)
        {
            found(Kind::Telephone, at);
            return end;
        }
        at + 1
    }

    /// Looks for a label, and what it labels; gives where to go on.
    #[cold]
    fn label(&self, text: &[u8], at: usize, found: &mut impl FnMut(Kind, usize)) -> usize {
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
            let end = skip(
                text,
                end,
                |byte| matches!(byte, b' ' | b'\t' | b':' | b'#' | b'.' | b'=' | b'-' | b'"'),
                6,
            );
            let is_there = match kind {
                Kind::BirthDate => day(&text[end..]),
                _ => record_number(&text[end..]),
            };
            if is_there {
                found(*kind, end);
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

/// Whether a whole cell is what its column says it is: less is asked of its content.
pub(crate) fn is_whole(kind: Kind, cell: &[u8]) -> bool {
    let cell = cell.trim_ascii();
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
        Kind::BirthDate => day(cell),
    }
}

fn matches_label(text: &[u8], at: usize, label: &[u8]) -> Option<usize> {
    let mut end = at;
    for wanted in label {
        if *wanted == b' ' {
            let after = skip(text, end, |byte| matches!(byte, b' ' | b'_' | b'-'), 2);
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

fn skip(text: &[u8], at: usize, is: impl Fn(u8) -> bool, most: usize) -> usize {
    at + text[at..]
        .iter()
        .take(most)
        .take_while(|byte| is(**byte))
        .count()
}

/// The number of a run of exactly so many digits.
fn number(text: &[u8], at: usize, length: usize) -> Option<u32> {
    let digits = text.get(at..at + length)?;
    let add = |number: u32, digit: &u8| {
        digit
            .is_ascii_digit()
            .then(|| number * 10 + u32::from(digit - b'0'))
    };
    let number = digits.iter().try_fold(0, add)?;
    let next = text.get(at + length);
    (!next.is_some_and(u8::is_ascii_digit)).then_some(number)
}

/// Whether a word or a number ends here.
fn is_end(text: &[u8], at: usize) -> bool {
    match text.get(at) {
        None => true,
        Some(b'-') => !text.get(at + 1).is_some_and(u8::is_ascii_alphanumeric),
        Some(byte) => !byte.is_ascii_alphanumeric(),
    }
}

/// A Social Security number, `AAA-GG-SSSS` or with spaces: areas 000, 666 and from 900 on, group 00 and serial 0000
/// are never assigned (Social Security Administration, "Social Security Number Randomization").
fn social_security(text: &[u8], at: usize) -> Option<usize> {
    let area = number(text, at, 3)?;
    let separator = *text.get(at + 3)?;
    let group = number(text, at + 4, 2)?;
    let is_same = *text.get(at + 6)? == separator;
    let serial = number(text, at + 7, 4)?;
    let is_assigned = area != 0 && area != 666 && area < 900 && group != 0 && serial != 0;
    let before = at.checked_sub(1).map(|before| text[before]);
    let is_first = !matches!(before, Some(b'-' | b'.'));
    (matches!(separator, b'-' | b' ')
        && is_same
        && is_assigned
        && is_first
        && is_end(text, at + 11))
    .then_some(at + 11)
}

/// A telephone number: of North America (`(AAA) BBB-CCCC`, `AAA-BBB-CCCC`, `AAA.BBB.CCCC`, `1-AAA-...`), where area
/// and exchange begin with 2 to 9 (ATIS-0300051), or of any country after a plus sign (E.164).
fn telephone(text: &[u8], at: usize) -> Option<usize> {
    let before = at.checked_sub(1).map(|before| text[before]);
    if before == Some(b'+') {
        return international(text, at);
    }
    if matches!(before, Some(b'-' | b'.')) {
        return None;
    }
    let area_at = match (number(text, at, 1), text.get(at + 1)) {
        (Some(1), Some(b'-' | b'.' | b' ')) => at + 2,
        _ => at,
    };
    let has_parenthesis = area_at == at && before == Some(b'(') || text.get(area_at) == Some(&b'(');
    let area_at = area_at + usize::from(text.get(area_at) == Some(&b'('));
    let area = number(text, area_at, 3)?;
    let mut exchange_at = area_at + 3;
    if has_parenthesis {
        if text.get(exchange_at) != Some(&b')') {
            return None;
        }
        exchange_at = skip(text, exchange_at + 1, |byte| matches!(byte, b' ' | b'-'), 1);
    } else {
        if !matches!(text.get(exchange_at), Some(b'-' | b'.' | b' ')) {
            return None;
        }
        exchange_at += 1;
    }
    let exchange = number(text, exchange_at, 3)?;
    let separator = text.get(exchange_at + 3)?;
    number(text, exchange_at + 4, 4)?;
    let end = exchange_at + 8;
    (matches!(separator, b'-' | b'.' | b' ') && area >= 200 && exchange >= 200 && is_end(text, end))
        .then_some(end)
}

fn international(text: &[u8], at: usize) -> Option<usize> {
    let (mut digits, mut end) = (0, at);
    for (nth, byte) in text[at..].iter().take(24).enumerate() {
        match byte {
            b'0'..=b'9' => {
                digits += 1;
                end = at + nth + 1;
            }
            b' ' | b'-' | b'.' | b'(' | b')' => {}
            _ => break,
        }
    }
    ((8..=15).contains(&digits) && is_end(text, end)).then_some(end)
}

/// Where an address begins whose `@` stands here (RFC 5322's dot-atom and a host name with a top-level domain).
fn address(text: &[u8], at: usize) -> Option<usize> {
    let is_local =
        |byte: &u8| byte.is_ascii_alphanumeric() || b".!#$%&'*+/=?^_`{|}~-".contains(byte);
    let before = &text[at.saturating_sub(64)..at];
    let length = before
        .iter()
        .rev()
        .take_while(|byte| is_local(byte))
        .count();
    let local = &before[before.len() - length..];
    if local.iter().all(|byte| *byte == b'.') || local.last() == Some(&b'.') {
        return None;
    }
    let host = &text[at + 1..(at + 1 + 255).min(text.len())];
    let is_host = |byte: &&u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-');
    let length = host.iter().take_while(is_host).count();
    let host = host[..length].trim_ascii_end();
    let host = host.strip_suffix(b".").unwrap_or(host);
    let dot = host.iter().rposition(|byte| *byte == b'.')?;
    let (name, top) = (&host[..dot], &host[dot + 1..]);
    let is_top = top.len() >= 2 && top.iter().all(u8::is_ascii_alphabetic);
    let is_name = name.first().is_some_and(u8::is_ascii_alphanumeric)
        && name.last().is_some_and(u8::is_ascii_alphanumeric);
    (is_top && is_name).then_some(at - local.len())
}

/// Whether the number of a record begins here: a word of 5 to 12 letters and digits with at least 4 digits.
fn record_number(text: &[u8]) -> bool {
    let is_part = |byte: &&u8| byte.is_ascii_alphanumeric() || **byte == b'-';
    let word = &text[..text.iter().take(14).take_while(is_part).count()];
    let digits = word.iter().filter(|byte| byte.is_ascii_digit()).count();
    (5..=12).contains(&word.len()) && digits >= 4
}

/// Whether a day begins here: numbers (`1980-05-12`, `5/12/1980`, `12.5.80`), or with the month as a word.
fn day(text: &[u8]) -> bool {
    numeric_day(text) || worded_day(text)
}

fn numeric_day(text: &[u8]) -> bool {
    let run = |from: usize| {
        text.get(from..).map_or(0, |rest| {
            rest.iter().take_while(|byte| byte.is_ascii_digit()).count()
        })
    };
    let first = run(0);
    let separator = text.get(first);
    let second = run(first + 1);
    let third_at = first + second + 2;
    let third = run(third_at);
    let is_same = separator.is_some() && text.get(first + second + 1) == separator;
    if !is_same || !matches!(separator, Some(b'-' | b'/' | b'.')) {
        return false;
    }
    let value = |at: usize, length: usize| number(text, at, length).unwrap_or(0);
    let (a, b, c) = (
        value(0, first),
        value(first + 1, second),
        value(third_at, third),
    );
    let is_year =
        |length: usize, year: u32| length == 2 || length == 4 && (1850..2100).contains(&year);
    let is_month_and_day = |one: u32, other: u32| {
        (1..=12).contains(&one) && (1..=31).contains(&other)
            || (1..=12).contains(&other) && (1..=31).contains(&one)
    };
    let is_short = |length: usize| matches!(length, 1 | 2);
    first == 4 && is_short(second) && is_short(third) && is_year(4, a) && is_month_and_day(b, c)
        || is_short(first) && is_short(second) && is_year(third, c) && is_month_and_day(a, b)
}

fn worded_day(text: &[u8]) -> bool {
    const MONTHS: [&[u8]; 12] = [
        b"jan", b"feb", b"mar", b"apr", b"may", b"jun", b"jul", b"aug", b"sep", b"oct", b"nov",
        b"dec",
    ];
    let beginning = &text[..text.len().min(24)];
    let words = beginning.split(|byte| !byte.is_ascii_alphanumeric());
    let words: Vec<&[u8]> = words.filter(|word| !word.is_empty()).take(3).collect();
    let is_month = |word: &[u8]| {
        let start = word.get(..3).unwrap_or_default().to_ascii_lowercase();
        word.iter().all(u8::is_ascii_alphabetic) && MONTHS.contains(&start.as_slice())
    };
    let is_number = |word: &[u8], lengths: &[usize]| {
        lengths.contains(&word.len()) && word.iter().all(u8::is_ascii_digit)
    };
    match words.as_slice() {
        [one, two, three] => {
            is_number(three, &[4])
                && (is_month(one) && is_number(two, &[1, 2])
                    || is_number(one, &[1, 2]) && is_month(two))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<(Kind, usize)> {
        let detector = Detector::new(&Kind::ALL, &["Patient No".to_owned()]);
        let mut all = Vec::new();
        detector.scan(text.as_bytes(), 0, text.len(), &mut |kind, at| {
            all.push((kind, at));
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
