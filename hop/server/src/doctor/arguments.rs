use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use super::variables::take_over;
use super::{Report, unit_file};
use crate::Role;

/// What the command `doctor` of a server takes.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Print the report as JSON.
    #[arg(long)]
    json: bool,
    /// The file with the variables that the unit of the server reads. Default /etc/portcullis/web.env or services.env,
    /// where it is there.
    #[arg(long, value_name = "FILE")]
    env_file: Option<PathBuf>,
}

impl Arguments {
    /// Goes on with the environment that the server has. The program may be started anew for it.
    ///
    /// # Errors
    /// The file with it cannot be read.
    pub fn take_over(&self, role: Role) -> io::Result<()> {
        let file = self.env_file.clone();
        let file = file.unwrap_or_else(|| unit_file(role));
        take_over(&file).map_err(|error| {
            let why = format!("{} cannot be used: {}", file.display(), error.kind());
            io::Error::new(error.kind(), why)
        })
    }

    /// Prints a report. The exit code is 0 if it has no problem, else 1.
    ///
    /// # Errors
    /// Nobody reads it.
    pub fn tell(&self, report: &Report) -> io::Result<ExitCode> {
        let mut out = io::stdout();
        if self.json {
            let json = serde_json::to_string_pretty(report)?;
            writeln!(out, "{json}")?;
        } else {
            write!(out, "{report}")?;
        }
        Ok(if report.healthy {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    }
}
