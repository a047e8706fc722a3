//! `portcullis policy build`: the project's component, checked.

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use portcullis_engine::{Candidate, Workbench};
use serde::Serialize;

use crate::policy::project::Project;
use crate::policy::slim::slim;
use crate::screen::{self, GOOD, styled};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The project's folder.
    #[arg(long, value_name = "FOLDER", default_value = ".")]
    path: PathBuf,
    /// Where the component goes. Default: NAME.wasm in the project's folder.
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// The report as JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Report {
    component: String,
    name: String,
    version: String,
    sha256: String,
    size_bytes: u64,
}

pub(crate) async fn run(arguments: &Arguments) -> Result<ExitCode> {
    let built = Project::in_folder(&arguments.path)?.build()?;
    let output = arguments.output.clone();
    let output = output.unwrap_or_else(|| arguments.path.join(format!("{}.wasm", built.name)));
    // A host that reads it at this moment sees the old one or the new one, never a part.
    let part = output.with_extension(format!("wasm.{}", std::process::id()));
    let component = fs::read(&built.component)
        .with_context(|| format!("{} cannot be read", built.component.display()))?;
    fs::write(&part, slim(component))
        .and_then(|()| fs::rename(&part, &output))
        .with_context(|| format!("{} cannot be written", output.display()))?;
    let policy = Workbench::start()?
        .describe(&Candidate::new(&output))
        .await?;
    let report = Report {
        component: output.display().to_string(),
        name: policy.description().name.clone(),
        version: policy.description().version.clone(),
        sha256: policy.digest().to_string(),
        size_bytes: policy.component_bytes(),
    };
    if arguments.json {
        screen::json(&report)?;
    } else {
        anstream::println!(
            "{} {}: {} {}, {}, sha256:{}",
            styled(GOOD, "built"),
            report.component,
            report.name,
            report.version,
            screen::bytes(report.size_bytes),
            report.sha256
        );
    }
    Ok(ExitCode::SUCCESS)
}
