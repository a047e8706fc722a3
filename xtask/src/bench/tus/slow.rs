//! Many slow uploads at once through one web host, each before `csv-schema`: what each of them costs it in memory.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::Table;
use super::client::Upload;
use crate::bench::connection::Connection;
use crate::bench::figures::{Figure, count};
use crate::bench::in_folder;
use crate::bench::server::{Pair, Policies};
use crate::workspace::{Workspace, say};

/// How many there are at once.
const UPLOADS: usize = 2_000;
/// How large each is, in how many pieces it comes, and how soon the next piece of all of them follows.
const UPLOAD_BYTES: u64 = 96 << 10;
const PIECES: usize = 12;
const PAUSE: Duration = Duration::from_secs(2);
/// What each may cost, in bytes.
const MOST_BYTES: f64 = 300.0 * 1024.0;

/// Measures them.
pub(crate) fn measure(workspace: &Workspace, storage: &Path) -> Result<Figure> {
    in_folder(storage, "slow", |folder| measure_in(workspace, folder))
}

fn measure_in(workspace: &Workspace, folder: &Path) -> Result<Figure> {
    say(format!("{UPLOADS} slow uploads at once"));
    let table = Table::of("patient", UPLOAD_BYTES)?;
    // Some more than there are: a request ends a moment after its client heard so.
    let pair = Pair::start_for(workspace, folder, Policies::Table, UPLOADS + UPLOADS / 10)?;
    // What there is once, and not for each upload.
    Upload::whole(&mut Connection::to(pair.web.address)?, "first.csv", &table)?;
    let before = pair.web.memory_now()?;
    let mut uploads: Vec<_> = (0..UPLOADS)
        .map(|upload| begun(&pair, upload, &table))
        .collect::<Result<_>>()?;
    let mut most = 0;
    for piece in table.bytes.chunks(table.bytes.len().div_ceil(PIECES)) {
        let round = Instant::now();
        for connection in &mut uploads {
            connection.write(piece).context("an upload broke off")?;
        }
        thread::sleep(PAUSE.saturating_sub(round.elapsed()));
        most = most.max(pair.web.memory_now()?);
    }
    let mut failed = 0;
    for connection in &mut uploads {
        let answer = connection.answer(Instant::now())?;
        failed += usize::from(answer.status != 204);
    }
    ensure!(failed == 0, "{failed} of {UPLOADS} slow uploads failed");
    let stored = pair.disk.join("bench").read_dir()?.count();
    ensure!(stored == UPLOADS + 1, "{stored} files are stored");
    #[expect(clippy::cast_precision_loss, reason = "a figure with three digits")]
    let each = most.saturating_sub(before) as f64 / count(UPLOADS);
    Ok(Figure {
        what: format!(
            "{UPLOADS} slow uploads at once through one web host, csv-schema, none failed: its resident memory for each, what all share counted once ({} \
             MiB in all, {} MiB before), to 300 KiB",
            most >> 20,
            before >> 20
        ),
        measured: format!("{:.0} KiB", each / 1024.0),
        beside: "300 KiB".to_owned(),
        ratio: Some(each / MOST_BYTES),
        wanted: "<= 1.00".to_owned(),
    })
}

/// One that waits for its first byte.
fn begun(pair: &Pair, upload: usize, table: &Table) -> Result<Connection> {
    let mut connection = Connection::to(pair.web.address)?;
    let name = format!("slow-{upload}.csv");
    let created = Upload::create(&mut connection, "/uploads", &name, table)?;
    created.begin(&mut connection, table.bytes.len())?;
    Ok(connection)
}
