//! `portcullis upload`: files and folders to a web host, gone on with where they stopped, in this run or the next.

mod files;
mod memory;
mod report;
mod send;
mod site;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use futures_util::{StreamExt, stream};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use self::files::LocalFile;
use self::memory::Memory;
use self::report::Report;
use self::send::{Ended, Sender};
use self::site::Site;

/// At least one file was neither stored nor judged.
const NOT_SENT: u8 = 1;
/// At least one file was refused, and the others were stored.
const REFUSED: u8 = 3;
/// At least one file was set apart, and none was refused.
const SET_APART: u8 = 4;

/// Exit codes: 0 when all is stored; 1 when something was neither stored nor judged; 3 when a file was refused; 4 when one
/// was set apart and none refused.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// What to send. All files of a folder are sent, and it keeps its structure.
    #[arg(required = true, value_name = "FILE|DIR")]
    paths: Vec<PathBuf>,
    /// The address of the web host.
    #[arg(
        long,
        value_name = "URL",
        env = "PORTCULLIS_URL",
        default_value = "http://127.0.0.1:8000"
    )]
    to: String,
    /// A file with the token. Otherwise `PORTCULLIS_TOKEN`, or none.
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// An attribute of every file; can be given several times.
    #[arg(long = "attr", value_name = "KEY=VALUE")]
    attributes: Vec<String>,
    /// How many files are sent at once.
    #[arg(long, value_name = "COUNT", default_value_t = 4)]
    parallel: u8,
    /// After so many seconds without progress a file is given up; the next run goes on with it.
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    give_up_after: u64,
    /// Where it is remembered what was begun. Default: `portcullis/uploads` in `XDG_STATE_HOME` or `~/.local/state`.
    #[arg(long, value_name = "FOLDER")]
    state: Option<PathBuf>,
    /// Says it for programs.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let runtime = tokio::runtime::Runtime::new().context("no runtime")?;
    runtime.block_on(send_all(arguments))
}

async fn send_all(arguments: &Arguments) -> Result<ExitCode> {
    let attributes = attributes(&arguments.attributes)?;
    let files = files::all(&arguments.paths)?;
    if files.is_empty() {
        bail!("there is no file in what was named");
    }
    let token = token(arguments)?;
    let site = Site::new(&arguments.to, token)?;
    let memory = Memory::open(arguments.state.clone())?;
    let sender = Arc::new(Sender::new(
        site,
        memory,
        attributes,
        std::time::Duration::from_secs(arguments.give_up_after),
    ));
    let bars = Bars::new();
    let sent = stream::iter(files).map(|file| {
        let (sender, bar) = (Arc::clone(&sender), bars.of(&file));
        async move {
            let ended = sender.send(&file, &bar).await;
            bar.finish_and_clear();
            (file, ended)
        }
    });
    let mut reports = Vec::new();
    let mut sent = sent.buffer_unordered(usize::from(arguments.parallel.max(1)));
    while let Some((file, ended)) = sent.next().await {
        let report = Report::new(&file, ended);
        if !arguments.json {
            bars.0.suspend(|| report.print());
        }
        reports.push(report);
    }
    if arguments.json {
        crate::screen::json(&reports)?;
    } else {
        report::print_sum(&reports);
    }
    Ok(code(&reports))
}

fn code(reports: &[Report]) -> ExitCode {
    let any = |is: fn(&Ended) -> bool| reports.iter().any(|report| is(report.ended()));
    if any(|ended| matches!(ended, Ended::Failed(_))) {
        ExitCode::from(NOT_SENT)
    } else if any(|ended| matches!(ended, Ended::Refused(_))) {
        ExitCode::from(REFUSED)
    } else if any(Ended::is_set_apart) {
        ExitCode::from(SET_APART)
    } else {
        ExitCode::SUCCESS
    }
}

fn attributes(arguments: &[String]) -> Result<Vec<(String, String)>> {
    let pair = |argument: &String| {
        let (key, value) = argument
            .split_once('=')
            .with_context(|| format!("`--attr {argument}` is not KEY=VALUE"))?;
        Ok((key.to_owned(), value.to_owned()))
    };
    arguments.iter().map(pair).collect()
}

fn token(arguments: &Arguments) -> Result<Option<String>> {
    let token = match &arguments.token_file {
        Some(file) => Some(
            std::fs::read_to_string(file)
                .with_context(|| format!("the token file {} cannot be read", file.display()))?,
        ),
        None => std::env::var("PORTCULLIS_TOKEN").ok(),
    };
    Ok(token
        .map(|token| token.trim().to_owned())
        .filter(|token| !token.is_empty()))
}

/// One bar for each file under way, where somebody looks.
struct Bars(MultiProgress);

impl Bars {
    fn new() -> Self {
        Self(MultiProgress::new())
    }

    fn of(&self, file: &LocalFile) -> ProgressBar {
        let bar = self.0.add(ProgressBar::new(file.length));
        let template =
            "{wide_msg} {bytes:>10} of {total_bytes:<10} {bytes_per_sec:>12} {eta:>5} [{bar:20}]";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.set_message(file.shown());
        bar
    }
}
