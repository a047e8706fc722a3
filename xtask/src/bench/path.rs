//! One large upload across two servers: Portcullis with policies, SHA-256 and fsync, beside nginx with
//! none of them.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::bench::client::{self, Request};
use crate::bench::floor;
use crate::bench::nginx::Nginx;
use crate::bench::server::Pair;
use crate::bench::table::{Seconds, Table};
use crate::workspace::{Workspace, say};

/// What is uploaded, and how often.
#[derive(Clone, Copy)]
pub(crate) struct Upload {
    pub(crate) bytes: u64,
    pub(crate) rounds: usize,
}

/// Measures in turns: what disturbs the machine disturbs all. `nginx` is the program, if there is one.
pub(crate) fn measure(
    workspace: &Workspace,
    storage: &Path,
    upload: Upload,
    nginx: Option<&'static str>,
) -> Result<Table> {
    ensure!(
        upload.rounds > 0 && upload.bytes > 0,
        "there is nothing to measure; ask for at least one round and 1 MiB"
    );
    let folder = storage.join(format!("portcullis-bench-{}", std::process::id()));
    fs::create_dir_all(&folder)?;
    let outcome = measure_in(workspace, &folder, upload, nginx);
    fs::remove_dir_all(&folder)
        .with_context(|| format!("{} cannot be removed; remove it by hand", folder.display()))?;
    outcome
}

fn measure_in(
    workspace: &Workspace,
    folder: &Path,
    upload: Upload,
    nginx: Option<&'static str>,
) -> Result<Table> {
    let pair = Pair::start(workspace, &folder.join("portcullis"))?;
    let nginx = nginx
        .map(|program| Nginx::start(program, &folder.join("nginx")))
        .transpose()?;
    if nginx.is_none() {
        say(
            "nginx is not installed, so that there is nothing to compare with; on Debian, `apt-get install nginx-light`",
        );
    }
    let (mut ours, mut theirs, mut write, mut durable, mut hash) =
        (vec![], vec![], vec![], vec![], vec![]);
    for round in 1..=upload.rounds {
        say(format!("round {round} of {}", upload.rounds));
        ours.push(portcullis(&pair, round, upload.bytes)?);
        if let Some(nginx) = &nginx {
            theirs.push(nginx_put(nginx, round, upload.bytes)?);
        }
        settle();
        let (written, made_durable) = floor::write(folder, upload.bytes)?;
        write.push(written);
        durable.push(made_durable);
        hash.push(floor::sha256(upload.bytes));
    }
    let title = format!(
        "One upload of {} MiB across two servers, {} rounds",
        upload.bytes >> 20,
        upload.rounds
    );
    let mut table = Table::new(title, &["what", "median s", "spread s", "GB/s", "to nginx"]);
    let yardstick = nginx
        .is_some()
        .then(|| Seconds::new(theirs.clone()).median());
    let mut row = |what: &str, seconds: Vec<f64>| {
        let seconds = Seconds::new(seconds);
        let median = seconds.median();
        let ratio = yardstick.map_or_else(
            || "no nginx".to_owned(),
            |nginx| format!("{:.2}x", nginx / median),
        );
        table.row([
            what.to_owned(),
            format!("{median:.2}"),
            seconds.spread(),
            rate(upload.bytes, median),
            ratio,
        ]);
    };
    row(
        "portcullis: web -> services, 3 policies, SHA-256, fsync",
        ours,
    );
    if nginx.is_some() {
        row("nginx -> nginx, DAV PUT, no hash, no fsync", theirs);
    }
    row("floor: write to that disk", write);
    row("floor: write to that disk and fsync", durable);
    row("floor: SHA-256 on one core, once", hash);
    Ok(table)
}

fn portcullis(pair: &Pair, round: usize, bytes: u64) -> Result<f64> {
    settle();
    let name = format!("attachment; filename=\"bench-{round}.csv\"");
    let headers = [
        ("Content-Disposition", name.as_str()),
        ("Content-Type", "text/csv"),
    ];
    let request = Request {
        method: "POST",
        target: "/uploads",
        headers: &headers,
    };
    let seconds = client::send(pair.web.address, &request, bytes)?;
    take_away(&pair.disk.join(format!("bench/bench-{round}.csv")), bytes)?;
    Ok(seconds)
}

fn nginx_put(nginx: &Nginx, round: usize, bytes: u64) -> Result<f64> {
    settle();
    let target = format!("/bench/bench-{round}.csv");
    let request = Request {
        method: "PUT",
        target: &target,
        headers: &[("Content-Type", "text/csv")],
    };
    let seconds = client::send(nginx.front, &request, bytes)?;
    take_away(&nginx.disk.join(target.trim_start_matches('/')), bytes)?;
    Ok(seconds)
}

/// A file of the wrong length would make the figure a lie; one that stayed would slow the next round.
fn take_away(file: &Path, bytes: u64) -> Result<()> {
    let stored = fs::metadata(file)
        .with_context(|| format!("{} was not stored", file.display()))?
        .len();
    ensure!(
        stored == bytes,
        "{} has {stored} bytes instead of {bytes}",
        file.display()
    );
    Ok(fs::remove_file(file)?)
}

/// What earlier rounds have not written yet is written now, not in the next measurement.
fn settle() {
    // Without `sync` the figures are less steady, not wrong.
    let _ = Command::new("sync").status();
}

#[expect(clippy::cast_precision_loss, reason = "a figure with two digits")]
fn rate(bytes: u64, seconds: f64) -> String {
    format!("{:.2}", bytes as f64 / 1e9 / seconds)
}
