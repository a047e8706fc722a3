//! One large upload across two servers: Portcullis with policies, SHA-256 and fsync, beside nginx with
//! none of them, and with other policies.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use portcullis_generator::{Csv, Definition};

use crate::bench::client::{self, Request};
use crate::bench::figures::Figure;
use crate::bench::floor;
use crate::bench::in_folder;
use crate::bench::nginx::Nginx;
use crate::bench::server::{Pair, Policies, Source};
use crate::bench::table::Seconds;
use crate::workspace::{Workspace, say};

/// What is uploaded, and how often.
#[derive(Clone, Copy)]
pub(crate) struct Upload {
    pub(crate) mib: usize,
    pub(crate) rounds: usize,
}

/// The seconds of each upload, by what was in its way.
pub(crate) struct Times {
    bytes: usize,
    plain: Vec<f64>,
    counted: Vec<f64>,
    table: Vec<f64>,
    nginx: Vec<f64>,
    write: Vec<f64>,
    durable: Vec<f64>,
    hash: Vec<f64>,
}

/// Measures in turns: what disturbs the machine disturbs all. `nginx` is the program, if there is one.
pub(crate) fn measure(
    workspace: &Workspace,
    storage: &Path,
    upload: Upload,
    nginx: Option<&'static str>,
) -> Result<Times> {
    ensure!(
        upload.rounds > 0 && upload.mib > 0,
        "there is nothing to measure; ask for at least one round and 1 MiB"
    );
    in_folder(storage, "bench", |folder| {
        measure_in(workspace, folder, upload, nginx)
    })
}

fn measure_in(
    workspace: &Workspace,
    folder: &Path,
    upload: Upload,
    nginx: Option<&'static str>,
) -> Result<Times> {
    let table = table(upload.mib)?;
    let start =
        |policies, name: &str| Pair::start(workspace, &folder.join(name), policies, Source::File);
    let plain = start(Policies::FileType, "plain")?;
    let counted = start(Policies::Counted, "counted")?;
    let judged = start(Policies::Table, "table")?;
    let nginx = nginx
        .map(|program| Nginx::start(program, &folder.join("nginx")))
        .transpose()?;
    if nginx.is_none() {
        say(
            "nginx is not installed, so that there is nothing to compare with; on Debian, `apt-get install nginx-light`",
        );
    }
    let mut times = Times {
        bytes: table.len(),
        plain: vec![],
        counted: vec![],
        table: vec![],
        nginx: vec![],
        write: vec![],
        durable: vec![],
        hash: vec![],
    };
    for round in 1..=upload.rounds {
        say(format!("uploads, round {round} of {}", upload.rounds));
        times.counted.push(portcullis(&counted, round, &table)?);
        if let Some(nginx) = &nginx {
            times.nginx.push(nginx_put(nginx, round, &table)?);
        }
        times.plain.push(portcullis(&plain, round, &table)?);
        times.table.push(portcullis(&judged, round, &table)?);
        settle();
        let (written, made_durable) = floor::write(folder, table.len() as u64)?;
        times.write.push(written);
        times.durable.push(made_durable);
        times.hash.push(floor::sha256(table.len() as u64));
    }
    Ok(times)
}

/// A table before `csv-schema`, with the same policy once more in the shadow and without.
pub(crate) fn measure_shadow(
    workspace: &Workspace,
    storage: &Path,
    upload: Upload,
) -> Result<Figure> {
    in_folder(storage, "shadow", |folder| {
        measure_shadow_in(workspace, folder, upload)
    })
}

fn measure_shadow_in(workspace: &Workspace, folder: &Path, upload: Upload) -> Result<Figure> {
    let table = table(upload.mib)?;
    let start = |policies, name: &str| {
        let folder = folder.join(name);
        Pair::start(workspace, &folder, policies, Source::File)
    };
    let alone = start(Policies::Table, "alone")?;
    let beside = start(Policies::TableInShadow, "beside")?;
    let (mut without, mut with) = (Vec::new(), Vec::new());
    for round in 1..=upload.rounds {
        say(format!(
            "a policy in the shadow, round {round} of {}",
            upload.rounds
        ));
        without.push(portcullis(&alone, round, &table)?);
        with.push(portcullis(&beside, round, &table)?);
    }
    let rate = |seconds: &[f64]| gigabytes(table.len()) / Seconds::new(seconds.to_vec()).median();
    Ok(Figure {
        what: format!(
            "{} MiB across both servers, csv-schema and the same in the shadow, to without the shadow",
            table.len() >> 20
        ),
        measured: shown(rate(&with), &with),
        beside: format!("{:.2} GB/s", rate(&without)),
        ratio: Some(rate(&with) / rate(&without)),
        wanted: ">= 0.90".to_owned(),
    })
}

/// A laboratory table of about so many MiB.
pub(crate) fn table(mib: usize) -> Result<Vec<u8>> {
    let csv = Csv::of(&Definition::shipped("laboratory")?);
    Ok(csv.bytes((mib as u64) << 20).whole())
}

impl Times {
    /// `alone` is how fast `csv-schema` is without any server, in GB/s.
    pub(crate) fn figures(&self, alone: f64) -> Vec<Figure> {
        let median = |seconds: &[f64]| Seconds::new(seconds.to_vec()).median();
        let rate = |seconds: &[f64]| gigabytes(self.bytes) / median(seconds);
        let plain = rate(&self.plain);
        let mib = self.bytes >> 20;
        let figure = |what: &str, seconds: &[f64], beside: f64, wanted: &str| Figure {
            what: format!("{mib} MiB across both servers, {what}"),
            measured: shown(rate(seconds), seconds),
            beside: format!("{beside:.2} GB/s"),
            ratio: Some(rate(seconds) / beside),
            wanted: wanted.to_owned(),
        };
        let mut figures = Vec::new();
        if !self.nginx.is_empty() {
            let what = "file-type + count, SHA-256, fsync, to nginx -> nginx without them";
            figures.push(figure(what, &self.counted, rate(&self.nginx), ">= 0.70"));
        }
        let what = "with an inspector that counts, to without it";
        figures.push(figure(what, &self.counted, plain, ">= 0.95"));
        let what = "csv-schema, to the slower of that path without it and the policy alone";
        figures.push(figure(what, &self.table, plain.min(alone), ">= 0.80"));
        for (what, seconds) in [
            ("to write so much to that disk", &self.write),
            ("to write so much to that disk and fsync", &self.durable),
            ("to hash so much with SHA-256 on one core", &self.hash),
        ] {
            figures.push(Figure {
                what: format!("floor: {what}"),
                measured: shown(rate(seconds), seconds),
                beside: String::new(),
                ratio: None,
                wanted: String::new(),
            });
        }
        figures
    }
}

/// A rate, and between which seconds the measurements lie.
pub(crate) fn shown(rate: f64, seconds: &[f64]) -> String {
    let spread = Seconds::new(seconds.to_vec()).spread();
    format!("{rate:.2} GB/s ({spread} s)")
}

pub(crate) fn portcullis(pair: &Pair, round: usize, body: &[u8]) -> Result<f64> {
    settle();
    let name = format!("bench-{round}.csv");
    let (seconds, _) = client::upload(pair.web.address, &name, body)?;
    let stored = pair.disk.join("bench").join(name);
    take_away(&stored, body.len())?;
    Ok(seconds)
}

fn nginx_put(nginx: &Nginx, round: usize, body: &[u8]) -> Result<f64> {
    settle();
    let target = format!("/bench/bench-{round}.csv");
    let request = Request {
        method: "PUT",
        target: &target,
        headers: &[("Content-Type", "text/csv")],
    };
    let seconds = client::send(nginx.front, &request, body)?;
    take_away(&nginx.disk.join(target.trim_start_matches('/')), body.len())?;
    Ok(seconds)
}

/// A file of the wrong length would make the figure a lie; one that stayed would slow the next round.
pub(crate) fn take_away(file: &Path, bytes: usize) -> Result<()> {
    let stored = fs::metadata(file)
        .with_context(|| format!("{} was not stored", file.display()))?
        .len();
    ensure!(
        stored == bytes as u64,
        "{} has {stored} bytes instead of {bytes}",
        file.display()
    );
    Ok(fs::remove_file(file)?)
}

/// What earlier rounds have not written yet is written now, not in the next measurement.
pub(crate) fn settle() {
    // Without `sync` the figures are less steady, not wrong.
    let _ = Command::new("sync").status();
}

#[expect(clippy::cast_precision_loss, reason = "a figure with two digits")]
pub(crate) fn gigabytes(bytes: usize) -> f64 {
    bytes as f64 / 1e9
}
