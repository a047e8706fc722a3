//! Characters that readers do not see, or cannot distinguish from plain ones. It never changes a text: it answers
//! questions about one character.
#![forbid(unsafe_code)]

use unicode_normalization::char::decompose_compatible;

/// Characters that are not to be seen, or change the direction of the text around them:
/// `Default_Ignorable_Code_Point` of `DerivedCoreProperties.txt` (Unicode 16.0), as ranges.
const INVISIBLE: [(char, char); 17] = [
    ('\u{ad}', '\u{ad}'),
    ('\u{34f}', '\u{34f}'),
    ('\u{61c}', '\u{61c}'),
    ('\u{115f}', '\u{1160}'),
    ('\u{17b4}', '\u{17b5}'),
    ('\u{180b}', '\u{180f}'),
    ('\u{200b}', '\u{200f}'),
    ('\u{202a}', '\u{202e}'),
    ('\u{2060}', '\u{206f}'),
    ('\u{3164}', '\u{3164}'),
    ('\u{fe00}', '\u{fe0f}'),
    ('\u{feff}', '\u{feff}'),
    ('\u{ffa0}', '\u{ffa0}'),
    ('\u{fff0}', '\u{fff8}'),
    ('\u{1bca0}', '\u{1bca3}'),
    ('\u{1d173}', '\u{1d17a}'),
    ('\u{e0000}', '\u{e0fff}'),
];

/// Whether a reader does not see this character (`Default_Ignorable_Code_Point`, Unicode 16.0).
#[must_use]
pub fn is_invisible(char: char) -> bool {
    !char.is_ascii()
        && INVISIBLE
            .iter()
            .any(|(first, last)| (*first..=*last).contains(&char))
}

/// Whether this character changes the direction of the text behind it, so that `fdp.exe` can look like `exe.pdf`
/// (UAX #9, 2.1 to 2.4).
#[must_use]
pub fn turns_direction(char: char) -> bool {
    matches!(char, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// What a character is to a reader, in ASCII.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plain {
    /// It looks like this ASCII character, or is it.
    Ascii(u8),
    /// A dash that is a hyphen within a number, and stands for a pause elsewhere.
    Dash,
    /// A dot in the middle or a bullet, which is a full stop within a number only.
    Dot,
    /// It ends a line.
    LineEnd,
    /// It is a hyphen only where a word is divided (U+00AD).
    SoftHyphen,
    /// It is not to be seen.
    Invisible,
    /// It is a character of its own.
    Other,
}

/// The zeros of decimal digits of scripts in wide use (`UnicodeData.txt` 16.0, general category `Nd`): the nine characters
/// behind each are the other digits.
const ZEROS: [char; 20] = [
    '\u{660}', '\u{6f0}', '\u{7c0}', '\u{966}', '\u{9e6}', '\u{a66}', '\u{ae6}', '\u{b66}',
    '\u{be6}', '\u{c66}', '\u{ce6}', '\u{d66}', '\u{de6}', '\u{e50}', '\u{ed0}', '\u{f20}',
    '\u{1040}', '\u{17e0}', '\u{1810}', '\u{1946}',
];

/// What a character is to a reader, in ASCII: dashes, spaces and quotes of typography, characters in full width, digits of
/// other scripts. Raised digits are none: they mark footnotes.
#[must_use]
pub fn plain(char: char) -> Plain {
    match char {
        // Where a text is meant to be broken by hand, Word and others write a vertical tab.
        '\u{b}' | '\u{85}' | '\u{2028}' | '\u{2029}' => Plain::LineEnd,
        _ if char.is_ascii() => u8::try_from(char).map_or(Plain::Other, Plain::Ascii),
        // Letters, most of what is written.
        '\u{c0}'..='\u{2af}'
        | '\u{370}'..='\u{52f}'
        | '\u{5d0}'..='\u{5ea}'
        | '\u{621}'..='\u{64a}'
        | '\u{3041}'..='\u{3096}'
        | '\u{30a1}'..='\u{30fa}'
        | '\u{4e00}'..='\u{9fff}'
        | '\u{ac00}'..='\u{d7a3}' => Plain::Other,
        '\u{ad}' => Plain::SoftHyphen,
        // These are hyphens wherever they are.
        '\u{2010}' | '\u{2011}' | '\u{fe63}' | '\u{ff0d}' => Plain::Ascii(b'-'),
        _ if is_dash(char) => Plain::Dash,
        _ if char.is_whitespace() => Plain::Ascii(b' '),
        '·' | '•' | '∙' | '⋅' | '・' | '。' => Plain::Dot,
        '\u{2018}'..='\u{201b}' => Plain::Ascii(b'\''),
        '\u{201c}'..='\u{201f}' => Plain::Ascii(b'"'),
        '\u{2044}' | '\u{2215}' => Plain::Ascii(b'/'),
        '№' => Plain::Ascii(b'#'),
        _ if is_invisible(char) => Plain::Invisible,
        _ => digit(char)
            .or_else(|| compatible(char))
            .map_or(Plain::Other, Plain::Ascii),
    }
}

/// Whether a reader sees a dash: the property `Dash` of `PropList.txt` (Unicode 16.0) without hyphens, and signs that are
/// used for one.
fn is_dash(char: char) -> bool {
    matches!(
        char,
        '\u{58a}' | '\u{5be}' | '\u{1400}' | '\u{1806}' | '\u{2012}'
            ..='\u{2015}'
                | '\u{2043}'
                | '\u{2053}'
                | '\u{2212}'
                | '\u{2e17}'
                | '\u{2e1a}'
                | '\u{2e3a}'
                | '\u{2e3b}'
                | '\u{2e40}'
                | '\u{2e5d}'
                | '\u{301c}'
                | '\u{3030}'
                | '\u{30a0}'
                | '\u{30fc}'
                | '\u{fe31}'
                | '\u{fe32}'
                | '\u{fe58}'
                | '\u{ff70}'
                | '\u{10ead}'
                | '\u{2d7}'
                | '\u{2500}'
                | '\u{2501}'
    )
}

/// The digit that a digit of another script is.
fn digit(char: char) -> Option<u8> {
    let nth = |zero: &char| u32::from(char).checked_sub(u32::from(*zero));
    let nth = ZEROS.iter().filter_map(nth).find(|nth| *nth < 10)?;
    u8::try_from(nth).ok().map(|nth| b'0' + nth)
}

/// The one ASCII character that a character in full width, in a small form or in a font of mathematics is, such as `＠` and
/// `𝟏` (Normalization Form KC).
fn compatible(char: char) -> Option<u8> {
    if !matches!(char, '\u{ff01}'..='\u{ff5e}' | '\u{fe50}'..='\u{fe6b}' | '\u{1d400}'..='\u{1d7ff}' | '\u{2024}')
    {
        return None;
    }
    let (mut first, mut count) = (None, 0);
    decompose_compatible(char, |part| {
        first = first.or(Some(part));
        count += 1;
    });
    let only = first.filter(|first| count == 1 && first.is_ascii())?;
    u8::try_from(only).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_that_are_not_to_be_seen_are_distinguished() {
        for char in [
            '\u{ad}',
            '\u{200b}',
            '\u{200d}',
            '\u{2060}',
            '\u{feff}',
            '\u{e0041}',
        ] {
            assert!(is_invisible(char), "U+{:04X}", u32::from(char));
        }
        for char in ['a', ' ', '\n', '\u{a0}', '\u{2010}', '\u{301}', '字'] {
            assert!(!is_invisible(char), "U+{:04X}", u32::from(char));
        }
        assert!(turns_direction('\u{202e}') && !turns_direction('\u{200d}'));
    }

    #[test]
    fn typographic_characters_are_what_a_reader_takes_them_for() {
        for (char, wanted) in [
            ('a', Plain::Ascii(b'a')),
            ('\n', Plain::Ascii(b'\n')),
            ('\u{2011}', Plain::Ascii(b'-')),
            ('\u{2013}', Plain::Dash),
            ('\u{2212}', Plain::Dash),
            ('ー', Plain::Dash),
            ('“', Plain::Ascii(b'"')),
            ('¹', Plain::Other),
            ('①', Plain::Other),
            ('ü', Plain::Other),
            ('\u{a0}', Plain::Ascii(b' ')),
            ('\u{202f}', Plain::Ascii(b' ')),
            ('\u{3000}', Plain::Ascii(b' ')),
            ('\u{2028}', Plain::LineEnd),
            ('\u{b}', Plain::LineEnd),
            ('\u{ad}', Plain::SoftHyphen),
            ('\u{200b}', Plain::Invisible),
            ('\u{feff}', Plain::Invisible),
            ('１', Plain::Ascii(b'1')),
            ('𝟏', Plain::Ascii(b'1')),
            ('٣', Plain::Ascii(b'3')),
            ('９', Plain::Ascii(b'9')),
            ('＠', Plain::Ascii(b'@')),
            ('．', Plain::Ascii(b'.')),
            ('·', Plain::Dot),
            ('（', Plain::Ascii(b'(')),
            ('é', Plain::Other),
            ('…', Plain::Other),
            ('字', Plain::Other),
        ] {
            assert_eq!(plain(char), wanted, "U+{:04X}", u32::from(char));
        }
    }
}
