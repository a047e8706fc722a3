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
