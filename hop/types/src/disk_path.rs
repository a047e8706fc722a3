use std::borrow::Cow;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization;

use crate::parsed::wraps_text;

/// The path of a file beneath a disk's root, safe to create there.
///
/// Parts are separated by `/`. The text is normalised to NFC (Unicode Standard Annex 15), so that one
/// name cannot stand on a disk twice in two spellings. Refused are: empty, `.` and `..` parts, a leading
/// or trailing `/`, `\`, characters that look like these, control characters, invisible and direction-changing characters, parts that end
/// in a dot or a space, names that Windows reserves (a NAS is often shared with it), names that begin
/// with `.portcullis` (the disk's own), parts over 255 bytes and paths over 1024 bytes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DiskPath(Box<str>);

/// Why a text is not a safe path. The messages never repeat the path.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidDiskPath {
    /// Nothing, or nothing between two separators.
    #[error("the path has an empty part; write it without a leading, trailing or doubled `/`")]
    EmptyPart,
    /// A `.` or `..` part.
    #[error("the path has a `.` or `..` part; name the folder itself")]
    Traversal,
    /// A backslash.
    #[error("the path has a backslash; separate its parts with `/`")]
    Backslash,
    /// A character that looks like a separator, or a part that looks like `.` or `..`.
    #[error("the path has a character that only looks like `/`, `\\` or `.`; remove it")]
    LookAlike,
    /// A control character, NUL included.
    #[error("the path has a control character; use printable characters")]
    Control,
    /// A character that is not seen or that changes the direction of the text.
    #[error("the path has an invisible or direction-changing character; remove it")]
    Invisible,
    /// A part that ends in a dot or a space.
    #[error("a part of the path ends in a dot or a space; remove it")]
    TrailingDotOrSpace,
    /// A name that Windows or the disk keeps for itself.
    #[error("a part of the path is a reserved name; choose another")]
    Reserved,
    /// A part over [`DiskPath::MAX_PART_BYTES`].
    #[error("a part of the path is {0} bytes long; at most {max} are possible", max = DiskPath::MAX_PART_BYTES)]
    PartTooLong(usize),
    /// A path over [`DiskPath::MAX_BYTES`].
    #[error("the path is {0} bytes long; at most {max} are possible", max = DiskPath::MAX_BYTES)]
    TooLong(usize),
}

impl DiskPath {
    /// The longest path in bytes of UTF-8.
    pub const MAX_BYTES: usize = 1024;
    /// The longest part in bytes of UTF-8: `NAME_MAX` of Linux file systems.
    pub const MAX_PART_BYTES: usize = 255;
    /// What the disk's own names begin with.
    pub const RESERVED_PREFIX: &'static str = ".portcullis";

    /// The folders and then the file, in order; at least one.
    pub fn parts(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.0.split('/')
    }

    /// The folder that the file lies in; absent where it lies in none.
    pub fn folder(&self) -> Option<Self> {
        let (folder, _) = self.0.rsplit_once('/')?;
        Some(Self(folder.into()))
    }

    /// The folders above the file, outermost first.
    pub fn folders(&self) -> impl Iterator<Item = &str> {
        let end = self.0.rfind('/').unwrap_or(0);
        self.0[..end].split('/').filter(|part| !part.is_empty())
    }

    /// The last part.
    pub fn file_name(&self) -> &str {
        self.0.rsplit_once('/').map_or(&self.0, |(_, name)| name)
    }
}

impl FromStr for DiskPath {
    type Err = InvalidDiskPath;

    fn from_str(text: &str) -> Result<Self, InvalidDiskPath> {
        // Before normalising, which may lengthen the text: the work stays bounded.
        if text.len() > DiskPath::MAX_BYTES {
            return Err(InvalidDiskPath::TooLong(text.len()));
        }
        // ASCII is in normal form, and so are most paths.
        let normal = if text.is_ascii() {
            Cow::Borrowed(text)
        } else {
            Cow::Owned(text.nfc().collect::<String>())
        };
        if normal.len() > DiskPath::MAX_BYTES {
            return Err(InvalidDiskPath::TooLong(normal.len()));
        }
        normal.split('/').try_for_each(check_part)?;
        Ok(Self(normal.into()))
    }
}

fn check_part(part: &str) -> Result<(), InvalidDiskPath> {
    use InvalidDiskPath as Invalid;
    let wrong = match part {
        "" => Some(Invalid::EmptyPart),
        "." | ".." => Some(Invalid::Traversal),
        _ if part.contains('\\') => Some(Invalid::Backslash),
        _ if looks_like_syntax(part) => Some(Invalid::LookAlike),
        _ if part.chars().any(char::is_control) => Some(Invalid::Control),
        _ if part.chars().any(is_invisible) => Some(Invalid::Invisible),
        _ if part.ends_with(['.', ' ']) => Some(Invalid::TrailingDotOrSpace),
        _ if is_reserved(part) => Some(Invalid::Reserved),
        _ if part.len() > DiskPath::MAX_PART_BYTES => Some(Invalid::PartTooLong(part.len())),
        _ => None,
    };
    wrong.map_or(Ok(()), Err)
}

/// What a person or a careless program takes for a separator, `.` or `..`: the look-alikes of `/` and `\`
/// in confusables.txt of Unicode Technical Standard 39, and parts that are dots once they are folded by
/// compatibility (NFKC), such as U+2025.
fn looks_like_syntax(part: &str) -> bool {
    let separator = |c| {
        matches!(
            c,
            '\u{2044}'
                | '\u{2215}'
                | '\u{2216}'
                | '\u{2571}'
                | '\u{2572}'
                | '\u{27cb}'
                | '\u{27cd}'
                | '\u{29f5}'
                | '\u{29f8}'
                | '\u{29f9}'
                | '\u{2cc6}'
                | '\u{fe68}'
                | '\u{ff0f}'
                | '\u{ff3c}'
        )
    };
    part.contains(separator)
        || (!part.is_ascii() && matches!(&*part.nfkc().collect::<String>(), "." | ".."))
}

/// Format characters (general category Cf) and separators that hide in a name: zero-width, bidirectional
/// controls, byte order marks, tags, and the line and paragraph separators.
fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{180e}' | '\u{200b}'..='\u{200f}'
        | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{feff}' | '\u{ffa0}'
        | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// Device names of Windows, with or without an extension, and the disk's own names.
fn is_reserved(part: &str) -> bool {
    let stem = part.split('.').next().unwrap_or(part).trim_end();
    let numbered = |device: &str| {
        stem.len() == 4
            && stem
                .get(..3)
                .is_some_and(|head| head.eq_ignore_ascii_case(device))
            && stem.as_bytes()[3].is_ascii_digit()
    };
    let devices = ["con", "prn", "aux", "nul", "conin$", "conout$"];
    let own = part
        .get(..DiskPath::RESERVED_PREFIX.len())
        .is_some_and(|head| head.eq_ignore_ascii_case(DiskPath::RESERVED_PREFIX));
    own || devices
        .iter()
        .any(|device| stem.eq_ignore_ascii_case(device))
        || numbered("com")
        || numbered("lpt")
}

wraps_text!(DiskPath, InvalidDiskPath);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ordinary_paths_are_taken_as_they_are() {
        for text in [
            "patient.csv",
            "submissions/c1/2024/patient/données 1.csv",
            "a/.hidden/b",
            "患者.csv",
        ] {
            assert_eq!(
                text.parse::<DiskPath>().map(String::from),
                Ok(text.to_owned())
            );
        }
    }

    #[test]
    fn every_trick_is_refused_for_its_reason() {
        use InvalidDiskPath as Invalid;
        let long_part = "x".repeat(256);
        let long_path = vec!["y".repeat(200); 6].join("/");
        for (text, reason) in [
            ("", Invalid::EmptyPart),
            ("/etc/passwd", Invalid::EmptyPart),
            ("a//b", Invalid::EmptyPart),
            ("a/", Invalid::EmptyPart),
            ("../a", Invalid::Traversal),
            ("a/../b", Invalid::Traversal),
            ("a/./b", Invalid::Traversal),
            ("a\\b", Invalid::Backslash),
            ("\u{ff0f}etc", Invalid::LookAlike),
            ("a\u{2215}b", Invalid::LookAlike),
            ("\u{2025}/a", Invalid::LookAlike),
            ("\u{ff0e}\u{ff0e}/a", Invalid::LookAlike),
            ("a\0b", Invalid::Control),
            ("a\nb", Invalid::Control),
            ("evil\u{202e}vsc.exe", Invalid::Invisible),
            ("a\u{200b}b", Invalid::Invisible),
            ("a./b", Invalid::TrailingDotOrSpace),
            ("a /b", Invalid::TrailingDotOrSpace),
            ("CON", Invalid::Reserved),
            ("a/nul.csv", Invalid::Reserved),
            ("com1.txt", Invalid::Reserved),
            (".portcullis-stage/x", Invalid::Reserved),
            (".Portcullis", Invalid::Reserved),
            (&long_part, Invalid::PartTooLong(256)),
            (&long_path, Invalid::TooLong(1205)),
        ] {
            assert_eq!(text.parse::<DiskPath>(), Err(reason), "{text:?}");
        }
    }

    #[test]
    fn two_spellings_of_one_name_are_one_path() {
        let composed: DiskPath = "caf\u{e9}.csv".parse().expect("safe");
        let decomposed: DiskPath = "cafe\u{301}.csv".parse().expect("safe");
        assert_eq!(composed, decomposed);
    }

    proptest! {
        #[test]
        fn whatever_is_taken_stays_beneath_the_root_and_parses_again(text in "\\PC{0,40}|[./a\\\\ ]{0,12}") {
            if let Ok(path) = text.parse::<DiskPath>() {
                prop_assert!(path.parts().all(|part| !part.is_empty() && part != "." && part != ".."));
                prop_assert!(!path.as_str().starts_with('/'));
                let again: Vec<&str> = path.folders().chain([path.file_name()]).collect();
                prop_assert!(path.parts().eq(again));
                prop_assert_eq!(path.as_str().parse::<DiskPath>(), Ok(path.clone()));
            }
        }
    }
}
