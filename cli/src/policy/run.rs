//! `portcullis policy run`: one upload before one policy.

use std::fs::File;
use std::io::{self, IsTerminal, Read};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use portcullis_engine::{Attempt, Cuts, Workbench};

use crate::policy::candidate::{CandidateArguments, pair};
use crate::policy::request::Request;
use crate::policy::screen;
use crate::policy::verdict::{self, Word};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    candidate: CandidateArguments,
    /// The body: a file, or `-` for standard input. Without it the body is empty.
    #[arg(long, value_name = "FILE")]
    input: Option<PathBuf>,
    /// An attribute of the upload, as a form field would be; can be given several times.
    #[arg(long = "attr", value_name = "KEY=VALUE")]
    attributes: Vec<String>,
    /// The file name that the client gives. Default: that of the input.
    #[arg(long, value_name = "NAME")]
    filename: Option<String>,
    /// The media type that the client declares.
    #[arg(long, value_name = "TYPE")]
    media_type: Option<String>,
    /// The length in bytes that the client declares.
    #[arg(long, value_name = "BYTES")]
    length: Option<u64>,
    /// The account that sends it. Default: (anonymous).
    #[arg(long, value_name = "NAME")]
    subject: Option<String>,
    /// A group of that account; can be given several times.
    #[arg(long = "group", value_name = "NAME")]
    groups: Vec<String>,
    /// When the upload was created, such as 2024-05-06T07:08:09Z.
    #[arg(long, value_name = "TIME")]
    received_at: Option<String>,
    /// What a validation policy learned, for a routing policy; can be given several times.
    #[arg(long = "fact", value_name = "KEY=VALUE")]
    facts: Vec<String>,
    /// Cut the body into blocks of so many bytes, at most 65536.
    #[arg(long, value_name = "BYTES", default_value_t = 65_536)]
    block_bytes: usize,
    /// The report as JSON.
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(arguments: &Arguments) -> Result<ExitCode> {
    show_log_lines();
    let candidate = arguments.candidate.candidate()?;
    let request = arguments.request()?;
    let (upload, facts) = (request.upload()?, request.facts());
    let mut body = arguments.body()?;
    let workbench = Workbench::start()?;
    let policy = workbench.load(&candidate).await?;
    let attempt = Attempt {
        upload: &upload,
        facts: &facts,
        cuts: &Cuts::Every(arguments.block_bytes),
        pauses: false,
    };
    let trial = workbench.attempt(&policy, &attempt, &mut *body).await;
    let trial = trial.context("the input cannot be read to its end")?;
    // The line with the progress is gone.
    drop(body);
    if arguments.json {
        screen::json(&verdict::Report::of(&trial))?;
    } else {
        verdict::print(&trial, policy.limits().memory_bytes);
    }
    Ok(if Word::of(&trial).passes() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

impl Arguments {
    fn request(&self) -> Result<Request> {
        let attributes = self.attributes.iter().map(|attribute| pair(attribute));
        let facts = self.facts.iter().map(|fact| pair(fact));
        let own_name = self.input.as_deref().and_then(Path::file_name);
        let own_name = own_name.filter(|name| *name != "-");
        let filename = self.filename.clone();
        Ok(Request {
            filename: filename
                .or_else(|| own_name.map(|name| name.to_string_lossy().into_owned()))
                .unwrap_or_default(),
            media_type: self.media_type.clone(),
            length: self.length,
            subject: self.subject.clone(),
            groups: self.groups.clone(),
            received_at: self.received_at.clone(),
            attributes: attributes.collect::<Result<_>>()?,
            facts: facts.collect::<Result<_>>()?,
            ..Request::default()
        })
    }

    fn body(&self) -> Result<Box<dyn Read + Send>> {
        let Some(path) = &self.input else {
            return Ok(Box::new(io::empty()));
        };
        if path.as_os_str() == "-" {
            return Ok(Box::new(Shown::new(io::stdin(), None)));
        }
        let file = File::open(path)
            .with_context(|| format!("the input {} cannot be read", path.display()))?;
        let about = file
            .metadata()
            .with_context(|| format!("the input {} cannot be read", path.display()))?;
        if about.is_dir() {
            anyhow::bail!("the input {} is a folder; name one file", path.display());
        }
        let length = about.is_file().then_some(about.len());
        Ok(Box::new(Shown::new(file, length)))
    }
}

/// Lines that policies write go where people read, under the policy's name.
pub(crate) fn show_log_lines() {
    let lines = tracing_subscriber::fmt()
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .without_time()
        .with_max_level(tracing::Level::DEBUG)
        .with_env_filter("policy=debug");
    // Whoever has set another one wants that one.
    let _ = lines.try_init();
}

/// How often progress is shown.
const SHOW: Duration = Duration::from_millis(200);

/// A body whose progress is shown on a terminal, in a line that goes when it is dropped.
struct Shown<R> {
    body: R,
    length: Option<u64>,
    read: u64,
    last: Instant,
    on_terminal: bool,
}

impl<R> Shown<R> {
    fn new(body: R, length: Option<u64>) -> Self {
        Self {
            body,
            length,
            read: 0,
            last: Instant::now(),
            on_terminal: io::stderr().is_terminal(),
        }
    }
}

impl<R: Read> Read for Shown<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.body.read(buffer)?;
        self.read += read as u64;
        if self.on_terminal && self.last.elapsed() > SHOW {
            self.last = Instant::now();
            let done = screen::bytes(self.read);
            let of = self.length.map_or_else(String::new, |length| {
                format!(" of {}", screen::bytes(length))
            });
            eprint!("\r\x1b[K{done}{of}");
        }
        Ok(read)
    }
}

impl<R> Drop for Shown<R> {
    fn drop(&mut self) {
        if self.on_terminal {
            eprint!("\r\x1b[K");
        }
    }
}
