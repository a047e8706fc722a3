//! What well-known formats begin with.

/// Bytes that must stand at offsets, all of them.
pub(crate) type Signature = &'static [(usize, &'static [u8])];

/// A format that is recognised in order to refuse it, or to say what a file really is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Foreign {
    /// With its article, for a sentence.
    pub(crate) name: &'static str,
    /// Whether it is refused as an executable rather than as some other content.
    pub(crate) executable: bool,
}

/// Whether the file has this signature.
pub(crate) fn matches(signature: Signature, prefix: &[u8]) -> bool {
    signature.iter().all(|&(offset, bytes)| {
        prefix
            .get(offset..)
            .is_some_and(|rest| rest.starts_with(bytes))
    })
}

/// The format that the file has beyond doubt, if it is one that must not hide in another kind.
pub(crate) fn foreign(prefix: &[u8]) -> Option<Foreign> {
    if is_dos_executable(prefix) {
        return Some(program("a Windows program"));
    }
    FOREIGN
        .iter()
        .find(|(signature, _)| matches(signature, prefix))
        .map(|&(_, foreign)| foreign)
}

/// Two letters say too little: a CSV may begin with a column `MZ`. The header that follows them in a real
/// program has zeros.
fn is_dos_executable(prefix: &[u8]) -> bool {
    const DOS_HEADER_BYTES: usize = 64;
    let header = &prefix[..prefix.len().min(DOS_HEADER_BYTES)];
    (header.starts_with(b"MZ") || header.starts_with(b"ZM")) && header.contains(&0)
}

const fn program(name: &'static str) -> Foreign {
    Foreign {
        name,
        executable: true,
    }
}

const fn other(name: &'static str) -> Foreign {
    Foreign {
        name,
        executable: false,
    }
}

/// Each signature here is one that no text begins with. Words further in, such as those of tar and DICOM, are
/// left out: a table can have them there by chance, and the real formats have controls that give them away.
const FOREIGN: &[(Signature, Foreign)] = &[
    (&[(0, b"\x7fELF")], program("a Linux program")),
    (&[(0, b"\xfe\xed\xfa\xce")], program("a macOS program")),
    (&[(0, b"\xfe\xed\xfa\xcf")], program("a macOS program")),
    (&[(0, b"\xce\xfa\xed\xfe")], program("a macOS program")),
    (&[(0, b"\xcf\xfa\xed\xfe")], program("a macOS program")),
    (
        &[(0, b"\xca\xfe\xba\xbe")],
        program("a Java class or a macOS program"),
    ),
    (&[(0, b"\0asm")], program("a WebAssembly program")),
    (&[(0, b"dex\n0"), (7, b"\0")], program("an Android program")),
    (&[(0, b"BC\xc0\xde")], program("an LLVM program")),
    (
        &[(0, b"\x4c\0\0\0\x01\x14\x02\0")],
        program("a Windows shortcut"),
    ),
    (&[(0, b"ITSF\x03\0\0\0")], program("a Windows help file")),
    (
        &[(0, b"!<arch>\n")],
        program("a program library or package"),
    ),
    (&[(0, b"\xed\xab\xee\xdb")], program("an RPM package")),
    (
        &[(0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1")],
        other("an old Office document or Windows installer"),
    ),
    (&[(0, b"{\\rtf")], other("an RTF document")),
    (&[(0, b"%PDF-")], other("a PDF document")),
    (&[(0, b"PK\x03\x04")], other("a ZIP archive")),
    (&[(0, b"PK\x05\x06")], other("a ZIP archive")),
    (&[(0, b"\x1f\x8b")], other("a gzip archive")),
    (&[(0, b"7z\xbc\xaf\x27\x1c")], other("a 7-Zip archive")),
    (&[(0, b"Rar!\x1a\x07")], other("a RAR archive")),
    (&[(0, b"MSCF\0\0\0\0")], other("a Windows cabinet")),
    (&[(0, b"\xfd7zXZ\0")], other("an XZ archive")),
    (&[(0, b"\x28\xb5\x2f\xfd")], other("a Zstandard archive")),
    (
        &[(0, b"BZh"), (4, b"\x31\x41\x59\x26\x53\x59")],
        other("a bzip2 archive"),
    ),
    (&[(0, b"SQLite format 3\0")], other("an SQLite database")),
    (&[(0, b"\x89PNG\r\n\x1a\n")], other("a PNG image")),
    (&[(0, b"\xff\xd8\xff")], other("a JPEG image")),
    (&[(0, b"GIF87a")], other("a GIF image")),
    (&[(0, b"GIF89a")], other("a GIF image")),
    (&[(0, b"PAR1\x15")], other("a Parquet file")),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_that_looks_like_a_dos_header_is_not_one() {
        assert_eq!(foreign(b"MZ,ZZ\n1,2\n"), None);
        assert_eq!(foreign(b""), None);
        assert!(foreign(b"MZ\x90\0\x03\0").is_some_and(|found| found.executable));
    }
}
