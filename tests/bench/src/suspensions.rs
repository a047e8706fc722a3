//! What it costs that an upload pauses: what `csv-schema` knows of a table is written down and read by another instance.

use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use bytes::Bytes;
use portcullis_engine::{Inspection, Resumed, Suspension};
use portcullis_generator::{Csv, Definition};

use crate::figure::{Figure, median, p99};
use crate::sandbox::{Sandbox, admitted, end, upload};

/// How large the table is, and at how many places on its way it pauses.
const TABLE_BYTES: u64 = 64 << 20;
const PAUSES: usize = 500;
/// What is promised of each of them.
const PROMISED: Duration = Duration::from_millis(5);
/// Where it pauses next, in bytes: a step that meets a cell, a quoted one and the end of a line alike.
const STEP_PRIME: usize = 7919;

pub(crate) async fn measure(sandbox: &Sandbox) -> Result<Vec<Figure>> {
    let csv = Csv::of(&Definition::shipped("laboratory")?).bytes(TABLE_BYTES);
    let table = Bytes::from(csv.whole());
    let engine = sandbox.engine(&sandbox.standard("csv-schema")).await?;
    let upload = upload(&[("table", "laboratory")])?;
    let step = table.len() / PAUSES - STEP_PRIME;
    let mut inspection = admitted(&engine, &upload).await?;
    let (mut times, mut most_bytes) = (Vec::new(), 0);
    let mut rest = table.clone();
    for pause in 0..PAUSES {
        let length = step + (pause * STEP_PRIME) % (2 * STEP_PRIME);
        if let Err(cause) = inspection.chunk(rest.split_to(length)).await {
            bail!("the table is refused: {cause:?}");
        }
        let started = Instant::now();
        let written = suspended(inspection).await?;
        let suspension: Suspension = serde_json::from_slice(&written)?;
        inspection = match engine.resume(&upload, suspension, None).await {
            Resumed::Inspect(inspection) => inspection,
            Resumed::Refused(_) | Resumed::Impossible => bail!("the table is not gone on with"),
        };
        times.push(started.elapsed());
        most_bytes = most_bytes.max(written.len());
    }
    if let Err(cause) = inspection.chunk(rest).await {
        bail!("the table is refused: {cause:?}");
    }
    ensure!(
        inspection.finish(end(table.len())).await.is_ok(),
        "the table is refused"
    );
    let worst = p99(times.clone());
    let millis = |time: Duration| time.as_secs_f64() * 1e3;
    Ok(vec![Figure {
        what: format!(
            "csv-schema (laboratory) written down and gone on with by another instance, at {PAUSES} places: p99 (median {:.2} \
             ms, at most {} bytes written), to 5 ms",
            millis(median(times)),
            most_bytes
        ),
        measured: format!("{:.2} ms", millis(worst)),
        beside: format!("{:.2} ms", millis(PROMISED)),
        ratio: Some(worst.as_secs_f64() / PROMISED.as_secs_f64()),
        wanted: "<= 1.00",
    }])
}

/// As it is kept on services.
async fn suspended(inspection: Box<Inspection>) -> Result<Vec<u8>> {
    let Some(suspension) = inspection.suspend().await else {
        bail!("csv-schema does not pause");
    };
    Ok(serde_json::to_vec(&suspension)?)
}
