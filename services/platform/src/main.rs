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
use portcullis_server::{Role, Scrape, supervisor};
use portcullis_services::config::{Config, Flags};
use portcullis_services::doctor;
use portcullis_services::server::Server;
use portcullis_telemetry::{Detail, Line, Service, Telemetry, log};

use tikv_jemallocator::Jemalloc;

use crate::command::{audit, backup, disk, fsck, import, purge, quarantine, token};

/// What one thread reads from a web host, another stores and a third records: the allocator of glibc takes a tenth of the
/// processor time of a small upload.
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

/// How long spans that wait to be sent may take at the end.
const FLUSH: Duration = Duration::from_secs(3);
/// Threads that wait for disks. Each append has one for as long as it lasts, and whatever is done beside them must never wait
/// for those: how many there may be is `limits.appends`.
const MAX_THREADS: usize = 32_768;

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
    #[arg(long, global = true)]
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
    /// Says what is wrong on this machine and what to do. Ends with 0 when there is no problem, and 1 when there is.
    Doctor(portcullis_server::doctor::Arguments),
    /// Who did what: shown, exported, and proved to be unchanged.
    #[command(subcommand)]
    Audit(audit::Command),
    /// Copies the catalog into a file, whether services run or not.
    Backup(backup::Arguments),
    /// The disks that files lie on.
    #[command(subcommand)]
    Disk(disk::Command),
    /// Compares the catalog with the disks, and mends what can be mended. Ends with 0 when they agree, and 1 otherwise.
    Fsck(fsck::Arguments),
    /// Takes files under the catalog that were on a disk before, where they stand. May be stopped, and goes on.
    Import(import::Arguments),
    /// Removes all versions of a file for good. That there was such a file stays known.
    Purge(purge::Arguments),
    /// Bearer tokens of uploaders.
    #[command(subcommand)]
    Token(token::Command),
    /// Files that policies set apart.
    #[command(subcommand)]
    Quarantine(quarantine::Command),
}

fn main() -> ExitCode {
    match run(Arguments::parse()) {
        Ok(code) => code,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "portcullis-services: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let flags = Flags {
        config: arguments.config,
        listen: arguments.listen,
        catalog: arguments.catalog,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .max_blocking_threads(MAX_THREADS)
        .build()
        .context("no runtime")?;
    let environment = |name: &str| std::env::var(name).ok();
    match arguments.command {
        Some(Command::Doctor(arguments)) => {
            arguments.take_over(Role::Services)?;
            let report = runtime.block_on(doctor::examine(flags, &environment));
            return Ok(arguments.tell(&report)?);
        }
        Some(Command::Audit(command)) => {
            return runtime.block_on(audit::run(command, &Config::catalog_of(&flags)?));
        }
        Some(Command::Backup(arguments)) => {
            backup::run(&arguments, &Config::catalog_of(&flags)?)?;
        }
        Some(Command::Disk(command)) => {
            let (catalog, disks) = Config::storage_of(&flags, &environment)?;
            runtime.block_on(disk::run(command, &catalog, &disks))?;
        }
        Some(Command::Fsck(arguments)) => {
            let (catalog, disks) = Config::storage_of(&flags, &environment)?;
            return runtime.block_on(fsck::run(arguments, catalog, disks));
        }
        Some(Command::Import(arguments)) => {
            let (catalog, disks) = Config::storage_of(&flags, &environment)?;
            runtime.block_on(import::run(arguments, catalog, disks))?;
        }
        Some(Command::Purge(arguments)) => {
            let (catalog, disks) = Config::storage_of(&flags, &environment)?;
            runtime.block_on(purge::run(arguments, catalog, disks))?;
        }
        Some(Command::Token(command)) => {
            runtime.block_on(token::run(command, &Config::catalog_of(&flags)?))?;
        }
        Some(Command::Quarantine(command)) => {
            let (catalog, disks) = Config::storage_of(&flags, &environment)?;
            runtime.block_on(quarantine::run(command, catalog, disks))?;
        }
        None => {
            let config = Config::load(flags, &environment)?;
            if arguments.check_config {
                write!(std::io::stdout(), "{}", config.resolved)?;
                return Ok(ExitCode::SUCCESS);
            }
            let telemetry = Telemetry::start(Service::Services)?;
            let served = runtime.block_on(serve(config));
            runtime.shutdown_timeout(FLUSH);
            telemetry.shutdown(FLUSH);
            served?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn serve(config: Config) -> anyhow::Result<()> {
    let stop = portcullis_server::stop_signal().context("cannot listen for signals")?;
    let scrape = Scrape::start(config.metrics_listen).await;
    let _scrape = scrape.context("cannot listen at `metrics-listen`")?;
    let server = Server::start(config).await?;
    // Whoever starts the server waits for this line.
    log(Line::Listening, [Detail::Address(server.address())]);
    supervisor::ready();
    let alive = tokio::spawn(supervisor::keep_alive());
    server.serve(stop).await;
    alive.abort();
    Ok(())
}
