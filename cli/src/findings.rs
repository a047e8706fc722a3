//! What policies noticed, as people see it.

use std::fmt::Write as _;

use portcullis_types::{Finding, Severity};

use crate::screen::{self, DIM, styled};

/// The most findings that are printed: the rest is for `--json`.
const MAX_PRINTED: usize = 50;

/// Findings as a table; nothing without any.
pub(crate) fn table(listed: &[Finding]) -> String {
    let number = |number: Option<u64>| number.map_or_else(String::new, |number| number.to_string());
    let rows: Vec<_> = listed
        .iter()
        .take(MAX_PRINTED)
        .map(|finding| {
            let severity = match finding.severity {
                Severity::Info => "info",
                Severity::Warning => "warning",
                Severity::Error => "error",
            };
            let message = match &finding.excerpt {
                Some(excerpt) => format!("{} [{}]", finding.message, excerpt.escape_debug()),
                None => finding.message.clone(),
            };
            vec![
                severity.to_owned(),
                finding.rule.clone(),
                number(finding.row),
                finding.column.clone().unwrap_or_default(),
                number(finding.offset),
                message,
            ]
        })
        .collect();
    let heads = ["severity", "rule", "row", "column", "byte", "message"];
    let mut text = screen::table(&heads, &rows);
    if listed.len() > MAX_PRINTED {
        let more = format!("and {} more; --json has all", listed.len() - MAX_PRINTED);
        let _ = writeln!(text, "  {}", styled(DIM, more));
    }
    text
}
