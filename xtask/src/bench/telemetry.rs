//! What it costs to be watched: uploads with all telemetry, beside the same without any.

use std::path::Path;

use anyhow::Result;

use crate::bench::clients::CLIENTS;
use crate::bench::figures::{Figure, count};
use crate::bench::path::{self, Upload};
use crate::bench::server::{Pair, Policies, Source};
use crate::bench::table::median;
use crate::bench::tus::small;
use crate::bench::{collector, in_folder};
use crate::workspace::{Workspace, say};

/// Small uploads of one turn, and how many turns each side has of a round: what else the machine does comes and goes within seconds.
const SMALL_UPLOADS: usize = 500;
const SMALL_TURNS: usize = 12;

/// Measures in turns. Watched are all traces, metrics each second, and the log, on standard output and to the collector.
pub(crate) fn measure(
    workspace: &Workspace,
    storage: &Path,
    upload: Upload,
) -> Result<Vec<Figure>> {
    in_folder(storage, "telemetry", |folder| {
        measure_in(workspace, folder, upload)
    })
}

fn measure_in(workspace: &Workspace, folder: &Path, upload: Upload) -> Result<Vec<Figure>> {
    let collector = collector::start()?;
    let watched = Pair::start_watched(
        workspace,
        &folder.join("watched"),
        Policies::Table,
        collector,
    )?;
    let quiet = folder.join("quiet");
    let quiet = Pair::start(workspace, &quiet, Policies::Table, Source::File)?;
    let (large, table) = (path::table(upload.mib)?, small::table()?);
    let mut times = [vec![], vec![], vec![], vec![]];
    let [large_watched, large_quiet, small_watched, small_quiet] = &mut times;
    for round in 1..=upload.rounds {
        say(format!("telemetry, round {round} of {}", upload.rounds));
        for (pair, times) in by_turns(
            round,
            (&watched, &mut *large_watched),
            (&quiet, &mut *large_quiet),
        ) {
            times.push(path::portcullis(pair, round, &large)?);
        }
        for turn in 0..SMALL_TURNS {
            let turn = round * SMALL_TURNS + turn;
            for (pair, times) in by_turns(
                turn,
                (&watched, &mut *small_watched),
                (&quiet, &mut *small_quiet),
            ) {
                times.push(small::take(pair, turn, SMALL_UPLOADS, &table)?);
            }
        }
    }
    let [large_watched, large_quiet, small_watched, small_quiet] = times;
    let figure = |what: String, things: f64, unit: &str, with: Vec<f64>, without: Vec<f64>| {
        // Turns that follow each other have about the same machine: what is looked at is what comes of each two.
        let ratios = without
            .iter()
            .zip(&with)
            .map(|(without, with)| without / with);
        let ratio = median(ratios.collect());
        let rate = |seconds: Vec<f64>| things / median(seconds);
        let (with, without) = (rate(with), rate(without));
        Figure {
            what,
            measured: format!("{with:.2} {unit}"),
            beside: format!("{without:.2} {unit}"),
            ratio: Some(ratio),
            wanted: ">= 0.97".to_owned(),
        }
    };
    Ok(vec![
        figure(
            format!(
                "{} MiB across both servers, csv-schema, with all telemetry, to without",
                upload.mib
            ),
            count(large.len()) / 1e9,
            "GB/s",
            large_watched,
            large_quiet,
        ),
        figure(
            format!(
                "uploads of 10 KB by tus, durable, {CLIENTS} connections, csv-schema, with all telemetry, to without"
            ),
            count(SMALL_UPLOADS),
            "/s",
            small_watched,
            small_quiet,
        ),
    ])
}

/// Who is first has the warmer or the colder machine: they take turns at that, too.
fn by_turns<Side>(turn: usize, one: Side, other: Side) -> [Side; 2] {
    if turn.is_multiple_of(2) {
        [one, other]
    } else {
        [other, one]
    }
}
