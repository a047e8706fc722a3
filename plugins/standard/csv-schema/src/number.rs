//! Numbers as programs write them.

/// A decimal number: digits with an optional sign, a point and an exponent. No `NaN`, no infinity, no
/// separators between thousands.
#[inline]
pub(crate) fn decimal(cell: &[u8]) -> Option<f64> {
    if !has_decimal_form(cell) {
        return None;
    }
    // Short ones without a point or an exponent, which most are.
    if let Some(whole) = short_whole(cell) {
        return Some(f64::from(whole));
    }
    str::from_utf8(cell).ok()?.parse().ok()
}

/// A whole number: digits with an optional sign.
#[inline]
pub(crate) fn whole(cell: &[u8]) -> Option<f64> {
    let digits = without_sign(cell);
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    decimal(cell)
}

/// A year of four digits from 1000 to 9999.
#[inline]
pub(crate) fn year(cell: &[u8]) -> Option<f64> {
    match cell {
        &[b'1'..=b'9', b'0'..=b'9', b'0'..=b'9', b'0'..=b'9'] => short_whole(cell).map(f64::from),
        _ => None,
    }
}

fn has_decimal_form(cell: &[u8]) -> bool {
    let (mantissa, exponent) = match cell.iter().position(|byte| matches!(byte, b'e' | b'E')) {
        Some(at) => (&cell[..at], Some(&cell[at + 1..])),
        None => (cell, None),
    };
    if let Some(exponent) = exponent {
        let digits = without_sign(exponent);
        if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
            return false;
        }
    }
    let (mut digits, mut points) = (0, 0);
    for byte in without_sign(mantissa) {
        match byte {
            b'0'..=b'9' => digits += 1,
            b'.' => points += 1,
            _ => return false,
        }
    }
    digits > 0 && points <= 1
}

fn without_sign(cell: &[u8]) -> &[u8] {
    match cell {
        [b'+' | b'-', rest @ ..] => rest,
        all => all,
    }
}

/// Up to nine digits.
#[inline]
fn short_whole(cell: &[u8]) -> Option<u32> {
    if cell.is_empty() || cell.len() > 9 {
        return None;
    }
    let digit = |sum: u32, &byte: &u8| {
        byte.is_ascii_digit()
            .then(|| sum * 10 + u32::from(byte - b'0'))
    };
    cell.iter().try_fold(0, digit)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_are_written_with_digits_and_a_point() {
        for (cell, value) in [
            ("0", Some(0.0)),
            ("-12.50", Some(-12.5)),
            ("+3", Some(3.0)),
            (".5", Some(0.5)),
            ("5.", Some(5.0)),
            ("1e3", Some(1000.0)),
            ("1.5E-2", Some(0.015)),
            ("1234567890123", Some(1_234_567_890_123.0)),
            ("", None),
            (".", None),
            ("-", None),
            ("1e", None),
            ("1.2.3", None),
            ("1,5", None),
            ("NA", None),
            ("NaN", None),
            ("inf", None),
            (" 1", None),
            ("0x10", None),
            ("1_000", None),
        ] {
            assert_eq!(decimal(cell.as_bytes()), value, "{cell:?}");
        }
    }

    #[test]
    fn whole_numbers_and_years_have_digits_only() {
        assert_eq!(whole(b"-42"), Some(-42.0));
        for cell in ["", "-", "4.0", "4e1", "four"] {
            assert_eq!(whole(cell.as_bytes()), None, "{cell}");
        }
        assert_eq!(year(b"1985"), Some(1985.0));
        for cell in ["985", "0985", "1985.0", "19850", "198x"] {
            assert_eq!(year(cell.as_bytes()), None, "{cell}");
        }
    }

    proptest! {
        #[test]
        fn a_decimal_is_what_the_standard_library_reads(cell in "[-+]?[0-9.]{0,12}([eE][-+]?[0-9]{0,3})?") {
            let theirs = cell.parse::<f64>().ok();
            prop_assert_eq!(decimal(cell.as_bytes()), theirs);
        }
    }
}
