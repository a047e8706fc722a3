//! `portcullis policy bench`: what a policy costs, beside one that does nothing, in turns.

use std::io::{Cursor, Read};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use portcullis_engine::{
    Attempt, Call, Candidate, Cuts, Policy, PolicyKind, Trial, Upload, Word, Workbench,
};
use serde::Serialize;

use crate::policy::candidate::{self, CandidateArguments};
use crate::policy::request::RequestArguments;
use crate::screen::{self, DIM, HEAD, styled};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    candidate: CandidateArguments,
    #[command(flatten)]
    request: RequestArguments,
    /// How often everything is measured; the middle is what counts.
    #[arg(long, value_name = "NUMBER", default_value_t = 9)]
    rounds: usize,
    /// The report as JSON.
    #[arg(long)]
    json: bool,
}

/// A component that inspects every byte and accepts, without any code behind it.
const NO_OP: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/no-op.wasm"));

/// How many instances are made, and how many uploads admitted, in a round.
const TIMES: u32 = 200;
/// The body where none is given, in bytes.
const BODY_BYTES: usize = 16 << 20;
/// The largest body that is kept in memory to be judged again and again.
const MAX_BODY_BYTES: u64 = 1 << 30;

#[derive(Serialize)]
struct Report {
    component: String,
    rounds: usize,
    body_bytes: u64,
    verdict: Word,
    figures: Vec<Figure>,
}

/// One figure: a time where `bytes` is absent, otherwise how long so many bytes took.
#[derive(Serialize)]
struct Figure {
    what: &'static str,
    seconds: f64,
    no_op_seconds: f64,
    ratio: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<u64>,
}

pub(crate) async fn run(arguments: &Arguments) -> Result<ExitCode> {
    let candidate = arguments.candidate.candidate()?;
    let request = arguments.request.request()?;
    let (upload, facts) = (request.upload()?, request.facts());
    let body = body(&arguments.request)?;
    let workbench = Workbench::start()?;
    let policy = candidate::load(&workbench, &candidate).await?;
    let no_op = no_op(&workbench).await?;
    let bench = Bench {
        workbench: &workbench,
        upload: &upload,
        facts: &facts,
        body: &body,
    };
    let (mut own, mut its) = (Vec::new(), Vec::new());
    for _ in 0..arguments.rounds.max(1) {
        own.push(bench.round(&policy).await?);
        its.push(bench.round(&no_op).await?);
    }
    let report = Report {
        component: candidate.component.display().to_string(),
        rounds: own.len(),
        body_bytes: body.len() as u64,
        verdict: Word::of(&bench.judge(&policy, &body).await?),
        figures: figures(&own, &its),
    };
    if arguments.json {
        screen::json(&report)?;
    } else {
        print(&report, arguments.request.has_input());
    }
    Ok(ExitCode::SUCCESS)
}

/// What one round says.
struct Round {
    instance: Duration,
    /// The first call about an upload: `admit` or `place`.
    headers: Duration,
    /// All calls of `chunk`, and what they were shown.
    chunk: Option<(Duration, u64)>,
    /// Everything about one upload, by the clock on the wall.
    whole: Duration,
}

struct Bench<'a> {
    workbench: &'a Workbench,
    upload: &'a Upload,
    facts: &'a [(String, String)],
    body: &'a [u8],
}

impl Bench<'_> {
    async fn round(&self, policy: &Arc<Policy>) -> Result<Round> {
        let mut instance = Duration::ZERO;
        for _ in 0..TIMES {
            instance += self.workbench.time_instance(policy).await?;
        }
        let call = match policy.kind() {
            PolicyKind::Validation => Call::Admit,
            PolicyKind::Routing => Call::Place,
        };
        let mut headers = Duration::ZERO;
        for _ in 0..TIMES {
            headers += self.judge(policy, &[]).await?.busy(call);
        }
        let began = Instant::now();
        let trial = self.judge(policy, self.body).await?;
        let whole = began.elapsed();
        let shown = trial.record.bytes;
        Ok(Round {
            instance: instance / TIMES,
            headers: headers / TIMES,
            chunk: (shown > 0).then(|| (trial.busy(Call::Chunk), shown)),
            whole,
        })
    }

    async fn judge(&self, policy: &Arc<Policy>, body: &[u8]) -> Result<Trial> {
        let attempt = Attempt {
            upload: self.upload,
            facts: self.facts,
            cuts: &Cuts::LONGEST,
            pauses: false,
        };
        let mut body = Cursor::new(body);
        let trial = self.workbench.attempt(policy, &attempt, &mut body);
        let trial = trial.await.context("the body cannot be read")?;
        match &trial.outcome {
            Ok(_) => Ok(trial),
            Err(failure) => bail!("there is nothing to measure: {failure}"),
        }
    }
}

async fn no_op(workbench: &Workbench) -> Result<Arc<Policy>> {
    let folder = std::env::temp_dir().join(format!("portcullis-no-op-{}", std::process::id()));
    let written = std::fs::create_dir_all(&folder);
    let component = folder.join("no-op.wasm");
    written
        .and_then(|()| std::fs::write(&component, NO_OP))
        .with_context(|| format!("{} cannot be written", component.display()))?;
    let loaded = workbench.load(&Candidate::new(&component)).await;
    let _ = std::fs::remove_dir_all(&folder);
    Ok(loaded?)
}

fn body(request: &RequestArguments) -> Result<Vec<u8>> {
    if !request.has_input() {
        let line = b"7f3a,2024-05-06,12.5,mg/dL,a line of text that means nothing at all\n";
        return Ok(line.iter().copied().cycle().take(BODY_BYTES).collect());
    }
    let mut body = Vec::new();
    let mut input = request.body()?.take(MAX_BODY_BYTES + 1);
    input
        .read_to_end(&mut body)
        .context("the input cannot be read to its end")?;
    if body.len() as u64 > MAX_BODY_BYTES {
        bail!("the input has more than 1 GiB; a smaller one measures the same");
    }
    Ok(body)
}

fn figures(own: &[Round], its: &[Round]) -> Vec<Figure> {
    let beside = |what, of: &dyn Fn(&Round) -> Duration, bytes| {
        let (own, its) = (median(own.iter().map(of)), median(its.iter().map(of)));
        Figure {
            what,
            seconds: own.as_secs_f64(),
            no_op_seconds: its.as_secs_f64(),
            ratio: own.as_secs_f64() / its.as_secs_f64(),
            bytes,
        }
    };
    let mut figures = vec![
        beside("instance + configure", &|round| round.instance, None),
        beside("headers", &|round| round.headers, None),
    ];
    let bytes = own
        .first()
        .and_then(|round| round.chunk)
        .map(|(_, bytes)| bytes);
    if let Some(bytes) = bytes {
        // The no-op is shown everything; for the same bytes it takes as much less.
        let for_the_same = |round: &Round| {
            round.chunk.map_or(Duration::ZERO, |(time, shown)| {
                let share = u32::try_from(shown / bytes.max(1))
                    .unwrap_or(u32::MAX)
                    .max(1);
                time / share
            })
        };
        figures.push(beside("chunk", &for_the_same, Some(bytes)));
    }
    figures.push(beside("one upload in all", &|round| round.whole, None));
    figures
}

fn median(times: impl Iterator<Item = Duration>) -> Duration {
    let mut times: Vec<_> = times.collect();
    times.sort();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

fn print(report: &Report, has_input: bool) {
    let body = screen::bytes(report.body_bytes);
    let body = if has_input {
        body
    } else {
        format!("{body} of made-up text; --input FILE measures with yours")
    };
    anstream::println!(
        "{}  {}",
        styled(HEAD, &report.component),
        styled(DIM, format!("{} rounds, a body of {body}", report.rounds))
    );
    let rows: Vec<_> = report
        .figures
        .iter()
        .map(|figure| {
            let shown = |seconds: f64| {
                let time = Duration::from_secs_f64(seconds);
                match figure.bytes {
                    Some(bytes) => screen::rate(bytes, time),
                    None => screen::time(time),
                }
            };
            vec![
                figure.what.to_owned(),
                shown(figure.seconds),
                shown(figure.no_op_seconds),
                format!("{:.2}", figure.ratio),
            ]
        })
        .collect();
    anstream::print!(
        "{}",
        screen::table(&["", "this policy", "a no-op", "times as long"], &rows)
    );
}
