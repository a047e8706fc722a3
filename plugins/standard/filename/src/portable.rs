//! What file systems and the programs on top of them do not take, or take for something else.

/// Names of devices that Windows finds in every folder, whatever stands behind a dot ("Naming Files, Paths, and
/// Namespaces", Microsoft Learn); the superscript digits count as digits.
const DEVICES: [&str; 6] = ["con", "prn", "aux", "nul", "conin$", "conout$"];
/// Devices of which there are nine, with their digit.
const NUMBERED_DEVICES: [&str; 2] = ["com", "lpt"];
const DIGITS: [&str; 13] = [
    "0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "\u{b9}", "\u{b2}", "\u{b3}",
];
/// Characters that Windows does not take in a name.
const FORBIDDEN: [char; 9] = ['<', '>', ':', '"', '/', '\\', '|', '?', '*'];

/// Why a name is not portable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotPortable {
    /// It is `.` or `..`.
    Dots,
    /// It has a character that separates folders.
    Separator,
    /// It has another character that not every file system takes.
    Character(char),
    /// It has a control character.
    Control,
    /// It begins or ends in a space, or ends in a dot, which some systems drop.
    Edge,
    /// It begins with a dot or a dash: hidden, or taken for an option.
    Start,
    /// It is that of a device.
    Device,
}

/// Whether a name that is not empty can be kept everywhere.
pub(crate) fn check(name: &str) -> Result<(), NotPortable> {
    if matches!(name, "." | "..") {
        return Err(NotPortable::Dots);
    }
    if name.contains(['/', '\\']) {
        return Err(NotPortable::Separator);
    }
    if let Some(forbidden) = name.chars().find(|char| FORBIDDEN.contains(char)) {
        return Err(NotPortable::Character(forbidden));
    }
    if name.chars().any(char::is_control) {
        return Err(NotPortable::Control);
    }
    if name.starts_with(char::is_whitespace)
        || name.ends_with(|char: char| char == '.' || char.is_whitespace())
    {
        return Err(NotPortable::Edge);
    }
    if name.starts_with(['.', '-']) {
        return Err(NotPortable::Start);
    }
    if is_device(name) {
        return Err(NotPortable::Device);
    }
    Ok(())
}

fn is_device(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or(name);
    let stem = stem.trim_end().to_lowercase();
    let numbered = NUMBERED_DEVICES.iter().any(|device| {
        let number = stem.strip_prefix(device);
        number.is_some_and(|number| DIGITS.contains(&number))
    });
    numbered || DEVICES.contains(&stem.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_apart() {
        for (name, wanted) in [
            ("patient.csv", Ok(())),
            ("Größe 2024 (final).csv", Ok(())),
            ("con_test.csv", Ok(())),
            ("com10.csv", Ok(())),
            ("..", Err(NotPortable::Dots)),
            ("a/b", Err(NotPortable::Separator)),
            ("..\\b", Err(NotPortable::Separator)),
            ("a:b", Err(NotPortable::Character(':'))),
            ("a\tb", Err(NotPortable::Control)),
            (" a", Err(NotPortable::Edge)),
            ("a.csv.", Err(NotPortable::Edge)),
            (".a.csv", Err(NotPortable::Start)),
            ("-rf", Err(NotPortable::Start)),
            ("con", Err(NotPortable::Device)),
            ("AUX.csv", Err(NotPortable::Device)),
            ("lpt1 .tar.gz", Err(NotPortable::Device)),
            ("COM\u{b2}.txt", Err(NotPortable::Device)),
        ] {
            assert_eq!(check(name), wanted, "{name:?}");
        }
    }
}
