//! `portcullis policy new`: a project that builds and passes its own tests at once, anywhere.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use portcullis_types::PolicyName;
use serde::Serialize;

use crate::policy::vendored::{FILES, FOLDER, PROJECT};
use crate::screen::{self, GOOD, styled};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The name of the policy, in kebab-case.
    name: String,
    /// The folder to make. Default: one of that name, here.
    #[arg(long, value_name = "FOLDER")]
    path: Option<PathBuf>,
    /// The report as JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Report {
    name: String,
    folder: String,
    files: usize,
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let Ok(name) = arguments.name.parse::<PolicyName>() else {
        bail!(
            "`{}` is no name for a policy: it begins with a-z, goes on with a-z, 0-9 and `-`, and has at most 64 bytes, such as `no-long-lines`",
            arguments.name
        );
    };
    if RESERVED.contains(&name.as_str()) {
        bail!("cargo does not take `{name}` as the name of a package; choose another one");
    }
    let folder = arguments.path.clone();
    let folder = folder.unwrap_or_else(|| PathBuf::from(name.as_str()));
    let is_empty = fs::read_dir(&folder).map_or(true, |mut entries| entries.next().is_none());
    if folder.exists() && !is_empty {
        bail!(
            "{} is there already and is not empty; choose another name, or another folder with --path",
            folder.display()
        );
    }
    for (path, content) in PROJECT {
        write(
            &folder.join(path),
            &content.replace("{{name}}", name.as_str()),
        )?;
    }
    for (path, content) in FILES {
        write(&folder.join(FOLDER).join(path), content)?;
    }
    let report = Report {
        name: name.to_string(),
        folder: folder.display().to_string(),
        files: PROJECT.len() + FILES.len(),
    };
    if arguments.json {
        screen::json(&report)?;
    } else {
        let Report { folder, .. } = &report;
        anstream::println!("{} {folder}", styled(GOOD, "made"));
        anstream::println!("  cd {folder}");
        anstream::println!("  portcullis policy build   compiles it to {name}.wasm");
        anstream::println!("  portcullis policy test    runs the cases in fixtures/");
    }
    Ok(ExitCode::SUCCESS)
}

/// Words that the policy's crate cannot be called, or whose crate its own name would hide.
const RESERVED: [&str; 7] = [
    "test",
    "std",
    "core",
    "alloc",
    "serde",
    "portcullis-policy",
    "self",
];

fn write(path: &Path, content: &str) -> Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)
            .with_context(|| format!("the folder {} cannot be made", folder.display()))?;
    }
    fs::write(path, content).with_context(|| format!("{} cannot be written", path.display()))
}
