//! What a reader sees, by Unicode Technical Standard #39: names that look like another one.

use portcullis_text::is_invisible;
use unicode_normalization::is_nfc;
use unicode_security::confusable_detection::skeleton;
use unicode_security::{RestrictionLevel, RestrictionLevelDetection};

/// Why a name is not what it looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Deceptive {
    /// It has a character that is not to be seen.
    Invisible(char),
    /// It is not in Normalization Form C: another name has the same look.
    NotNormal,
    /// It has letters that look like those of another script: the same look as a name in ASCII.
    Confusable,
    /// A word of it mixes scripts.
    MixedScripts,
}

/// Whether a name is what it looks like.
pub(crate) fn check(name: &str) -> Result<(), Deceptive> {
    if name.is_ascii() {
        return Ok(());
    }
    if let Some(invisible) = name.chars().find(|char| is_invisible(*char)) {
        return Err(Deceptive::Invisible(invisible));
    }
    if !is_nfc(name) {
        return Err(Deceptive::NotNormal);
    }
    // An extension is ASCII in every language: each word is looked at by itself.
    for word in name.split(|char: char| !char.is_alphanumeric()) {
        if word.is_ascii() {
            continue;
        }
        if skeleton(word).all(|char| char.is_ascii()) {
            return Err(Deceptive::Confusable);
        }
        // Identifiers as they are written in one language: Latin with Han, Hiragana and Katakana, for example.
        let level = word.detect_restriction_level();
        if level > RestrictionLevel::HighlyRestrictive {
            return Err(Deceptive::MixedScripts);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_one_language_pass_and_those_that_look_like_others_do_not() {
        for (name, wanted) in [
            ("patient.csv", Ok(())),
            ("Größe_2024.csv", Ok(())),
            ("пациенты.csv", Ok(())),
            ("患者データ.csv", Ok(())),
            ("Αθήνα.csv", Ok(())),
            // Cyrillic а between Latin letters.
            ("p\u{430}tient.csv", Err(Deceptive::Confusable)),
            // Cyrillic throughout, and like a Latin word.
            ("\u{440}\u{430}\u{443}.csv", Err(Deceptive::Confusable)),
            ("gr\u{f6}\u{444}e.csv", Err(Deceptive::MixedScripts)),
            ("pa\u{200b}tient.csv", Err(Deceptive::Invisible('\u{200b}'))),
            ("gpj.\u{202e}csv.exe", Err(Deceptive::Invisible('\u{202e}'))),
            ("Gro\u{308}\u{df}e.csv", Err(Deceptive::NotNormal)),
        ] {
            assert_eq!(check(name), wanted, "{name:?}");
        }
    }
}
