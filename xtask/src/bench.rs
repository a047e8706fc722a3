//! `cargo xtask bench`: the figures that the project promises, with what they were measured on. Both sides
//! of every comparison run in the same minutes on the same machine, in turns.

mod changes;
pub(crate) mod client;
mod clients;
mod collector;
mod connection;
mod figures;
mod files;
mod floor;
mod machine;
mod nginx;
mod path;
mod policies;
mod project;
pub(crate) mod server;
mod table;
mod telemetry;
mod tus;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::workspace::{Workspace, run as run_command, show};
use crate::{guests, toolchain};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The folder that uploads are stored in, on the file system to be measured. Default: in the target
    /// folder.
    #[arg(long)]
    storage: Option<PathBuf>,
    /// How often each upload is measured.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Only one part of it.
    #[arg(long)]
    only: Option<Part>,
    /// The size of an upload in MiB.
    #[arg(long, default_value_t = 1024)]
    mib: usize,
}

/// A part that can be measured by itself.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    /// What changing policies costs.
    Changes,
    /// What it costs services to store, read and list files.
    Files,
    /// Uploads that can be gone on with.
    Tus,
    /// What telemetry costs.
    Telemetry,
}

/// Measures something in a folder of its own, which goes afterwards.
fn in_folder<T>(storage: &Path, name: &str, measure: impl FnOnce(&Path) -> Result<T>) -> Result<T> {
    let folder = storage.join(format!("portcullis-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let outcome = measure(&folder);
    std::fs::remove_dir_all(&folder)
        .with_context(|| format!("{} cannot be removed; remove it by hand", folder.display()))?;
    outcome
}

pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> Result<()> {
    let storage = arguments.storage.clone();
    let storage = storage.unwrap_or_else(|| workspace.target.join("bench"));
    std::fs::create_dir_all(&storage)
        .with_context(|| format!("{} cannot be made", storage.display()))?;
    let storage = storage.canonicalize()?;
    show(machine::describe(&storage));
    let upload = path::Upload {
        mib: arguments.mib,
        rounds: arguments.rounds,
    };
    let nginx = toolchain::nginx();
    if arguments.only == Some(Part::Files) {
        let build = [
            "build",
            "--locked",
            "--release",
            "--package",
            "portcullis-services",
        ];
        run_command(&mut workspace.cargo(build))?;
        let figures = files::measure(workspace, &storage, upload, nginx)?;
        show(figures::table(&figures));
        return Ok(());
    }
    guests::build(workspace)?;
    let build = ["build", "--locked", "--release", "--workspace", "--bins"];
    run_command(&mut workspace.cargo(build))?;
    if arguments.only == Some(Part::Changes) {
        let mut figures = changes::measure(workspace, &storage)?;
        figures.push(path::measure_shadow(workspace, &storage, upload)?);
        show(figures::table(&figures));
        return Ok(());
    }
    if arguments.only == Some(Part::Telemetry) {
        let figures = telemetry::measure(workspace, &storage, upload)?;
        show(figures::table(&figures));
        return Ok(());
    }
    if arguments.only == Some(Part::Tus) {
        let policies = policies::measure(workspace, &["table", "suspensions"])?;
        let rate = policies.table_rate;
        let mut figures = tus::measure(workspace, &storage, upload, nginx, rate)?;
        figures.extend(policies.figures);
        show(figures::table(&figures));
        return Ok(());
    }
    let policies = policies::measure(workspace, &[])?;
    let times = path::measure(workspace, &storage, upload, nginx)?;
    let shadow = path::measure_shadow(workspace, &storage, upload)?;
    let mut figures = times.figures(policies.table_rate);
    figures.push(shadow);
    figures.extend(policies.figures);
    figures.extend(files::measure(workspace, &storage, upload, nginx)?);
    let rate = policies.table_rate;
    figures.extend(tus::measure(workspace, &storage, upload, nginx, rate)?);
    figures.extend(telemetry::measure(workspace, &storage, upload)?);
    figures.extend(changes::measure(workspace, &storage)?);
    figures.extend(project::measure(workspace)?);
    show(figures::table(&figures));
    Ok(())
}
