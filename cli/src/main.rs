//! `portcullis`: the command for people who try Portcullis out or work on it. It starts the real servers and
//! talks to them as any client does; it links neither of them.
#![forbid(unsafe_code)]
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command talks to the person who runs it"
)]

mod dev;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// An upload gateway for protected data.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Starts both servers on this machine, for trying things out.
    Dev(dev::Arguments),
}

fn main() -> ExitCode {
    let Arguments { command } = Arguments::parse();
    let Command::Dev(arguments) = command;
    match dev::run(&arguments) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("portcullis: {error:#}");
            ExitCode::FAILURE
        }
    }
}
