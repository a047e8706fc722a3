//! What a policy says to an upload beside what is expected of it.

use anyhow::{Context, Result};
use portcullis_engine::Expected;
use similar::{ChangeTag, TextDiff};

use crate::screen::{BAD, DIM, GOOD, styled};

/// As `expected.toml` has it.
pub(crate) fn to_toml(expected: &Expected) -> Result<String> {
    toml::to_string(expected).context("what the policy said cannot be written as TOML")
}

/// What is expected and not said, and what is said and not expected; nothing where they are the same.
pub(crate) fn difference(expected: Option<&Expected>, said: &Expected) -> Result<Option<String>> {
    if expected == Some(said) {
        return Ok(None);
    }
    let expected = expected.map_or_else(|| Ok(String::new()), to_toml)?;
    let said = to_toml(said)?;
    let diff = TextDiff::from_lines(&expected, &said);
    let mut lines = String::new();
    for group in diff.grouped_ops(2) {
        for change in group.iter().flat_map(|op| diff.iter_changes(op)) {
            let line = change.value().trim_end();
            let line = match change.tag() {
                ChangeTag::Delete => styled(BAD, format!("- {line}")),
                ChangeTag::Insert => styled(GOOD, format!("+ {line}")),
                ChangeTag::Equal => styled(DIM, format!("  {line}")),
            };
            lines.push_str("      ");
            lines.push_str(&line);
            lines.push('\n');
        }
    }
    Ok(Some(lines))
}
