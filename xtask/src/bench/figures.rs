//! The one table: what was measured, beside what, and whether it is what was promised.

use crate::bench::table::Table;

/// One line of it.
pub(crate) struct Figure {
    pub(crate) what: String,
    pub(crate) measured: String,
    pub(crate) beside: String,
    pub(crate) ratio: Option<f64>,
    /// What the ratio is to be, such as `>= 0.70`; empty when nothing is promised.
    pub(crate) wanted: String,
}

impl Figure {
    /// Whether the promise holds; absent without one.
    fn holds(&self) -> Option<bool> {
        let (word, limit) = self.wanted.split_once(' ')?;
        let limit: f64 = limit.parse().ok()?;
        let ratio = self.ratio?;
        match word {
            ">=" => Some(ratio >= limit),
            "<=" => Some(ratio <= limit),
            _ => None,
        }
    }
}

/// A number of things in a figure.
#[expect(clippy::cast_precision_loss, reason = "a figure with four digits")]
pub(crate) fn count(number: usize) -> f64 {
    number as f64
}

/// All figures as a table.
pub(crate) fn table(figures: &[Figure]) -> Table {
    let head = ["figure", "measured", "beside", "ratio", "wanted", "holds"];
    let mut table = Table::new("Figures", &head);
    for figure in figures {
        let ratio = figure.ratio.map(|ratio| format!("{ratio:.2}"));
        let holds = figure
            .holds()
            .map_or("", |holds| if holds { "yes" } else { "NO" });
        table.row([
            figure.what.clone(),
            figure.measured.clone(),
            figure.beside.clone(),
            ratio.unwrap_or_default(),
            figure.wanted.clone(),
            holds.to_owned(),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_promise_holds_or_does_not() {
        let figure = |ratio: f64, wanted: &str| Figure {
            what: "w".to_owned(),
            measured: "m".to_owned(),
            beside: "b".to_owned(),
            ratio: Some(ratio),
            wanted: wanted.to_owned(),
        };
        assert_eq!(figure(0.71, ">= 0.70").holds(), Some(true));
        assert_eq!(figure(0.69, ">= 0.70").holds(), Some(false));
        assert_eq!(figure(1.6, "<= 1.50").holds(), Some(false));
        assert_eq!(figure(1.6, "").holds(), None);
        let table = table(&[figure(1.6, "<= 1.50")]).to_string();
        assert!(table.contains("1.60") && table.contains("NO"), "{table}");
    }
}
