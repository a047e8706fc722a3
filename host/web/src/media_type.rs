/// The essence of a media type (RFC 9110, section 8.3.1): type and subtype in lower case, without
/// parameters. Absent when the text is not one.
pub(crate) fn essence(text: &str) -> Option<String> {
    let essence = text.split(';').next()?.trim().to_ascii_lowercase();
    let (kind, subtype) = essence.split_once('/')?;
    let token = |text: &str| {
        !text.is_empty()
            && text
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"!#$&^_.+-".contains(&b))
    };
    (essence.len() <= MAX_BYTES && token(kind) && token(subtype)).then_some(essence)
}

/// The longest media type in bytes (RFC 6838, section 4.2: 127 characters for each half).
const MAX_BYTES: usize = 255;

#[cfg(test)]
mod tests {
    use super::essence;

    #[test]
    fn parameters_and_case_do_not_matter() {
        assert_eq!(
            essence("Text/CSV; charset=utf-8").as_deref(),
            Some("text/csv")
        );
        for text in [
            "",
            "csv",
            "text/",
            "/csv",
            "text/c sv",
            "text/csv,text/html",
        ] {
            assert_eq!(essence(text), None, "{text}");
        }
    }
}
