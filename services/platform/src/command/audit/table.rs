//! Rows of the audit as text.

use std::io::{self, Write};

use portcullis_services::catalog::audit::AuditRow;

/// The columns of an export, and of what is shown.
pub(super) const COLUMNS: [&str; 13] = [
    "writer", "sequence", "at", "action", "subject", "client", "upload", "disk", "path", "version",
    "trace_id", "details", "erased",
];

/// The columns of a row; empty where there is nothing.
pub(super) fn record(row: &AuditRow) -> [String; 13] {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    [
        row.writer.clone(),
        row.sequence.to_string(),
        row.at.to_string(),
        row.action.clone(),
        text(&row.subject),
        text(&row.client),
        text(&row.upload),
        text(&row.disk),
        text(&row.path),
        row.version
            .map(|version| version.to_string())
            .unwrap_or_default(),
        text(&row.trace_id),
        row.details
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default(),
        row.erased.to_string(),
    ]
}

/// A cell that no spreadsheet takes for a formula (OWASP, "CSV Injection").
pub(super) fn no_formula(cell: String) -> String {
    if cell.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        format!("'{cell}")
    } else {
        cell
    }
}

/// One line for each row. What a terminal would obey is shown as what it is.
pub(super) fn show(rows: &[AuditRow], out: &mut impl Write) -> io::Result<()> {
    for row in rows {
        writeln!(out, "{}", line(row))?;
    }
    Ok(())
}

fn line(row: &AuditRow) -> String {
    let mut words = vec![row.at.to_string(), row.action.clone()];
    if row.erased {
        words.push(format!("(erased, row {} of {})", row.sequence, row.writer));
    }
    words.extend(row.subject.clone());
    words.extend(row.client.as_ref().map(|client| format!("from {client}")));
    let (disk, path) = (row.disk.as_deref(), row.path.as_deref());
    words.extend(match (disk, path, row.version) {
        (Some(disk), Some(path), Some(version)) => Some(format!("{disk}:{path} version {version}")),
        (Some(disk), Some(path), None) => Some(format!("{disk}:{path}")),
        (Some(disk), None, _) => Some(format!("{disk}:")),
        (None, ..) => None,
    });
    words.extend(row.upload.as_ref().map(|upload| format!("upload {upload}")));
    words.extend(row.trace_id.as_ref().map(|trace| format!("trace {trace}")));
    words.extend(row.details.as_ref().map(ToString::to_string));
    let plain = |c: char| {
        if c.is_control() {
            c.escape_default().to_string()
        } else {
            c.to_string()
        }
    };
    words.join("  ").chars().map(plain).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_a_spreadsheet_nor_a_terminal_obeys_a_row() {
        assert_eq!(no_formula("=1+1".to_owned()), "'=1+1");
        assert_eq!(no_formula("a=1".to_owned()), "a=1");
        let row = AuditRow {
            writer: "w".to_owned(),
            sequence: 1,
            at: "2026-11-26T08:00:00Z".parse().expect("is a moment"),
            action: "read".to_owned(),
            subject: Some("a\u{1b}[2Jb".to_owned()),
            client: None,
            upload: None,
            disk: Some("local".to_owned()),
            path: Some("a.csv".to_owned()),
            version: Some(2),
            trace_id: None,
            details: None,
            erased: false,
        };
        assert_eq!(
            line(&row),
            "2026-11-26T08:00:00.000Z  read  a\\u{1b}[2Jb  local:a.csv version 2"
        );
    }
}
