//! Whether bytes are text at all.

/// Why bytes are not text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotText {
    /// Text in two or four bytes for each character.
    Wide,
    /// A control character that no text file has, at this offset.
    Control(usize),
}

/// Takes any encoding that keeps ASCII as it is (UTF-8, Latin-1 and their kin); whether it is good UTF-8 is
/// for a policy that reads all of it.
pub(crate) fn check(prefix: &[u8]) -> Result<(), NotText> {
    if is_wide(prefix) {
        return Err(NotText::Wide);
    }
    match prefix.iter().position(|&byte| is_binary(byte)) {
        Some(at) => Err(NotText::Control(at)),
        None => Ok(()),
    }
}

/// Tab, line feed, vertical tab (which some databases write for a line break in a cell), form feed and
/// carriage return are the controls that text files have.
fn is_binary(byte: u8) -> bool {
    byte < b' ' && !matches!(byte, b'\t' | b'\n' | 0x0b | 0x0c | b'\r')
}

/// By its byte order mark, or by the zeros that its ASCII characters have.
fn is_wide(prefix: &[u8]) -> bool {
    let marked = [b"\xff\xfe".as_slice(), b"\xfe\xff", b"\0\0\xfe\xff"]
        .iter()
        .any(|mark| prefix.starts_with(mark));
    let alternating = |zero: usize| {
        let head = &prefix[..prefix.len().min(16)];
        head.len() >= 8
            && head
                .iter()
                .enumerate()
                .all(|(at, &byte)| (byte == 0) == (at % 2 == zero))
    };
    marked || alternating(0) || alternating(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_in_any_ascii_encoding_passes() {
        for text in [
            b"".as_slice(),
            b"a,b\r\n1,\x0b2\n",
            "é,患\n".as_bytes(),
            b"caf\xe9;1\n",
        ] {
            assert_eq!(check(text), Ok(()));
        }
    }

    #[test]
    fn wide_text_and_controls_are_refused() {
        assert_eq!(check(b"\xff\xfea\0,\0"), Err(NotText::Wide));
        assert_eq!(check(b"a\0,\0b\0\n\0"), Err(NotText::Wide));
        assert_eq!(check(b"\0a\0,\0b\0\n"), Err(NotText::Wide));
        assert_eq!(check(b"a,b\n\0"), Err(NotText::Control(4)));
        assert_eq!(check(b"a\x1b[2J"), Err(NotText::Control(1)));
    }
}
