//! A page of documentation for administrators and uploaders, from what a component says of itself.

use std::fmt::Write as _;

use serde_json::Value;

use crate::policy::inspect::Report;

/// The part of the page that a component can write: settings, rules, attributes, resources and counters.
pub(crate) fn page(report: &Report) -> String {
    let mut page = format!(
        "Version {}, a {} policy. {}\n",
        report.version, report.kind, report.summary
    );
    let settings: Vec<_> = report
        .settings()
        .map(|setting| {
            let required = if setting.is_required {
                " Required."
            } else {
                ""
            };
            let description = format!("{}{required}", setting.description);
            vec![
                code(setting.key),
                cell(&description),
                cell(&values(setting.schema)),
            ]
        })
        .collect();
    section(
        &mut page,
        "Settings",
        &["key", "what it does", "values"],
        &settings,
        "It takes none.",
    );
    let rules: Vec<_> = report
        .rules
        .iter()
        .map(|rule| vec![code(&rule.name), cell(&rule.value)])
        .collect();
    section(
        &mut page,
        "Rules",
        &["rule", "what must be so"],
        &rules,
        "It has none.",
    );
    let attributes: Vec<_> = report
        .attributes
        .iter()
        .map(|attribute| {
            let needed = if attribute.required { "yes" } else { "no" };
            let choices = attribute.choices.join(", ");
            vec![
                code(&attribute.name),
                needed.to_owned(),
                cell(&attribute.label),
                cell(&choices),
            ]
        })
        .collect();
    let heads = ["attribute", "required", "what forms call it", "values"];
    if !attributes.is_empty() {
        section(&mut page, "Attributes", &heads, &attributes, "");
    }
    let list = |names: &[String]| {
        names
            .iter()
            .map(|name| vec![code(name)])
            .collect::<Vec<_>>()
    };
    if !report.resources.is_empty() {
        let rows = list(&report.resources);
        section(
            &mut page,
            "Resources",
            &["files beneath the policy set"],
            &rows,
            "",
        );
    }
    if !report.counters.is_empty() {
        section(
            &mut page,
            "Counters",
            &["counter"],
            &list(&report.counters),
            "",
        );
    }
    page
}

/// What a value may be, in words.
fn values(schema: &Value) -> String {
    if let Some(values) = schema["enum"].as_array() {
        let values: Vec<_> = values
            .iter()
            .map(|value| code(&value.to_string()))
            .collect();
        return values.join(", ");
    }
    let words = match schema["type"].as_str() {
        Some("integer") => "a whole number",
        Some("number") => "a number",
        Some("boolean") => "`true` or `false`",
        Some("string") => "a text",
        Some("array") => {
            let items = values(&schema["items"]);
            return if items.is_empty() {
                "a list".to_owned()
            } else {
                format!("a list; each is {items}")
            };
        }
        Some("object") => "a table",
        _ => return String::new(),
    };
    match (&schema["minimum"], &schema["maximum"]) {
        (Value::Number(least), Value::Number(most)) => format!("{words}, {least} to {most}"),
        (Value::Number(least), _) => format!("{words}, at least {least}"),
        (_, Value::Number(most)) => format!("{words}, at most {most}"),
        _ => words.to_owned(),
    }
}

fn section(page: &mut String, title: &str, heads: &[&str], rows: &[Vec<String>], none: &str) {
    // Writing to a text cannot fail.
    let _ = writeln!(page, "\n## {title}\n");
    if rows.is_empty() {
        let _ = writeln!(page, "{none}");
        return;
    }
    let _ = writeln!(page, "| {} |", heads.join(" | "));
    let _ = writeln!(page, "|{}", "---|".repeat(heads.len()));
    for row in rows {
        let _ = writeln!(page, "| {} |", row.join(" | "));
    }
}

fn code(text: &str) -> String {
    format!("`{}`", cell(text))
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_value_may_be_is_said_in_words() {
        for (schema, wanted) in [
            (
                r#"{"type": "integer", "minimum": 1}"#,
                "a whole number, at least 1",
            ),
            (r#"{"enum": ["a", 3]}"#, "`\"a\"`, `3`"),
            (
                r#"{"type": "array", "items": {"type": "string"}}"#,
                "a list; each is a text",
            ),
            ("{}", ""),
        ] {
            let schema = serde_json::from_str(schema).expect("is JSON");
            assert_eq!(values(&schema), wanted);
        }
    }
}
