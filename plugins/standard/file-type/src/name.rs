//! What a file's name says about its kind, and the tricks that names play.

use crate::kind::Kind;

/// Why a name does not show one of the allowed kinds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum WrongName {
    /// There is none.
    Missing,
    /// It ends in a dot or a space, which Windows drops.
    TrailingDotOrSpace,
    /// It has no extension.
    NoExtension,
    /// Its extension belongs to no allowed kind.
    NotAllowed,
    /// An extension of a program or a page stands before the last one.
    Hidden,
}

/// The allowed kind that the name shows.
pub(crate) fn kind_of<'k>(filename: &str, allowed: &[&'k Kind]) -> Result<&'k Kind, WrongName> {
    let name = filename.rsplit(['/', '\\']).next().unwrap_or(filename);
    if name.is_empty() {
        return Err(WrongName::Missing);
    }
    if name.ends_with(|c: char| c == '.' || c.is_whitespace()) {
        return Err(WrongName::TrailingDotOrSpace);
    }
    // `.csv` is a hidden file without an extension.
    let Some((stem, extension)) = name.rsplit_once('.').filter(|(stem, _)| !stem.is_empty()) else {
        return Err(WrongName::NoExtension);
    };
    let has_it = |kind: &&&Kind| {
        let mut extensions = kind.extensions.iter();
        extensions.any(|known| known.eq_ignore_ascii_case(extension))
    };
    let Some(kind) = allowed.iter().find(has_it) else {
        return Err(WrongName::NotAllowed);
    };
    // A colon begins an alternate stream on NTFS: `x.exe:y.csv` is stored in `x.exe`.
    let hides = stem.split(['.', ':']).skip(1).any(is_dangerous);
    if hides {
        return Err(WrongName::Hidden);
    }
    Ok(kind)
}

/// What a system would run, or a web server with careless rules. Left out are those that are also ordinary
/// parts of names, such as `com`, `js` or `sh`.
const DANGEROUS: &[&str] = &[
    "app", "asp", "aspx", "bat", "cgi", "chm", "cmd", "cpl", "dll", "exe", "hta", "htm", "html",
    "jar", "jse", "jsp", "jspx", "lnk", "msc", "msi", "phar", "php", "php3", "php4", "php5",
    "php7", "php8", "phtml", "pif", "ps1", "psm1", "reg", "scr", "shtml", "svg", "url", "vbe",
    "vbs", "wsf", "wsh", "xhtml",
];

fn is_dangerous(part: &str) -> bool {
    let part = part.trim();
    DANGEROUS
        .iter()
        .any(|known| known.eq_ignore_ascii_case(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(filename: &str) -> Result<&'static str, WrongName> {
        let allowed = ["csv", "gzip"].map(|name| Kind::named(name).expect("known"));
        kind_of(filename, &allowed).map(|kind| kind.name)
    }

    #[test]
    fn the_last_extension_counts_in_whatever_case() {
        assert_eq!(kind("patient.csv"), Ok("csv"));
        assert_eq!(kind("Patient 2024.v2.CSV"), Ok("csv"));
        assert_eq!(kind("patient.csv.gz"), Ok("gzip"));
        assert_eq!(kind("example.com.csv"), Ok("csv"));
        assert_eq!(kind("exe.csv"), Ok("csv"));
    }

    #[test]
    fn every_trick_is_refused_for_its_reason() {
        for (filename, reason) in [
            ("", WrongName::Missing),
            ("folder.csv/", WrongName::Missing),
            ("patient.csv.", WrongName::TrailingDotOrSpace),
            ("patient.csv ", WrongName::TrailingDotOrSpace),
            ("patient.csv\u{a0}", WrongName::TrailingDotOrSpace),
            ("patient", WrongName::NoExtension),
            ("a.csv/patient", WrongName::NoExtension),
            (".csv", WrongName::NoExtension),
            ("patient.csv.exe", WrongName::NotAllowed),
            ("patient.xlsx", WrongName::NotAllowed),
            ("evil\u{202e}vsc.exe", WrongName::NotAllowed),
            ("patient.exe.csv", WrongName::Hidden),
            ("patient.PHP .csv", WrongName::Hidden),
            ("patient.exe:x.csv", WrongName::Hidden),
        ] {
            assert_eq!(kind(filename), Err(reason), "{filename:?}");
        }
    }
}
