//! The public web host.
#![forbid(unsafe_code)]

use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::{Parser, Subcommand};
use portcullis_server::{Role, Scrape, supervisor};
use portcullis_telemetry::{Detail, Line, Service, Telemetry, log};
use portcullis_web::config::{Config, Flags};
use portcullis_web::doctor;
use portcullis_web::server::Server;
use tikv_jemallocator::Jemalloc;

/// Memory of thousands of slow uploads is taken by one thread and given back by another. With the allocator of glibc a good part of
/// it cannot be used again meanwhile.
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

/// How long spans that wait to be sent may take at the end.
const FLUSH: Duration = Duration::from_secs(3);

/// Takes uploads, has them judged by policies while they pass, and hands them to services.
///
/// Needs `SERVER_ROLE=web`, `SERVICES_URL` and `INTERNAL_API_KEY` (or `INTERNAL_API_KEY_FILE`).
#[derive(Parser)]
#[command(version = portcullis_hop::version_line(Some(portcullis_engine::CONTRACT_VERSION)))]
struct Arguments {
    /// The TOML file. Default /etc/portcullis/web.toml, where it is there.
    #[arg(long, global = true)]
    config: Option<PathBuf>,
    /// Where to listen. Default 127.0.0.1:8000.
    #[arg(long, global = true)]
    listen: Option<SocketAddr>,
    /// The policy set. Default /etc/portcullis/policies/policies.toml.
    #[arg(long, global = true)]
    policies: Option<PathBuf>,
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
}

fn main() -> ExitCode {
    match run(Arguments::parse()) {
        Ok(code) => code,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "portcullis-web: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let flags = Flags {
        config: arguments.config,
        listen: arguments.listen,
        policies: arguments.policies,
    };
    let environment = |name: &str| std::env::var(name).ok();
    if let Some(Command::Doctor(arguments)) = arguments.command {
        arguments.take_over(Role::Web)?;
        let report = runtime()?.block_on(doctor::examine(flags, &environment));
        return Ok(arguments.tell(&report)?);
    }
    let config = Config::load(flags, &environment)?;
    if arguments.check_config {
        write!(std::io::stdout(), "{}", config.resolved)?;
        return Ok(ExitCode::SUCCESS);
    }
    let telemetry = Telemetry::start(Service::Web)?;
    let runtime = runtime()?;
    let served = runtime.block_on(serve(config));
    runtime.shutdown_timeout(FLUSH);
    telemetry.shutdown(FLUSH);
    served.map(|()| ExitCode::SUCCESS)
}

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    runtime.enable_all().build().context("no runtime")
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
