//! A server process: started, awaited, shown, stopped.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, Command};

/// What stands before the address in the line that a server writes when it listens.
const LISTENING: &str = "listening server.address=";
/// The same of the line about where it shows what it counts.
const METRICS: &str = "metrics are served at /metrics server.address=";
/// How long a server may take to listen: the web host compiles its policies before.
const START: Duration = Duration::from_mins(2);
/// How long a server may take to end when it is asked to, its own drain included.
const STOP: Duration = Duration::from_secs(40);

/// How a server is started.
pub(super) struct Launch {
    name: &'static str,
    command: Command,
}

/// A running server. It is killed when it is dropped without having been stopped.
pub(super) struct Server {
    name: &'static str,
    child: Child,
    address: SocketAddr,
    metrics: Option<SocketAddr>,
}

impl Launch {
    pub(super) fn new(program: &str, name: &'static str, port: u16) -> Result<Self> {
        let mut command = Command::new(beside(program)?);
        command
            .arg("--listen")
            .arg(SocketAddr::from(([127, 0, 0, 1], port)).to_string())
            .env_remove("INTERNAL_API_KEY_FILE")
            // A Ctrl-C reaches this process alone, which then ends both in order.
            .process_group(0)
            .env("OTEL_BSP_SCHEDULE_DELAY", "300")
            .env("LOG_FORMAT", "text")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        Ok(Self { name, command })
    }

    pub(super) fn env(mut self, variable: &str, value: &str) -> Self {
        self.command.env(variable, value);
        self
    }

    pub(super) fn argument(mut self, flag: &str, value: &Path) -> Self {
        self.command.arg(flag).arg(value);
        self
    }

    /// Starts the server and waits until it listens. What it says until then is shown.
    pub(super) async fn start(mut self) -> Result<Server> {
        let name = self.name;
        let mut child = self
            .command
            .spawn()
            .with_context(|| format!("{name} cannot be started"))?;
        show(
            name,
            child.stderr.take().context("standard error is piped")?,
        );
        let stdout = child.stdout.take().context("standard output is piped")?;
        let mut lines = BufReader::new(stdout).lines();
        let mut metrics = None;
        let listening = async {
            while let Some(line) = lines.next_line().await? {
                if let Some((_, address)) = line.split_once(LISTENING) {
                    return Ok(address.parse()?);
                }
                if let Some((_, address)) = line.split_once(METRICS) {
                    metrics = Some(address.parse()?);
                }
                eprintln!("{name:>8} | {line}");
            }
            let status = child.wait().await?;
            bail!("{name} did not start ({status}); what it said stands above")
        };
        let listening = tokio::time::timeout(START, listening).await;
        let address = listening.with_context(|| format!("{name} does not listen"))??;
        show(name, lines.into_inner());
        Ok(Server {
            name,
            child,
            address,
            metrics,
        })
    }
}

impl Server {
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where it shows what it counts, if it does.
    pub(super) fn metrics(&self) -> Option<SocketAddr> {
        self.metrics
    }

    /// Ready when the server has ended by itself, which it should not.
    pub(super) async fn ended(&mut self) -> anyhow::Error {
        match self.child.wait().await {
            Ok(status) => anyhow!("{} ended ({status}); what it said stands above", self.name),
            Err(error) => anyhow!("{} cannot be waited for: {error}", self.name),
        }
    }

    /// Asks the server to end, and waits.
    pub(super) async fn stop(&mut self) -> Result<()> {
        let pid = self.child.id().and_then(|pid| i32::try_from(pid).ok());
        let Some(pid) = pid.and_then(rustix::process::Pid::from_raw) else {
            return Ok(());
        };
        // It may have ended a moment ago.
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        if tokio::time::timeout(STOP, self.child.wait()).await.is_err() {
            self.child.kill().await?;
            bail!("{} did not end in time and was killed", self.name);
        }
        Ok(())
    }
}

/// A program of ours, which lies beside this one.
pub(crate) fn beside(program: &str) -> Result<PathBuf> {
    let own = std::env::current_exe().context("this program has no path")?;
    let path = own.with_file_name(program);
    if !path.is_file() {
        bail!(
            "there is no {}; build it with `cargo build --workspace --bins`, or run `cargo xtask dev`",
            path.display()
        );
    }
    Ok(path)
}

/// Shows a server's lines under its name.
fn show(name: &'static str, stream: impl AsyncRead + Unpin + Send + 'static) {
    tokio::spawn(async move {
        let mut lines = BufReader::new(stream).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            eprintln!("{name:>8} | {line}");
        }
    });
}
