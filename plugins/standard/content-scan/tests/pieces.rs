//! Text however it is cut, and with lines of any length.

use portcullis_content_scan::ContentScan;
use portcullis_policy::testing;
use proptest::prelude::*;

/// Where things were found: the rule, the row and the byte.
fn found(name: &str, body: &[u8], chunk_bytes: usize) -> Vec<(String, Option<u64>, Option<u64>)> {
    let mut policy: ContentScan = testing::configure("{}").expect("needs no settings");
    testing::take_findings();
    let outcome = testing::run_in_chunks(&mut policy, &testing::upload(name), body, chunk_bytes);
    outcome.expect("can be judged");
    let findings = testing::take_findings().into_iter();
    findings
        .map(|one| (one.rule, one.row, one.offset))
        .collect()
}

fn piece() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("123-45-6789".to_owned()),
        Just("(212) 555-0100".to_owned()),
        Just("+44 20 7946 0958".to_owned()),
        Just("some.body@example.org".to_owned()),
        Just("MRN 00123456".to_owned()),
        Just("date of birth: 1980-05-12".to_owned()),
        Just("123\u{2011}45\u{2011}6789".to_owned()),
        Just("123-45-\n6789".to_owned()),
        Just("(212)\r\n\t555\u{a0}0100".to_owned()),
        Just("some.body@\nexample.org".to_owned()),
        Just("1\u{200b}\u{ad}".to_owned()),
        Just("\n".to_owned()),
        Just(",".to_owned()),
        "[ -~\n]{0,20}",
        (1usize..40_000).prop_map(|length| "x ".repeat(length)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn what_is_found_does_not_depend_on_how_the_text_is_cut(
        pieces in prop::collection::vec(piece(), 0..30),
        chunk_bytes in 1usize..70_000,
        is_table: bool,
    ) {
        let (name, body) = (if is_table { "a.csv" } else { "a.txt" }, pieces.concat());
        let whole = found(name, body.as_bytes(), 65_536);
        prop_assert_eq!(found(name, body.as_bytes(), chunk_bytes), whole.clone());
        prop_assert_eq!(found(name, body.as_bytes(), 7), whole);
    }
}

#[test]
fn a_line_without_an_end_is_looked_at_everywhere() {
    let mut body = "x ".repeat(32_000);
    let mut wanted = Vec::new();
    for _ in 0..2_000 {
        wanted.push(body.len() as u64);
        body.push_str("123-45-6789 abcdefgh ");
    }
    let offsets: Vec<_> = found("a.txt", body.as_bytes(), 65_536)
        .into_iter()
        .filter_map(|one| one.2)
        .collect();
    assert_eq!(offsets, wanted);
}

#[test]
fn typography_and_line_ends_hide_nothing() {
    for (text, wanted) in [
        ("SSN 123\u{2011}45\u{2011}6789", "ssn"),
        ("SSN 123\u{2013}45\u{2013}6789", "ssn"),
        ("SSN 123\u{a0}45\u{a0}6789", "ssn"),
        ("SSN 1\u{200b}23-45-67\u{2060}89", "ssn"),
        ("SSN 123\u{ad}45\u{ad}6789", "ssn"),
        ("SSN １２３－４５－６７８９", "ssn"),
        ("SSN is 123-45-6789\u{2014}do not share", "ssn"),
        ("SSN\u{2014}123-45-6789", "ssn"),
        ("SSN \u{2013}123-45-6789", "ssn"),
        ("123\u{2014}45\u{2014}6789\u{2014}Jane", "ssn"),
        ("\u{2022}123-45-6789", "ssn"),
        ("123-45-6789\u{b9}", "ssn"),
        ("Jane\u{200b}123-45-6789\u{feff}Doe", "ssn"),
        ("SSN 123 \u{2013} 45 \u{2013} 6789", "ssn"),
        ("SSN 123-45\u{ad}\n6789", "ssn"),
        ("SSN 123-45-\r6789", "ssn"),
        ("SSN 123-45-\u{c}6789", "ssn"),
        ("SSN 123-45-\u{b}\n6789", "ssn"),
        ("SSN 123-\n45-\n6789", "ssn"),
        ("> SSN 123-45-\n> 6789", "ssn"),
        ("SSN 123-45-=\n6789", "ssn"),
        ("call\u{2014}212-555-0100\u{b2}", "telephone"),
        ("\u{30bb}\u{30f3}\u{30bf}\u{30fc}212-555-0100", "telephone"),
        ("write to jane@example.org\u{2014}she answers", "email"),
        ("see\u{2014}jane@example.org\u{b9}", "email"),
        ("MRN:               00123456", "medical-record-number"),
        ("MRN \u{201c}00123456\u{201d}", "medical-record-number"),
        ("MRN\u{2116} (00123456)", "medical-record-number"),
        ("medical  record\tnumber 00123456", "medical-record-number"),
        ("MRN 0012-\n3456", "medical-record-number"),
        ("d.o.b. 5/12/1980", "birth-date"),
        ("DOB 5\u{2044}12\u{2044}1980", "birth-date"),
        ("DOB: 12. 5. 1980", "birth-date"),
        ("born May 12th, 1980", "birth-date"),
        ("MRN:\u{a0}00\u{200b}123456", "medical-record-number"),
        ("M\u{200c}RN 00123456", "medical-record-number"),
        ("jane\u{200b}.doe@exa\u{ad}mple.org", "email"),
        ("jane.doe＠example．org", "email"),
        ("(212)\u{202f}555\u{2010}0100", "telephone"),
        ("212·555·0100", "telephone"),
        ("born\u{a0}5/12/1980", "birth-date"),
        ("DOB 1980\u{2011}05\u{2011}12", "birth-date"),
        ("SSN 123-45-\n6789", "ssn"),
        ("SSN 123-\r\n    45-6789", "ssn"),
        ("SSN 123-45-67\n89 is", "ssn"),
        ("SSN 123 45\n6789", "ssn"),
        ("SSN 123\u{2011}45\u{2011}\n6789", "ssn"),
        ("SSN 123-45-\u{b}6789", "ssn"),
        ("call (212)\n555-0100", "telephone"),
        ("call 212-555-\n0100", "telephone"),
        ("call +44 20\n7946 0958", "telephone"),
        ("jane.doe@\nexample.org", "email"),
        ("MRN\n00123456", "medical-record-number"),
        ("Date of\nbirth: 1980-05-12", "birth-date"),
        ("born May 12,\n1980", "birth-date"),
    ] {
        for (name, body) in [
            ("a.txt", format!("First line.\n{text}.")),
            ("a.csv", format!("note\n\"{text}\"\n")),
        ] {
            let all = found(name, body.as_bytes(), 65_536);
            let rules: Vec<_> = all.iter().map(|one| one.0.as_str()).collect();
            assert_eq!(rules, [wanted], "{name} {text:?}");
        }
    }
}

#[test]
fn a_divided_number_is_found_wherever_the_text_is_looked_at_in_pieces() {
    for filler in 0..200 {
        let mut body = "a ".repeat(16_000);
        body.push_str(&"b".repeat(filler * 4));
        let at = body.len() as u64 + 1;
        body.push_str(" 123-45-");
        body.push_str(&" ".repeat(60));
        body.push_str("\n6789 end");
        body.push_str(&"\nz".repeat(400));
        assert_eq!(
            found("a.txt", body.as_bytes(), 65_536),
            [("ssn".to_owned(), Some(1), Some(at))]
        );
    }
}

#[test]
fn lines_of_numbers_are_no_numbers_of_persons() {
    for text in [
        "123\n456\n7890\n",
        "2019\n2020-2021\n",
        "500\n250-1000 mg\n",
        "12345\n67890\n",
        "Room 5\nfloor 12\n",
        "123-45\n\n6789",
        "1.5\n2.5\n3.5\n",
        "    return 1\n@app.route('/')\n",
        "@mock.patch\n@pytest.mark.skip\n",
        "Write to jane@host.\nThen call.",
        "Kontakt: max@firma\nwww.firma.de",
        "lodash@latest\nindex.js\n",
        "2024-05-06 10:00:01+00\n2024-05-06 10:00:02+00\n",
        "Mon, 06 May 2024 10:00:00 +0200\n1.2.3-4 (stable)\n",
        "Score +5\n2024-05-06 visit",
        "+12345\n+23456\n-34567\n",
        "Reviewed medical record.\n2024-05-06 Patient seen.\n",
        "Reviewed medical record. 2024-05-06 Patient seen.\n",
        "in the medical record\n12345 units were given",
        "MRN: pending\n12345",
        "Columns: name, age, mrn\n2024-05-06,foo",
        "A healthy girl was born.\n2024-05-06 Discharged.\n",
        "WBC 210\n230 4000\n",
        "Codes 123 45\n2019 was",
        "pp. 200\u{2013}300 2019",
        "S. 212\u{2013}\n255 2019",
        "UTC+0200 2024-05",
        "123\u{d1}45\u{d1}6789",
    ] {
        assert_eq!(found("a.txt", text.as_bytes(), 65_536), [], "{text:?}");
    }
}

#[test]
fn a_column_asks_no_more_of_dressed_cells() {
    for (name, cell, rule) in [
        ("ssn", "123\u{2011}45\u{2011}6789", "ssn"),
        ("ssn", "\"123\n45\n6789\"", "ssn"),
        ("ssn", "'123456789", "ssn"),
        ("ssn", "123456789.0", "ssn"),
        ("ssn", "123456789\u{b9}", "ssn"),
        ("\u{ff33}\u{ff33}\u{ff2e}", "123456789", "ssn"),
        ("S\u{200b}SN", "123456789", "ssn"),
        ("phone", "\"(212)\n5550100\"", "telephone"),
        ("dob", "\"5/12/\n1980\"", "birth-date"),
        ("dob", "(5/12/1980)", "birth-date"),
    ] {
        let body = format!("{name},x\n{cell},1\n");
        let all = found("a.csv", body.as_bytes(), 65_536);
        let rules: Vec<_> = all.iter().map(|one| one.0.as_str()).collect();
        assert_eq!(rules, [rule], "{body:?}");
    }
}

#[test]
fn a_table_without_names_is_looked_at_from_its_first_row() {
    let all = found("a.csv", b"123-45-6789,x\n1,2\n", 65_536);
    assert_eq!(all, [("ssn".to_owned(), None, Some(0))]);
}

#[test]
fn rows_and_bytes_are_those_of_the_file() {
    let text = "é\u{200b}1\n\u{feff}SSN\u{a0}123\u{2011}45\u{2011}\n6789 and\nx@example.org";
    let at = |what: &str| Some(text.find(what).expect("is there") as u64);
    let rule = str::to_owned;
    assert_eq!(
        found("a.txt", text.as_bytes(), 3),
        [
            (rule("ssn"), Some(2), at("123")),
            (rule("email"), Some(4), at("x@")),
        ]
    );
}
