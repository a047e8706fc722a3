//! `portcullis key`: keys that vouch for components.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Subcommand;
use portcullis_types::SigningKey;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Makes a key that signs components, and prints the one that they are checked with.
    Generate {
        /// The file for the key, which only its owner may read. It must not be there yet.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Prints the key that signatures of this one are checked with: for `trusted-keys`.
    Public {
        /// The file with the key.
        key: PathBuf,
    },
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    match &arguments.command {
        Command::Generate { out } => generate(out)?,
        Command::Public { key } => println!("{}", read(key)?.public()),
    }
    Ok(ExitCode::SUCCESS)
}

fn generate(out: &Path) -> Result<()> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).context("no random numbers for a key")?;
    let key = SigningKey::from_seed(seed);
    let file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(out);
    let written = file.and_then(|mut file| writeln!(file, "{}", key.expose()));
    written.with_context(|| format!("the key file {} cannot be made", out.display()))?;
    eprintln!(
        "the key lies in {}: keep it away from both servers; this one goes into `trusted-keys` on them:",
        out.display()
    );
    println!("{}", key.public());
    Ok(())
}

/// The key in a file.
pub(crate) fn read(path: &Path) -> Result<SigningKey> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("the key file {} cannot be read", path.display()))?;
    let key = text.parse::<SigningKey>();
    key.with_context(|| format!("the key file {} cannot be used", path.display()))
}
