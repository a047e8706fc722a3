//! The file name in `Content-Disposition` (RFC 6266), for uploads without a form.

use percent_encoding::percent_decode_str;

/// The file name of the header: `filename*` (RFC 8187, UTF-8) before `filename`. Absent when there is
/// none or it cannot be read.
pub(crate) fn file_name(header: &[u8]) -> Option<String> {
    let header = std::str::from_utf8(header).ok()?;
    let mut plain = None;
    let mut extended = None;
    for (name, value) in parameters(header) {
        match name.as_str() {
            "filename" => plain = plain.or(Some(value)),
            "filename*" => extended = extended.or_else(|| extended_value(&value)),
            _ => {}
        }
    }
    extended.or(plain)
}

/// `name=value` pairs after the first `;`; values may be quoted strings with `\` before any character.
fn parameters(header: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut rest = header.split_once(';').map_or("", |(_, rest)| rest);
    while let Some((name, after)) = rest.split_once('=') {
        let name = name.trim_matches([' ', '\t', ';']).to_ascii_lowercase();
        let after = after.trim_start();
        let (value, left) = if let Some(quoted) = after.strip_prefix('"') {
            unquote(quoted)
        } else {
            let end = after.find(';').unwrap_or(after.len());
            (after[..end].trim().to_owned(), &after[end..])
        };
        found.push((name, value));
        rest = left;
    }
    found
}

/// The text up to the closing quote, and what follows it.
fn unquote(quoted: &str) -> (String, &str) {
    let mut value = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return (value, &quoted[at + 1..]),
            '\\' => value.extend(chars.next().map(|(_, escaped)| escaped)),
            c => value.push(c),
        }
    }
    (value, "")
}

/// `UTF-8''percent-encoded`.
fn extended_value(value: &str) -> Option<String> {
    let (charset, rest) = value.split_once('\'')?;
    let (_language, encoded) = rest.split_once('\'')?;
    if !charset.eq_ignore_ascii_case("utf-8") {
        return None;
    }
    percent_decode_str(encoded)
        .decode_utf8()
        .ok()
        .map(Into::into)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::file_name;

    #[test]
    fn every_usual_spelling_is_read() {
        for (header, name) in [
            ("attachment; filename=patient.csv", Some("patient.csv")),
            ("attachment; filename=\"a b.csv\"", Some("a b.csv")),
            (
                "attachment; filename=\"a\\\"b;c.csv\"; size=3",
                Some("a\"b;c.csv"),
            ),
            ("attachment; FileName=\"x.csv\"", Some("x.csv")),
            (
                "attachment; filename=\"plain.csv\"; filename*=UTF-8''caf%C3%A9.csv",
                Some("café.csv"),
            ),
            (
                "attachment; filename*=iso-8859-1''x.csv; filename=y.csv",
                Some("y.csv"),
            ),
            ("attachment", None),
            ("", None),
            ("attachment; filename=\"unclosed", Some("unclosed")),
        ] {
            assert_eq!(file_name(header.as_bytes()).as_deref(), name, "{header}");
        }
    }

    proptest! {
        #[test]
        fn any_name_survives_quoting(name in "\\PC{1,40}") {
            let quoted = name.replace('\\', "\\\\").replace('"', "\\\"");
            let header = format!("attachment; filename=\"{quoted}\"");
            prop_assert_eq!(file_name(header.as_bytes()), Some(name));
        }

        #[test]
        fn no_header_panics(header in proptest::collection::vec(any::<u8>(), 0..60)) {
            let _ = file_name(&header);
        }
    }
}
