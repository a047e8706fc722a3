//! Generated tables: valid ones pass, and every planted error is found at its row and column and nothing
//! else is.

use std::collections::BTreeMap;

use portcullis_csv_schema::{CsvSchema, Rule};
use portcullis_generator::{Csv, Definition, Expected, Fault, LineEnd};
use portcullis_policy::testing::{self, Outcome};
use portcullis_policy::{Finding, Progress, Severity, Upload, Validator};
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

fn provide(table: &str) {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../policies/definitions");
    let json = std::fs::read(format!("{folder}/{table}.json")).expect("is there");
    testing::provide(&format!("definitions/{table}.json"), &json);
}

/// The verdict, and every finding but what is recommended or not checked.
fn judge(table: &str, file: &[u8], filename: &str, chunk: usize) -> (Outcome, Vec<Expected>) {
    provide(table);
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

/// Everything that is said of a file: the outcome, each finding, and the totals of what the host wanted no more of.
type Said = (Outcome, Vec<Finding>, BTreeMap<String, u64>);

fn said(outcome: Outcome) -> Said {
    (outcome, testing::take_findings(), testing::take_tallies())
}

/// After how many chunks the policy has not decided: some files are refused in their first one.
fn wants_more(upload: &Upload, file: &[u8], chunk: usize) -> usize {
    let mut policy: CsvSchema = testing::configure("{}").expect("no settings are needed");
    policy.admit(upload).expect("is admitted");
    let mut offset = 0;
    let count = file.chunks(chunk).take_while(|bytes| {
        let progress = policy.chunk(offset, bytes).expect("it can judge");
        offset += bytes.len() as u64;
        matches!(progress, Progress::More)
    });
    let count = count.count();
    let _ = (testing::take_findings(), testing::take_tallies());
    count
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn an_upload_that_pauses_hears_what_a_straight_one_hears(
        table in prop::sample::select(&TABLES[..]),
        seed in any::<u64>(),
        rows in 1..60u64,
        chunk in prop_oneof![1..8usize, 50..80usize, 1..3_000usize],
        quoted in any::<bool>(),
        bom in any::<bool>(),
        kept in prop_oneof![Just(usize::MAX), 0..4usize],
        broken in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let mut csv = generated(table).rows(rows).seed(seed).plant_some(seed);
        if quoted {
            csv = csv.quoted();
        }
        if bom {
            csv = csv.bom();
        }
        let mut file = csv.whole();
        if let Some(place) = broken {
            // A quote that never closes, or one where none belongs.
            let place = place.index(file.len());
            file[place] = b'"';
        }
        provide(table);
        testing::keep_findings(kept);
        let upload = testing::upload("x.csv").with_attribute("table", table);
        let mut policy: CsvSchema = testing::configure("{}").expect("no settings are needed");
        let straight = testing::run(&mut policy, &upload, &file).expect("it can judge");
        let straight = said(straight);
        let (paused, pauses) = testing::run_with_pauses::<CsvSchema>("{}", &upload, &file, chunk)
            .expect("it can judge");
        let paused = said(paused);
        testing::keep_findings(usize::MAX);
        prop_assert_eq!(paused, straight);
        prop_assert_eq!(pauses, wants_more(&upload, &file, chunk));
    }
}

#[test]
fn a_state_that_is_none_is_a_failure_and_no_trap() {
    provide("patient");
    let upload = testing::upload("x.csv").with_attribute("table", "patient");
    let file = generated("patient").rows(20).whole();
    let mut policy: CsvSchema = testing::configure("{}").expect("no settings are needed");
    policy.admit(&upload).expect("is admitted");
    policy.chunk(0, &file).expect("is taken");
    let state = policy.suspend().expect("can be given").expect("is given");
    for length in 0..state.len() {
        let mut other: CsvSchema = testing::configure("{}").expect("no settings are needed");
        assert!(other.resume(&upload, &state[..length]).is_err(), "{length}");
    }
    let another = testing::upload("x.csv").with_attribute("table", "mortality");
    provide("mortality");
    let mut other: CsvSchema = testing::configure("{}").expect("no settings are needed");
    assert!(other.resume(&another, &state).is_err());
}

fn rule(id: &str) -> &'static str {
    let rule = Rule::ALL.iter().find(|rule| rule.id() == id);
    rule.expect("a rule that the policy describes").id()
}
