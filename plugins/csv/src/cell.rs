/// What stands between two cells of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Separator {
    /// `,`
    Comma,
    /// A tab.
    Tab,
    /// `;`
    Semicolon,
    /// `|`
    Pipe,
}

impl Separator {
    /// The byte.
    pub const fn byte(self) -> u8 {
        match self {
            Self::Comma => b',',
            Self::Tab => b'\t',
            Self::Semicolon => b';',
            Self::Pipe => b'|',
        }
    }
}

/// How a cell was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quotes {
    /// Without quotes.
    None,
    /// Within quotes, as RFC 4180 has it.
    Regular,
    /// A quote stands within a cell that is not quoted, or something follows the closing quote.
    Stray,
    /// The closing quote is missing: everything to the end of the file is in this cell.
    Unclosed,
}

/// One cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cell<'a> {
    /// What it says: without the quotes around it, and with one quote where two stood.
    pub value: &'a [u8],
    /// Where it begins, in bytes from the start of the file: at the opening quote, if it has one.
    pub offset: u64,
    /// How it was written.
    pub quotes: Quotes,
    /// All bytes are ASCII, and none is a control character other than a line end. When false, nothing is
    /// known.
    pub is_plain: bool,
    /// It is longer than [`MAX_CELL_BYTES`](crate::MAX_CELL_BYTES), and this is only its beginning.
    pub is_cut: bool,
}

impl<'a> Cell<'a> {
    /// A cell without quotes, of which nothing is to be said.
    pub const fn plain(value: &'a [u8], offset: u64) -> Self {
        Self {
            value,
            offset,
            quotes: Quotes::None,
            is_plain: true,
            is_cut: false,
        }
    }
}

/// Takes the quotes off a cell that contains some. What stands in `scratch` is overwritten.
pub(crate) fn unquote<'a>(raw: &'a [u8], scratch: &'a mut Vec<u8>) -> (&'a [u8], Quotes) {
    let Some((b'"', mut rest)) = raw.split_first() else {
        return (raw, Quotes::Stray);
    };
    scratch.clear();
    loop {
        let Some(quote) = memchr::memchr(b'"', rest) else {
            scratch.extend_from_slice(rest);
            return (scratch, Quotes::Unclosed);
        };
        let (before, after) = (&rest[..quote], &rest[quote + 1..]);
        match after.first() {
            // The usual: one pair of quotes around it all.
            None if scratch.is_empty() => return (before, Quotes::Regular),
            None => {
                scratch.extend_from_slice(before);
                return (scratch, Quotes::Regular);
            }
            Some(b'"') => {
                scratch.extend_from_slice(&rest[..=quote]);
                rest = &after[1..];
            }
            Some(_) => {
                scratch.extend_from_slice(before);
                scratch.extend_from_slice(after);
                return (scratch, Quotes::Stray);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_are_taken_off() {
        for (raw, value, quotes) in [
            ("\"\"", "", Quotes::Regular),
            ("\"a\"", "a", Quotes::Regular),
            ("\"a\"\"b\"", "a\"b", Quotes::Regular),
            ("\"\"\"a\"", "\"a", Quotes::Regular),
            ("a\"b", "a\"b", Quotes::Stray),
            ("\"a\"b\"c", "ab\"c", Quotes::Stray),
            ("\"a", "a", Quotes::Unclosed),
            ("\"a\"\"", "a\"", Quotes::Unclosed),
        ] {
            let mut scratch = b"left from before".to_vec();
            let unquoted = unquote(raw.as_bytes(), &mut scratch);
            assert_eq!(unquoted, (value.as_bytes(), quotes), "{raw}");
        }
    }
}
