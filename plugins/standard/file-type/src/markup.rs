//! Whether a text is a page that a browser would run.

/// What a text begins with, as far as markup is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Markup {
    /// Not markup.
    None,
    /// HTML, SVG, or XML with a style sheet: a browser could run what is in it.
    Active,
    /// Some other XML.
    Xml,
    /// Markup whose first element is not within the bytes that were read.
    Unknown,
}

/// Looks past a byte order mark, white space, comments and XML declarations for the first element.
pub(crate) fn find(prefix: &[u8]) -> Markup {
    let mut rest = prefix.strip_prefix(b"\xef\xbb\xbf").unwrap_or(prefix);
    let mut declared = Markup::None;
    loop {
        rest = rest.trim_ascii_start();
        let end = if rest.starts_with(b"<!--") {
            b"-->".as_slice()
        } else if begins(rest, b"<?xml-stylesheet") {
            return Markup::Active;
        } else if begins(rest, b"<?xml") {
            b"?>"
        } else {
            break;
        };
        declared = Markup::Xml;
        match memchr::memmem::find(rest, end) {
            Some(at) => rest = &rest[at + end.len()..],
            None => return Markup::Unknown,
        }
    }
    if begins(rest, b"<!doctype") {
        let kind = rest[b"<!doctype".len()..].trim_ascii_start();
        let active = begins(kind, b"html") || begins(kind, b"svg");
        return if active { Markup::Active } else { Markup::Xml };
    }
    if ACTIVE_ELEMENTS.iter().any(|name| is_element(rest, name)) {
        return Markup::Active;
    }
    if declared == Markup::Xml && rest.is_empty() {
        return Markup::Unknown;
    }
    declared
}

/// The elements by which the WHATWG's MIME Sniffing Standard (section 7.1) knows HTML, and others that
/// bring script or foreign content with them.
const ACTIVE_ELEMENTS: &[&[u8]] = &[
    b"html",
    b"head",
    b"body",
    b"script",
    b"iframe",
    b"frameset",
    b"h1",
    b"div",
    b"font",
    b"table",
    b"a",
    b"style",
    b"title",
    b"b",
    b"br",
    b"p",
    b"svg",
    b"math",
    b"object",
    b"embed",
    b"applet",
    b"link",
    b"meta",
    b"base",
    b"img",
    b"form",
    b"input",
    b"button",
    b"video",
    b"audio",
    b"details",
    b"marquee",
    b"template",
    b"noscript",
    b"center",
    b"span",
];

/// The element's name with a bracket before it and something after it that ends a name.
fn is_element(text: &[u8], name: &[u8]) -> bool {
    let Some(text) = text.strip_prefix(b"<") else {
        return false;
    };
    let ends = |byte: &u8| byte.is_ascii_whitespace() || matches!(byte, b'>' | b'/');
    begins(text, name) && text.get(name.len()).is_some_and(ends)
}

/// Whether a text begins with another, in whatever case.
pub(crate) fn begins(text: &[u8], with: &[u8]) -> bool {
    text.get(..with.len())
        .is_some_and(|head| head.eq_ignore_ascii_case(with))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_found_in_every_disguise_at_the_start() {
        for text in [
            "<!DOCTYPE html><p>",
            "<!doctype   HTML>",
            "<html>",
            "<HTML lang=en>",
            "\u{feff}\r\n\t <html>",
            "<!-- a,b,c --> <script>alert(1)</script>",
            "<!--><html>--><svg/onload=alert(1)>",
            "<?xml version=\"1.0\"?><svg xmlns=\"x\">",
            "<?xml version=\"1.0\"?><?xml-stylesheet href=\"x\"?><a/>",
            "<!DOCTYPE svg PUBLIC \"x\">",
            "<iframe src=x>",
            "<b>x</b>",
            "<script\n>",
        ] {
            assert_eq!(find(text.as_bytes()), Markup::Active, "{text}");
        }
    }

    #[test]
    fn data_with_brackets_is_not_markup() {
        for text in [
            "",
            "a,b\n<html>,1\n",
            "<5,>10\n1,2\n",
            "<age,sex\n",
            "<br,c\n",
            "\"<b>\",c\n",
            "<",
        ] {
            assert_eq!(find(text.as_bytes()), Markup::None, "{text}");
        }
    }

    #[test]
    fn xml_is_told_from_pages_and_from_what_cannot_be_told() {
        assert_eq!(find(b"<?xml version='1.0'?><study/>"), Markup::Xml);
        assert_eq!(find(b"<!DOCTYPE study>"), Markup::Xml);
        assert_eq!(find(b"<!-- for ever"), Markup::Unknown);
        assert_eq!(find(b"<?xml version='1.0'?>\n"), Markup::Unknown);
    }
}
