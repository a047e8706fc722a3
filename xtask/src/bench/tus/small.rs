//! Many small uploads beside nginx.

use std::fs;
use std::path::Path;

use anyhow::{Result, ensure};

use crate::bench::clients::{CLIENTS, by_clients};
use crate::bench::connection::Connection;
use crate::bench::figures::{Figure, count};
use crate::bench::floor;
use crate::bench::in_folder;
use crate::bench::nginx::Nginx;
use crate::bench::path::settle;
use crate::bench::server::{Pair, Policies, Source};
use crate::bench::table::Seconds;
use crate::bench::tus::Table;
use crate::bench::tus::client::Upload;
use crate::workspace::{Workspace, say};

/// A small upload, and how many there are in a round.
const BYTES: u64 = 10_000;
const UPLOADS: usize = 4_000;

/// Measures them, as they are judged and stored in one go.
pub(crate) fn measure(
    workspace: &Workspace,
    storage: &Path,
    rounds: usize,
    nginx: Option<&'static str>,
) -> Result<Vec<Figure>> {
    in_folder(storage, "small", |folder| {
        measure_in(workspace, folder, rounds, nginx)
    })
}

/// What a small upload brings. Nothing is to be said of it: a laboratory table has a warning in most of its rows.
pub(crate) fn table() -> Result<Table> {
    Table::of("patient", BYTES)
}

/// The seconds for so many small uploads. They stay until all is measured: on an ext4 without a journal each new file
/// would be charged for those that were removed in the minutes before it (see `machine`).
pub(crate) fn take(pair: &Pair, round: usize, count: usize, table: &Table) -> Result<f64> {
    settle();
    let seconds = by_clients(count, |client, uploads| {
        let mut connection = Connection::to(pair.web.address)?;
        for upload in uploads {
            let name = format!("{round}-{client}-{upload}.csv");
            Upload::whole(&mut connection, &name, table)?;
        }
        Ok(())
    })?;
    let (mut stored, begin) = (0, format!("{round}-"));
    for file in fs::read_dir(pair.disk.join("bench"))? {
        stored += usize::from(file?.file_name().to_string_lossy().starts_with(&begin));
    }
    ensure!(
        stored == count,
        "{stored} of {count} uploads have been stored"
    );
    Ok(seconds)
}

/// Many small uploads, each with its creation, by several clients at once.
fn measure_in(
    workspace: &Workspace,
    folder: &Path,
    rounds: usize,
    nginx: Option<&'static str>,
) -> Result<Vec<Figure>> {
    let table = table()?;
    let start =
        |policies, name: &str| Pair::start(workspace, &folder.join(name), policies, Source::File);
    let judged = start(Policies::Table, "table")?;
    let plain = start(Policies::FileType, "plain")?;
    let nginx = nginx
        .map(|program| Nginx::start(program, &folder.join("nginx")))
        .transpose()?;
    let (mut with_table, mut with_type, mut beside) = (vec![], vec![], vec![]);
    let mut floor = vec![];
    for round in 1..=rounds {
        say(format!("small uploads, round {round} of {rounds}"));
        for (pair, seconds) in [(&judged, &mut with_table), (&plain, &mut with_type)] {
            seconds.push(take(pair, round, UPLOADS, &table)?);
        }
        if let Some(nginx) = &nginx {
            settle();
            beside.push(by_clients(UPLOADS, |client, uploads| {
                let mut connection = Connection::to(nginx.front)?;
                for upload in uploads {
                    let target = format!("/{round}-{client}-{upload}.csv");
                    let answered = connection.call("PUT", &target, "", &[&table.bytes])?.status;
                    ensure!(answered == 201, "nginx answered {answered}");
                }
                Ok(())
            })?);
        }
        settle();
        let folder = folder.join(format!("floor-{round}"));
        floor.push(floor::write_small(&folder, UPLOADS, BYTES)?);
    }
    let rate = |seconds: &[f64]| count(UPLOADS) / Seconds::new(seconds.to_vec()).median();
    let figure = |what: &str, seconds: &[f64], wanted: &str| Figure {
        what: format!("{what}, {CLIENTS} at once, to nginx -> nginx without fsync"),
        measured: format!(
            "{:.0} /s ({} s)",
            rate(seconds),
            Seconds::new(seconds.to_vec()).spread()
        ),
        beside: if beside.is_empty() {
            String::new()
        } else {
            format!("{:.0} /s", rate(&beside))
        },
        ratio: (!beside.is_empty()).then(|| rate(seconds) / rate(&beside)),
        wanted: wanted.to_owned(),
    };
    Ok(vec![
        figure(
            "uploads of 10 KB by tus, durable, csv-schema",
            &with_table,
            ">= 0.30",
        ),
        figure(
            "uploads of 10 KB by tus, durable, file-type",
            &with_type,
            "",
        ),
        figure(
            "floor: files of 10 KB written to that disk and fsync without any server",
            &floor,
            "",
        ),
    ])
}
