//! Many uploads at once, without and with a hostile policy among them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use bytes::Bytes;
use portcullis_engine::{Admission, Engine};

use crate::figure::{Figure, p99};
use crate::sandbox::{Sandbox, admitted, end, upload};

/// Uploads at once, how often each of them comes, and how large it is.
const AT_ONCE: usize = 64;
const TIMES: usize = 24;
const UPLOAD_BYTES: usize = 4 << 20;
const CHUNK_BYTES: usize = 256 << 10;
/// Deeds that cost the most before they are stopped.
const DEEDS: [&str; 4] = ["loop", "memory-bomb", "deep-recursion", "log-flood:100000"];

pub(crate) async fn measure(sandbox: &Sandbox) -> Result<Vec<Figure>> {
    let mut policies = sandbox.told("count", "do = 'count'", "");
    for deed in DEEDS {
        let name = format!("hostile-{}", deed.split(':').next().unwrap_or(deed));
        let settings = format!("do = '{deed}', when = 'chunk'");
        let only = format!("match = {{ hostile = '{deed}' }}");
        policies.push_str(&sandbox.told(&name, &settings, &only));
    }
    let engine = sandbox.engine(&policies).await?;
    // The first crowd only warms up.
    crowd(&engine).await?;
    let mut figures = Vec::new();
    for deed in DEEDS {
        let alone = p99(crowd(&engine).await?);
        let is_over = Arc::new(AtomicBool::new(false));
        let hostile = tokio::spawn(hostile(Arc::clone(&engine), deed, Arc::clone(&is_over)));
        let beside = p99(crowd(&engine).await?);
        is_over.store(true, Ordering::Relaxed);
        let crimes = hostile.await??;
        let millis = |time: Duration| format!("{:.1} ms", time.as_secs_f64() * 1e3);
        figures.push(Figure {
            what: format!(
                "p99 of {AT_ONCE} uploads at once beside a policy that does `{deed}` ({crimes} times), to without"
            ),
            measured: millis(beside),
            beside: millis(alone),
            ratio: Some(beside.as_secs_f64() / alone.as_secs_f64()),
            wanted: "<= 1.50",
        });
    }
    Ok(figures)
}

/// How long each upload of a crowd takes to be judged.
async fn crowd(engine: &Arc<Engine>) -> Result<Vec<Duration>> {
    let body = Bytes::from(vec![b'x'; UPLOAD_BYTES]);
    let uploads: Vec<_> = (0..AT_ONCE)
        .map(|_| tokio::spawn(one_after_the_other(Arc::clone(engine), body.clone())))
        .collect();
    let mut times = Vec::new();
    for upload in uploads {
        times.extend(upload.await??);
    }
    Ok(times)
}

async fn one_after_the_other(engine: Arc<Engine>, body: Bytes) -> Result<Vec<Duration>> {
    let mut times = Vec::new();
    for _ in 0..TIMES {
        let started = Instant::now();
        let mut inspection = admitted(&engine, &upload(&[])?).await?;
        let mut rest = body.clone();
        while !rest.is_empty() {
            let chunk = rest.split_to(rest.len().min(CHUNK_BYTES));
            if let Err(cause) = inspection.chunk(chunk).await {
                bail!("an innocent upload is refused: {cause:?}");
            }
        }
        if let Err(refused) = inspection.finish(end(body.len())).await {
            bail!("an innocent upload is refused: {:?}", refused.cause);
        }
        times.push(started.elapsed());
    }
    Ok(times)
}

/// One hostile upload after the other until the crowd is gone; how many there were.
async fn hostile(engine: Arc<Engine>, deed: &str, is_over: Arc<AtomicBool>) -> Result<u32> {
    let mut crimes = 0;
    while !is_over.load(Ordering::Relaxed) {
        crimes += 1;
        let upload = upload(&[("hostile", deed)])?;
        let Admission::Inspect(mut inspection) = engine.admit(&upload, None).await else {
            continue;
        };
        // Refused or let go on: what counts is what it costs the others.
        let _ = inspection.chunk(Bytes::from_static(b"x")).await;
    }
    Ok(crimes)
}
