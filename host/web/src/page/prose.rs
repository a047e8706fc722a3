//! Sentences in which names stand between backquotes, as in every message of Portcullis.

use maud::{Markup, html};

/// The sentence, with what stands between backquotes set as code.
pub(super) fn prose(sentence: &str) -> Markup {
    let parts: Vec<_> = sentence.split('`').collect();
    // An even number of parts has a backquote without its partner: then none of them means anything.
    let paired = !parts.len().is_multiple_of(2);
    html! {
        @if paired {
            @for (index, part) in parts.iter().enumerate() {
                @if index.is_multiple_of(2) { (part) } @else { code { (part) } }
            }
        } @else {
            (sentence)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::prose;

    #[test]
    fn names_between_backquotes_are_code() {
        for (sentence, markup) in [
            ("No `table` here.", "No <code>table</code> here."),
            ("`a`, `b`", "<code>a</code>, <code>b</code>"),
            ("plain", "plain"),
            ("a ` alone", "a ` alone"),
            ("`<b>`", "<code>&lt;b&gt;</code>"),
        ] {
            assert_eq!(prose(sentence).into_string(), markup);
        }
    }
}
