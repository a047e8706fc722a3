//! `portcullis policy sign`: somebody vouches for components.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use portcullis_engine::Workbench;
use portcullis_types::PolicyManifest;

use crate::key;
use crate::screen::{DIM, GOOD, styled};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The components, each of which gets a signature beside it.
    #[arg(required = true, value_name = "FILE")]
    components: Vec<PathBuf>,
    /// The file with the key, as `portcullis key generate` makes it.
    #[arg(long, value_name = "FILE", env = "PORTCULLIS_SIGNING_KEY_FILE")]
    key: PathBuf,
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let key = key::read(&arguments.key)?;
    for component in &arguments.components {
        let shown = component.display();
        // What is no component is not vouched for.
        let shape =
            Workbench::shape(component).with_context(|| format!("{shown} is not signed"))?;
        ensure!(
            !shape.exports.is_empty(),
            "{shown} is not signed: it is no WebAssembly component, or exports nothing"
        );
        let mut file = component.clone().into_os_string();
        file.push(PolicyManifest::SIGNATURE_SUFFIX);
        let file = PathBuf::from(file);
        std::fs::write(&file, format!("{}\n", key.sign(shape.digest)))
            .with_context(|| format!("{} cannot be written", file.display()))?;
        let digest = format!("sha256:{} by {}", shape.digest, key.public());
        anstream::println!(
            "{}  {shown}  {}",
            styled(GOOD, "signed"),
            styled(DIM, digest)
        );
    }
    Ok(ExitCode::SUCCESS)
}
