//! What a part of a path may be. The host checks every path again; these rules come first because they can
//! say what is wrong in the uploader's words. They are at least as strict as the host's.

/// The longest part in bytes of UTF-8.
pub(crate) const MAX_PART_BYTES: usize = 255;
/// The longest path in bytes of UTF-8.
pub(crate) const MAX_PATH_BYTES: usize = 1024;

/// Why a text cannot be a part of a path. Reads as `it <Display>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UnsafePart {
    Empty,
    Separator,
    LookAlike,
    Control,
    Invisible,
    LeadingDot,
    TrailingDotOrSpace,
    Reserved,
    TooLong,
}

impl UnsafePart {
    /// What is wrong, and what to do.
    pub(crate) fn sentence(self) -> &'static str {
        match self {
            Self::Empty => "is empty; give one",
            Self::Separator => "has a `/` or a `\\` in it; send the name alone, without folders",
            Self::LookAlike => {
                "has a character that only looks like `/`, `\\` or `.` in it; remove it"
            }
            Self::Control => "has a control character in it; remove it",
            Self::Invisible => "has an invisible or direction-changing character in it; remove it",
            Self::LeadingDot => "begins with a dot; remove it",
            Self::TrailingDotOrSpace => "ends in a dot or a space; remove it",
            Self::Reserved => "is one that Windows keeps for devices; choose another",
            Self::TooLong => {
                "is too long; shorten it so that its part of the path has at most 255 bytes"
            }
        }
    }
}

/// Whether the text can be a whole part of a path.
pub(crate) fn check(part: &str) -> Result<(), UnsafePart> {
    check_characters(part)?;
    let wrong = if part.is_empty() {
        UnsafePart::Empty
    } else if part.chars().all(looks_like_dot) && part != "." && part != ".." {
        UnsafePart::LookAlike
    } else if part.starts_with('.') {
        UnsafePart::LeadingDot
    } else if part.ends_with(['.', ' ']) {
        UnsafePart::TrailingDotOrSpace
    } else if is_reserved(part) {
        UnsafePart::Reserved
    } else if part.len() > MAX_PART_BYTES {
        UnsafePart::TooLong
    } else {
        return Ok(());
    };
    Err(wrong)
}

/// Whether each character of the text can stand in a part.
pub(crate) fn check_characters(text: &str) -> Result<(), UnsafePart> {
    let wrong = |c: char| match c {
        '/' | '\\' => Some(UnsafePart::Separator),
        _ if looks_like_separator(c) => Some(UnsafePart::LookAlike),
        _ if c.is_control() => Some(UnsafePart::Control),
        _ if is_invisible(c) => Some(UnsafePart::Invisible),
        _ => None,
    };
    text.chars().find_map(wrong).map_or(Ok(()), Err)
}

/// The look-alikes of `/` and `\` in confusables.txt of Unicode Technical Standard 39.
fn looks_like_separator(c: char) -> bool {
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
}

/// `.` and what becomes `.` or `..` when it is folded by compatibility (NFKC).
fn looks_like_dot(c: char) -> bool {
    matches!(
        c,
        '.' | '\u{2024}' | '\u{2025}' | '\u{fe30}' | '\u{fe52}' | '\u{ff0e}'
    )
}

/// Format characters, fillers and the line and paragraph separators: they hide in a name, or show it in
/// another order than it has.
fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}'
        | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{3164}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

/// The device names of Windows, with or without an extension; disks are often shared with it.
fn is_reserved(part: &str) -> bool {
    let stem = part.split('.').next().unwrap_or(part).trim_end();
    let device = |name: &&str| stem.eq_ignore_ascii_case(name);
    let numbered = |name: &&str| {
        let Some((head, number)) = stem.split_at_checked(name.len()) else {
            return false;
        };
        let mut digits = number.chars();
        let is_digit = |c: char| c.is_ascii_digit() || matches!(c, '¹' | '²' | '³');
        head.eq_ignore_ascii_case(name)
            && digits.next().is_some_and(is_digit)
            && digits.next().is_none()
    };
    ["con", "prn", "aux", "nul", "conin$", "conout$"]
        .iter()
        .any(device)
        || ["com", "lpt"].iter().any(numbered)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn harmless_oddities_are_kept() {
        for part in [
            "patient.csv",
            "données 1 (copy).csv",
            "患者.csv",
            " a",
            "console",
            "com10",
            "~a",
            "a..b",
        ] {
            assert_eq!(check(part), Ok(()), "{part}");
        }
    }

    #[test]
    fn tricks_are_refused_for_their_reason() {
        let long = "x".repeat(256);
        for (part, reason) in [
            ("", UnsafePart::Empty),
            ("..", UnsafePart::LeadingDot),
            (".bashrc", UnsafePart::LeadingDot),
            ("../../etc/passwd", UnsafePart::Separator),
            ("C:\\x.csv", UnsafePart::Separator),
            ("a\u{2215}b.csv", UnsafePart::LookAlike),
            ("\u{ff0e}\u{ff0e}", UnsafePart::LookAlike),
            ("\u{2025}", UnsafePart::LookAlike),
            ("a\0.csv", UnsafePart::Control),
            ("a\n.csv", UnsafePart::Control),
            ("a\u{202e}vsc.exe", UnsafePart::Invisible),
            ("a\u{200b}.csv", UnsafePart::Invisible),
            ("a.", UnsafePart::TrailingDotOrSpace),
            ("a.csv ", UnsafePart::TrailingDotOrSpace),
            ("NUL", UnsafePart::Reserved),
            ("con.csv", UnsafePart::Reserved),
            ("Lpt1.txt", UnsafePart::Reserved),
            ("com².txt", UnsafePart::Reserved),
            (&long, UnsafePart::TooLong),
        ] {
            assert_eq!(check(part), Err(reason), "{part:?}");
        }
    }
}
