//! Uploads that can be gone on with: one large one beside `@tus/server`, many slow ones, many small ones beside nginx, and
//! one that another web host has to be shown again.

mod client;
mod peer;
pub(crate) mod random;
pub(crate) mod slow;
pub(crate) mod small;

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use portcullis_generator::{Csv, Definition};

use self::client::Upload;
use self::peer::TusServer;
use crate::bench::connection::Connection;
use crate::bench::figures::Figure;
use crate::bench::floor;
use crate::bench::in_folder;
use crate::bench::path::{self, gigabytes, settle, shown};
use crate::bench::server::{Pair, Policies, Source};
use crate::bench::table::Seconds;
use crate::workspace::{Workspace, say};

/// How soon a web host is asked again that is not ready yet, and for how long.
const AGAIN: Duration = Duration::from_millis(10);
const PATIENCE: Duration = Duration::from_mins(2);

/// Measures large ones. `alone` is how fast `csv-schema` is without any server, in GB/s.
pub(crate) fn measure(
    workspace: &Workspace,
    storage: &Path,
    upload: path::Upload,
    alone: f64,
    figures: &mut Vec<Figure>,
) -> Result<()> {
    let table = Table::of("laboratory", (upload.mib as u64) << 20)?;
    figures.extend(in_folder(storage, "tus", |folder| {
        large(workspace, folder, &table, upload.rounds)
    })?);
    figures.push(in_folder(storage, "replay", |folder| {
        replay(workspace, folder, &table, upload.rounds, alone)
    })?);
    Ok(())
}

/// One table in one `PATCH`.
fn large(
    workspace: &Workspace,
    folder: &Path,
    table: &Table,
    rounds: usize,
) -> Result<Vec<Figure>> {
    let start =
        |policies, name: &str| Pair::start(workspace, &folder.join(name), policies, Source::File);
    let judged = start(Policies::Table, "table")?;
    let plain = start(Policies::FileType, "plain")?;
    let peer = TusServer::start(workspace, &folder.join("peer"))?;
    let (mut with_table, mut with_type, mut beside, mut durable) = (vec![], vec![], vec![], vec![]);
    let mut floor = vec![];
    for round in 1..=rounds {
        say(format!("one PATCH, round {round} of {rounds}"));
        with_table.push(in_one(&judged, round, table)?);
        settle();
        let taken = peer.take(table)?;
        beside.push(taken.answered);
        durable.push(taken.durable);
        with_type.push(in_one(&plain, round, table)?);
        settle();
        floor.push(floor::write(folder, table.bytes.len() as u64)?.1);
    }
    let rate =
        |seconds: &[f64]| gigabytes(table.bytes.len()) / Seconds::new(seconds.to_vec()).median();
    let mib = table.bytes.len() >> 20;
    let figure = |what: &str, seconds: &[f64], beside: &[f64], wanted: &str| Figure {
        what: format!("{mib} MiB by tus in one PATCH, {what}"),
        measured: shown(rate(seconds), seconds),
        beside: format!("{:.2} GB/s", rate(beside)),
        ratio: Some(rate(seconds) / rate(beside)),
        wanted: wanted.to_owned(),
    };
    Ok(vec![
        figure(
            "two hops, csv-schema, durable, to @tus/server: one hop, no policy, left to the cache of the disk",
            &with_table,
            &beside,
            ">= 1.50",
        ),
        figure(
            "the same, to @tus/server and fsync behind it",
            &with_table,
            &durable,
            "",
        ),
        figure(
            "two hops, file-type, durable, to @tus/server",
            &with_type,
            &beside,
            "",
        ),
        figure(
            "two hops, file-type, durable, to @tus/server and fsync behind it",
            &with_type,
            &durable,
            "",
        ),
        figure(
            "floor: so much written to that disk and fsync without any server, to @tus/server",
            &floor,
            &beside,
            "",
        ),
    ])
}

fn in_one(pair: &Pair, round: usize, table: &Table) -> Result<f64> {
    settle();
    let name = format!("tus-{round}.csv");
    let mut connection = Connection::to(pair.web.address)?;
    let upload = Upload::create(&mut connection, "/uploads", &name, table)?;
    let started = Instant::now();
    let answered = upload.append(&mut connection, 0, &table.bytes)?;
    let seconds = started.elapsed().as_secs_f64();
    ensure!(answered == 204, "the web host answered {answered}");
    path::take_away(&pair.disk.join("bench").join(name), table.bytes.len())?;
    Ok(seconds)
}

/// All of a table but its last byte, then another web host and that byte: its policies have to see all of it again.
fn replay(
    workspace: &Workspace,
    folder: &Path,
    table: &Table,
    rounds: usize,
    alone: f64,
) -> Result<Figure> {
    let mut pair = Pair::start(workspace, folder, Policies::Table, Source::File)?;
    let mut seconds = Vec::new();
    for round in 1..=rounds {
        say(format!("shown again, round {round} of {rounds}"));
        let name = format!("again-{round}.csv");
        let mut connection = Connection::to(pair.web.address)?;
        let upload = Upload::create(&mut connection, "/uploads", &name, table)?;
        let (last, before) = table.bytes.split_last().context("the table is empty")?;
        let answered = upload.append(&mut connection, 0, before)?;
        ensure!(answered == 204, "the web host answered {answered}");
        settle();
        pair.kill_web()?;
        let mut connection = Connection::to(pair.web.address)?;
        let started = Instant::now();
        while upload.append(&mut connection, before.len() as u64, &[*last])? != 204 {
            ensure!(
                started.elapsed() < PATIENCE,
                "the upload never became ready"
            );
            std::thread::sleep(AGAIN);
        }
        seconds.push(started.elapsed().as_secs_f64());
        path::take_away(&pair.disk.join("bench").join(name), table.bytes.len())?;
    }
    let rate = gigabytes(table.bytes.len()) / Seconds::new(seconds.clone()).median();
    Ok(Figure {
        what: format!(
            "{} MiB shown again to csv-schema by another web host, and stored, to the policy alone",
            table.bytes.len() >> 20
        ),
        measured: shown(rate, &seconds),
        beside: format!("{alone:.2} GB/s"),
        ratio: Some(rate / alone),
        wanted: ">= 0.80".to_owned(),
    })
}

/// A table that is uploaded.
pub(crate) struct Table {
    /// Its data definition.
    name: &'static str,
    bytes: Vec<u8>,
}

impl Table {
    /// A valid one of about so many bytes.
    fn of(name: &'static str, bytes: u64) -> Result<Self> {
        let csv = Csv::of(&Definition::shipped(name)?).bytes(bytes);
        let bytes = csv.whole();
        Ok(Self { name, bytes })
    }
}
