//! `portcullis top`: what both servers count, live in a terminal.

mod change;
mod draw;
mod watch;

use std::io::IsTerminal;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use crossterm::event::{Event, EventStream, KeyCode, KeyEventKind, KeyModifiers};
use futures_util::StreamExt;
use ratatui::DefaultTerminal;
use tokio::signal::unix::{SignalKind, signal};

use self::watch::{Address, Servers};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Where the web host shows what it counts: `metrics-listen` in its file.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:9464")]
    web: Address,
    /// Where services show what they count: `metrics-listen` in their file.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:9465")]
    services: Address,
    /// Seconds between two looks.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=60))]
    every: u64,
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    ensure!(
        std::io::stdout().is_terminal(),
        "`portcullis top` draws, and standard output is no terminal; programs read the same at /metrics of both servers"
    );
    let every = Duration::from_secs(arguments.every);
    let servers = Servers::new(&arguments.web, &arguments.services)?;
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.enable_all().build().context("no runtime")?;
    let mut terminal = ratatui::try_init().context("the terminal cannot be drawn on")?;
    let shown = runtime.block_on(show(&mut terminal, servers, every));
    ratatui::restore();
    shown?;
    Ok(ExitCode::SUCCESS)
}

/// Looks and draws until somebody ends it.
async fn show(terminal: &mut DefaultTerminal, mut servers: Servers, every: Duration) -> Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let mut events = EventStream::new();
    let mut looks = tokio::time::interval(every);
    looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        terminal.draw(|frame| draw::all(frame, &servers, every))?;
        let look = async {
            looks.tick().await;
            servers.look().await;
        };
        tokio::select! {
            () = look => {}
            _ = terminate.recv() => return Ok(()),
            // A terminal that changes its size is drawn on anew.
            event = events.next() => {
                let Some(event) = event else { return Ok(()) };
                if ends(&event.context("the keys cannot be read")?) {
                    return Ok(());
                }
            }
        }
    }
}

/// Whether somebody wants to leave.
fn ends(event: &Event) -> bool {
    let Event::Key(key) = event else { return false };
    let is_interrupt =
        key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL);
    let is_quit = matches!(key.code, KeyCode::Char('q') | KeyCode::Esc);
    key.kind == KeyEventKind::Press && (is_interrupt || is_quit)
}
