//! `portcullis doctor`: goes on as the `doctor` of whichever server is installed beside it.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};

use crate::dev::server::beside;

#[derive(clap::Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Arguments {
    /// Which server, where both are installed: `web` or `services`. Default: what `SERVER_ROLE` says.
    #[arg(long, value_name = "ROLE", env = "SERVER_ROLE")]
    role: Option<String>,
    /// For the server's own `doctor`, such as `--json` or `--help`.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<OsString>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let installed = ["web", "services"].into_iter().filter_map(|role| {
        let program = beside(&format!("portcullis-{role}")).ok()?;
        Some((role, program))
    });
    let mut installed: Vec<_> = installed.collect();
    if installed.len() > 1 {
        let wanted = arguments.role.as_deref();
        installed.retain(|(role, _)| Some(*role) == wanted);
    }
    let Some((_, program)) = installed.first() else {
        bail!(
            "it is not clear which server is meant: none or both are installed beside this program; say --role web or --role services"
        );
    };
    let error = Command::new(program)
        .arg("doctor")
        .args(&arguments.arguments)
        .exec();
    Err(error).with_context(|| format!("{} cannot be started", program.display()))
}
