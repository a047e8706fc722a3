//! A table while it comes: each cell is checked against its column, each row for itself.

mod suspended;

use portcullis_csv::{Cell, Quotes, Row, Separator, Sink};
use portcullis_policy::Severity;

use crate::check;
use crate::definition::{Condition, Definition, Effect, MAX_COLUMNS, Presence};
use crate::glance::Glance;
use crate::header::{self, Named, Unusable};
use crate::report::{Place, Report};
use crate::rule::Rule;
use crate::seen::{Limits, Novelty, Seen};

pub(crate) use self::suspended::Suspended;

/// The longest name of a column in bytes.
const MAX_NAME_BYTES: usize = 1024;

/// How a table is to be judged, beside its definition.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Manner {
    pub(crate) separator: Separator,
    /// How much a column weighs that is not in the definition; absent for nothing.
    pub(crate) extra_columns: Option<Severity>,
    /// How much of the columns without duplicates is kept, all together.
    pub(crate) seen: Limits,
}

/// The table.
#[derive(Debug)]
pub(crate) struct Table {
    definition: Definition,
    manner: Manner,
    report: Report,
    /// The header, until it is complete.
    header: Vec<Named>,
    /// The columns of the file; none before the header is complete.
    columns: Vec<FileColumn>,
    /// For each of them what can be decided at a glance.
    glances: Vec<Glance>,
    /// For each of them the empty cells that were only counted.
    counted: Vec<u64>,
    /// What depends on other cells of the row.
    conditions: Vec<Conditional>,
    /// Why the file cannot be judged.
    unusable: Option<Unusable>,
    /// The rows that are complete; the header is not counted.
    rows: u64,
    is_in_header: bool,
}

/// A column of the file.
#[derive(Debug)]
struct FileColumn {
    name: String,
    /// Its place in the definition.
    known: Option<usize>,
    empty: Empty,
    seen: Option<Seen>,
    /// Whether the cell of this row is filled, and where it begins: kept when others depend on it, or it on
    /// others.
    is_watched: bool,
    is_filled: bool,
    offset: u64,
}

/// What an empty cell means on its own.
#[derive(Debug)]
enum Empty {
    Allowed,
    Required(Severity),
    Recommended,
}

/// A column whose presence depends on others: all by their places in the file.
#[derive(Debug)]
struct Conditional {
    column: usize,
    /// By its place in the definition.
    known: usize,
    /// For each of the column's conditions, the other column; absent when the file does not have it.
    others: Vec<Option<usize>>,
    unless: Option<usize>,
}

impl Table {
    pub(crate) fn new(definition: Definition, manner: Manner) -> Self {
        Self {
            definition,
            manner,
            report: Report::new(),
            header: Vec::new(),
            columns: Vec::new(),
            glances: Vec::new(),
            counted: Vec::new(),
            conditions: Vec::new(),
            unusable: None,
            rows: 0,
            is_in_header: true,
        }
    }

    pub(crate) fn rows(&self) -> u64 {
        self.rows
    }

    pub(crate) fn column_count(&self) -> usize {
        self.columns.len()
    }

    pub(crate) fn report(&self) -> &Report {
        &self.report
    }

    /// Why the file cannot be judged, once that is known.
    pub(crate) fn unusable(&self) -> Option<&Unusable> {
        self.unusable.as_ref()
    }

    /// Tells the host what was only counted.
    pub(crate) fn tally(&mut self) {
        for (column, counted) in self.counted.iter_mut().enumerate() {
            self.report.count(Rule::Recommended, column, *counted);
            *counted = 0;
        }
        let (columns, definition) = (&self.columns, &self.definition);
        self.report
            .tally(|nth| match nth.checked_sub(columns.len()) {
                None => Some(&columns[nth].name),
                Some(missing) => definition
                    .columns
                    .get(missing)
                    .map(|column| column.name.as_str()),
            });
    }

    /// Ends the table: says what could not be checked.
    pub(crate) fn finish(&mut self) {
        if self.is_in_header {
            let message = "The file is empty; send a table with a header.".to_owned();
            self.unusable.get_or_insert((Rule::Header, message));
            return;
        }
        for (column, what) in &self.definition.unchecked {
            let nth = self.columns.iter().position(|known| known.name == *column);
            let place = Place {
                row: 0,
                column: nth.map(|nth| (nth, column.as_str())),
                offset: None,
                content: None,
            };
            self.report
                .add(Rule::NotChecked, Severity::Info, place, || {
                    format!("Not checked here: {what}.")
                });
        }
        for (nth, column) in self.columns.iter().enumerate() {
            if let Some(row) = column.seen.as_ref().and_then(Seen::first_not_kept) {
                let place = Place {
                    row,
                    column: Some((nth, &column.name)),
                    offset: None,
                    content: None,
                };
                let last = row - 1;
                self.report.add(Rule::NotChecked, Severity::Info, place, || {
                    format!(
                        "Duplicates are found exactly up to row {last}; values that come first after it were not compared with each other."
                    )
                });
            }
        }
        self.tally();
    }

    fn header_cell(&mut self, cell: &Cell<'_>) {
        let place = Place {
            row: 0,
            column: None,
            offset: Some(cell.offset),
            content: None,
        };
        if self.unusable.is_some() {
            return;
        }
        if self.header.len() == MAX_COLUMNS {
            let message = format!("The header has more than {MAX_COLUMNS} columns; send a table.");
            self.unusable = Some((Rule::Header, message));
            return;
        }
        if cell.value.len() > MAX_NAME_BYTES {
            let message = format!(
                "The first row has a cell of more than {MAX_NAME_BYTES} bytes, and it must name the columns; look for a quote or a line end that is missing."
            );
            self.unusable = Some((Rule::Header, message));
            return;
        }
        form(&mut self.report, cell, place);
        self.header.push(Named {
            name: String::from_utf8_lossy(cell.value).into_owned(),
            offset: cell.offset,
        });
    }

    fn header_end(&mut self) {
        self.is_in_header = false;
        if self.unusable.is_some() {
            return;
        }
        let cells = std::mem::take(&mut self.header);
        let (definition, manner) = (&self.definition, &self.manner);
        let read = header::read(
            &cells,
            definition,
            manner.separator,
            manner.extra_columns,
            &mut self.report,
        );
        let places = match read {
            Ok(places) => places,
            Err(unusable) => {
                self.unusable = Some(unusable);
                return;
            }
        };
        let unique = definition
            .columns
            .iter()
            .filter(|column| column.is_unique)
            .count();
        let share = Limits {
            values: manner.seen.values / unique.max(1),
            bytes: manner.seen.bytes / unique.max(1),
        };
        for (cell, known) in cells.into_iter().zip(&places) {
            let column = known.map(|known| &definition.columns[known]);
            self.columns.push(FileColumn {
                name: cell.name,
                known: *known,
                empty: column.map_or(Empty::Allowed, |column| match &column.presence {
                    // These are looked at when the row is complete.
                    _ if column.depends_on_others() => Empty::Allowed,
                    Presence::Required(severity) => Empty::Required(*severity),
                    _ if column.recommended.is_some() => Empty::Recommended,
                    _ => Empty::Allowed,
                }),
                seen: column
                    .filter(|column| column.is_unique)
                    .map(|_| Seen::new(share)),
                is_watched: false,
                is_filled: false,
                offset: 0,
            });
        }
        self.watch(&places);
        let glance = |column: &FileColumn| {
            if column.is_watched || column.seen.is_some() {
                return Glance::UNSURE;
            }
            let kind = column
                .known
                .map(|known| &self.definition.columns[known].kind);
            Glance::new(kind, matches!(column.empty, Empty::Allowed))
        };
        self.glances = self.columns.iter().map(glance).collect();
        self.counted = vec![0; self.columns.len()];
    }

    /// Finds out which cells depend on which.
    fn watch(&mut self, places: &[Option<usize>]) {
        let in_file = |name: &str| {
            let known = self.definition.position(name);
            places.iter().position(|place| *place == known)
        };
        for (column, known) in places.iter().enumerate() {
            let Some(known) = *known else { continue };
            let defined = &self.definition.columns[known];
            if !defined.depends_on_others() {
                continue;
            }
            self.conditions.push(Conditional {
                column,
                known,
                others: defined
                    .when
                    .iter()
                    .map(|when| in_file(&when.column))
                    .collect(),
                unless: match &defined.presence {
                    Presence::RequiredUnless(other, _) => in_file(other),
                    _ => None,
                },
            });
        }
        for conditional in &self.conditions {
            let others = conditional
                .others
                .iter()
                .flatten()
                .chain(&conditional.unless);
            for &column in others.chain([&conditional.column]) {
                self.columns[column].is_watched = true;
            }
        }
    }

    #[cold]
    fn cell_without_column(&mut self, cell: &Cell<'_>) {
        if self.is_in_header {
            self.header_cell(cell);
        }
    }

    /// A cell that a glance did not settle: it may well be right.
    #[inline(never)]
    fn look_closer(&mut self, nth: usize, cell: &Cell<'_>) {
        // One whose quotes are never closed is none without a value, even if nothing follows.
        let is_usual = is_usual(cell);
        let is_empty = cell.value.is_empty() && is_usual;
        if is_empty && self.glances[nth].counts_empty() {
            self.counted[nth] += 1;
            return;
        }
        let column = &mut self.columns[nth];
        if column.is_watched {
            column.is_filled = !is_empty;
            column.offset = cell.offset;
        }
        if is_empty {
            return self.empty_cell(nth, cell.offset);
        }
        let known = column.known;
        if !is_usual && !self.special_cell(nth, cell) {
            return;
        }
        let Some(known) = known else { return };
        if let Err(wrong) = check::check(&self.definition.columns[known].kind, cell.value) {
            self.wrong_cell(nth, cell, wrong);
            // What is only remarkable is a value all the same.
            if wrong != check::Wrong::SpacesAround {
                return;
            }
        }
        self.look_for_duplicates(nth, cell);
    }

    fn empty_cell(&mut self, nth: usize, offset: u64) {
        let column = &self.columns[nth];
        let place = Place {
            row: self.rows + 1,
            column: Some((nth, &column.name)),
            offset: Some(offset),
            content: None,
        };
        match column.empty {
            Empty::Allowed => {}
            Empty::Required(severity) => {
                self.report.add(Rule::Required, severity, place, || {
                    "There must be a value here.".to_owned()
                });
            }
            Empty::Recommended => {
                let message = recommended(&self.definition, column.known);
                self.report
                    .add(Rule::Recommended, Severity::Warning, place, || {
                        message.to_owned()
                    });
                if self.report.is_full(Rule::Recommended) && !column.is_watched {
                    self.glances[nth].count_empty();
                }
            }
        }
    }

    #[cold]
    fn wrong_cell(&mut self, nth: usize, cell: &Cell<'_>, wrong: check::Wrong) {
        let column = &self.columns[nth];
        let known = column.known.expect("only known columns are checked");
        let kind = &self.definition.columns[known].kind;
        // A trailing space joins to nothing, but it is no defect of the table.
        let severity = match wrong {
            check::Wrong::SpacesAround => Severity::Warning,
            _ => Severity::Error,
        };
        let place = Place {
            row: self.rows + 1,
            column: Some((nth, &column.name)),
            offset: Some(cell.offset),
            content: Some(cell.value),
        };
        self.report.add(wrong.rule(kind), severity, place, || {
            wrong.sentence(kind, cell.value)
        });
    }

    /// A cell that was written in a way that must be looked at; false when its value means nothing.
    #[cold]
    fn special_cell(&mut self, nth: usize, cell: &Cell<'_>) -> bool {
        let place = Place {
            row: self.rows + 1,
            column: Some((nth, &self.columns[nth].name)),
            offset: Some(cell.offset),
            content: Some(cell.value),
        };
        form(&mut self.report, cell, place)
    }

    fn look_for_duplicates(&mut self, nth: usize, cell: &Cell<'_>) {
        let row = self.rows + 1;
        let column = &mut self.columns[nth];
        let Some(seen) = &mut column.seen else { return };
        if let Novelty::Again(before) = seen.look(cell.value, row) {
            let place = Place {
                row,
                column: Some((nth, &column.name)),
                offset: Some(cell.offset),
                content: Some(cell.value),
            };
            self.report
                .add(Rule::NoDuplicates, Severity::Error, place, || {
                    format!("The same value stands in row {before}; each may come once.")
                });
        }
    }

    #[cold]
    fn ragged_row(&mut self, row: Row) {
        let (found, expected) = (row.cells, self.columns.len());
        let place = Place {
            row: self.rows + 1,
            column: None,
            offset: Some(row.offset),
            content: None,
        };
        self.report.add(Rule::RaggedRow, Severity::Error, place, || {
            let cells = if found == 1 { "cell" } else { "cells" };
            format!(
                "The row has {found} {cells}, but the header has {expected}; look for a separator too many or too few, or a quote that is not closed."
            )
        });
    }

    fn check_conditions(&mut self) {
        for conditional in &self.conditions {
            let column = &self.columns[conditional.column];
            let defined = &self.definition.columns[conditional.known];
            let is_filled =
                |other: Option<usize>| other.is_some_and(|other| self.columns[other].is_filled);
            let place = Place {
                row: self.rows + 1,
                column: Some((conditional.column, &column.name)),
                offset: Some(column.offset),
                content: None,
            };
            let (mut is_forbidden, mut is_said) = (false, false);
            for (when, other) in defined.when.iter().zip(&conditional.others) {
                let holds = match when.condition {
                    Condition::Present => is_filled(*other),
                    Condition::Absent => !is_filled(*other),
                };
                let has = match when.condition {
                    Condition::Present => "has a value",
                    Condition::Absent => "has none",
                };
                let other = &when.column;
                match when.effect {
                    Effect::Required if holds && !column.is_filled => {
                        is_said = true;
                        self.report
                            .add(Rule::RequiredWhen, when.severity, place, || {
                                format!("There must be a value here, because `{other}` {has}.")
                            });
                    }
                    Effect::Forbidden if holds => {
                        is_forbidden = true;
                        if column.is_filled {
                            self.report
                                .add(Rule::ForbiddenWhen, when.severity, place, || {
                                    format!("There must be no value here, because `{other}` {has}.")
                                });
                        }
                    }
                    _ => {}
                }
            }
            if column.is_filled || is_forbidden || is_said {
                continue;
            }
            match &defined.presence {
                Presence::Required(severity) => {
                    self.report.add(Rule::Required, *severity, place, || {
                        "There must be a value here.".to_owned()
                    });
                }
                Presence::RequiredUnless(other, severity) if !is_filled(conditional.unless) => {
                    self.report.add(Rule::Required, *severity, place, || {
                        format!("There must be a value here, because `{other}` has none.")
                    });
                }
                _ if defined.recommended.is_some() => {
                    let message = recommended(&self.definition, Some(conditional.known));
                    self.report
                        .add(Rule::Recommended, Severity::Warning, place, || {
                            message.to_owned()
                        });
                }
                _ => {}
            }
        }
    }
}

/// Whether a cell was written in a way that says nothing.
#[inline]
fn is_usual(cell: &Cell<'_>) -> bool {
    cell.is_plain && !cell.is_cut && matches!(cell.quotes, Quotes::None | Quotes::Regular)
}

impl Sink for Table {
    fn cell(&mut self, nth: usize, cell: Cell<'_>) {
        if nth < self.columns.len() {
            self.look_closer(nth, &cell);
        } else {
            self.cell_without_column(&cell);
        }
    }

    #[expect(
        clippy::inline_always,
        reason = "measured: a call for each cell costs a third more"
    )]
    #[inline(always)]
    fn plain_cell(&mut self, nth: usize, value: &[u8], offset: u64) {
        let Some(&glance) = self.glances.get(nth) else {
            return self.cell_without_column(&Cell::plain(value, offset));
        };
        if !glance.settles(value) {
            self.look_closer(nth, &Cell::plain(value, offset));
        }
    }

    #[inline]
    fn row_end(&mut self, row: Row) {
        if self.is_in_header {
            self.header_end();
        } else if self.unusable.is_none() {
            if row.cells != self.columns.len() {
                self.ragged_row(row);
            } else if !self.conditions.is_empty() {
                self.check_conditions();
            }
            self.rows += 1;
        }
    }
}

fn recommended(definition: &Definition, known: Option<usize>) -> &str {
    let message = known.and_then(|known| definition.columns[known].recommended.as_deref());
    message.unwrap_or_default()
}

/// Reports how a cell was written, if that breaks a rule; false when its value means nothing.
fn form(report: &mut Report, cell: &Cell<'_>, place: Place<'_>) -> bool {
    if cell.is_cut {
        report.add(Rule::CellTooLong, Severity::Error, place, || {
            "The cell is longer than 64 KiB; look for a quote that is not closed.".to_owned()
        });
        return false;
    }
    match cell.quotes {
        Quotes::None | Quotes::Regular => {}
        Quotes::Stray => {
            report.add(Rule::Quoting, Severity::Error, place, || {
                "A quote stands where it may not; put quotes around the whole cell, and double each quote within."
                    .to_owned()
            });
            return false;
        }
        Quotes::Unclosed => {
            report.add(Rule::Quoting, Severity::Error, place, || {
                "The quotes of this cell are never closed; close them.".to_owned()
            });
            return false;
        }
    }
    if cell.is_plain {
        return true;
    }
    match str::from_utf8(cell.value) {
        Err(_) => {
            report.add(Rule::Encoding, Severity::Error, place, || {
                "The text is not UTF-8; save the file as UTF-8.".to_owned()
            });
            false
        }
        Ok(text) => {
            let is_control =
                |found: char| found.is_control() && !matches!(found, '\t' | '\n' | '\r');
            if !text.contains(is_control) {
                return true;
            }
            report.add(Rule::ControlCharacter, Severity::Error, place, || {
                "There is a control character in the cell; take it out.".to_owned()
            });
            false
        }
    }
}
