//! Errors that are planted into otherwise valid files, and what must be found for each.

use crate::definition::{Column, Condition, Definition, Kind, Rule};
use crate::dice::Dice;
use crate::values;

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Fault {
    /// A value that is not among the allowed ones.
    NotAllowed,
    /// An allowed value with its capitals changed.
    Capitals,
    /// A day that no calendar has.
    ImpossibleDate,
    /// Text where a day should stand.
    NotADate,
    /// Text where a number or a year should stand.
    NotANumber,
    /// A number outside its range.
    OutOfRange,
    /// No value where there must be one.
    Missing,
    /// No value where another cell asks for one.
    MissingThen,
    /// A value where another cell forbids it.
    ForbiddenThen,
    /// The identifier of an earlier row.
    Duplicate,
    /// Bytes that are not UTF-8.
    NotUtf8,
    /// A control character.
    Control,
    /// A quote within a cell that is not quoted.
    StrayQuote,
    /// A row without its last cell.
    TooFewCells,
    /// A row with a cell too many.
    TooManyCells,
}

/// One error in one place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Planted {
    /// What is wrong.
    pub fault: Fault,
    /// The row, counted from 1 for the first after the header.
    pub row: u64,
    /// The column; the first one for faults of a whole row.
    pub column: usize,
}

/// What a validator must report for it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Expected {
    /// The row.
    pub row: u64,
    /// The column by name; absent for faults of a whole row.
    pub column: Option<String>,
    /// The rule.
    pub rule: &'static str,
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 15] = [
        Self::NotAllowed,
        Self::Capitals,
        Self::ImpossibleDate,
        Self::NotADate,
        Self::NotANumber,
        Self::OutOfRange,
        Self::Missing,
        Self::MissingThen,
        Self::ForbiddenThen,
        Self::Duplicate,
        Self::NotUtf8,
        Self::Control,
        Self::StrayQuote,
        Self::TooFewCells,
        Self::TooManyCells,
    ];

    /// Whether a column can have it, so that it is the only thing wrong with the row.
    pub fn fits(self, column: &Column, definition: &Definition) -> bool {
        let is_free = !column.is_conditional() && !definition.is_condition(&column.name);
        match self {
            Self::NotAllowed => matches!(column.kind, Kind::Choice(_)) && is_free,
            Self::Capitals => is_free && capitals(column).is_some(),
            Self::ImpossibleDate | Self::NotADate => {
                matches!(column.kind, Kind::Date(_)) && is_free
            }
            Self::NotANumber => {
                matches!(column.kind, Kind::Number | Kind::Integer | Kind::Year) && is_free
            }
            Self::OutOfRange => column.range().is_some() && is_free,
            Self::Missing => !column.optional && is_free && !column.is_unique(),
            Self::MissingThen => conditional(column, definition, true).is_some(),
            Self::ForbiddenThen => conditional(column, definition, false).is_some(),
            Self::Duplicate => column.is_unique(),
            Self::NotUtf8 | Self::Control | Self::StrayQuote => {
                matches!(column.kind, Kind::Text(_)) && is_free
            }
            Self::TooFewCells => definition.columns.len() > 1,
            Self::TooManyCells => true,
        }
    }

    /// Whether it is about a row rather than a cell.
    pub fn is_about_a_row(self) -> bool {
        matches!(self, Self::TooFewCells | Self::TooManyCells)
    }

    /// The rule under which `csv-schema` reports it.
    pub fn rule(self, column: &Column) -> &'static str {
        match self {
            Self::NotAllowed | Self::Capitals if column.is_boolean => "boolean",
            Self::NotAllowed | Self::Capitals => "enum",
            Self::ImpossibleDate | Self::NotADate => "date",
            Self::NotANumber if column.kind == Kind::Year => "year",
            Self::NotANumber if column.kind == Kind::Integer => "integer",
            Self::NotANumber => "numeric",
            Self::OutOfRange => "range",
            Self::Missing => "required",
            Self::MissingThen => "required-when",
            Self::ForbiddenThen => "forbidden-when",
            Self::Duplicate => "no-duplicates",
            Self::NotUtf8 => "encoding",
            Self::Control => "control-character",
            Self::StrayQuote => "quoting",
            Self::TooFewCells | Self::TooManyCells => "ragged-row",
        }
    }

    /// Does it to the cells of a row. `earlier` is the identifier of an earlier row.
    pub(crate) fn spoil(
        self,
        cells: &mut Vec<Vec<u8>>,
        at: usize,
        definition: &Definition,
        earlier: &str,
    ) {
        let column = &definition.columns[at];
        // Always the same: what it gives is valid, and that is all it must be.
        let mut dice = Dice::new(1);
        let mut valid = |column: &Column| values::value(column, &mut dice, false).into_bytes();
        cells[at] = match self {
            Self::NotAllowed => b"Martian".to_vec(),
            Self::Capitals => capitals(column).unwrap_or_default().into_bytes(),
            Self::ImpossibleDate => impossible_date(column).into_bytes(),
            Self::NotADate | Self::NotANumber => b"soon".to_vec(),
            Self::OutOfRange => out_of_range(column).into_bytes(),
            Self::Missing => Vec::new(),
            Self::MissingThen => {
                if let Some((other, Condition::Present(_))) = conditional(column, definition, true)
                {
                    cells[other] = valid(&definition.columns[other]);
                } else if let Some((other, _)) = conditional(column, definition, true) {
                    cells[other].clear();
                }
                Vec::new()
            }
            Self::ForbiddenThen => {
                if let Some((other, Condition::Present(_))) = conditional(column, definition, false)
                {
                    cells[other] = valid(&definition.columns[other]);
                } else if let Some((other, _)) = conditional(column, definition, false) {
                    cells[other].clear();
                }
                valid(column)
            }
            Self::Duplicate => earlier.as_bytes().to_vec(),
            Self::NotUtf8 => b"caf\xe9".to_vec(),
            Self::Control => b"a\x01b".to_vec(),
            Self::StrayQuote => b"5\" pipe".to_vec(),
            Self::TooFewCells => {
                cells.pop();
                return;
            }
            Self::TooManyCells => {
                cells.push(b"more".to_vec());
                return;
            }
        };
    }
}

impl Planted {
    /// A fault that can be had, somewhere in the rows from 2 on. Absent when no column can have it.
    pub fn somewhere(
        fault: Fault,
        definition: &Definition,
        rows: u64,
        dice: &mut Dice,
    ) -> Option<Self> {
        let columns = definition.columns.iter().enumerate();
        let fitting: Vec<usize> = columns
            .filter(|(_, column)| fault.fits(column, definition))
            .map(|(at, _)| at)
            .collect();
        let column = match fitting.as_slice() {
            [] => return None,
            _ if fault.is_about_a_row() => 0,
            fitting => *dice.pick(fitting),
        };
        Some(Self {
            fault,
            row: 2 + dice.below(rows.max(3) - 2),
            column,
        })
    }

    /// What must be found.
    pub fn expected(&self, definition: &Definition) -> Expected {
        let column = &definition.columns[self.column];
        Expected {
            row: self.row,
            column: (!self.fault.is_about_a_row()).then(|| column.name.clone()),
            rule: self.fault.rule(column),
        }
    }
}

/// A condition of a column that can be broken without breaking anything else: the other column, which
/// depends on nothing and on which nothing else depends.
fn conditional<'a>(
    column: &'a Column,
    definition: &Definition,
    is_required: bool,
) -> Option<(usize, &'a Condition)> {
    let condition = column.rules.iter().find_map(|rule| match rule {
        Rule::RequiredWhen(condition) if is_required => Some(condition),
        Rule::ForbiddenWhen(condition) if !is_required => Some(condition),
        _ => None,
    })?;
    let name = condition.column();
    let others = definition.columns.iter();
    let depends = |other: &&Column| other.depends_on(name);
    let other = definition.position(name)?;
    let is_alone = others.filter(depends).count() == 1
        && definition.columns[other].is_free()
        && !definition.is_condition(&column.name);
    is_alone.then_some((other, condition))
}

/// An allowed value with other capitals, which is not allowed.
fn capitals(column: &Column) -> Option<String> {
    let Kind::Choice(values) = &column.kind else {
        return None;
    };
    let changed = values.iter().map(|value| {
        let upper = value.to_uppercase();
        if upper == *value {
            value.to_lowercase()
        } else {
            upper
        }
    });
    let mut changed = changed.filter(|value| !values.contains(value));
    changed.next()
}

/// The 30th of February, in the column's own format.
fn impossible_date(column: &Column) -> String {
    match &column.kind {
        Kind::Date(format) => format
            .replace("YYYY", "2021")
            .replace("MM", "02")
            .replace("DD", "30"),
        _ => "2021-02-30".to_owned(),
    }
}

fn out_of_range(column: &Column) -> String {
    column.range().map_or_else(String::new, |(_, high)| {
        format!("{:.0}", high.floor() + 1.0)
    })
}
