//! Uploads cut at random, while servers are killed, policies reloaded and uploads evicted: more of them than in the tests.

use std::ops::Range;
use std::time::Instant;

use anyhow::Result;

use crate::bench::figures::Figure;
use crate::workspace::{Workspace, run as run_command};

/// Those that the tests do not try.
const SEEDS: Range<u64> = 1_000..6_000;

/// Tries them with the servers of the tests. The first one that hears something else than a straight upload ends it, and
/// its seed is said.
pub(crate) fn measure(workspace: &Workspace) -> Result<Figure> {
    let build = ["build", "--locked", "--workspace", "--bins", "--tests"];
    run_command(&mut workspace.cargo(build))?;
    let test = [
        "test",
        "--locked",
        "--package",
        "portcullis-tests",
        "--test",
        "end_to_end",
        "tus::property",
    ];
    let seeds = format!("{}..{}", SEEDS.start, SEEDS.end);
    let started = Instant::now();
    run_command(workspace.cargo(test).env("TUS_SEED", seeds))?;
    let seconds = started.elapsed().as_secs_f64();
    let count = SEEDS.end - SEEDS.start;
    Ok(Figure {
        what: "uploads cut at random, under kills, reloads and evictions, that hear what straight ones hear".to_owned(),
        measured: format!("all {count} ({seconds:.0} s)"),
        beside: String::new(),
        ratio: None,
        wanted: String::new(),
    })
}
