//! A server process: started, awaited, looked at, killed.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;

use crate::{http_client, until};

/// How long a server may take to listen: the web host compiles its policies before.
const START: Duration = Duration::from_mins(2);
/// How long a server may take to end when asked to.
const STOP: Duration = Duration::from_mins(1);
/// How much of what a server says is kept, in bytes.
const MAX_LOG_BYTES: usize = 4 << 20;

/// How a server is started, each time in the same way.
#[derive(Clone, Debug)]
pub(super) struct Launch {
    program: &'static str,
    environment: Vec<(&'static str, OsString)>,
    arguments: Vec<OsString>,
    folder: PathBuf,
    listen: SocketAddr,
}

/// A running server. It is killed when it is dropped.
pub struct Server {
    launch: Launch,
    child: Child,
    log: Log,
    /// They end with what it says.
    reading: Vec<JoinHandle<()>>,
}

type Log = Arc<Mutex<String>>;

impl Launch {
    pub(crate) fn new(program: &'static str) -> Self {
        Self {
            program,
            environment: Vec::new(),
            arguments: Vec::new(),
            folder: PathBuf::from("."),
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        }
    }

    pub(crate) fn env(mut self, name: &'static str, value: impl Into<OsString>) -> Self {
        self.environment.push((name, value.into()));
        self
    }

    pub(crate) fn envs(self, pairs: impl IntoIterator<Item = (&'static str, String)>) -> Self {
        pairs
            .into_iter()
            .fold(self, |launch, (name, value)| launch.env(name, value))
    }

    pub(crate) fn argument(mut self, argument: impl Into<OsString>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    pub(crate) fn folder(mut self, folder: &Path) -> Self {
        folder.clone_into(&mut self.folder);
        self
    }

    /// Starts the server and waits until it listens.
    pub(crate) async fn start(self) -> Result<Server> {
        let mut child = self
            .command()
            .spawn()
            .with_context(|| format!("{} cannot be started", self.program))?;
        let log = Log::default();
        let stderr = keep(
            child.stderr.take().context("standard error is piped")?,
            Arc::clone(&log),
        );
        let mut lines =
            BufReader::new(child.stdout.take().context("standard output is piped")?).lines();
        let listening = async {
            while let Some(line) = lines.next_line().await? {
                append(&log, &line);
                if let Some(address) = listens(&line) {
                    return Ok(address.parse::<SocketAddr>()?);
                }
            }
            bail!("it ended before it listened")
        };
        let listening = tokio::time::timeout(START, listening)
            .await
            .context("it does not listen")
            .flatten();
        let address = match listening {
            Ok(address) => address,
            Err(error) => {
                child.kill().await?;
                return Err(error.context(format!(
                    "{} did not start; it said: {}",
                    self.program,
                    text(&log)
                )));
            }
        };
        let stdout = keep(lines.into_inner(), Arc::clone(&log));
        // A server that is started again listens where its peers know it.
        Ok(Server {
            launch: Self {
                listen: address,
                ..self
            },
            child,
            log,
            reading: vec![stderr, stdout],
        })
    }

    fn command(&self) -> Command {
        let mut command = Command::new(binary(self.program));
        command
            .args(&self.arguments)
            .arg("--listen")
            .arg(self.listen.to_string())
            .current_dir(&self.folder);
        // Settings of the machine must not reach the test.
        for name in [
            "INTERNAL_API_KEY_FILE",
            "PORTCULLIS_WEB_CONFIG",
            "LOG_FORMAT",
            "LOG_LEVEL",
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
        ] {
            command.env_remove(name);
        }
        command
            .env_remove("OTEL_EXPORTER_OTLP_ENDPOINT")
            .env("OTEL_BSP_SCHEDULE_DELAY", "200")
            .env("OTEL_BLRP_SCHEDULE_DELAY", "200");
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }
}

impl Server {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.launch.listen
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        text(&self.log)
    }

    /// The lines of its log so far, each an object.
    pub fn lines(&self) -> Vec<Value> {
        let log = self.log();
        // What is no line of the log, such as why it does not start, stands on standard error.
        let lines = log
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok());
        lines.collect()
    }

    /// The lines of its log about an event of which that is true, once there is one: a line may come a moment after what it
    /// tells of.
    pub async fn lines_about(
        &self,
        event: &str,
        is_meant: impl Fn(&Value) -> bool,
    ) -> Result<Vec<Value>> {
        let found = || {
            let mut lines = self.lines();
            lines.retain(|line| line["event"] == event && is_meant(line));
            lines
        };
        let what = format!("the log has no such line about {event}");
        until(&what, || Ok(!found().is_empty())).await?;
        Ok(found())
    }

    /// The first of them.
    pub async fn line(&self, event: &str, is_meant: impl Fn(&Value) -> bool) -> Result<Value> {
        let lines = self.lines_about(event, is_meant).await?;
        lines.into_iter().next().context("there was a line")
    }

    /// What Prometheus reads from it, where it listens for that.
    pub async fn scrape(&self) -> Result<String> {
        let served = self.line("portcullis.metrics.served", |_| true).await?;
        let address = served["server.address"].as_str().context("is text")?;
        let url = format!("http://{address}/metrics");
        let answer = http_client()?.get(url).send().await?;
        ensure!(answer.status() == 200, "{answer:?}");
        let kind = answer.headers()["content-type"].to_str()?;
        ensure!(kind.starts_with("text/plain; version=0.0.4"), "{kind}");
        Ok(answer.text().await?)
    }

    /// Waits until its log has these words.
    pub async fn says(&self, words: &str) -> Result<()> {
        let what = format!("the log does not say: {words}");
        until(&what, || Ok(self.log().contains(words))).await
    }

    /// What the command `doctor` says for the configuration that it was started with, as JSON, and its exit code. The
    /// server need not run. Variables given here count instead of its own.
    pub async fn doctor(&self, environment: &[(&'static str, &str)]) -> Result<(i32, Value)> {
        self.doctor_as(None, environment).await
    }

    /// The same as another user of the machine, which only root can be.
    pub async fn doctor_as(
        &self,
        user: Option<u32>,
        environment: &[(&'static str, &str)],
    ) -> Result<(i32, Value)> {
        let launch = environment
            .iter()
            .fold(self.launch.clone(), |launch, (name, value)| {
                launch.env(name, *value)
            });
        let mut command = launch.command();
        command.args(["doctor", "--json"]);
        if let Some(user) = user {
            command.uid(user);
        }
        let output = tokio::time::timeout(START, command.output()).await;
        let output = output.context("the doctor does not come to an end")??;
        let said = String::from_utf8_lossy(&output.stderr);
        let report = serde_json::from_slice(&output.stdout).with_context(|| said.into_owned())?;
        let code = output.status.code().context("the doctor was killed")?;
        Ok((code, report))
    }

    /// Its process id.
    pub fn pid(&self) -> Result<u32> {
        self.child.id().context("the server has ended")
    }

    /// The most memory that it ever had resident, in bytes (`VmHWM`).
    pub fn peak_memory_bytes(&self) -> Result<u64> {
        let pid = self.pid()?;
        let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = peak
            .and_then(|peak| peak.split_whitespace().next())
            .context("the kernel does not say VmHWM")?;
        Ok(kib.parse::<u64>()? * 1024)
    }

    /// `kill -9`: no chance to clear up.
    pub async fn kill(&mut self) -> Result<()> {
        Ok(self.child.kill().await?)
    }

    /// Waits until it ends by itself. Then all that it said is in the log.
    pub async fn wait(&mut self) -> Result<ExitStatus> {
        let ended = self.child.wait().await?;
        for reading in self.reading.drain(..) {
            reading.await?;
        }
        Ok(ended)
    }

    /// `SIGHUP`: it reads its policies anew.
    pub fn hang_up(&self) -> Result<()> {
        self.signal(Signal::HUP)
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        if let Some(pid) = self.child.id() {
            let pid = Pid::from_raw(i32::try_from(pid)?).context("a process has an id")?;
            kill_process(pid, signal)?;
        }
        Ok(())
    }

    /// `SIGTERM`: an orderly end, which is waited for. Then all that it said is in the log.
    pub async fn stop(&mut self) -> Result<ExitStatus> {
        self.signal(Signal::TERM)?;
        let ended = tokio::time::timeout(STOP, self.wait()).await;
        ended.with_context(|| format!("{} does not end after SIGTERM", self.launch.program))?
    }

    /// Starts it again as before, at the same address. It must have ended.
    pub async fn start_again(&mut self) -> Result<()> {
        *self = self.launch.clone().start().await?;
        Ok(())
    }
}

impl Drop for Server {
    #[expect(
        clippy::print_stderr,
        reason = "the runner shows it when the test fails"
    )]
    fn drop(&mut self) {
        eprintln!("---- {} said:\n{}", self.launch.program, self.log());
    }
}

/// Starts a server by itself.
pub async fn start(program: &'static str, environment: &[(&'static str, &str)]) -> Result<Server> {
    launch(program, environment, &[]).start().await
}

/// The same with arguments.
pub async fn start_with(
    program: &'static str,
    environment: &[(&'static str, &str)],
    arguments: &[&str],
) -> Result<Server> {
    launch(program, environment, arguments).start().await
}

/// Starts a server that must refuse to: gives what it said, with its exit status.
pub async fn refuses_to_start(
    program: &'static str,
    environment: &[(&'static str, &str)],
    arguments: &[&str],
) -> Result<(ExitStatus, String)> {
    let mut command = launch(program, environment, arguments).command();
    said(program, &mut command).await
}

/// What `--check-config` says, without an address on the command line.
pub async fn check_config(
    program: &'static str,
    environment: &[(&'static str, &str)],
    arguments: &[&str],
) -> Result<(ExitStatus, String)> {
    let mut command = Command::new(binary(program));
    command.args(arguments).arg("--check-config");
    command
        .env_remove("INTERNAL_API_KEY_FILE")
        .envs(environment.iter().copied());
    said(program, &mut command).await
}

/// The address in a line that says that a server listens.
fn listens(line: &str) -> Option<String> {
    let line: Value = serde_json::from_str(line).ok()?;
    let listens = line["event"] == "portcullis.listening";
    let address = line["server.address"].as_str().filter(|_| listens);
    address.map(str::to_owned)
}

fn launch(
    program: &'static str,
    environment: &[(&'static str, &str)],
    arguments: &[&str],
) -> Launch {
    let launch = environment
        .iter()
        .fold(Launch::new(program), |launch, (name, value)| {
            launch.env(name, *value)
        });
    arguments
        .iter()
        .fold(launch, |launch, argument| launch.argument(*argument))
}

/// What a program that ends by itself said, on both streams.
async fn said(program: &str, command: &mut Command) -> Result<(ExitStatus, String)> {
    let output = tokio::time::timeout(START, command.output()).await;
    let output = output.with_context(|| {
        format!("{program} runs on, although it should have refused to start")
    })??;
    let said = [output.stdout, output.stderr].concat();
    Ok((output.status, String::from_utf8_lossy(&said).into_owned()))
}

/// One of our binaries, beside the folder of the test that runs.
pub fn binary(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("a test has a path");
    let profile = test
        .parent()
        .and_then(Path::parent)
        .expect("tests are built into a folder `deps`");
    let path = profile.join(name);
    assert!(
        path.exists(),
        "{} is not built; run `cargo xtask test`, or `cargo build --workspace --bins`",
        path.display()
    );
    path
}

/// Reads a stream to its end in the background.
fn keep(stream: impl AsyncRead + Unpin + Send + 'static, log: Log) -> JoinHandle<()> {
    tokio::spawn(async move {
        let mut lines = BufReader::new(stream).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            append(&log, &line);
        }
    })
}

fn append(log: &Log, line: &str) {
    let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
    if log.len() < MAX_LOG_BYTES {
        log.push_str(line);
        log.push('\n');
    }
}

fn text(log: &Log) -> String {
    log.lock().unwrap_or_else(PoisonError::into_inner).clone()
}
