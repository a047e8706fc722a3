//! Services on their own: files stored, read and listed over the file API, beside `dd`, nginx and one fsync after the
//! other.

use std::fs::{self, File};
use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, ensure};

use crate::bench::clients::{CLIENTS, by_clients};
use crate::bench::connection::Connection;
use crate::bench::figures::{Figure, count};
use crate::bench::in_folder;
use crate::bench::nginx::Nginx;
use crate::bench::path::{Upload, gigabytes, settle, shown};
use crate::bench::server::{KEY, Services};
use crate::bench::table::Seconds;
use crate::workspace::{Workspace, say};

/// A small file, and how many are stored.
const SMALL_BYTES: usize = 10_000;
const SMALL_FILES: usize = 8_000;
/// Entries of the long list, and of one page of it.
const ENTRIES: u64 = 1_000_000;
const PAGE: usize = 1_000;
/// Between the parts of a form.
const BOUNDARY: &str = "portcullis-bench";

/// Measures in a folder on the file system in question.
pub(crate) fn measure(
    workspace: &Workspace,
    storage: &Path,
    Upload { mib, rounds }: Upload,
    nginx: Option<&'static str>,
) -> Result<Vec<Figure>> {
    in_folder(storage, "files", |folder| {
        let services = Services::start(workspace, &folder.join("services"))?;
        let nginx = nginx
            .map(|program| Nginx::start(program, &folder.join("nginx")))
            .transpose()?;
        let nginx = nginx.as_ref();
        let mut figures = large(&services, folder, mib, rounds, nginx)?;
        figures.extend(small(&services, folder, rounds, nginx)?);
        drop(services);
        figures.push(list(workspace, &folder.join("list"), rounds)?);
        Ok(figures)
    })
}

/// One large file, stored and read.
fn large(
    services: &Services,
    folder: &Path,
    mib: usize,
    rounds: usize,
    nginx: Option<&Nginx>,
) -> Result<Vec<Figure>> {
    let bytes = mib << 20;
    // Not the same byte again and again, which some disks would not write.
    let body: Vec<u8> = (0..bytes as u64 / 8)
        .flat_map(|word| word.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_le_bytes())
        .collect();
    let (mut stored, mut dd, mut read, mut beside) = (vec![], vec![], vec![], vec![]);
    if let Some(nginx) = nginx {
        fs::write(nginx.disk.join("large"), &body)?;
    }
    for round in 1..=rounds {
        say(format!("a file of {mib} MiB, round {round} of {rounds}"));
        settle();
        let started = Instant::now();
        let path = format!("large-{round}");
        upload(&mut Connection::to(services.server.address)?, &path, &body)?;
        stored.push(started.elapsed().as_secs_f64());
        settle();
        dd.push(dd_fsync(&folder.join("dd"), mib)?);
        read.push(download(
            services.server.address,
            &format!("/internal/storage/download?path={path}"),
            body.len(),
        )?);
        if let Some(nginx) = nginx {
            beside.push(download(nginx.back, "/large", body.len())?);
        }
        if round > 1 {
            purge(services, round - 1)?;
        }
    }
    let rate = |seconds: &[f64]| gigabytes(bytes) / Seconds::new(seconds.to_vec()).median();
    let figure = |what: &str, seconds: &[f64], beside: &[f64]| Figure {
        what: format!("{mib} MiB {what}"),
        measured: shown(rate(seconds), seconds),
        beside: format!("{:.2} GB/s", rate(beside)),
        ratio: Some(rate(seconds) / rate(beside)),
        wanted: ">= 0.80".to_owned(),
    };
    let mut figures = vec![figure(
        "stored by the file API, with SHA-256, fsync, version and audit, to dd conv=fsync",
        &stored,
        &dd,
    )];
    if !beside.is_empty() {
        figures.push(figure("read by the file API, to nginx", &read, &beside));
    }
    Ok(figures)
}

/// Many small files by several clients at once.
fn small(
    services: &Services,
    folder: &Path,
    rounds: usize,
    nginx: Option<&Nginx>,
) -> Result<Vec<Figure>> {
    let body = vec![b'x'; SMALL_BYTES];
    let (mut stored, mut sequence, mut parallel, mut beside) = (vec![], vec![], vec![], vec![]);
    for round in 1..=rounds {
        say(format!("small files, round {round} of {rounds}"));
        settle();
        let seconds = by_clients(SMALL_FILES, |client, file| {
            let address = services.server.address;
            let mut connection = Connection::to(address)?;
            for file in file {
                upload(
                    &mut connection,
                    &format!("small-{round}/{client}/{file}"),
                    &body,
                )?;
            }
            Ok(())
        })?;
        say(format!("{:.0} a second", count(SMALL_FILES) / seconds));
        stored.push(seconds);
        settle();
        sequence.push(
            fsync_each(
                &folder.join(format!("sequence-{round}")),
                SMALL_FILES / 8,
                &body,
            )? * 8.0,
        );
        let at_once = folder.join(format!("at-once-{round}"));
        fs::create_dir_all(&at_once)?;
        parallel.push(by_clients(SMALL_FILES, |client, files| {
            fsync_each(&at_once.join(client.to_string()), files.len(), &body).map(|_| ())
        })?);
        if let Some(nginx) = nginx {
            settle();
            beside.push(by_clients(SMALL_FILES, |client, files| {
                let mut connection = Connection::to(nginx.back)?;
                for file in files {
                    let target = format!("/small-{round}/{client}/{file}");
                    let answer = connection.call("PUT", &target, "", &[&body]);
                    let answer = answer.context("nginx")?;
                    ensure!(answer.status == 201, "nginx answered {}", answer.status);
                }
                Ok(())
            })?);
        }
    }
    let rate = |seconds: &[f64]| count(SMALL_FILES) / Seconds::new(seconds.to_vec()).median();
    let figure = |what: &str, beside: &[f64], wanted: &str| Figure {
        what: format!("files of 10 KB, durable, {CLIENTS} clients, {what}"),
        measured: format!(
            "{:.0} /s ({} s)",
            rate(&stored),
            Seconds::new(stored.clone()).spread()
        ),
        beside: format!("{:.0} /s", rate(beside)),
        ratio: Some(rate(&stored) / rate(beside)),
        wanted: wanted.to_owned(),
    };
    let mut figures = vec![
        figure(
            "to one fsync after the other without a server",
            &sequence,
            ">= 4.00",
        ),
        figure(
            "to as many threads that fsync without a server",
            &parallel,
            "",
        ),
    ];
    if !beside.is_empty() {
        figures.push(figure("to nginx (DAV PUT) without fsync", &beside, ""));
    }
    Ok(figures)
}

fn fsync_each(folder: &Path, files: usize, body: &[u8]) -> Result<f64> {
    fs::create_dir_all(folder)?;
    let started = Instant::now();
    for number in 0..files {
        let mut file = File::create_new(folder.join(number.to_string()))?;
        file.write_all(body)?;
        file.sync_all()?;
    }
    Ok(started.elapsed().as_secs_f64())
}

/// The first page and all of a list of a million entries.
fn list(workspace: &Workspace, folder: &Path, rounds: usize) -> Result<Figure> {
    say("a list of a million entries");
    // It makes the catalog.
    drop(Services::start(workspace, folder)?);
    fill(&Services::catalog(folder))?;
    let services = Services::start(workspace, folder)?;
    let mut connection = Connection::to(services.server.address)?;
    let key = format!("X-API-Key: {KEY}\r\n");
    let mut ask = |target: &str| connection.call("GET", target, &key, &[]);
    let first_page = format!("/internal/storage/list?limit={PAGE}&include_metadata=true");
    ask(&first_page)?;
    let before = services.server.most_memory()?;
    let mut first = Vec::new();
    for _ in 0..rounds {
        let started = Instant::now();
        ask(&first_page)?;
        first.push(started.elapsed().as_secs_f64() * 1000.0);
    }
    let started = Instant::now();
    let all = ask("/internal/storage/list?include_metadata=true")?;
    let seconds = started.elapsed().as_secs_f64();
    ensure!(
        all.bytes > ENTRIES * 100,
        "the list has {} bytes",
        all.bytes
    );
    let more = services.server.most_memory()?.saturating_sub(before);
    let median = Seconds::new(first).median();
    Ok(Figure {
        what: format!(
            "a list of {ENTRIES} entries with metadata: the first page of {PAGE}; all of it in {seconds:.1} s ({} MB) with {} MiB \
             more memory, its first byte after {:.0} ms",
            all.bytes / 1_000_000,
            more >> 20,
            all.first * 1000.0
        ),
        measured: format!("{median:.1} ms"),
        beside: "50 ms".to_owned(),
        ratio: Some(median / 50.0),
        wanted: "<= 1.00".to_owned(),
    })
}

/// Entries as services write them, whose bytes are not there: nobody reads them.
const FILL: &str = r#"
import sqlite3, sys
rows = sqlite3.connect(sys.argv[1])
rows.execute("""
    WITH RECURSIVE entry(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM entry WHERE n + 1 < ?1)
    INSERT INTO versions (upload, disk, path, version, size, sha256, media_type, metadata, quarantined, stored_at, linked)
        SELECT printf('%032x', n), 'local', printf('cohort-%02d/site-%03d/%07d.csv', n % 20, n % 1000, n), 1, 10000,
               printf('%064x', n), 'text/csv', '{"cohort":"c1","table":"patient"}', 0, 1790000000000 + n, 1
        FROM entry""", [int(sys.argv[2])])
rows.commit()
"#;

/// Python brings the database along, and xtask does not.
fn fill(catalog: &Path) -> Result<()> {
    let status = Command::new("python3")
        .args(["-c", FILL])
        .arg(catalog)
        .arg(ENTRIES.to_string())
        .status()
        .context("python3 cannot be started")?;
    ensure!(status.success(), "the catalog could not be filled");
    Ok(())
}

fn upload(connection: &mut Connection, path: &str, body: &[u8]) -> Result<()> {
    let before = format!(
        "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"path\"\r\n\r\n{path}\r\n--{BOUNDARY}\r\n\
         Content-Disposition: form-data; name=\"file\"; filename=\"file\"\r\nContent-Type: application/octet-stream\r\n\r\n"
    );
    let behind = format!("\r\n--{BOUNDARY}--\r\n");
    let headers =
        format!("X-API-Key: {KEY}\r\nContent-Type: multipart/form-data; boundary={BOUNDARY}\r\n");
    let parts = [before.as_bytes(), body, behind.as_bytes()];
    let answer = connection.call("POST", "/internal/storage/upload", &headers, &parts);
    let answer = answer.context("services")?;
    ensure!(answer.status == 200, "services answered {}", answer.status);
    Ok(())
}

fn download(from: SocketAddr, target: &str, bytes: usize) -> Result<f64> {
    let started = Instant::now();
    let headers = format!("X-API-Key: {KEY}\r\n");
    let answer = Connection::to(from)?.call("GET", target, &headers, &[])?;
    ensure!(
        answer.status == 200 && answer.bytes == bytes as u64,
        "the server answered {} with {} bytes",
        answer.status,
        answer.bytes
    );
    Ok(started.elapsed().as_secs_f64())
}

/// A file that stayed would fill the disk with the rounds.
fn purge(services: &Services, round: usize) -> Result<()> {
    let headers = format!(
        "X-API-Key: {}\r\nContent-Type: application/json\r\n",
        crate::bench::server::ADMIN_KEY
    );
    let body = format!("{{\"path\":\"large-{round}\",\"reason\":\"measured\"}}");
    let mut connection = Connection::to(services.server.address)?;
    let answer = connection.call(
        "POST",
        "/internal/storage/purge",
        &headers,
        &[body.as_bytes()],
    )?;
    ensure!(answer.status == 200, "services answered {}", answer.status);
    Ok(())
}

/// What `dd conv=fsync` takes for as much.
fn dd_fsync(path: &Path, mib: usize) -> Result<f64> {
    let started = Instant::now();
    let status = Command::new("dd")
        .args(["if=/dev/zero", "bs=1M", "conv=fsync", "status=none"])
        .arg(format!("count={mib}"))
        .arg(format!("of={}", path.display()))
        .status()
        .context("dd cannot be started")?;
    ensure!(status.success(), "dd failed");
    let seconds = started.elapsed().as_secs_f64();
    fs::remove_file(path)?;
    Ok(seconds)
}
