//! Generated tables: valid ones pass, and every planted error is found at its row and column and nothing
//! else is.

use portcullis_csv_schema::{CsvSchema, Rule};
use portcullis_generator::{Csv, Definition, Expected, Fault, LineEnd};
use portcullis_policy::Severity;
use portcullis_policy::testing::{self, Outcome};
use proptest::prelude::*;

const TABLES: [&str; 11] = [
    "census",
    "diagnosis",
    "discharge_dx",
    "hospitalization",
    "insurance",
    "laboratory",
    "medication_administration",
    "mortality",
    "patient",
    "procedure",
    "substance_survey",
];

/// The verdict, and every finding but what is recommended or not checked.
fn judge(table: &str, file: &[u8], filename: &str, chunk: usize) -> (Outcome, Vec<Expected>) {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../policies/definitions");
    let json = std::fs::read(format!("{folder}/{table}.json")).expect("is there");
    testing::provide(&format!("definitions/{table}.json"), &json);
    let mut policy: CsvSchema = testing::configure("{}").expect("no settings are needed");
    let upload = testing::upload(filename).with_attribute("table", table);
    let outcome = testing::run_in_chunks(&mut policy, &upload, file, chunk).expect("it can judge");
    let found = testing::take_findings()
        .into_iter()
        .filter(|finding| finding.severity == Severity::Error && finding.rule != "table");
    let mut found: Vec<Expected> = found
        .map(|finding| Expected {
            row: finding.row.expect("a row"),
            rule: rule(&finding.rule),
            column: finding.column,
        })
        .collect();
    found.sort();
    (outcome, found)
}

fn generated(table: &str) -> Csv {
    Csv::of(&Definition::shipped(table).expect("is understood"))
}

#[test]
fn valid_tables_pass_in_every_style() {
    for table in TABLES {
        let csv = generated(table).rows(3_000);
        for (csv, filename) in [
            (csv.clone(), "x.csv"),
            (csv.clone().quoted().bom().line_end(LineEnd::CrLf), "x.csv"),
            (csv.quoted().tabs(), "x.tsv"),
        ] {
            let (outcome, found) = judge(table, &csv.whole(), filename, 64 << 10);
            assert_eq!(found, [], "{table} as {filename}");
            assert_eq!(outcome, Outcome::Accept, "{table} as {filename}");
        }
    }
}

#[test]
fn every_kind_of_error_is_planted_somewhere() {
    let mut missing: Vec<Fault> = Fault::ALL.to_vec();
    for table in TABLES {
        let definition = Definition::shipped(table).expect("is understood");
        missing.retain(|fault| {
            !definition
                .columns
                .iter()
                .any(|column| fault.fits(column, &definition))
        });
    }
    assert_eq!(missing, []);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn every_planted_error_is_found_and_nothing_else(
        table in prop::sample::select(&TABLES[..]),
        seed in any::<u64>(),
        chunk in prop_oneof![Just(1), Just(63), Just(64), Just(64 << 10), 1..2_000usize],
        quoted in any::<bool>(),
        crlf in any::<bool>(),
    ) {
        let mut csv = generated(table).rows(200).seed(seed).plant_some(seed);
        if quoted {
            csv = csv.quoted();
        }
        if crlf {
            csv = csv.line_end(LineEnd::CrLf);
        }
        let (outcome, found) = judge(table, &csv.whole(), "x.csv", chunk);
        prop_assert_eq!(found, csv.expected());
        prop_assert!(matches!(outcome, Outcome::Reject(_)));
    }
}

fn rule(id: &str) -> &'static str {
    let rule = Rule::ALL.iter().find(|rule| rule.id() == id);
    rule.expect("a rule that the policy describes").id()
}
