//! `portcullis`: the command for people who try Portcullis out or work on it. It starts the real servers and
//! talks to them as any client does; it links neither of them. For authors it runs policies in the engine that the
//! web host runs them in.
#![forbid(unsafe_code)]
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command talks to the person who runs it"
)]

mod dev;
mod doctor;
mod findings;
mod http;
mod key;
mod policy;
mod screen;
mod top;
mod upload;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// An upload gateway for protected data.
#[derive(Parser)]
#[command(version = portcullis_hop::version_line(Some(portcullis_engine::CONTRACT_VERSION)))]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Starts both servers on this machine, for trying things out.
    Dev(dev::Arguments),
    /// Says what is wrong with the server of this machine, and what to do.
    Doctor(doctor::Arguments),
    /// Makes keys that vouch for components.
    Key(key::Arguments),
    /// Checks, shows and tries policies.
    Policy(Box<policy::Arguments>),
    /// Shows what both servers are doing, live.
    Top(top::Arguments),
    /// Sends files and folders to a web host, and goes on where an earlier run stopped.
    Upload(upload::Arguments),
}

fn main() -> ExitCode {
    let Arguments { command } = Arguments::parse();
    let done = match command {
        Command::Dev(arguments) => dev::run(&arguments),
        Command::Doctor(arguments) => doctor::run(&arguments),
        Command::Key(arguments) => key::run(&arguments),
        Command::Policy(arguments) => policy::run(&arguments),
        Command::Top(arguments) => top::run(&arguments),
        Command::Upload(arguments) => upload::run(&arguments),
    };
    match done {
        Ok(code) => code,
        Err(error) => {
            eprintln!("portcullis: {error:#}");
            ExitCode::FAILURE
        }
    }
}
