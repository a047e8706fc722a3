//! Reload after reload: what a process has in memory in the end.

use std::fs;

use anyhow::{Context, Result, bail};
use bytes::Bytes;

use crate::figure::Figure;
use crate::sandbox::{Sandbox, admitted, end, upload};

/// How many there are, and after how many it is looked for the first time.
const RELOADS: u32 = 2_000;
const FIRST: u32 = 50;

pub(crate) async fn measure(sandbox: &Sandbox) -> Result<Vec<Figure>> {
    let code = fs::read(sandbox.component("size-limit"))?;
    let own = sandbox.folder().join("own.wasm");
    let policy = format!(
        "[[policy]]\nname = 'own'\ncomponent = '{}'\nsettings = {{ max-bytes = 1000 }}\n",
        own.display()
    );
    fs::write(&own, &code)?;
    let engine = sandbox.engine(&policy).await?;
    let mut after_first = 0;
    for nth in 1..=RELOADS {
        // A custom section named `n` with four bytes: other code that does the same.
        let section = [&[0, 6, 1, b'n'], &nth.to_le_bytes()[..]].concat();
        fs::write(&own, [&code[..], &section].concat())?;
        engine.load(&sandbox.set()).await?;
        let mut inspection = admitted(&engine, &upload(&[])?).await?;
        if let Err(cause) = inspection.chunk(Bytes::from_static(b"x")).await {
            bail!("an upload is refused: {cause:?}");
        }
        if let Err(refused) = inspection.finish(end(1)).await {
            bail!("an upload is refused: {:?}", refused.cause);
        }
        if nth == FIRST {
            after_first = resident_bytes()?;
        }
    }
    let after = resident_bytes()?;
    let mib = |bytes: u64| format!("{} MiB", bytes >> 20);
    Ok(vec![Figure {
        what: format!(
            "resident memory after {RELOADS} reloads of another component each, to after {FIRST}"
        ),
        measured: mib(after),
        beside: mib(after_first),
        ratio: Some(ratio(after, after_first)),
        wanted: "<= 1.10",
    }])
}

#[expect(clippy::cast_precision_loss, reason = "a figure with two digits")]
fn ratio(one: u64, other: u64) -> f64 {
    one as f64 / other as f64
}

/// What this process has in memory (`VmRSS`).
fn resident_bytes() -> Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next());
    let kib: u64 = kib.context("the kernel does not say VmRSS")?.parse()?;
    Ok(kib * 1024)
}
