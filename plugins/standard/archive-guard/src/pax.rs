//! The records of a pax header (IEEE Std 1003.1, pax, "pax Header Block"): `LENGTH KEY=VALUE\n`. Programs read
//! malformed records differently, so those are refused.

use crate::guard::{Checked, broken};

/// All records of a header.
pub(crate) fn read(mut records: &[u8]) -> Checked<Vec<(&[u8], &[u8])>> {
    let wrong = || broken("A tar archive says something about an entry that cannot be read");
    let mut pairs = Vec::new();
    while records.iter().any(|byte| *byte != 0) {
        let (key, value, rest) = record(records).ok_or_else(wrong)?;
        pairs.push((key, value));
        records = rest;
    }
    Ok(pairs)
}

/// The first record, and what is behind it.
fn record(records: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let space = records.iter().position(|byte| *byte == b' ')?;
    let length = usize::try_from(number(&records[..space])?).ok()?;
    let record = records.get(space + 1..length)?.strip_suffix(b"\n")?;
    let equals = record.iter().position(|byte| *byte == b'=')?;
    let (key, value) = (&record[..equals], &record[equals + 1..]);
    // Some programs skip blanks in front of a key, or end it at a zero.
    let is_key = !key.is_empty() && key.iter().all(u8::is_ascii_graphic);
    is_key.then_some((key, value, &records[length..]))
}

/// A number in decimal digits and nothing else.
pub(crate) fn number(digits: &[u8]) -> Option<u64> {
    let is_number = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    is_number.then(|| str::from_utf8(digits).ok()?.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_read_as_every_program_reads_them() {
        let records = read(b"11 path=ab\n12 size=100\n").expect("are records");
        assert_eq!(records, [(&b"path"[..], &b"ab"[..]), (b"size", b"100")]);
        assert_eq!(read(b"13 comment=a\n\0\0").map(|all| all.len()), Ok(1));
        for odd in [
            &b"12  path=ab\n"[..],
            b"+11 path=ab\n",
            b"12 path=ab\n",
            b"10 path=ab\n",
            b"11 pat\0=ab\n",
            b"5 =a\n",
            b"8 pathab",
            b"\x0011 path=ab\n",
            b"99999999999999999999 path=ab\n",
        ] {
            assert!(read(odd).is_err(), "{odd:?}");
        }
    }
}
