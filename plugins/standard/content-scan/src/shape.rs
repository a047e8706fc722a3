//! The shapes of what identifies a person. Each function returns where the match that begins at a place ends.

use std::ops::Range;

pub(crate) fn skip(text: &[u8], at: usize, is: impl Fn(u8) -> bool, most: usize) -> usize {
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
pub(crate) fn social_security(text: &[u8], at: usize) -> Option<usize> {
    let area = number(text, at, 3)?;
    let (separator, group_at) = separator(text, at + 3)?;
    let group = number(text, group_at, 2)?;
    let (other, serial_at) = self::separator(text, group_at + 2)?;
    let is_same = other == separator;
    let serial = number(text, serial_at, 4)?;
    let is_assigned = area != 0 && area != 666 && area < 900 && group != 0 && serial != 0;
    let before = at.checked_sub(1).map(|before| text[before]);
    let is_first = !matches!(before, Some(b'-' | b'.'));
    let end = serial_at + 4;
    (is_same && is_assigned && is_first && is_end(text, end)).then_some(end)
}

/// What is between groups of digits, and where the next one begins: a space, or a hyphen with or without spaces around it.
fn separator(text: &[u8], at: usize) -> Option<(u8, usize)> {
    let spaces = |at: usize| text.get(at) == Some(&b' ');
    let hyphen_at = at + usize::from(spaces(at));
    match text.get(hyphen_at)? {
        b'-' => Some((b'-', hyphen_at + 1 + usize::from(spaces(hyphen_at + 1)))),
        _ if hyphen_at > at => Some((b' ', hyphen_at)),
        _ => None,
    }
}

/// A telephone number: of North America (`(AAA) BBB-CCCC`, `AAA-BBB-CCCC`, `AAA.BBB.CCCC`, `1-AAA-...`), where area
/// and exchange begin with 2 to 9 (ATIS-0300051), or of any country after a plus sign (E.164).
pub(crate) fn telephone(text: &[u8], at: usize) -> Option<usize> {
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
    let first = text.get(exchange_at).copied();
    if has_parenthesis {
        if first != Some(b')') {
            return None;
        }
        exchange_at = skip(text, exchange_at + 1, |byte| matches!(byte, b' ' | b'-'), 2);
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
    // A range of pages before a year is none: `200-300 2019`.
    let is_range = first != Some(b')') && first != Some(b' ') && *separator == b' ';
    let is_separator = matches!(separator, b'-' | b'.' | b' ');
    (is_separator && !is_range && area >= 200 && exchange >= 200 && is_end(text, end))
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
    // No country's code begins with 0.
    let has_country = text.get(at) != Some(&b'0');
    ((8..=15).contains(&digits) && has_country && is_end(text, end)).then_some(end)
}

/// Where the address lies whose `@` is here (RFC 5322's dot-atom and a host name with a top-level domain).
pub(crate) fn address(text: &[u8], at: usize) -> Option<Range<usize>> {
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
    (is_top && is_name).then(|| at - local.len()..at + 1 + host.len())
}

/// Where the number of a record ends that begins here: a word of 5 to 12 letters and digits with at least 4 digits.
pub(crate) fn record_number(text: &[u8], at: usize) -> Option<usize> {
    let is_part = |byte: &&u8| byte.is_ascii_alphanumeric() || **byte == b'-';
    let word = &text[at..];
    let word = &word[..word.iter().take(14).take_while(is_part).count()];
    let digits = word.iter().filter(|byte| byte.is_ascii_digit()).count();
    let is_day = day(text, at).is_some();
    ((5..=12).contains(&word.len()) && digits >= 4 && !is_day).then_some(at + word.len())
}

/// Where a day ends that begins here: in numbers (`1980-05-12`, `5/12/1980`, `12.5.80`), or with the month as a word.
pub(crate) fn day(text: &[u8], at: usize) -> Option<usize> {
    let day = &text[at..];
    let length = numeric_day(day).or_else(|| worded_day(day))?;
    Some(at + length)
}

/// How long a day in numbers is.
fn numeric_day(text: &[u8]) -> Option<usize> {
    let run = |from: usize| {
        text.get(from..).map_or(0, |rest| {
            rest.iter().take_while(|byte| byte.is_ascii_digit()).count()
        })
    };
    // With or without a space on both sides of what is between.
    let between = |at: usize| {
        let at = at + usize::from(text.get(at) == Some(&b' '));
        let separator = *text.get(at)?;
        Some((
            separator,
            at + 1 + usize::from(text.get(at + 1) == Some(&b' ')),
        ))
    };
    let first = run(0);
    let (separator, second_at) = between(first)?;
    let second = run(second_at);
    let (other, third_at) = between(second_at + second)?;
    let third = run(third_at);
    let is_same = other == separator;
    if !is_same || !matches!(separator, b'-' | b'/' | b'.') {
        return None;
    }
    let value = |at: usize, length: usize| number(text, at, length).unwrap_or(0);
    let (a, b, c) = (
        value(0, first),
        value(second_at, second),
        value(third_at, third),
    );
    let is_year =
        |length: usize, year: u32| length == 2 || length == 4 && (1850..2100).contains(&year);
    let is_month_and_day = |one: u32, other: u32| {
        (1..=12).contains(&one) && (1..=31).contains(&other)
            || (1..=12).contains(&other) && (1..=31).contains(&one)
    };
    let is_short = |length: usize| matches!(length, 1 | 2);
    let begins_with_year = first == 4 && is_short(second) && is_short(third);
    let ends_with_year = is_short(first) && is_short(second) && is_year(third, c);
    (begins_with_year && is_year(4, a) && is_month_and_day(b, c)
        || ends_with_year && is_month_and_day(a, b))
    .then_some(third_at + third)
}

/// How long a day with its month as a word is.
fn worded_day(text: &[u8]) -> Option<usize> {
    const MONTHS: [&[u8]; 12] = [
        b"jan", b"feb", b"mar", b"apr", b"may", b"jun", b"jul", b"aug", b"sep", b"oct", b"nov",
        b"dec",
    ];
    let mut at = 0;
    let mut next = || {
        let rest = &text[at..text.len().min(24)];
        let begin = rest.iter().position(u8::is_ascii_alphanumeric)?;
        let word = rest[begin..]
            .iter()
            .take_while(|byte| byte.is_ascii_alphanumeric());
        let word = &rest[begin..begin + word.count()];
        at += begin + word.len();
        Some((word, at))
    };
    let ((one, _), (two, _), (three, end)) = (next()?, next()?, next()?);
    let is_month = |word: &[u8]| {
        let start = word.get(..3).unwrap_or_default().to_ascii_lowercase();
        word.iter().all(u8::is_ascii_alphabetic) && MONTHS.contains(&start.as_slice())
    };
    let is_number = |word: &[u8], lengths: &[usize]| {
        let suffixes = [&b"st"[..], b"nd", b"rd", b"th"];
        let suffix = suffixes
            .iter()
            .find_map(|suffix| word.strip_suffix(*suffix));
        let word = suffix.unwrap_or(word);
        lengths.contains(&word.len()) && word.iter().all(u8::is_ascii_digit)
    };
    let is_day = is_number(three, &[2, 4])
        && (is_month(one) && is_number(two, &[1, 2]) || is_number(one, &[1, 2]) && is_month(two));
    is_day.then_some(end)
}
