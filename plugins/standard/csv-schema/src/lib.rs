//! A policy that lets a table in CSV or TSV pass when it fits the data definition of its table: columns,
//! types, ranges, conditions between cells, duplicates.
//!
//! It reads every cell once, in constant memory apart from the values that may come once only, and never
//! repeats a cell but as an excerpt. See `docs/policies/csv-schema.md` for what each rule means.

mod check;
mod choices;
mod date;
pub mod definition;
mod glance;
mod header;
mod number;
mod policy;
mod report;
mod rule;
mod seen;
mod settings;
mod table;

pub use choices::Choices;
pub use date::{Day, Format, NotADate};
pub use policy::CsvSchema;
pub use rule::Rule;
pub use settings::{ExtraColumns, SeparatorSetting, Settings, WithoutDefinition};

portcullis_policy::validator!(CsvSchema);
