use crate::{Finding, Severity};

/// The longest sentence that the host takes, in bytes of UTF-8.
pub(crate) const MAX_MESSAGE_BYTES: usize = 1024;

impl Finding {
    /// The data breaks `rule` (kebab-case, at most 64 bytes). `message` is one sentence for the uploader;
    /// what goes over 1024 bytes is cut. Never quote the data in it.
    pub fn error(rule: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(Severity::Error, rule, message)
    }

    /// The data is allowed but looks wrong.
    pub fn warning(rule: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(Severity::Warning, rule, message)
    }

    /// Something worth knowing, for example a check that was not made.
    pub fn info(rule: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(Severity::Info, rule, message)
    }

    /// A finding about the whole file; see the methods below for a place in it.
    pub fn new(severity: Severity, rule: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            rule: rule.into(),
            severity,
            message: cut(message.into(), MAX_MESSAGE_BYTES),
            row: None,
            column: None,
            offset: None,
            excerpt: None,
        }
    }

    /// At this row, counted from 1 for the first row after the header; a header is row 0.
    #[must_use]
    pub fn at_row(mut self, row: u64) -> Self {
        self.row = Some(row);
        self
    }

    /// In the column of this name.
    #[must_use]
    pub fn in_column(mut self, column: impl Into<String>) -> Self {
        self.column = Some(column.into());
        self
    }

    /// At this offset in bytes from the start of the file.
    #[must_use]
    pub fn at_byte(mut self, offset: u64) -> Self {
        self.offset = Some(offset);
        self
    }

    /// With content of the data. The host drops it unless the administrator lets the policy quote.
    #[must_use]
    pub fn quoting(mut self, excerpt: impl Into<String>) -> Self {
        self.excerpt = Some(excerpt.into());
        self
    }
}

/// Cuts a text at a character's boundary.
pub(crate) fn cut(mut text: String, max_bytes: usize) -> String {
    text.truncate(text.floor_char_boundary(max_bytes));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_says_where_it_is() {
        let finding = Finding::error("enum", "Not one of the allowed values.")
            .at_row(3)
            .in_column("sex")
            .at_byte(120);
        assert_eq!(finding.row, Some(3));
        assert_eq!(finding.column.as_deref(), Some("sex"));
        assert_eq!(finding.offset, Some(120));
    }

    #[test]
    fn a_long_message_is_cut_between_characters() {
        let finding = Finding::info("long", format!("a{}", "é".repeat(600)));
        assert_eq!(finding.message.len(), 1023);
    }
}
