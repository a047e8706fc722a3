//! Names in `Content-Disposition`: of a file that is a body by itself (RFC 6266), and of a part of a form (RFC 7578,
//! section 4.2), as browsers and libraries write them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_decode_str;
use thiserror::Error;

/// A name that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the name is not UTF-8")]
pub struct NotUtf8;

/// What the header says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Disposition {
    /// The name of the field of a form.
    pub name: Option<String>,
    /// The name of the file.
    pub filename: Option<String>,
}

impl Disposition {
    /// The header of a body by itself. In its quoted strings a backslash is before any character that is meant as it is.
    ///
    /// # Errors
    /// A name is not UTF-8.
    pub fn of_body(header: &[u8]) -> Result<Self, NotUtf8> {
        Self::read(header, unescape_all)
    }

    /// The header of a part of a form. Browsers write `"`, CR and LF as `%22`, `%0D` and `%0A` there, and nothing else so
    /// (WHATWG HTML, "multipart form data"); others have a backslash before a quote or a backslash.
    ///
    /// # Errors
    /// A name is not UTF-8.
    pub fn of_part(header: &[u8]) -> Result<Self, NotUtf8> {
        Self::read(header, unescape_part)
    }

    fn read(header: &[u8], unescape: fn(&str) -> String) -> Result<Self, NotUtf8> {
        let (mut name, mut plain, mut extended) = (None, None, None);
        for (key, value) in parameters(header) {
            let text = || str::from_utf8(value.text).map_err(|_| NotUtf8);
            let read = || {
                let text = text()?;
                Ok(if value.is_quoted {
                    unescape(text)
                } else {
                    text.to_owned()
                })
            };
            match key.to_ascii_lowercase().as_slice() {
                b"name" if name.is_none() => name = Some(read()?),
                b"filename" if plain.is_none() => plain = Some(read()?),
                b"filename*" if extended.is_none() => extended = extended_value(text()?),
                _ => {}
            }
        }
        let plain = plain.map(|plain| encoded_words(&plain).unwrap_or(plain));
        Ok(Self {
            name,
            filename: extended.or(plain),
        })
    }
}

/// The value of a parameter, without its quotes.
struct Value<'a> {
    text: &'a [u8],
    is_quoted: bool,
}

/// `name=value` pairs after the first `;`.
fn parameters(header: &[u8]) -> Vec<(&[u8], Value<'_>)> {
    let mut found = Vec::new();
    let mut rest = after(header, b';');
    while let Some(equals) = rest.iter().position(|byte| *byte == b'=') {
        let name = rest[..equals]
            .rsplit(|byte| *byte == b';')
            .next()
            .unwrap_or_default();
        let value = rest[equals + 1..].trim_ascii_start();
        let (text, is_quoted, behind) = if let Some(quoted) = value.strip_prefix(b"\"") {
            let end = closing_quote(quoted);
            let behind = quoted.get(end + 1..).unwrap_or_default();
            (&quoted[..end], true, behind)
        } else {
            let end = value.iter().position(|byte| *byte == b';');
            let (text, behind) = value.split_at(end.unwrap_or(value.len()));
            (text.trim_ascii(), false, behind)
        };
        found.push((name.trim_ascii(), Value { text, is_quoted }));
        rest = after(behind, b';');
    }
    found
}

/// What is behind the first such byte.
fn after(text: &[u8], byte: u8) -> &[u8] {
    let at = text.iter().position(|one| *one == byte);
    at.map_or(&[], |at| &text[at + 1..])
}

/// Where a quoted string ends: at a quote that no backslash is before.
fn closing_quote(quoted: &[u8]) -> usize {
    let mut is_escaped = false;
    let end = quoted.iter().position(|byte| {
        let is_end = *byte == b'"' && !is_escaped;
        is_escaped = *byte == b'\\' && !is_escaped;
        is_end
    });
    end.unwrap_or(quoted.len())
}

/// RFC 9110, section 5.6.4.
fn unescape_all(text: &str) -> String {
    let mut chars = text.chars();
    let mut next = || match chars.next()? {
        '\\' => chars.next(),
        char => Some(char),
    };
    std::iter::from_fn(&mut next).collect()
}

fn unescape_part(text: &str) -> String {
    // A backslash before anything else is one of a path, as old browsers send it.
    let text = text
        .replace("\\\\", "\0")
        .replace("\\\"", "\"")
        .replace('\0', "\\");
    let text = text.replace("%22", "\"");
    let text = text.replace("%0D", "\r").replace("%0d", "\r");
    text.replace("%0A", "\n").replace("%0a", "\n")
}

/// `UTF-8''percent-encoded` (RFC 8187, section 3.2), or in ISO-8859-1, which its predecessor had.
fn extended_value(value: &str) -> Option<String> {
    let (charset, rest) = value.split_once('\'')?;
    let (_language, encoded) = rest.split_once('\'')?;
    let bytes = percent_decode_str(encoded).collect::<Vec<_>>();
    in_charset(charset, bytes)
}

/// Text that is all encoded words (RFC 2047, section 2), as .NET sends names that are not ASCII.
fn encoded_words(text: &str) -> Option<String> {
    let words = text.split_ascii_whitespace();
    let decoded: Option<Vec<String>> = words.map(encoded_word).collect();
    decoded
        .filter(|words| !words.is_empty())
        .map(|words| words.concat())
}

fn encoded_word(word: &str) -> Option<String> {
    let inner = word.strip_prefix("=?")?.strip_suffix("?=")?;
    let mut parts = inner.splitn(3, '?');
    let (charset, encoding, text) = (parts.next()?, parts.next()?, parts.next()?);
    let bytes = match encoding {
        "B" | "b" => STANDARD.decode(text).ok()?,
        "Q" | "q" => {
            let percent = text.replace('%', "=25").replace('_', " ").replace('=', "%");
            percent_decode_str(&percent).collect()
        }
        _ => return None,
    };
    // A language may follow (RFC 2231, section 5).
    in_charset(charset.split('*').next()?, bytes)
}

fn in_charset(charset: &str, bytes: Vec<u8>) -> Option<String> {
    match charset.to_ascii_lowercase().as_str() {
        "utf-8" | "us-ascii" => String::from_utf8(bytes).ok(),
        "iso-8859-1" => Some(bytes.into_iter().map(char::from).collect()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of_body(header: &str) -> Option<String> {
        Disposition::of_body(header.as_bytes())
            .expect("is UTF-8")
            .filename
    }

    fn of_part(header: &str) -> Option<String> {
        Disposition::of_part(header.as_bytes())
            .expect("is UTF-8")
            .filename
    }

    #[test]
    fn every_usual_spelling_is_read() {
        for (header, name) in [
            ("attachment; filename=patient.csv", Some("patient.csv")),
            ("attachment; filename=\"a b.csv\"", Some("a b.csv")),
            ("attachment; filename=\"b;c.csv\"; size=3", Some("b;c.csv")),
            ("attachment; FileName = \"x.csv\"", Some("x.csv")),
            ("attachment;filename=x.csv;size=3", Some("x.csv")),
            (
                "attachment; filename=\"plain.csv\"; filename*=UTF-8''caf%C3%A9.csv",
                Some("café.csv"),
            ),
            (
                "attachment; filename*=utf-8'en'caf%C3%A9.csv; filename=\"plain.csv\"",
                Some("café.csv"),
            ),
            (
                "attachment; FILENAME*=UTF-8''caf%C3%A9.csv",
                Some("café.csv"),
            ),
            (
                "attachment; filename*=iso-8859-1''caf%E9.csv; filename=y.csv",
                Some("café.csv"),
            ),
            (
                "attachment; filename*=koi8-r''x.csv; filename=y.csv",
                Some("y.csv"),
            ),
            (
                "attachment; filename=\"=?utf-8?B?Y2Fmw6kuY3N2?=\"",
                Some("café.csv"),
            ),
            (
                "attachment; filename=\"=?UTF-8?Q?caf=C3=A9_1.csv?=\"",
                Some("café 1.csv"),
            ),
            (
                "attachment; filename=\"=?utf-8?B?Y2Fm?= =?utf-8?B?w6kuY3N2?=\"",
                Some("café.csv"),
            ),
            ("attachment; filename=\"=?x?=.csv\"", Some("=?x?=.csv")),
            (
                "attachment; note=\"x; filename=evil.csv \"; filename=\"safe.csv\"",
                Some("safe.csv"),
            ),
            (
                "attachment; note=\"x\\\"; filename=evil.csv\"; filename=\"safe.csv\"",
                Some("safe.csv"),
            ),
            (
                "attachment; xfilename=evil.csv; filename=safe.csv",
                Some("safe.csv"),
            ),
            ("attachment; filename=\"\"", Some("")),
            ("attachment", None),
            ("", None),
            ("attachment; filename=\"unclosed", Some("unclosed")),
        ] {
            assert_eq!(of_body(header).as_deref(), name, "{header}");
            assert_eq!(of_part(header).as_deref(), name, "{header}");
        }
    }

    #[test]
    fn quotes_are_escaped_as_browsers_and_as_others_do() {
        for (written, name) in [
            ("a%22b.csv", "a\"b.csv"),
            ("a%0D%0Ab.csv", "a\r\nb.csv"),
            ("100%25.csv", "100%25.csv"),
            ("a\\\"b.csv", "a\"b.csv"),
            ("a\\\\b.csv", "a\\b.csv"),
            ("C:\\data\\a.csv", "C:\\data\\a.csv"),
        ] {
            let header = format!("form-data; name=\"file\"; filename=\"{written}\"");
            assert_eq!(of_part(&header).as_deref(), Some(name), "{written}");
        }
        let header = "attachment; filename=\"a\\\"b\\c.csv\"";
        assert_eq!(of_body(header).as_deref(), Some("a\"bc.csv"));
        let named = Disposition::of_part(b"form-data; NAME=\"a%22b\"").expect("is UTF-8");
        assert_eq!(named.name.as_deref(), Some("a\"b"));
    }

    #[test]
    fn a_name_that_is_not_utf_8_is_told_from_none() {
        let latin = b"form-data; name=\"file\"; filename=\"caf\xe9.csv\"";
        assert_eq!(Disposition::of_part(latin), Err(NotUtf8));
        assert_eq!(Disposition::of_body(latin), Err(NotUtf8));
        let note = b"form-data; note=\"caf\xe9\"; name=\"file\"; filename=\"a.csv\"";
        assert_eq!(
            Disposition::of_part(note).map(|all| all.filename),
            Ok(Some("a.csv".to_owned()))
        );
    }

    proptest! {
        #[test]
        fn any_name_survives_quoting(name in "\\PC{1,40}") {
            let quoted = name.replace('\\', "\\\\").replace('"', "\\\"");
            let header = format!("attachment; filename=\"{quoted}\"");
            let is_word = encoded_words(&name).is_some();
            prop_assert!(is_word || of_body(&header) == Some(name));
        }

        #[test]
        fn any_name_survives_a_browser(name in "[^\\\\\0]{1,40}") {
            let written = name.replace('"', "%22").replace('\r', "%0D").replace('\n', "%0A");
            let header = format!("form-data; name=\"file\"; filename=\"{written}\"");
            let ambiguous = ["%22", "%0D", "%0d", "%0A", "%0a"].iter().any(|code| name.contains(code));
            let is_word = encoded_words(&name).is_some();
            prop_assert!(ambiguous || is_word || of_part(&header) == Some(name));
        }

        #[test]
        fn no_header_panics(header in proptest::collection::vec(any::<u8>(), 0..60)) {
            let _ = (Disposition::of_body(&header), Disposition::of_part(&header));
        }
    }
}
