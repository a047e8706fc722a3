//! The services platform.
#![forbid(unsafe_code)]

mod command;

use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::{Parser, Subcommand};
use portcullis_server::supervisor;
use portcullis_services::config::{Config, Flags};
use portcullis_services::server::Server;
use portcullis_telemetry::{Service, Telemetry};

use crate::command::{quarantine, token};

/// How long spans that wait to be sent may take at the end.
const FLUSH: Duration = Duration::from_secs(3);

/// Stores what the web host has judged, and remembers who did what.
///
/// Needs `SERVER_ROLE=services`, `INTERNAL_API_KEY` (or `INTERNAL_API_KEY_FILE`) and at least one disk.
#[derive(Parser)]
#[command(version = portcullis_hop::version_line(None))]
struct Arguments {
    /// The TOML file. Default /etc/portcullis/services.toml, where it is there.
    #[arg(long, global = true)]
    config: Option<PathBuf>,
    /// Where to listen. Default 127.0.0.1:8001.
    #[arg(long)]
    listen: Option<SocketAddr>,
    /// Where the catalog lies. Default /var/lib/portcullis/catalog.sqlite.
    #[arg(long, global = true)]
    catalog: Option<PathBuf>,
    /// Show each value and where it comes from, and end.
    #[arg(long)]
    check_config: bool,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Bearer tokens of uploaders.
    #[command(subcommand)]
    Token(token::Command),
    /// Files that policies set apart.
    #[command(subcommand)]
    Quarantine(quarantine::Command),
}

fn main() -> ExitCode {
    match run(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "portcullis-services: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> anyhow::Result<()> {
    let flags = Flags {
        config: arguments.config,
        listen: arguments.listen,
        catalog: arguments.catalog,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("no runtime")?;
    let environment = |name: &str| std::env::var(name).ok();
    match arguments.command {
        Some(Command::Token(command)) => {
            return runtime.block_on(token::run(command, &Config::catalog_of(&flags)?));
        }
        Some(Command::Quarantine(command)) => {
            let (catalog, disks) = Config::storage_of(&flags, &environment)?;
            return runtime.block_on(quarantine::run(command, &catalog, &disks));
        }
        None => {}
    }
    let config = Config::load(flags, &environment)?;
    if arguments.check_config {
        write!(std::io::stdout(), "{}", config.resolved)?;
        return Ok(());
    }
    let telemetry = Telemetry::start(Service::Services)?;
    let served = runtime.block_on(serve(config));
    runtime.shutdown_timeout(FLUSH);
    telemetry.shutdown(FLUSH);
    served
}

async fn serve(config: Config) -> anyhow::Result<()> {
    let stop = portcullis_server::stop_signal().context("cannot listen for signals")?;
    let server = Server::start(config).await?;
    // Whoever starts the server waits for this line.
    writeln!(
        std::io::stdout(),
        "listening on http://{}",
        server.address()
    )?;
    supervisor::ready();
    let alive = tokio::spawn(supervisor::keep_alive());
    server.serve(stop).await;
    alive.abort();
    Ok(())
}
