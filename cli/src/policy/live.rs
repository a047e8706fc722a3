//! The policies of running servers: what services keep, which revision is active, and how that is changed.

pub(crate) mod activate;
pub(crate) mod apply;
pub(crate) mod base;
pub(crate) mod diff;
mod hosts;
mod install;
mod period;
pub(crate) mod pull;
pub(crate) mod revisions;
pub(crate) mod set;
pub(crate) mod shadow;
pub(crate) mod show;

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use portcullis_hop::policies::{Activation, Revisions};
use portcullis_hop::{AdminClient, ApiKey};

/// The variable with the key itself.
const KEY_VARIABLE: &str = "PORTCULLIS_ADMIN_KEY";

/// How services are reached.
#[derive(clap::Args)]
pub(crate) struct Connection {
    /// Where services listen.
    #[arg(long, value_name = "URL", env = "SERVICES_URL")]
    services: Option<String>,
    /// A file with a key of the scope `admin`; or the key itself in `PORTCULLIS_ADMIN_KEY`.
    #[arg(long, value_name = "FILE", env = "PORTCULLIS_ADMIN_KEY_FILE")]
    key_file: Option<PathBuf>,
}

/// Who changes the policies, and why.
#[derive(clap::Args)]
pub(crate) struct Reason {
    /// Why: one sentence, which stands with the revision and in the audit.
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
    /// Who does it.
    #[arg(long, value_name = "NAME", env = "USER")]
    author: Option<String>,
}

impl Reason {
    /// Author and note.
    pub(crate) fn given(&self) -> Result<(String, String)> {
        let note = self.note.clone();
        let note = note.context(
            "say why, with --note \"...\": it stands with the revision and in the audit",
        )?;
        let author = self.author.clone();
        let author = author.context("say who you are, with --author NAME")?;
        Ok((author, note))
    }
}

impl Connection {
    /// Services.
    pub(crate) fn open(&self) -> Result<AdminClient> {
        let services = self.services.as_ref();
        let services = services.context(
            "it is not known where services are: name them with --services, such as http://10.0.0.5:8001, or set SERVICES_URL",
        )?;
        let text = match (&self.key_file, std::env::var(KEY_VARIABLE)) {
            (Some(file), _) => std::fs::read_to_string(file)
                .with_context(|| format!("the key file {} cannot be read", file.display()))?,
            (None, Ok(key)) => key,
            (None, Err(_)) => bail!(
                "there is no key: name a file with one of the scope `admin` with --key-file, or set {KEY_VARIABLE}; services.toml says which keys they accept"
            ),
        };
        let key = ApiKey::parse(&text).context("the key cannot be used")?;
        Ok(AdminClient::new(services, key)?)
    }
}

/// The activation in force.
pub(crate) fn active(known: &Revisions) -> Option<&Activation> {
    known.activations.first()
}
