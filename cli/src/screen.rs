//! What people see: styles, tables and quantities. `anstream` drops the styles where nobody sees them.

use std::fmt::Write as _;
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use anyhow::{Context, Result};
use serde::Serialize;

/// It is as it should be.
pub(crate) const GOOD: Style = AnsiColor::Green.on_default().bold();
/// It is not.
pub(crate) const BAD: Style = AnsiColor::Red.on_default().bold();
/// It may not be.
pub(crate) const DOUBTFUL: Style = AnsiColor::Yellow.on_default().bold();
/// A heading.
pub(crate) const HEAD: Style = Style::new().bold();
/// What matters less.
pub(crate) const DIM: Style = Style::new().dimmed();

/// Text in a style.
pub(crate) fn styled(style: Style, text: impl std::fmt::Display) -> String {
    format!("{style}{text}{style:#}")
}

/// Prints a report for programs.
pub(crate) fn json(report: &impl Serialize) -> Result<()> {
    let text = serde_json::to_string_pretty(report).context("the report is no JSON")?;
    anstream::println!("{text}");
    Ok(())
}

/// Rows in columns under heads, each two spaces apart; nothing without rows.
pub(crate) fn table(heads: &[&str], rows: &[Vec<String>]) -> String {
    let mut text = String::new();
    if rows.is_empty() {
        return text;
    }
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        let widest = cells.map(|cell| cell.chars().count()).max().unwrap_or(0);
        widest.max(heads[column].chars().count())
    };
    let widths: Vec<usize> = (0..heads.len()).map(width).collect();
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        let mut line = String::new();
        for (cell, wide) in cells.zip(&widths) {
            let _ = write!(line, "  {cell:<wide$}");
        }
        line.trim_end().to_owned()
    };
    let head = line(&mut heads.iter().copied());
    let _ = writeln!(text, "{DIM}{head}{DIM:#}");
    for row in rows {
        let _ = writeln!(text, "{}", line(&mut row.iter().map(String::as_str)));
    }
    text
}

/// Bytes with a unit that makes them short.
#[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
pub(crate) fn bytes(bytes: u64) -> String {
    match bytes {
        0..=9_999 => format!("{bytes} bytes"),
        10_000..=9_999_999 => format!("{:.0} KiB", bytes as f64 / 1024.0),
        10_000_000..=9_999_999_999 => format!("{:.0} MiB", bytes as f64 / 1_048_576.0),
        _ => format!("{:.0} GiB", bytes as f64 / 1_073_741_824.0),
    }
}

/// A time with a unit that makes it short.
pub(crate) fn time(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    if seconds < 1e-3 {
        format!("{:.1} us", seconds * 1e6)
    } else if seconds < 1.0 {
        format!("{:.2} ms", seconds * 1e3)
    } else {
        format!("{seconds:.2} s")
    }
}

/// Bytes in a time, per second.
#[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
pub(crate) fn rate(bytes: u64, time: Duration) -> String {
    if time.is_zero() {
        return "-".to_owned();
    }
    format!("{:.0} MB/s", bytes as f64 / 1e6 / time.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_below_their_heads() {
        let rows = [vec!["a".to_owned(), "longer".to_owned()]];
        let text = anstream::adapter::strip_str(&table(&["rule", "x"], &rows)).to_string();
        assert_eq!(text, "  rule  x\n  a     longer\n");
        assert_eq!(table(&["rule"], &[]), "");
    }

    #[test]
    fn quantities_are_short() {
        assert_eq!(bytes(9_999), "9999 bytes");
        assert_eq!(bytes(58 * 1024), "58 KiB");
        assert_eq!(bytes(64 << 20), "64 MiB");
        assert_eq!(bytes(64 << 30), "64 GiB");
        assert_eq!(time(Duration::from_nanos(1_500)), "1.5 us");
        assert_eq!(rate(1_000_000, Duration::from_millis(1)), "1000 MB/s");
    }
}
