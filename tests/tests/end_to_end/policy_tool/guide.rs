//! The guide, as somebody follows it: its commands, one after the other, in a folder of their own.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use portcullis_tests::gateway::binary;
use tempfile::TempDir;

use super::{ROOT, run, target};

#[test]
fn the_commands_of_the_guide_work_in_their_order() -> Result<()> {
    let guide = fs::read_to_string(format!("{ROOT}/docs/policies.md"))?;
    let blocks = guide.split("```sh\n").skip(1);
    let blocks = blocks.map(|block| block.split("```").next().unwrap_or_default());
    let script = ["set -euo pipefail\n"]
        .into_iter()
        .chain(blocks)
        .collect::<String>();
    ensure!(script.contains("policy bench"), "{script}");
    let (folder, tool) = (TempDir::new()?, binary("portcullis"));
    let tools = tool.parent().context("lies in a folder")?;
    let path = std::env::var("PATH")?;
    let mut follow = Command::new("bash");
    follow
        .current_dir(folder.path())
        .arg("-c")
        .arg(&script)
        .env("PATH", format!("{}:{path}", tools.display()))
        .env("CARGO_TARGET_DIR", target());
    let said = run(&mut follow)?;
    ensure!(said.ok, "{}{}", said.out, said.err);
    for expected in [
        "made no-long-lines",
        "2 passed, 0 failed",
        "refused",
        "1 blessed",
        "message = \"Lines with more than 10 bytes: 1. Break them.\"",
        "3 passed, 0 failed",
        "times as long",
        "It can be loaded.",
        "line-length",
    ] {
        ensure!(
            said.out.contains(expected),
            "{expected:?} is not said: {}",
            said.out
        );
    }
    let results = folder.path().join("no-long-lines/results.xml");
    ensure!(results.exists(), "there are no results");
    Ok(())
}
