//! `csv-schema` on a laboratory table: as WebAssembly, natively, and beside the `csv` crate.

use std::hint::black_box;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use bytes::Bytes;
use portcullis_csv_schema::CsvSchema;
use portcullis_engine::Engine;
use portcullis_generator::{Csv, Definition};
use portcullis_policy::testing::{self, Outcome};

use crate::figure::{Figure, median, rate};
use crate::sandbox::{Sandbox, admitted, end, upload};

/// How large the table is, and how often it is read each way, in turns.
const TABLE_BYTES: u64 = 256 << 20;
const ROUNDS: usize = 7;
/// What the engine is shown at once: much, so that the policy is measured and not the hand-off, which a
/// server overlaps with other work. The policy is shown 64 KiB at once, as always.
const CHUNK_BYTES: usize = 4 << 20;
/// What the host keeps of a rule, unless the set says otherwise.
const FINDINGS_PER_RULE: usize = 100;

pub(crate) async fn measure(sandbox: &Sandbox) -> Result<Vec<Figure>> {
    let csv = Csv::of(&Definition::shipped("laboratory")?).bytes(TABLE_BYTES);
    let table = Bytes::from(csv.whole());
    let engine = sandbox.engine(&sandbox.standard("csv-schema")).await?;
    let (mut wasm, mut native, mut csv_crate, mut scan) = (vec![], vec![], vec![], vec![]);
    for _ in 0..ROUNDS {
        wasm.push(in_sandbox(&engine, &table).await?);
        native.push(natively(&table)?);
        csv_crate.push(by_csv_crate(&table)?);
        scan.push(scanned(&table));
    }
    let rate = |times: Vec<Duration>| rate(table.len(), median(times));
    let (wasm, native) = (rate(wasm), rate(native));
    let (csv_crate, scan) = (rate(csv_crate), rate(scan));
    let figure = |what: &str, measured: f64, beside: String, ratio, wanted| Figure {
        what: what.to_owned(),
        measured: format!("{measured:.2} GB/s"),
        beside,
        ratio,
        wanted,
    };
    Ok(vec![
        figure(
            "csv-schema (laboratory) in WASM, to the same code natively",
            wasm,
            format!("{native:.2} GB/s"),
            Some(wasm / native),
            ">= 0.70",
        ),
        figure(
            "csv-schema in WASM, to 400 MB/s",
            wasm,
            "0.40 GB/s".to_owned(),
            Some(wasm / 0.4),
            ">= 1.00",
        ),
        figure(
            "csv-schema in WASM, to the csv crate, which only splits",
            wasm,
            format!("{csv_crate:.2} GB/s"),
            Some(wasm / csv_crate),
            "",
        ),
        figure("memchr over the same bytes", scan, String::new(), None, ""),
    ])
}

async fn in_sandbox(engine: &Engine, table: &Bytes) -> Result<Duration> {
    let upload = upload(&[("table", "laboratory")])?;
    let mut inspection = admitted(engine, &upload).await?;
    let started = Instant::now();
    let mut rest = table.clone();
    while !rest.is_empty() {
        let chunk = rest.split_to(rest.len().min(CHUNK_BYTES));
        if let Err(cause) = inspection.chunk(chunk).await {
            anyhow::bail!("the table is refused: {cause:?}");
        }
    }
    let passed = inspection.finish(end(table.len())).await;
    let taken = started.elapsed();
    ensure!(passed.is_ok(), "the table is refused");
    Ok(taken)
}

fn natively(table: &[u8]) -> Result<Duration> {
    let definition = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../policies/definitions/laboratory.json"
    );
    testing::provide("definitions/laboratory.json", &std::fs::read(definition)?);
    testing::keep_findings(FINDINGS_PER_RULE);
    let mut policy: CsvSchema = testing::configure("{}").map_err(anyhow::Error::msg)?;
    let upload = testing::upload("bench.csv").with_attribute("table", "laboratory");
    let started = Instant::now();
    let outcome = testing::run(&mut policy, &upload, table);
    let taken = started.elapsed();
    ensure!(matches!(outcome, Ok(Outcome::Accept)), "{outcome:?}");
    testing::take_findings();
    Ok(taken)
}

fn by_csv_crate(table: &[u8]) -> Result<Duration> {
    let started = Instant::now();
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .from_reader(table);
    let mut record = csv::ByteRecord::new();
    let mut cells = 0;
    while reader.read_byte_record(&mut record)? {
        cells += record.len();
    }
    black_box(cells);
    Ok(started.elapsed())
}

/// As fast as memory is read: a byte that does not come.
fn scanned(table: &[u8]) -> Duration {
    let started = Instant::now();
    black_box(memchr::memchr(0x01, black_box(table)));
    started.elapsed()
}
