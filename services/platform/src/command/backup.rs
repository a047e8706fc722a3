//! `portcullis-services backup`: a copy of the catalog.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Result;
use portcullis_services::catalog::back_up;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The file for the copy. It must not be there yet.
    file: PathBuf,
}

pub(crate) fn run(arguments: &Arguments, catalog: &Path) -> Result<()> {
    let bytes = back_up(catalog, &arguments.file)?;
    writeln!(
        std::io::stdout(),
        "{} has all of {} ({bytes} bytes); copy the disks after it",
        arguments.file.display(),
        catalog.display()
    )?;
    Ok(())
}
