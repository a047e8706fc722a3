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

use crate::bench::figures::Figure;
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
    /// Of these, many small ones.
    Small,
    /// Of these, many slow ones.
    Slow,
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
    let bench = Bench {
        workspace,
        storage: storage.canonicalize()?,
        upload: path::Upload {
            mib: arguments.mib,
            rounds: arguments.rounds,
        },
        nginx: toolchain::nginx(),
    };
    show(machine::describe(&bench.storage));
    bench.build(arguments.only)?;
    let figures = match arguments.only {
        Some(part) => bench.part(part),
        None => bench.all(),
    };
    show(figures::table(&figures?));
    Ok(())
}

/// What is measured, and with what.
struct Bench<'a> {
    workspace: &'a Workspace,
    storage: PathBuf,
    upload: path::Upload,
    nginx: Option<&'static str>,
}

impl Bench<'_> {
    fn build(&self, only: Option<Part>) -> Result<()> {
        let what: &[&str] = if only == Some(Part::Files) {
            &["--package", "portcullis-services"]
        } else {
            guests::build(self.workspace)?;
            &["--workspace", "--bins"]
        };
        let build = ["build", "--locked", "--release"].iter().chain(what);
        run_command(&mut self.workspace.cargo(build))
    }

    fn part(&self, part: Part) -> Result<Vec<Figure>> {
        let (workspace, storage, upload) = (self.workspace, &self.storage, self.upload);
        match part {
            Part::Changes => {
                let mut figures = changes::measure(workspace, storage)?;
                figures.push(path::measure_shadow(workspace, storage, upload)?);
                Ok(figures)
            }
            Part::Files => files::measure(workspace, storage, upload, self.nginx),
            Part::Tus => {
                let policies = policies::measure(workspace, &["table", "suspensions"])?;
                let rate = policies.table_rate;
                let mut figures = tus::measure(workspace, storage, upload, self.nginx, rate)?;
                figures.extend(policies.figures);
                Ok(figures)
            }
            Part::Small => tus::small::measure(workspace, storage, upload.rounds, self.nginx),
            Part::Slow => tus::measure_slow(workspace, storage),
            Part::Telemetry => telemetry::measure(workspace, storage, upload),
        }
    }

    fn all(&self) -> Result<Vec<Figure>> {
        let (workspace, storage, upload) = (self.workspace, &self.storage, self.upload);
        let policies = policies::measure(workspace, &[])?;
        let times = path::measure(workspace, storage, upload, self.nginx)?;
        let shadow = path::measure_shadow(workspace, storage, upload)?;
        let rate = policies.table_rate;
        let mut figures = times.figures(rate);
        figures.push(shadow);
        figures.extend(policies.figures);
        figures.extend(self.part(Part::Files)?);
        figures.extend(tus::measure(workspace, storage, upload, self.nginx, rate)?);
        figures.extend(self.part(Part::Telemetry)?);
        figures.extend(changes::measure(workspace, storage)?);
        figures.extend(project::measure(workspace)?);
        Ok(figures)
    }
}
