//! The other policies that ship, each in the sandbox on what it is made for.

use std::io::Cursor;
use std::time::Duration;

use anyhow::{Result, ensure};
use portcullis_engine::{Attempt, Call, Candidate, Cuts, Outcome, Workbench};
use portcullis_generator::{Csv, Definition};
use serde_json::json;
use zlib_rs::{Deflate, DeflateFlush, Status};

use crate::figure::{Figure, median, rate};
use crate::sandbox::{Sandbox, upload};

/// How large what they are shown is, and how often they are shown it.
const BYTES: usize = 64 << 20;
const ROUNDS: usize = 5;
/// How often an upload is only admitted in a round.
const TIMES: u32 = 200;
/// What is promised of the two that read most, in GB/s.
const PROMISED: f64 = 0.2;

/// What a policy is shown.
struct Shown<'a> {
    policy: &'a str,
    settings: &'a str,
    filename: &'a str,
    body: &'a [u8],
    /// What counts, where it is not the body: what comes out of an archive.
    bytes: usize,
}

pub(crate) async fn measure(sandbox: &Sandbox) -> Result<Vec<Figure>> {
    let csv = Csv::of(&Definition::shipped("laboratory")?).bytes(BYTES as u64);
    let table = csv.whole();
    let prose = prose();
    let archive = gzip(&table)?;
    let lines = lines();
    let shown = |policy, settings, filename, body, bytes| Shown {
        policy,
        settings,
        filename,
        body,
        bytes,
    };
    let guard = shown("archive-guard", "{}", "a.gz", &archive, table.len());
    let (in_text, in_table) = (
        shown("content-scan", "{}", "a.txt", &prose, prose.len()),
        shown(
            "content-scan",
            r#"{"action": "warn"}"#,
            "a.csv",
            &table,
            table.len(),
        ),
    );
    let schema = shown(
        "json-schema",
        r#"{"schema": "visit"}"#,
        "a.jsonl",
        &lines,
        lines.len(),
    );
    let size = shown(
        "size-limit",
        r#"{"max-bytes": 1000000000}"#,
        "a.csv",
        &table,
        table.len(),
    );
    let mut figures = Vec::new();
    for (what, shown, promised) in [
        (
            "archive-guard, bytes out of a gzip of a laboratory table, to 200 MB/s",
            guard,
            true,
        ),
        ("content-scan on prose, to 200 MB/s", in_text, true),
        (
            "content-scan on a laboratory table, to 200 MB/s",
            in_table,
            true,
        ),
        ("json-schema on JSON lines", schema, false),
        ("size-limit, counting", size, false),
    ] {
        let measured = rate(shown.bytes, busy(sandbox, &shown, Call::Chunk, 1).await?);
        figures.push(Figure {
            what: what.to_owned(),
            measured: format!("{measured:.2} GB/s"),
            beside: if promised {
                format!("{PROMISED:.2} GB/s")
            } else {
                String::new()
            },
            ratio: promised.then_some(measured / PROMISED),
            wanted: if promised { ">= 1.00" } else { "" },
        });
    }
    let name = shown("filename", "{}", "patient_2024.csv", &[], 0);
    let time = busy(sandbox, &name, Call::Admit, TIMES).await? / TIMES;
    figures.push(Figure {
        what: "filename, one admission (CPU time of `admit`)".to_owned(),
        measured: format!("{:.1} us", time.as_secs_f64() * 1e6),
        beside: String::new(),
        ratio: None,
        wanted: "",
    });
    Ok(figures)
}

/// CPU time of all calls of a function, for so many uploads: the median of all rounds.
async fn busy(sandbox: &Sandbox, shown: &Shown<'_>, call: Call, times: u32) -> Result<Duration> {
    let workbench = Workbench::start()?;
    let mut candidate = Candidate::new(&sandbox.component(shown.policy));
    let settings: serde_json::Value = serde_json::from_str(shown.settings)?;
    candidate.settings = toml::Table::try_from(settings)?;
    candidate.resources = sandbox.with_schema(&visit().to_string())?;
    let policy = workbench.load(&candidate).await?;
    let mut upload = upload(&[])?;
    shown.filename.clone_into(&mut upload.filename);
    let attempt = Attempt {
        upload: &upload,
        facts: &[],
        cuts: &Cuts::LONGEST,
        pauses: false,
    };
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        let mut busy = Duration::ZERO;
        for _ in 0..times {
            let mut body = Cursor::new(shown.body);
            let trial = workbench.attempt(&policy, &attempt, &mut body).await?;
            let outcome = trial.outcome.as_ref();
            let outcome = outcome.map_err(|failure| anyhow::anyhow!("{failure}"))?;
            ensure!(
                *outcome == Outcome::Accept,
                "{} says {outcome:?}",
                shown.policy
            );
            busy += trial.busy(call);
        }
        rounds.push(busy);
    }
    Ok(median(rounds))
}

/// The project's own description, again and again: text as people write it.
fn prose() -> Vec<u8> {
    let page = include_bytes!("../../../docs/ARCHITECTURE.md");
    page.iter().copied().cycle().take(BYTES).collect()
}

/// gzip without a checksum, which is not looked at.
fn gzip(content: &[u8]) -> Result<Vec<u8>> {
    let mut archive = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
    let mut deflate = Deflate::new(6, false, 15);
    let mut packed = vec![0; content.len() + 1024];
    let status = deflate.compress(content, &mut packed, DeflateFlush::Finish);
    ensure!(matches!(status, Ok(Status::StreamEnd)), "{status:?}");
    packed.truncate(usize::try_from(deflate.total_out())?);
    archive.extend(packed);
    archive.extend([0; 4]);
    archive.extend(
        (content.len() as u64 & 0xffff_ffff)
            .to_le_bytes()
            .iter()
            .take(4),
    );
    Ok(archive)
}

fn visit() -> serde_json::Value {
    json!({
        "type": "object",
        "required": ["id", "date"],
        "additionalProperties": false,
        "properties": {
            "id": {"type": "string", "pattern": "^P[0-9]+$"},
            "date": {"type": "string", "format": "date"},
            "weight": {"type": ["number", "null"], "minimum": 0, "maximum": 700},
            "codes": {"type": "array", "items": {"type": "string", "maxLength": 7}},
        },
    })
}

fn lines() -> Vec<u8> {
    let line =
        br#"{"id": "P000123", "date": "2024-05-06", "weight": 80.5, "codes": ["A01", "B02.1"]}"#;
    let line = [line.as_slice(), b"\n"].concat();
    let whole = BYTES / 4 / line.len();
    line.repeat(whole)
}
