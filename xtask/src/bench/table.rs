//! Tables of measurements as plain text.

use std::fmt::{self, Write as _};

/// Rows of text in columns, the first one left-aligned and the others right-aligned.
pub(crate) struct Table {
    title: String,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these column heads.
    pub(crate) fn new(title: impl Into<String>, head: &[&str]) -> Self {
        Self {
            title: title.into(),
            rows: vec![head.iter().map(|text| (*text).to_owned()).collect()],
        }
    }

    /// Adds a row.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        writeln!(f, "{}", self.title)?;
        for (number, row) in self.rows.iter().enumerate() {
            let mut line = String::new();
            for (column, cell) in row.iter().enumerate() {
                let wide = widths[column];
                if column == 0 {
                    write!(line, "  {cell:<wide$}")?;
                } else {
                    write!(line, "  {cell:>wide$}")?;
                }
            }
            writeln!(f, "{}", line.trim_end())?;
            if number == 0 {
                let rule: Vec<String> = widths.iter().map(|wide| "-".repeat(*wide)).collect();
                writeln!(f, "  {}", rule.join("  "))?;
            }
        }
        Ok(())
    }
}

/// The one in the middle of at least one.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => f64::NAN,
        even if even % 2 == 0 => f64::midpoint(values[middle - 1], values[middle]),
        _ => values[middle],
    }
}

/// Several measurements of one thing, in seconds.
pub(crate) struct Seconds(Vec<f64>);

impl Seconds {
    /// Takes at least one measurement.
    pub(crate) fn new(mut seconds: Vec<f64>) -> Self {
        seconds.sort_by(f64::total_cmp);
        Self(seconds)
    }

    /// The one in the middle.
    pub(crate) fn median(&self) -> f64 {
        median(self.0.clone())
    }

    /// Fastest to slowest.
    pub(crate) fn spread(&self) -> String {
        let ends = self.0.first().zip(self.0.last());
        ends.map_or_else(String::new, |(fastest, slowest)| {
            format!("{fastest:.2} to {slowest:.2}")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let mut table = Table::new("T", &["what", "s"]);
        table.row(["a longer name".to_owned(), "1.00".to_owned()]);
        assert_eq!(
            table.to_string(),
            "T\n  what              s\n  -------------  ----\n  a longer name  1.00\n"
        );
    }

    #[test]
    fn the_median_is_the_middle_of_the_sorted() {
        assert!((median(vec![3.0, 1.0, 2.0]) - 2.0).abs() < 1e-9);
        assert!((median(vec![4.0, 1.0, 2.0, 3.0]) - 2.5).abs() < 1e-9);
        assert_eq!(Seconds::new(vec![3.0, 1.0]).spread(), "1.00 to 3.00");
    }
}
