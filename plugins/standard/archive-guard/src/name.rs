//! Names of entries: where a file goes when the archive is unpacked.

use portcullis_text::{is_invisible, turns_direction};
use unicode_normalization::UnicodeNormalization;

/// Why a name is not safe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UnsafeName {
    /// It is empty, too long, or has characters that control a terminal or the direction of text.
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
    if name.is_empty() || name.len() > MAX_BYTES || has_controls(name) {
        return Err(UnsafeName::Odd);
    }
    let mut visible = parts(name).filter(|part| !is_here(part));
    let has_drive = visible
        .next()
        .is_some_and(|first| first.len() > 1 && first[0].is_ascii_alphabetic() && first[1] == b':');
    if has_drive || is_separator(name[0]) {
        return Err(UnsafeName::Absolute);
    }
    if parts(name).any(is_up) || parts(compatible(name).as_bytes()).any(is_up) {
        return Err(UnsafeName::LeadsOut);
    }
    Ok(())
}

/// Entries that a system keeps for itself, in lower case: of macOS, and of Windows.
const OF_SYSTEMS: [&str; 6] = [
    ".ds_store",
    ".fseventsd",
    ".spotlight-v100",
    ".trashes",
    "desktop.ini",
    "thumbs.db",
];

/// Whether a system keeps this entry for itself: `__MACOSX/`, `._x`, `.DS_Store`, `Thumbs.db` and such.
pub(crate) fn is_of_system(name: &[u8]) -> bool {
    let mut own = parts(name).filter(|part| !is_here(part)).peekable();
    if own.peek().is_some_and(|first| *first == b"__MACOSX") {
        return true;
    }
    own.any(|part| {
        part.starts_with(b"._")
            || OF_SYSTEMS
                .iter()
                .any(|known| part.eq_ignore_ascii_case(known.as_bytes()))
    })
}

/// Whether the name of an entry says that it is a folder.
pub(crate) fn is_folder(name: &[u8]) -> bool {
    name.last().is_some_and(|last| is_separator(*last))
}

/// The extension of a name as Windows opens it: without the dots, spaces and stream (`:name`) that follow; in lower
/// case.
pub(crate) fn extension(name: &[u8]) -> Option<String> {
    let last = parts(name).rfind(|part| !is_here(part))?;
    let file = last.split(|byte| *byte == b':').next()?;
    let file = folded(&readable(file));
    let (_, extension) = file.rsplit_once('.')?;
    Some(extension.to_owned())
}

/// The parts of a name, folded as the least strict file systems fold them. Case and Unicode normalization (UAX #15) do not
/// count, nor do invisible characters (ext4, HFS+), dots and spaces at the end (Windows), and parts such as `.`.
pub(crate) fn folded_parts(name: &[u8]) -> impl Iterator<Item = String> {
    let own = parts(name).filter(|part| !is_here(part));
    own.map(|part| folded(&readable(part)))
}

/// A part as those file systems see it. Case is folded as Unicode's full folding does, by way of the upper case.
fn folded(part: &str) -> String {
    let visible = without_version(part).trim_end_matches([' ', '.']).chars();
    let visible = visible.filter(|char| !is_invisible(*char)).nfd();
    let upper = visible.flat_map(char::to_uppercase);
    let folded = upper.flat_map(char::to_lowercase).nfd().collect::<String>();
    let end = folded.trim_end_matches([' ', '.']).len();
    folded[..end].to_owned()
}

/// A name without the version that VMS has behind it, as in `a.csv;1`: Info-ZIP leaves that out on every system.
fn without_version(part: &str) -> &str {
    match part.rsplit_once(';') {
        Some((name, digits))
            if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) =>
        {
            name
        }
        _ => part,
    }
}

/// The name as text. In an unknown encoding, each byte becomes one character.
fn readable(name: &[u8]) -> String {
    match str::from_utf8(name) {
        Ok(text) => text.to_owned(),
        Err(_) => name.iter().map(|byte| char::from(*byte)).collect(),
    }
}

/// The upper half of code page 437, in which zip archives have names that are not said to be UTF-8 (APPNOTE, appendix D;
/// the table is that of unicode.org, `VENDORS/MICSFT/PC/CP437.TXT`).
const CODE_PAGE_437: &str = "ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u{a0}";

/// A name as programs read it that use the encoding of the ZIP format.
pub(crate) fn in_code_page_437(name: &[u8]) -> String {
    let char = |byte: &u8| match byte.checked_sub(0x80) {
        None => char::from(*byte),
        Some(nth) => CODE_PAGE_437
            .chars()
            .nth(usize::from(nth))
            .unwrap_or_default(),
    };
    name.iter().map(char).collect()
}

/// The name as some programs read it: they convert characters to their plain forms, such as `．` to `.` and `／` to `/`
/// (Normalization Form KC), and drop invisible characters.
fn compatible(name: &[u8]) -> String {
    match str::from_utf8(name) {
        Ok(text) if !text.is_ascii() => text
            .chars()
            .filter(|char| !is_invisible(*char))
            .nfkc()
            .collect(),
        _ => String::new(),
    }
}

fn has_controls(name: &[u8]) -> bool {
    match str::from_utf8(name) {
        Ok(text) => text
            .chars()
            .any(|char| char.is_control() || turns_direction(char)),
        Err(_) => name.iter().any(u8::is_ascii_control),
    }
}

fn is_separator(byte: u8) -> bool {
    matches!(byte, b'/' | b'\\')
}

fn parts(name: &[u8]) -> impl DoubleEndedIterator<Item = &[u8]> {
    name.split(|byte| is_separator(*byte))
}

/// Whether a part stays in the folder where it is.
fn is_here(part: &[u8]) -> bool {
    matches!(part, b"" | b".")
}

/// Whether a part leads up: `..`, also with the dots and spaces that Windows leaves out.
fn is_up(part: &[u8]) -> bool {
    let first = part.iter().position(|byte| *byte == b'.');
    let last = part.iter().rposition(|byte| *byte == b'.');
    first != last && part.iter().all(|byte| matches!(byte, b'.' | b' '))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_lead_out_are_distinguished() {
        for (name, wanted) in [
            ("a/b.csv", Ok(())),
            ("./a/..b/c..", Ok(())),
            ("größe.csv", Ok(())),
            ("A／B.csv", Ok(())),
            ("Report….csv", Ok(())),
            ("", Err(UnsafeName::Odd)),
            ("a\nb", Err(UnsafeName::Odd)),
            ("a\u{202e}fdp.exe", Err(UnsafeName::Odd)),
            ("/etc/passwd", Err(UnsafeName::Absolute)),
            ("\\\\server\\share", Err(UnsafeName::Absolute)),
            ("C:\\x", Err(UnsafeName::Absolute)),
            ("./C:/x", Err(UnsafeName::Absolute)),
            ("../x", Err(UnsafeName::LeadsOut)),
            ("a\\..\\..\\x", Err(UnsafeName::LeadsOut)),
            ("a/..", Err(UnsafeName::LeadsOut)),
            ("a/.. /x", Err(UnsafeName::LeadsOut)),
            ("a/.../x", Err(UnsafeName::LeadsOut)),
            (".\u{200b}./x", Err(UnsafeName::LeadsOut)),
            ("．．/x", Err(UnsafeName::LeadsOut)),
            ("a/‥/x", Err(UnsafeName::LeadsOut)),
            ("..／x", Err(UnsafeName::LeadsOut)),
        ] {
            assert_eq!(check(name.as_bytes()), wanted, "{name:?}");
        }
        assert_eq!(check(b"gr\x81\x94e.csv"), Ok(()));
    }

    #[test]
    fn an_extension_is_the_one_that_windows_opens() {
        for (name, wanted) in [
            ("a.b/c.EXE", Some("exe")),
            ("a.b/c", None),
            ("a.exe.", Some("exe")),
            ("a.exe .", Some("exe")),
            ("a.exe::$DATA", Some("exe")),
            ("a.e\u{200b}xe", Some("exe")),
            ("a.exe/", Some("exe")),
            ("a.exe;1", Some("exe")),
        ] {
            assert_eq!(extension(name.as_bytes()).as_deref(), wanted, "{name:?}");
        }
    }

    #[test]
    fn names_that_a_file_system_does_not_distinguish_fold_to_the_same() {
        let fold = |name: &str| folded_parts(name.as_bytes()).collect::<Vec<_>>();
        for (one, other) in [
            ("a/b.csv", "./a//b.csv"),
            ("a/b.csv", "a\\B.CSV"),
            ("größe.csv", "gro\u{308}ße.csv"),
            ("Straße.csv", "STRASSE.CSV"),
            ("a.csv", "a.csv. ."),
            ("a.csv", "a\u{200d}.csv"),
            ("\u{212a}.csv", "k.csv"),
            ("a.csv;1", "a.csv"),
        ] {
            assert_eq!(fold(one), fold(other), "{one:?} {other:?}");
        }
        assert_ne!(fold("a/b.csv"), fold("ab.csv"));
        assert_ne!(fold("x².csv"), fold("x2.csv"));
    }

    #[test]
    fn a_name_without_an_encoding_is_read_in_that_of_the_format() {
        assert_eq!(CODE_PAGE_437.chars().count(), 128);
        assert_eq!(in_code_page_437(b"gr\x94\xe1e.csv"), "größe.csv");
        assert_eq!(in_code_page_437("ö".as_bytes()), "├╢");
    }

    #[test]
    fn entries_that_systems_keep_for_themselves_are_known() {
        for name in ["__MACOSX/a.csv", "d/._a.csv", "./.DS_Store", "d/Thumbs.db"] {
            assert!(is_of_system(name.as_bytes()), "{name}");
        }
        for name in ["a.csv", "a._b", "d/DS_Store", "a/__MACOSX.csv"] {
            assert!(!is_of_system(name.as_bytes()), "{name}");
        }
    }
}
