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
    /// Uploads that are cut at random while servers are killed: whether they hear what straight ones hear.
    Random,
    /// Uploads that can be gone on with: large, small and slow ones.
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
    let mut figures = Vec::new();
    let measured = match arguments.only {
        Some(part) => bench.part(part, &mut figures),
        None => bench.all(&mut figures),
    };
    // What was measured before something failed is shown, too: it took long.
    show(figures::table(&figures));
    measured
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

    fn part(&self, part: Part, figures: &mut Vec<Figure>) -> Result<()> {
        let (workspace, storage, upload) = (self.workspace, &self.storage, self.upload);
        match part {
            Part::Changes => {
                figures.extend(changes::measure(workspace, storage)?);
                figures.push(path::measure_shadow(workspace, storage, upload)?);
            }
            Part::Files => figures.extend(files::measure(workspace, storage, upload, self.nginx)?),
            Part::Tus => {
                let policies = policies::measure(workspace, &["table", "suspensions"])?;
                figures.extend(policies.figures);
                self.tus(policies.table_rate, figures)?;
            }
            Part::Random => figures.push(tus::random::measure(workspace)?),
            Part::Small => {
                let rounds = upload.rounds;
                figures.extend(tus::small::measure(workspace, storage, rounds, self.nginx)?);
            }
            Part::Slow => figures.push(tus::slow::measure(workspace, storage)?),
            Part::Telemetry => figures.extend(telemetry::measure(workspace, storage, upload)?),
        }
        Ok(())
    }

    /// `alone` is how fast `csv-schema` is without any server, in GB/s.
    fn tus(&self, alone: f64, figures: &mut Vec<Figure>) -> Result<()> {
        tus::measure(self.workspace, &self.storage, self.upload, alone, figures)?;
        self.part(Part::Small, figures)?;
        self.part(Part::Slow, figures)
    }

    fn all(&self, figures: &mut Vec<Figure>) -> Result<()> {
        let (workspace, storage, upload) = (self.workspace, &self.storage, self.upload);
        // First, because it may fail.
        self.part(Part::Random, figures)?;
        let policies = policies::measure(workspace, &[])?;
        let times = path::measure(workspace, storage, upload, self.nginx)?;
        figures.extend(times.figures(policies.table_rate));
        figures.extend(policies.figures);
        self.part(Part::Changes, figures)?;
        self.part(Part::Files, figures)?;
        self.tus(policies.table_rate, figures)?;
        self.part(Part::Telemetry, figures)?;
        figures.extend(project::measure(workspace)?);
        Ok(())
    }
}
