//! Policies that change while uploads come, and policies in the shadow: what uploads notice of it.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use portcullis_generator::{Csv, Definition};
use sha2::{Digest, Sha256};

use crate::bench::client;
use crate::bench::figures::{Figure, count};
use crate::bench::in_folder;
use crate::bench::server::{Pair, Policies, Source};
use crate::bench::table::Seconds;
use crate::workspace::{Workspace, say};

/// Uploads at once, and how large each is.
const AT_ONCE: usize = 64;
const UPLOAD_BYTES: usize = 128 << 10;
/// How long a crowd is measured, and how often in turns.
const CROWD: Duration = Duration::from_secs(10);
const TURNS: usize = 3;
/// How often the policies change meanwhile.
const CHANGE: Duration = Duration::from_secs(1);
/// How often a change is sent through services.
const APPLIES: usize = 5;
/// How long such a change may take, in seconds.
const APPLY_SECONDS: f64 = 2.0;

/// Measures all of it.
pub(crate) fn measure(workspace: &Workspace, storage: &Path) -> Result<Vec<Figure>> {
    in_folder(storage, "changes", |folder| {
        Ok(vec![
            reloads(workspace, &folder.join("reloads"))?,
            shadow(workspace, folder)?,
            apply(workspace, &folder.join("apply"))?,
        ])
    })
}

/// Many uploads before `csv-schema`, beside the same with that policy once more in the shadow.
fn shadow(workspace: &Workspace, folder: &Path) -> Result<Figure> {
    say("a policy in the shadow of many uploads");
    let start =
        |policies, name: &str| Pair::start(workspace, &folder.join(name), policies, Source::File);
    let alone = start(Policies::Table, "alone")?;
    let beside = start(Policies::TableInShadow, "beside")?;
    let csv = Csv::of(&Definition::shipped("laboratory")?).bytes(UPLOAD_BYTES as u64);
    let table = csv.whole();
    let bodies = vec![table; AT_ONCE];
    crowd(&alone, &bodies)?;
    let (mut with, mut without) = (0, 0);
    for _ in 0..TURNS {
        without += crowd(&alone, &bodies)?.len();
        with += crowd(&beside, &bodies)?.len();
    }
    let rate = |uploads: usize| count(uploads) / (CROWD.as_secs_f64() * count(TURNS));
    Ok(Figure {
        what: format!(
            "{AT_ONCE} uploads at once of {} KiB, csv-schema and the same in the shadow, to without the shadow",
            UPLOAD_BYTES >> 10
        ),
        measured: format!("{:.0} uploads/s", rate(with)),
        beside: format!("{:.0} uploads/s", rate(without)),
        ratio: Some(rate(with) / rate(without)),
        wanted: ">= 0.90".to_owned(),
    })
}

/// Reloads each second under many uploads, beside the same uploads without.
fn reloads(workspace: &Workspace, folder: &Path) -> Result<Figure> {
    say("reloads under load");
    let pair = Pair::start(workspace, folder, Policies::FileType, Source::File)?;
    let set = folder.join("policies.toml");
    let text = fs::read_to_string(&set)?;
    let bodies: Vec<Vec<u8>> = (0..AT_ONCE)
        .map(|nth| {
            let line = format!("{nth},value\n");
            line.repeat(UPLOAD_BYTES / line.len()).into_bytes()
        })
        .collect();
    // The first crowd only warms up.
    crowd(&pair, &bodies)?;
    let (mut with, mut without, mut changes) = (Vec::new(), Vec::new(), 0);
    for turn in 0..TURNS {
        without.extend(crowd(&pair, &bodies)?);
        let is_over = AtomicBool::new(false);
        thread::scope(|scope| {
            let changing = scope.spawn(|| change(&set, &text, turn, &is_over));
            let times = crowd(&pair, &bodies);
            is_over.store(true, Ordering::Relaxed);
            changes += changing.join().expect("writes files")?;
            with.extend(times?);
            Ok::<_, anyhow::Error>(())
        })?;
    }
    let (with, without) = (p99(with), p99(without));
    Ok(Figure {
        what: format!(
            "p99 of {AT_ONCE} uploads at once under {changes} reloads, one each second, to without; none failed, every digest right"
        ),
        measured: format!("{:.0} ms", with * 1e3),
        beside: format!("{:.0} ms", without * 1e3),
        ratio: Some(with / without),
        wanted: "<= 1.20".to_owned(),
    })
}

/// Changes the set each second; its components stay what they are. Gives how often.
fn change(set: &Path, text: &str, turn: usize, is_over: &AtomicBool) -> Result<usize> {
    let mut count = 0;
    while !is_over.load(Ordering::Relaxed) {
        count += 1;
        let new = set.with_extension("new");
        fs::write(&new, format!("{text}\n# change {turn}.{count}\n"))?;
        fs::rename(&new, set)?;
        thread::sleep(CHANGE);
    }
    Ok(count)
}

/// How many seconds each upload of a crowd takes. None may fail, and each receipt has the right digest.
fn crowd(pair: &Pair, bodies: &[Vec<u8>]) -> Result<Vec<f64>> {
    let began = Instant::now();
    let mut times = Vec::new();
    thread::scope(|scope| {
        let uploads = bodies.iter().enumerate();
        let uploads: Vec<_> = uploads
            .map(|(nth, body)| scope.spawn(move || one_after_the_other(pair, nth, body, began)))
            .collect();
        for upload in uploads {
            times.extend(upload.join().expect("does not panic")?);
        }
        Ok::<_, anyhow::Error>(())
    })?;
    Ok(times)
}

fn one_after_the_other(pair: &Pair, nth: usize, body: &[u8], began: Instant) -> Result<Vec<f64>> {
    let digest = hex::encode(Sha256::digest(body));
    let name = format!("crowd-{nth}.csv");
    let mut times = Vec::new();
    while began.elapsed() < CROWD {
        let (seconds, answer) = client::upload(pair.web.address, &name, body)?;
        ensure!(answer.contains(&digest), "a digest is wrong: {answer}");
        times.push(seconds);
    }
    Ok(times)
}

fn p99(mut seconds: Vec<f64>) -> f64 {
    seconds.sort_by(f64::total_cmp);
    let nth = seconds.len() * 99 / 100;
    seconds.get(nth).copied().unwrap_or(f64::NAN)
}

/// From `portcullis policy apply` to the web host that runs it.
fn apply(workspace: &Workspace, folder: &Path) -> Result<Figure> {
    say("a change through services");
    let pair = Pair::start(workspace, folder, Policies::FileType, Source::Services)?;
    let set = folder.join("set");
    let components = set.join("components");
    fs::create_dir_all(&components)?;
    let mut text = String::new();
    for (name, more) in [
        ("size-limit", "settings = { max-bytes = 1000000000 }"),
        (
            "route-by-attributes",
            "disks = [\"local\"]\nsettings = { template = \"bench/{filename}\" }",
        ),
    ] {
        let file = format!("components/{name}.wasm");
        let shipped = workspace.root.join("policies").join(&file);
        fs::copy(&shipped, set.join(&file))?;
        writeln!(
            text,
            "[[policy]]\nname = \"{name}\"\ncomponent = \"{file}\"\n{more}"
        )?;
    }
    fs::write(set.join("policies.toml"), text)?;
    let own: PathBuf = components.join("size-limit.wasm");
    let code = fs::read(&own)?;
    let mut seconds = Vec::new();
    for nth in 0..=APPLIES {
        // A custom section named `n` with one byte: other code that does the same.
        let section = [0, 3, 1, b'n', u8::try_from(nth)?];
        fs::write(&own, [&code[..], &section].concat())?;
        let began = Instant::now();
        let output = Command::new(workspace.release_binary("portcullis"))
            .args(["policy", "apply", "--note", "bench", "--author", "bench"])
            .arg(&set)
            .env("SERVICES_URL", format!("http://{}", pair.services.address))
            .env("PORTCULLIS_ADMIN_KEY", crate::bench::server::ADMIN_KEY)
            .output()?;
        let said = String::from_utf8_lossy(&output.stdout);
        ensure!(
            output.status.success() && said.contains("runs it"),
            "{said}{}",
            String::from_utf8_lossy(&output.stderr)
        );
        // The first one comes to a web host without anything.
        if nth > 0 {
            seconds.push(began.elapsed().as_secs_f64());
        }
    }
    let kb = code.len() / 1000;
    let median = Seconds::new(seconds).median();
    Ok(Figure {
        what: format!(
            "from `policy apply` to the web host that runs it, a component of {kb} KB, the check in the command included"
        ),
        measured: format!("{median:.2} s"),
        beside: format!("{APPLY_SECONDS} s"),
        ratio: Some(median / APPLY_SECONDS),
        wanted: "<= 1.00".to_owned(),
    })
}
