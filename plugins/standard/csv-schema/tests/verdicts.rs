//! What the policy says of whole files, natively, however they are cut.

use std::fmt::Write as _;

use portcullis_csv_schema::CsvSchema;
use portcullis_policy::testing::{self, Outcome};
use portcullis_policy::{Finding, Severity, Upload};

const DEFINITION: &str = r#"[
    {"name": "id", "type": "id", "validators": ["no_duplicates"]},
    {"name": "sex", "type": "enum", "allowed_values": ["Female", "Male"]},
    {"name": "born", "type": "year", "validators": [{"name": "range", "params": [1900, 2025]}]},
    {"name": "seen", "type": "date", "date_format": "YYYY-MM-DD", "value_optional": true},
    {"name": "dose", "type": "numeric", "value_optional": true},
    {"name": "note", "type": "string", "value_optional": true,
     "validators": [{"name": "recommended", "params": {"message": "Say more."}}]}
]"#;
const HEADER: &str = "id,sex,born,seen,dose,note\n";

/// What was said of a file: the outcome, and the findings as `rule row column offset`.
struct Said {
    outcome: Outcome,
    findings: Vec<Finding>,
}

impl Said {
    fn places(&self) -> Vec<String> {
        let place = |finding: &Finding| {
            let column = finding.column.as_deref().unwrap_or("-");
            let offset = finding
                .offset
                .map_or("-".to_owned(), |offset| offset.to_string());
            format!(
                "{} {} {column} {offset}",
                finding.rule,
                finding.row.expect("a row")
            )
        };
        self.findings.iter().map(place).collect()
    }

    fn refusal(&self) -> (&str, &str) {
        match &self.outcome {
            Outcome::Reject(refusal) => (&refusal.rule, &refusal.message),
            other => panic!("{other:?}"),
        }
    }
}

fn upload() -> Upload {
    testing::upload("visits.csv").with_attribute("table", "visits")
}

fn judge_by(settings: &str, definition: &str, upload: &Upload, file: &[u8], chunk: usize) -> Said {
    testing::provide("definitions/visits.json", definition.as_bytes());
    let mut policy: CsvSchema = testing::configure(settings).expect("the settings are right");
    let outcome = testing::run_in_chunks(&mut policy, upload, file, chunk).expect("it can judge");
    Said {
        outcome,
        findings: testing::take_findings(),
    }
}

/// The same for every way of cutting the file.
fn judge_as(settings: &str, definition: &str, upload: &Upload, file: &[u8]) -> Said {
    let whole = judge_by(settings, definition, upload, file, 64 << 10);
    for chunk in [1, 2, 3, 7, 63, 64, 65] {
        let cut = judge_by(settings, definition, upload, file, chunk);
        assert_eq!(cut.outcome, whole.outcome, "in pieces of {chunk}");
        assert_eq!(cut.findings, whole.findings, "in pieces of {chunk}");
    }
    whole
}

fn judge(rows: &str) -> Said {
    judge_as(
        "{}",
        DEFINITION,
        &upload(),
        format!("{HEADER}{rows}").as_bytes(),
    )
}

#[test]
fn a_file_that_fits_passes() {
    let said = judge("P1,Female,1980,2024-02-29,1.5,x\nP2,Male,1900,,,\"a, \"\"b\"\"\nc\"\n");
    assert_eq!(said.outcome, Outcome::Accept);
    assert_eq!(said.places(), [""; 0]);
}

#[test]
fn every_defect_is_found_at_its_row_column_and_byte() {
    for (rows, places) in [
        (",Male,1980,,,x\n", vec!["required 1 id 27"]),
        ("P1,Martian,1980,,,x\n", vec!["enum 1 sex 30"]),
        ("P1,male,1980,,,x\n", vec!["enum 1 sex 30"]),
        ("P1,Male,80,,,x\n", vec!["year 1 born 35"]),
        ("P1,Male,1899,,,x\n", vec!["range 1 born 35"]),
        ("P1,Male,1980,2023-02-29,,x\n", vec!["date 1 seen 40"]),
        ("P1,Male,1980,29/2/2024,,x\n", vec!["date 1 seen 40"]),
        ("P1,Male,1980,,\"1,5\",x\n", vec!["numeric 1 dose 41"]),
        ("P1,Male,1980,,NA,x\n", vec!["numeric 1 dose 41"]),
        (
            "P1,Male,1980,,,x\nP2,Male,1980,,,x\nP1,Male,1980,,,x\n",
            vec!["no-duplicates 3 id 61"],
        ),
        ("P1,Male,1980,,\n", vec!["ragged-row 1 - 27"]),
        (
            "P1,Male,1980,,,x,more\n\n\nP2,Male\n",
            vec!["ragged-row 1 - 27", "ragged-row 2 - 51"],
        ),
        ("P1,Male,1980,,,5\" pipe\n", vec!["quoting 1 note 42"]),
        (
            "P1,Male,1980,,,\"a\"b\"\nP2,Female,1981,,,x\n",
            vec!["quoting 1 note 42"],
        ),
        (
            "P1,Male,1980,,,\"open\nP2,Female,1981,,,x\n",
            vec!["quoting 1 note 42"],
        ),
        (
            "P1,Male,1980,,,a\u{0}b\n",
            vec!["control-character 1 note 42"],
        ),
        // The last row needs no line end.
        (
            "P1,Male,1980,,,x\nP2,Male,1980,,,x\nP3,,1980,,,x",
            vec!["required 3 sex 64"],
        ),
        // Line breaks within quotes are no rows.
        (
            "P1,Male,1980,,,\"a\nb\r\nc\"\r\nP2,Male,19800,,,x\r\n",
            vec!["year 2 born 60"],
        ),
    ] {
        let said = judge(rows);
        assert_eq!(said.places(), places, "{rows}");
        let (rule, message) = said.refusal();
        assert_eq!(rule, "table");
        assert!(
            message.contains(places[0].split(' ').next().expect("a rule")),
            "{message}"
        );
    }
}

#[test]
fn what_is_only_recommended_is_a_warning() {
    let said = judge("P1,Male,1980,,,\n\" P2\",Male,1980,,,x\n");
    assert_eq!(said.outcome, Outcome::Accept);
    assert_eq!(said.places(), ["recommended 1 note 42", "id 2 id 43"]);
    assert_eq!(said.findings[0].message, "Say more.");
    assert!(
        said.findings
            .iter()
            .all(|finding| finding.severity == Severity::Warning)
    );
}

#[test]
fn bytes_that_are_not_utf_8_are_found_in_their_cell() {
    let file = [HEADER.as_bytes(), b"P1,Male,1980,,,caf\xe9\n"].concat();
    let said = judge_as("{}", DEFINITION, &upload(), &file);
    assert_eq!(said.places(), ["encoding 1 note 42"]);
    let said = judge("P1,Male,1980,,,caf\u{e9} \u{1f600}\n");
    assert_eq!(said.outcome, Outcome::Accept);
}

#[test]
fn conditions_look_at_other_cells_of_the_row() {
    let definition = r#"[
        {"name": "a", "type": "string", "validators": [
            {"name": "required_when", "params": {"absent": "b"}},
            {"name": "forbidden_when", "params": {"present": "b", "severity": "warning"}}]},
        {"name": "b", "type": "string", "value_optional": true},
        {"name": "c", "type": "string", "validators": [
            {"name": "forbidden_when", "params": {"absent": "b"}},
            {"name": "required_when", "params": {"present": "b"}}]},
        {"name": "d", "type": "string", "validators": [
            {"name": "required", "params": {"optional_when": "b"}}]}
    ]"#;
    let file = "c,d,a,b\n,x,x,\n,x,,\nx,,x,x\nx,,,x\n,,,x\nx,x,x,\n";
    let said = judge_as("{}", definition, &upload(), file.as_bytes());
    assert_eq!(
        said.places(),
        [
            "required-when 2 a 17",
            "forbidden-when 3 a 22",
            "required-when 5 c 32",
            "forbidden-when 6 c 37",
        ]
    );
    assert_eq!(said.findings[1].severity, Severity::Warning);
    let file = "a,b,c,d\nx,,,\n";
    let said = judge_as("{}", definition, &upload(), file.as_bytes());
    assert_eq!(said.places(), ["required 1 d 12"]);
    assert!(said.findings[0].message.contains("`b` has none"));
}

#[test]
fn the_header_is_held_against_the_definition() {
    let judge =
        |settings: &str, file: &str| judge_as(settings, DEFINITION, &upload(), file.as_bytes());
    let said = judge("{}", "id,sex,sex,age,Born,note\n");
    assert_eq!(
        said.places(),
        [
            "duplicate-column 0 sex 7",
            "extra-column 0 age 11",
            "extra-column 0 Born 15",
            "missing-column 0 born -",
            "missing-column 0 seen -",
            "missing-column 0 dose -",
        ]
    );
    assert!(
        said.findings[2].message.contains("`born`"),
        "{:?}",
        said.findings[2]
    );
    // Columns come in any order, and what is not checked may be anything.
    let reordered = "note,dose,seen,born,sex,id,age\nx,,,1980,Male,P1,\n";
    assert_eq!(
        judge(r#"{"extra-columns": "ignore"}"#, reordered).outcome,
        Outcome::Accept
    );
    let warned = judge(r#"{"extra-columns": "warning"}"#, reordered);
    assert_eq!(warned.outcome, Outcome::Accept);
    assert_eq!(warned.places(), ["extra-column 0 age 27"]);
    for (file, rule, said) in [
        ("", "header", "empty"),
        ("\n\n", "header", "empty"),
        (
            "id;sex;born;seen;dose;note\nP1;Male;1980;;;x\n",
            "separator",
            "semicolons",
        ),
        ("id\tsex\tborn\nP1\tMale\t1980\n", "separator", "tabs"),
        (
            "P1,Male,1980,,,x\n",
            "header",
            "must name the columns: id, sex, born",
        ),
    ] {
        let refused = judge("{}", file);
        let (found, message) = refused.refusal();
        assert_eq!(found, rule, "{file}");
        assert!(message.contains(said), "{message}");
    }
}

#[test]
fn a_quote_that_is_never_closed_is_found_where_nothing_follows_it() {
    let said = judge("P1,Male,1980,,,\"");
    assert_eq!(said.places(), ["quoting 1 note 42"]);
    assert_eq!(said.refusal().0, "table");
}

#[test]
fn an_identifier_with_spaces_is_compared_as_well() {
    let said = judge("P1 ,Male,1980,,,x\nP1 ,Male,1980,,,x\n");
    assert_eq!(
        said.places(),
        ["id 1 id 27", "id 2 id 45", "no-duplicates 2 id 45"]
    );
}

#[test]
fn a_header_without_an_end_is_refused_before_it_takes_the_memory() {
    for file in ["id,".repeat(100_000), format!("id,{}", "x".repeat(2_000))] {
        let said = judge_by("{}", DEFINITION, &upload(), file.as_bytes(), 64 << 10);
        assert_eq!(said.refusal().0, "header", "{}", said.refusal().1);
    }
}

#[test]
fn tabs_separate_when_the_name_the_type_or_the_settings_say_so() {
    let file = b"id\tsex\tborn\tseen\tdose\tnote\nP1\tMale\t1980\t\t\ta, b\n";
    let mut named = upload();
    "visits.TSV".clone_into(&mut named.filename);
    let declared = upload().with_media_type("text/tab-separated-values");
    for (settings, upload) in [
        ("{}", named),
        ("{}", declared),
        (r#"{"separator": "tab"}"#, upload()),
    ] {
        assert_eq!(
            judge_as(settings, DEFINITION, &upload, file).outcome,
            Outcome::Accept
        );
    }
}

#[test]
fn utf_16_is_refused_in_one_sentence() {
    let wide: Vec<u8> = format!("\u{feff}{HEADER}")
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    let said = judge_as("{}", DEFINITION, &upload(), &wide);
    assert_eq!(
        said.refusal(),
        ("encoding", "The file is in UTF-16; save it as UTF-8.")
    );
    assert_eq!(said.places(), [""; 0]);
}

#[test]
fn exports_of_real_programs_are_read() {
    for (program, file) in [
        (
            "Excel, CSV UTF-8",
            "\u{feff}id,sex,born,seen,dose,note\r\nP1,Male,1980,2024-01-31,1.5,\"a, b\"\r\n",
        ),
        (
            "R, write.csv with na = \"\"",
            "\"id\",\"sex\",\"born\",\"seen\",\"dose\",\"note\"\n\"P1\",\"Male\",1980,2024-01-31,1.5,\"say \"\"x\"\"\"\n",
        ),
        (
            "SAS, PROC EXPORT",
            "id,sex,born,seen,dose,note\r\nP1,Male,1980,2024-01-31,1.5,\"a, b\"\r\n",
        ),
        (
            "pandas, to_csv(index=False)",
            "id,sex,born,seen,dose,note\nP1,Male,1980,2024-01-31,1.5,\"two\nlines\"\n",
        ),
        (
            "the Macintosh before 2001",
            "id,sex,born,seen,dose,note\rP1,Male,1980,2024-01-31,1.5,x\r",
        ),
    ] {
        let said = judge_as("{}", DEFINITION, &upload(), file.as_bytes());
        assert_eq!(said.places(), [""; 0], "{program}");
        assert_eq!(said.outcome, Outcome::Accept, "{program}");
    }
    // What they do unless told otherwise is said in words that help.
    for (program, file, place, help) in [
        (
            "pandas with its index",
            ",id,sex,born,seen,dose,note\n0,P1,Male,1980,,,x\n",
            "extra-column 0  0",
            "no name",
        ),
        (
            "pandas with gaps among whole numbers",
            "id,sex,born,seen,dose,note\nP1,Male,1980.0,,,x\n",
            "year 1 born 35",
            "four digits",
        ),
        (
            "R without na = \"\"",
            "id,sex,born,seen,dose,note\nP1,Male,1980,NA,,x\n",
            "date 1 seen 40",
            "leave the cell empty",
        ),
        (
            "SAS with its missing values",
            "id,sex,born,seen,dose,note\nP1,Male,1980,,.,x\n",
            "numeric 1 dose 41",
            "leave the cell empty",
        ),
        (
            "R, write.table",
            "id,sex,born,seen,dose,note\nP1,Male,1980,,,\"say \\\"x\\\"\"\n",
            "quoting 1 note 42",
            "double each quote",
        ),
    ] {
        let said = judge_as("{}", DEFINITION, &upload(), file.as_bytes());
        assert_eq!(said.places(), [place], "{program}");
        assert!(
            said.findings[0].message.contains(help),
            "{program}: {}",
            said.findings[0].message
        );
    }
}

#[test]
fn duplicates_are_exact_up_to_a_number_of_values_and_that_is_said() {
    let mut rows = String::new();
    for row in 1..=5 {
        let _ = writeln!(rows, "P{row},Male,1980,,,x");
    }
    rows.push_str("P2,Male,1980,,,x\nP5,Male,1980,,,x\n");
    let file = format!("{HEADER}{rows}");
    let said = judge_as(
        r#"{"max-unique-values": 4}"#,
        DEFINITION,
        &upload(),
        file.as_bytes(),
    );
    assert_eq!(
        said.places(),
        ["no-duplicates 6 id 112", "not-checked 5 id -"]
    );
    assert!(
        said.findings[1].message.contains("up to row 4"),
        "{}",
        said.findings[1].message
    );
}

#[test]
fn references_to_other_files_are_said_to_be_unchecked() {
    let definition = r#"[{"name": "id", "type": "id", "validators": ["in_file:patient:id"]}]"#;
    let said = judge_as("{}", definition, &upload(), b"id\nP1\n");
    assert_eq!(said.outcome, Outcome::Accept);
    assert_eq!(said.places(), ["not-checked 0 id -"]);
    assert_eq!(said.findings[0].severity, Severity::Info);
    assert!(said.findings[0].message.contains("`patient.id`"));
}

#[test]
fn a_cell_that_is_too_long_is_found_and_the_rest_is_read() {
    let long = "x".repeat(70 << 10);
    let said = judge_by(
        "{}",
        DEFINITION,
        &upload(),
        format!("{HEADER}P1,Male,1980,,,{long}\nP2,Martian,1980,,,x\n").as_bytes(),
        64 << 10,
    );
    assert_eq!(said.places()[0], "cell-too-long 1 note 42");
    assert!(said.places()[1].starts_with("enum 2 sex"));
}

#[test]
fn an_upload_can_be_refused_before_its_end() {
    let mut file = HEADER.to_owned();
    for row in 0..10_000 {
        let _ = writeln!(file, "P{row},Martian,1980,,,x");
    }
    let settings = r#"{"stop-after-errors": 10}"#;
    let said = judge_by(settings, DEFINITION, &upload(), file.as_bytes(), 1000);
    assert!(said.refusal().1.contains("so far"), "{}", said.refusal().1);
    assert!(said.findings.len() < 100);
}

#[test]
fn findings_quote_in_the_excerpt_alone() {
    let said = judge("P1,Martian,1980,,,x\n");
    let finding = &said.findings[0];
    assert_eq!(finding.excerpt.as_deref(), Some("Martian"));
    assert!(!finding.message.contains("Martian"));
    assert!(!said.refusal().1.contains("Martian"));
}

#[test]
fn a_table_without_a_definition_is_refused_or_said_to_be_unchecked() {
    let outcome =
        |settings: &str, upload: &Upload| judge_by(settings, DEFINITION, upload, b"a\n1\n", 64);
    let unknown = testing::upload("x.csv").with_attribute("table", "nowhere");
    assert_eq!(outcome("{}", &unknown).refusal().0, "table");
    let accepted = outcome(r#"{"without-definition": "accept"}"#, &unknown);
    assert_eq!(accepted.outcome, Outcome::Accept);
    assert_eq!(accepted.findings[0].rule, "not-checked");
    for table in ["../visits", "", "visits.json", "visits/", "Visits"] {
        let said = outcome(
            "{}",
            &testing::upload("x.csv").with_attribute("table", table),
        );
        assert_eq!(said.refusal().0, "table", "{table}");
    }
    assert!(
        outcome("{}", &testing::upload("x.csv"))
            .refusal()
            .1
            .contains("`table`")
    );
    let other = testing::upload("x.csv").with_attribute("kind", "visits");
    let said = outcome(r#"{"attribute": "kind"}"#, &other);
    assert_eq!(said.refusal().0, "header");
}

#[test]
fn a_definition_that_cannot_be_used_is_a_failure_that_names_it() {
    testing::provide(
        "definitions/broken.json",
        br#"[{"name": "a", "type": "colour"}]"#,
    );
    let mut policy: CsvSchema = testing::configure("{}").expect("the settings are right");
    let upload = testing::upload("x.csv").with_attribute("table", "broken");
    let failure = testing::run(&mut policy, &upload, b"a\n").expect_err("it cannot judge");
    let said = format!("{failure:?}");
    assert!(
        said.contains("definitions/broken.json") && said.contains("colour"),
        "{said}"
    );
}

#[test]
fn wrong_settings_are_named() {
    for (settings, said) in [
        (r#"{"separator": "space"}"#, "separator"),
        (r#"{"attribute": ""}"#, "attribute"),
        (r#"{"stop-after-errors": 0}"#, "stop-after-errors"),
        (r#"{"definitions": "x"}"#, "definitions"),
    ] {
        let wrong = testing::configure::<CsvSchema>(settings).expect_err(settings);
        assert!(wrong.contains(said), "{wrong}");
    }
}
