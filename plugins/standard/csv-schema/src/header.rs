//! The first row: which column of the file is which of the definition.

use portcullis_csv::Separator;
use portcullis_policy::Severity;

use crate::definition::Definition;
use crate::report::{Place, Report};
use crate::rule::Rule;

/// A cell of the header.
#[derive(Clone, Debug)]
pub(crate) struct Named {
    pub(crate) name: String,
    pub(crate) offset: u64,
}

/// What a header that cannot be used means for the whole file.
pub(crate) type Unusable = (Rule, String);

/// The place in the definition of each column of the file; absent for those that are not in it.
///
/// # Errors
///
/// The file cannot be judged by this definition at all.
pub(crate) fn read(
    cells: &[Named],
    definition: &Definition,
    separator: Separator,
    extra: Option<Severity>,
    report: &mut Report,
) -> Result<Vec<Option<usize>>, Unusable> {
    let places: Vec<Option<usize>> = cells
        .iter()
        .map(|cell| definition.position(&cell.name))
        .collect();
    if places.iter().all(Option::is_none) {
        return Err(nothing_known(cells, definition, separator));
    }
    for (nth, cell) in cells.iter().enumerate() {
        let place = Place {
            row: 0,
            column: Some((nth, &cell.name)),
            offset: Some(cell.offset),
            content: None,
        };
        let is_again = cells[..nth].iter().any(|before| before.name == cell.name);
        if is_again && !cell.name.is_empty() {
            report.add(Rule::DuplicateColumn, Severity::Error, place, || {
                "The column is there twice; keep one of the two.".to_owned()
            });
        } else if places[nth].is_none()
            && let Some(severity) = extra
        {
            report.add(Rule::ExtraColumn, severity, place, || {
                unknown(cell, definition)
            });
        }
    }
    for (nth, column) in definition.columns.iter().enumerate() {
        let is_there = cells.iter().any(|cell| cell.name == column.name);
        if !is_there && !column.may_be_missing {
            let place = Place {
                row: 0,
                column: Some((cells.len() + nth, &column.name)),
                offset: None,
                content: None,
            };
            report.add(Rule::MissingColumn, Severity::Error, place, || {
                "The column is missing; add it, with empty cells where there are no values."
                    .to_owned()
            });
        }
    }
    Ok(places)
}

fn nothing_known(cells: &[Named], definition: &Definition, separator: Separator) -> Unusable {
    let others = [
        (Separator::Semicolon, "semicolons"),
        (Separator::Tab, "tabs"),
        (Separator::Comma, "commas"),
        (Separator::Pipe, "vertical bars"),
    ];
    if let [only] = cells {
        for (other, called) in others {
            if other != separator && only.name.contains(char::from(other.byte())) {
                let expected = others.iter().find(|(known, _)| *known == separator);
                let expected = expected.map_or("commas", |(_, called)| called);
                let message = format!(
                    "The columns are separated by {called}; save the file with {expected} between them."
                );
                return (Rule::Separator, message);
            }
        }
    }
    let expected: Vec<&str> = definition
        .columns
        .iter()
        .map(|column| column.name.as_str())
        .collect();
    let message = format!(
        "The first row names no column of this table; it must name the columns: {}.",
        list(&expected)
    );
    (Rule::Header, message)
}

fn unknown(cell: &Named, definition: &Definition) -> String {
    if cell.name.is_empty() {
        return "A column has no name; name it, or take it out.".to_owned();
    }
    let same = |name: &str| name.eq_ignore_ascii_case(cell.name.trim());
    match definition.columns.iter().find(|column| same(&column.name)) {
        Some(column) => format!("The column is not known; is `{}` meant?", column.name),
        None => "The column is not one of this table; take it out.".to_owned(),
    }
}

/// A list for people, cut when it is long.
pub(crate) fn list(words: &[&str]) -> String {
    const MOST: usize = 20;
    let shown = words
        .iter()
        .take(MOST)
        .copied()
        .collect::<Vec<_>>()
        .join(", ");
    match words.len().checked_sub(MOST) {
        Some(more) if more > 0 => format!("{shown} and {more} more"),
        _ => shown,
    }
}
