use std::borrow::Cow;

use portcullis_csv::Parser;
use portcullis_policy::{
    Admission, Attribute, Conclusion, End, Extent, Failure, Finding, Progress, Refusal,
    Rule as Described, Setting, Upload, Validator, facts, findings, meter, resources,
};

use serde::{Deserialize, Serialize};

use crate::definition::Definition;
use crate::report::Report;
use crate::rule::Rule;
use crate::settings::{self, Settings, WithoutDefinition};
use crate::table::{self, Manner, Table};

/// The policy, with the one table that it judges.
#[derive(Debug)]
pub struct CsvSchema {
    settings: Settings,
    /// Known from `admit` on.
    reading: Option<Reading>,
}

/// A table under way.
#[derive(Debug)]
struct Reading {
    parser: Parser,
    table: Table,
    name: String,
    /// The first bytes, while it is not known yet what text they are.
    looks_wide: LooksWide,
}

/// Whether the file begins as UTF-16 does: half of its bytes would be nonsense, each with a finding.
#[derive(Debug, Default)]
struct LooksWide {
    first: Vec<u8>,
}

impl Validator for CsvSchema {
    const NAME: &'static str = "csv-schema";
    const SUMMARY: &'static str = "A table in CSV or TSV must fit its data definition: columns, types, ranges, conditions, duplicates.";
    const SETTINGS: &'static [Setting] = settings::DESCRIBED;
    const RULES: &'static [Described] = Rule::DESCRIBED;
    const ATTRIBUTES: &'static [Attribute] = &[Attribute {
        name: "table",
        label: "Table",
        required: true,
        choices: &[],
    }];
    const RESOURCES: &'static [&'static str] = &["definitions/*.json"];
    const COUNTERS: &'static [&'static str] = &["rows"];
    type Settings = Settings;

    fn new(settings: Settings) -> Result<Self, String> {
        match settings.problem() {
            Some(problem) => Err(problem),
            None => Ok(Self {
                settings,
                reading: None,
            }),
        }
    }

    fn admit(&mut self, upload: &Upload) -> Result<Admission, Failure> {
        let attribute = &self.settings.attribute;
        let Some(name) = upload.attribute(attribute).filter(|name| !name.is_empty()) else {
            let message = format!("Say which table this is, in the attribute `{attribute}`.");
            return refuse(Rule::Table, message).into();
        };
        let resource = format!("definitions/{name}.json");
        let json = is_table_name(name)
            .then(|| resources::get(&resource))
            .flatten();
        let Some(json) = json else {
            return match self.settings.without_definition {
                WithoutDefinition::Reject => {
                    let message = format!(
                        "There is no data definition for this table; check the attribute `{attribute}`, or ask the administrators to add one."
                    );
                    refuse(Rule::Table, message).into()
                }
                WithoutDefinition::Accept => {
                    let message = "There is no data definition for this table, so its cells were not checked.";
                    findings::report(Finding::info(Rule::NotChecked.id(), message));
                    Ok(Admission::Accept)
                }
            };
        };
        let definition = Definition::parse(&json).map_err(|wrong| {
            // The name of a definition that is there is no value of the upload alone.
            Failure::MissingData(format!(
                "the definition `{resource}` cannot be used: {wrong}"
            ))
        })?;
        facts::set("table", name);
        let manner = Manner {
            separator: self.settings.separator.of(upload),
            extra_columns: self.settings.extra_columns.severity(),
            seen: self.settings.seen(),
        };
        self.reading = Some(Reading {
            parser: Parser::new(manner.separator),
            table: Table::new(definition, manner),
            name: name.to_owned(),
            looks_wide: LooksWide::default(),
        });
        Ok(Admission::Inspect(Extent::All))
    }

    fn chunk(&mut self, _: u64, bytes: &[u8]) -> Result<Progress, Failure> {
        let stop_after = self.settings.stop_after_errors;
        let reading = self.reading();
        if reading.looks_wide.sees(bytes) {
            let message = "The file is in UTF-16; save it as UTF-8.";
            return refuse(Rule::Encoding, message.to_owned()).into();
        }
        reading.parser.push(bytes, &mut reading.table);
        reading.table.tally();
        if let Some((rule, message)) = reading.table.unusable() {
            return refuse(*rule, message.clone()).into();
        }
        if stop_after.is_some_and(|most| reading.table.report().errors() >= most) {
            return reading.refusal(" so far, and the rest was not read").into();
        }
        Ok(Progress::More)
    }

    fn finish(&mut self, _: &End) -> Result<Conclusion, Failure> {
        let reading = self.reading();
        reading.parser.finish(&mut reading.table);
        reading.table.finish();
        if let Some((rule, message)) = reading.table.unusable() {
            return refuse(*rule, message.clone()).into();
        }
        facts::set("rows", &reading.table.rows().to_string());
        meter::count("rows", reading.table.rows());
        facts::set("columns", &reading.table.column_count().to_string());
        if reading.table.report().errors() > 0 {
            return reading.refusal("").into();
        }
        Ok(Conclusion::Accept)
    }

    fn suspend(&mut self) -> Result<Option<Vec<u8>>, Failure> {
        let reading = self.reading();
        let Some(table) = reading.table.suspend(MAX_STATE_BYTES) else {
            return Ok(None);
        };
        let suspended = Suspended {
            parser: Cow::Borrowed(&reading.parser),
            first: Cow::Borrowed(&reading.looks_wide.first),
            table,
        };
        let state = postcard::to_allocvec(&suspended);
        let state =
            state.map_err(|_| Failure::Internal("its state cannot be written".to_owned()))?;
        Ok(Some(state).filter(|state| state.len() <= MAX_STATE_BYTES))
    }

    fn resume(&mut self, upload: &Upload, state: &[u8]) -> Result<(), Failure> {
        let wrong = || Failure::Internal("the state is none of this upload".to_owned());
        let suspended: Suspended<'_> = postcard::from_bytes(state).map_err(|_| wrong())?;
        // The definition and the settings say the same of the headers as before.
        let Admission::Inspect(_) = self.admit(upload)? else {
            return Err(wrong());
        };
        let Some(begun) = self.reading.take() else {
            return Err(wrong());
        };
        self.reading = Some(Reading {
            parser: suspended.parser.into_owned(),
            looks_wide: LooksWide {
                first: suspended.first.into_owned(),
            },
            table: begun.table.resume(suspended.table).ok_or_else(wrong)?,
            name: begun.name,
        });
        Ok(())
    }
}

/// The most bytes of a state, as the contract says. Beyond it the upload is shown again.
const MAX_STATE_BYTES: usize = 1 << 20;

/// A table that pauses.
#[derive(Debug, Serialize, Deserialize)]
struct Suspended<'a> {
    parser: Cow<'a, Parser>,
    first: Cow<'a, [u8]>,
    #[serde(borrow)]
    table: table::Suspended<'a>,
}

impl CsvSchema {
    fn reading(&mut self) -> &mut Reading {
        self.reading
            .as_mut()
            .expect("`admit` asked for the bytes and set it")
    }
}

impl Reading {
    fn refusal(&self, so_far: &str) -> Refusal {
        let report = self.table.report();
        let (errors, rows) = (
            count(report.errors(), "error"),
            count(self.table.rows(), "row"),
        );
        let (name, by_rule) = (&self.name, by_rule(report));
        let message = format!(
            "The file does not fit the definition of `{name}`: {errors} in {rows}{so_far} ({by_rule}). Correct what the findings name and send it again."
        );
        refuse(Rule::Table, message)
    }
}

impl LooksWide {
    fn sees(&mut self, bytes: &[u8]) -> bool {
        let missing = 2usize.saturating_sub(self.first.len());
        if missing == 0 {
            return false;
        }
        self.first.extend(bytes.iter().take(missing));
        matches!(self.first.as_slice(), [0xff, 0xfe] | [0xfe, 0xff])
    }
}

fn refuse(rule: Rule, message: String) -> Refusal {
    Refusal::new(rule.id(), message)
}

/// Whether a table of this name can have a definition at all.
fn is_table_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    name.len() <= 128 && name.bytes().all(allowed)
}

fn by_rule(report: &Report) -> String {
    let counts = report.errors_by_rule().into_iter().take(8);
    let words: Vec<String> = counts
        .map(|(rule, n)| format!("{} {n}", rule.id()))
        .collect();
    words.join(", ")
}

fn count(number: u64, what: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {what}{plural}")
}
