//! The parser and the `csv` crate split the same bytes into the same cells, however the parser gets them.

use portcullis_csv::{Cell, Parser, Row, Separator, Sink};
use proptest::prelude::*;

#[derive(Default)]
struct Rows {
    rows: Vec<Vec<Vec<u8>>>,
    row: Vec<Vec<u8>>,
}

impl Sink for Rows {
    fn cell(&mut self, nth: usize, cell: Cell<'_>) {
        assert_eq!(nth, self.row.len());
        assert!(!cell.is_cut);
        if cell.is_plain {
            assert!(
                cell.value
                    .iter()
                    .all(|byte| { matches!(byte, b'\n' | b'\r' | b'\t' | b' '..=0x7f) })
            );
        }
        self.row.push(cell.value.to_vec());
    }

    fn row_end(&mut self, row: Row) {
        assert_eq!(row.cells, self.row.len());
        self.rows.push(std::mem::take(&mut self.row));
    }
}

fn ours(bytes: &[u8], cuts: &[usize], separator: Separator) -> Vec<Vec<Vec<u8>>> {
    let mut parser = Parser::new(separator);
    let mut rows = Rows::default();
    let mut rest = bytes;
    for &cut in cuts.iter().cycle().take(bytes.len()) {
        let (piece, after) = rest.split_at(cut.clamp(1, rest.len().max(1)).min(rest.len()));
        parser.push(piece, &mut rows);
        rest = after;
    }
    parser.push(rest, &mut rows);
    parser.finish(&mut rows);
    assert!(rows.row.is_empty(), "a row without an end");
    rows.rows
}

fn theirs(bytes: &[u8], separator: Separator) -> Vec<Vec<Vec<u8>>> {
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(separator.byte())
        .from_reader(bytes);
    let row = |record: csv::ByteRecord| record.iter().map(<[u8]>::to_vec).collect();
    let records = reader.byte_records();
    records
        .map(|record| row(record.expect("bytes in memory")))
        .collect()
}

/// Bytes of which most mean something.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let meaning = prop::sample::select(&b"\"\"\"\",,,\t\t\n\n\r\r\xef\xbb\xbf\0"[..]);
    let byte = prop_oneof![3 => meaning, 2 => b'a'..=b'c', 1 => any::<u8>()];
    let mark = prop_oneof![3 => Just(Vec::new()), 1 => Just(b"\xef\xbb\xbf".to_vec())];
    (mark, prop::collection::vec(byte, 0..300)).prop_map(|(mark, rest)| [mark, rest].concat())
}

/// Files as programs write them: every cell quoted or none, cells of any text.
fn regular() -> impl Strategy<Value = Vec<u8>> {
    let cell = "[a-c\",\n\r\u{e9} ]{0,12}";
    let rows = prop::collection::vec(prop::collection::vec(cell, 1..5), 0..20);
    (rows, any::<bool>(), any::<bool>()).prop_map(|(rows, always, crlf)| {
        let style = if always {
            csv::QuoteStyle::Always
        } else {
            csv::QuoteStyle::Necessary
        };
        let terminator = if crlf {
            csv::Terminator::CRLF
        } else {
            csv::Terminator::Any(b'\n')
        };
        let mut writer = csv::WriterBuilder::new()
            .flexible(true)
            .quote_style(style)
            .terminator(terminator)
            .from_writer(Vec::new());
        for row in rows {
            writer.write_record(&row).expect("written to memory");
        }
        writer.into_inner().expect("written to memory")
    })
}

fn cuts() -> impl Strategy<Value = Vec<usize>> {
    prop_oneof![
        Just(vec![1]),
        Just(vec![64]),
        Just(vec![usize::MAX]),
        prop::collection::vec(1..100usize, 1..8),
    ]
}

fn separators() -> impl Strategy<Value = Separator> {
    prop_oneof![Just(Separator::Comma), Just(Separator::Tab)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn arbitrary_bytes_are_split_alike(
        bytes in bytes(), cuts in cuts(), separator in separators()
    ) {
        prop_assert_eq!(ours(&bytes, &cuts, separator), theirs(&bytes, separator));
    }

    #[test]
    fn written_files_are_split_alike(bytes in regular(), cuts in cuts()) {
        let separator = Separator::Comma;
        prop_assert_eq!(ours(&bytes, &cuts, separator), theirs(&bytes, separator));
    }
}
