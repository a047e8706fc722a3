//! Names of entries: where a file goes when the archive is unpacked.

use std::hash::BuildHasher;

use foldhash::fast::FixedState;

/// Why a name is not safe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UnsafeName {
    /// It is empty, too long, or has control characters.
    Odd,
    /// It begins at the root of a disk.
    Absolute,
    /// It leads out of the folder, by `..`.
    LeadsOut,
}

/// The longest name in bytes.
const MAX_BYTES: usize = 4096;

/// Whether an archive can be unpacked anywhere with an entry of this name. A backslash separates folders on Windows.
pub(crate) fn check(name: &[u8]) -> Result<(), UnsafeName> {
    if name.is_empty() || name.len() > MAX_BYTES || name.iter().any(u8::is_ascii_control) {
        return Err(UnsafeName::Odd);
    }
    let has_drive = name.len() > 1 && name[0].is_ascii_alphabetic() && name[1] == b':';
    if has_drive || is_separator(name[0]) {
        return Err(UnsafeName::Absolute);
    }
    if parts(name).any(|part| part == b"..") {
        return Err(UnsafeName::LeadsOut);
    }
    Ok(())
}

fn is_separator(byte: u8) -> bool {
    matches!(byte, b'/' | b'\\')
}

fn parts(name: &[u8]) -> impl DoubleEndedIterator<Item = &[u8]> {
    name.split(|byte| is_separator(*byte))
}

/// What stands behind the last dot of the last part, in lower case.
pub(crate) fn extension(name: &[u8]) -> Option<Vec<u8>> {
    let last = parts(name).next_back()?;
    let dot = last.iter().rposition(|byte| *byte == b'.')?;
    Some(last[dot + 1..].to_ascii_lowercase())
}

/// A number by which names are told apart. Two names with the same number look like one twice, which refuses an archive
/// that was made so, and no other.
pub(crate) fn hash(name: &[u8]) -> u64 {
    FixedState::default().hash_one(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_lead_out_are_told_apart() {
        for (name, wanted) in [
            ("a/b.csv", Ok(())),
            ("./a/..b/c..", Ok(())),
            ("größe.csv", Ok(())),
            ("", Err(UnsafeName::Odd)),
            ("a\nb", Err(UnsafeName::Odd)),
            ("/etc/passwd", Err(UnsafeName::Absolute)),
            ("\\\\server\\share", Err(UnsafeName::Absolute)),
            ("C:\\x", Err(UnsafeName::Absolute)),
            ("../x", Err(UnsafeName::LeadsOut)),
            ("a\\..\\..\\x", Err(UnsafeName::LeadsOut)),
            ("a/..", Err(UnsafeName::LeadsOut)),
        ] {
            assert_eq!(check(name.as_bytes()), wanted, "{name}");
        }
        assert_eq!(extension(b"a.b/c.EXE"), Some(b"exe".to_vec()));
        assert_eq!(extension(b"a.b/c"), None);
    }
}
