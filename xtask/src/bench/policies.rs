//! What `portcullis-bench` measures: policies in one process, without servers.

use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use crate::bench::figures::Figure;
use crate::workspace::{Workspace, say};

/// What it said.
pub(crate) struct Policies {
    pub(crate) figures: Vec<Figure>,
    /// How fast `csv-schema` is on its own in the sandbox, in GB/s.
    pub(crate) table_rate: f64,
}

/// Runs it, all of it or these parts.
pub(crate) fn measure(workspace: &Workspace, parts: &[&str]) -> Result<Policies> {
    say("policies on their own");
    let output = Command::new(workspace.release_binary("portcullis-bench"))
        .arg(workspace.root.join("policies/components"))
        .arg(workspace.target.join("guests"))
        .args(parts)
        .stderr(Stdio::inherit())
        .output()
        .context("portcullis-bench cannot be started")?;
    ensure!(output.status.success(), "portcullis-bench failed");
    let said = String::from_utf8(output.stdout)?;
    let figures: Vec<Figure> = said.lines().map(figure).collect::<Result<_>>()?;
    let first = figures.first().context("portcullis-bench said nothing")?;
    let rate = first.measured.split(' ').next().unwrap_or_default();
    let table_rate = rate.parse().context("its first figure is no rate")?;
    Ok(Policies {
        figures,
        table_rate,
    })
}

fn figure(line: &str) -> Result<Figure> {
    let parts: Vec<&str> = line.split('\t').collect();
    let [what, measured, beside, ratio, wanted] = parts.as_slice() else {
        anyhow::bail!("portcullis-bench said {line:?}");
    };
    Ok(Figure {
        what: (*what).to_owned(),
        measured: (*measured).to_owned(),
        beside: (*beside).to_owned(),
        ratio: ratio.parse().ok(),
        wanted: (*wanted).to_owned(),
    })
}
