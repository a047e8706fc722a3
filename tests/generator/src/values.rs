//! Valid cells: what real files hold in a column of each kind.

use crate::definition::{Column, Condition, Definition, Kind, Rule};
use crate::dice::Dice;

/// How often an optional cell is filled, in percent.
const FILLED_PERCENT: u64 = 70;
/// How often a text needs quotes when quoting is asked for, in percent.
const QUOTED_PERCENT: u64 = 30;

/// The identifier of the patient in a row.
pub(crate) fn id(number: u64) -> String {
    format!("P{number:09}")
}

/// The cells of a valid row, but for unique ones, which are left empty.
pub(crate) fn row(definition: &Definition, dice: &mut Dice, quoted: bool) -> Vec<String> {
    let filled = filled(definition, dice);
    let cells = definition.columns.iter().zip(filled);
    let value = |(column, filled): (&Column, bool)| {
        if filled && !column.is_unique() {
            value(column, dice, quoted)
        } else {
            String::new()
        }
    };
    cells.map(value).collect()
}

/// Which cells have a value. Conditions are applied in turn until none changes anything more.
fn filled(definition: &Definition, dice: &mut Dice) -> Vec<bool> {
    let first = |column: &Column| !column.may_be_empty() || dice.percent(FILLED_PERCENT);
    let mut filled: Vec<bool> = definition.columns.iter().map(first).collect();
    for _ in 0..definition.columns.len() {
        let before = filled.clone();
        for (at, column) in definition.columns.iter().enumerate() {
            let holds = |condition: &Condition, filled: &[bool]| match condition {
                Condition::Present(other) => definition
                    .position(other)
                    .is_some_and(|other| filled[other]),
                Condition::Absent(other) => definition
                    .position(other)
                    .is_none_or(|other| !filled[other]),
            };
            for rule in &column.rules {
                match rule {
                    Rule::RequiredWhen(condition) if holds(condition, &filled) => filled[at] = true,
                    Rule::ForbiddenWhen(condition) if holds(condition, &filled) => {
                        filled[at] = false;
                    }
                    _ => {}
                }
            }
        }
        if before == filled {
            break;
        }
    }
    filled
}

pub(crate) fn value(column: &Column, dice: &mut Dice, quoted: bool) -> String {
    match &column.kind {
        // Many rows of one patient, as in tables that refer to them.
        Kind::Id => id(dice.below(50_000)),
        Kind::Choice(values) => dice.pick(values).clone(),
        Kind::Date(format) => date(format, dice),
        Kind::Year => {
            let (low, high) = column.range().unwrap_or((1920.0, 2020.0));
            whole_between(low, high, dice).to_string()
        }
        Kind::Integer => {
            let (low, high) = column.range().unwrap_or((0.0, 100_000.0));
            whole_between(low, high, dice).to_string()
        }
        Kind::Number => {
            let (low, high) = column.range().unwrap_or((0.0, 100_000.0));
            let whole = whole_between(low, high - 1.0, dice);
            if dice.percent(50) {
                whole.to_string()
            } else {
                format!("{whole}.{}", 1 + dice.below(99))
            }
        }
        Kind::Text(examples) if examples.is_empty() && is_measured(&column.name) => measured(dice),
        Kind::Text(examples) => text(examples, dice, quoted),
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "ranges of definitions are small whole numbers"
)]
fn whole_between(low: f64, high: f64, dice: &mut Dice) -> i64 {
    let (low, high) = (low.ceil() as i64, high.floor() as i64);
    let span = u64::try_from(high - low).unwrap_or(0) + 1;
    low + i64::try_from(dice.below(span)).unwrap_or(0)
}

/// A day of the last twenty years, written as the format says.
fn date(format: &str, dice: &mut Dice) -> String {
    let (year, month, day) = (
        2004 + dice.below(20),
        1 + dice.below(12),
        1 + dice.below(28),
    );
    format
        .replace("YYYY", &format!("{year:04}"))
        .replace("MM", &format!("{month:02}"))
        .replace("DD", &format!("{day:02}"))
}

/// Whether a text column without examples holds measurements, by its name.
fn is_measured(name: &str) -> bool {
    let name = name.to_lowercase();
    ["result", "min", "max"]
        .iter()
        .any(|part| name.contains(part))
}

/// What laboratories report: numbers, and now and then that there is none.
fn measured(dice: &mut Dice) -> String {
    match dice.below(20) {
        0 => "<50".to_owned(),
        1 => "BLQ".to_owned(),
        2..10 => format!("{}.{}", dice.below(100), dice.below(10)),
        _ => dice.below(2_000).to_string(),
    }
}

fn text(examples: &[String], dice: &mut Dice, quoted: bool) -> String {
    const WORDS: [&str; 8] = [
        "clinic",
        "visit",
        "Baltimore",
        "R\u{e9}union",
        "stable",
        "4.5",
        "<50",
        "unknown",
    ];
    let word = |dice: &mut Dice| match examples {
        [] => (*dice.pick(&WORDS)).to_owned(),
        some => dice.pick(some).clone(),
    };
    let first = word(dice);
    if !quoted || !dice.percent(QUOTED_PERCENT) {
        return first;
    }
    let second = word(dice);
    match dice.below(4) {
        0 => format!("{first}, {second}"),
        1 => format!("{first}\nthen {second}"),
        2 => format!("{first}\r\n\r\n{second}"),
        _ => format!("so-called \"{first}\", {second}"),
    }
}

/// A cell as RFC 4180 writes it.
pub(crate) fn write_cell(cell: &[u8], separator: u8, into: &mut Vec<u8>) {
    let needs_quotes = |byte: &u8| *byte == separator || matches!(byte, b'"' | b'\n' | b'\r');
    if !cell.iter().any(needs_quotes) {
        into.extend_from_slice(cell);
        return;
    }
    into.push(b'"');
    for byte in cell {
        if *byte == b'"' {
            into.push(b'"');
        }
        into.push(*byte);
    }
    into.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_keep_the_conditions_between_their_cells() {
        let patient = Definition::shipped("patient").expect("is read");
        let at = |name: &str| patient.position(name).expect("is there");
        let mut dice = Dice::new(1);
        let mut both_ways = [false; 2];
        for _ in 0..1000 {
            let row = row(&patient, &mut dice, false);
            let filled = |name: &str| !row[at(name)].is_empty();
            assert_ne!(filled("birthSex"), filled("presentSex"));
            assert_eq!(filled("deathDate"), filled("deathDateSource"));
            both_ways[usize::from(filled("birthSex"))] = true;
            let year: i64 = row[at("birthYear")].parse().expect("a year");
            assert!((1900..=2025).contains(&year));
        }
        assert_eq!(both_ways, [true, true]);
    }

    #[test]
    fn cells_are_quoted_where_they_must_be() {
        let mut written = Vec::new();
        for cell in ["plain", "a,b", "a\nb", "say \"x\""] {
            write_cell(cell.as_bytes(), b',', &mut written);
            written.push(b';');
        }
        assert_eq!(
            String::from_utf8(written).expect("text"),
            "plain;\"a,b\";\"a\nb\";\"say \"\"x\"\"\";"
        );
    }
}
