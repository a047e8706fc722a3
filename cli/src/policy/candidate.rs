//! The policy that a command is about, as its arguments name it.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result};
use portcullis_engine::{Candidate, Limits, Policy, Workbench};
use portcullis_types::DiskName;

use crate::policy::settings;

#[derive(clap::Args)]
pub(crate) struct CandidateArguments {
    /// The component, a `.wasm` file.
    pub(crate) file: PathBuf,
    /// Its settings: a JSON object, or a `.json` or `.toml` file.
    #[arg(long, value_name = "SETTINGS")]
    pub(crate) settings: Option<String>,
    /// The folder in which its resources lie, as that of `policies.toml` does. Default: that of the component.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) resources: Option<PathBuf>,
    /// A limit other than the usual one, such as `call-time-ms=50`; can be given several times.
    #[arg(long = "limit", value_name = "KEY=VALUE")]
    pub(crate) limits: Vec<String>,
    /// A disk that a routing policy may name; can be given several times. Default: local.
    #[arg(long = "disk", value_name = "NAME")]
    pub(crate) disks: Vec<DiskName>,
}

impl CandidateArguments {
    /// The same, checked.
    pub(crate) fn candidate(&self) -> Result<Candidate> {
        let mut candidate = Candidate::new(&self.file);
        if let Some(settings) = &self.settings {
            candidate.settings = settings::parse(settings)?;
        }
        if let Some(resources) = &self.resources {
            candidate.resources.clone_from(resources);
        }
        if !self.disks.is_empty() {
            candidate.disks.clone_from(&self.disks);
        }
        candidate.limits = limits(&self.limits)?;
        Ok(candidate)
    }
}

/// Loads it as a web host would.
pub(crate) async fn load(workbench: &Workbench, candidate: &Candidate) -> Result<Arc<Policy>> {
    let loaded = workbench.load(candidate).await;
    loaded.with_context(|| cannot(candidate))
}

/// The beginning of the sentence that says why not.
pub(crate) fn cannot(candidate: &Candidate) -> String {
    format!("{} cannot be loaded", candidate.component.display())
}

/// Limits by the names that they have in a policy set.
fn limits(written: &[String]) -> Result<Limits> {
    let text = written.join("\n");
    toml::from_str(&text).map_err(|error: toml::de::Error| {
        let why = error.message().replace('\n', " ");
        anyhow::anyhow!("`--limit {}`: {why}", written.join(" --limit "))
            .context("a limit is given as KEY=VALUE with a whole number")
    })
}

/// A word like `key=value`.
pub(crate) fn pair(text: &str) -> Result<(String, String)> {
    let (key, value) = text
        .split_once('=')
        .with_context(|| format!("`{text}` is not of the form KEY=VALUE"))?;
    Ok((key.to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_named_as_in_a_policy_set() {
        let given = limits(&["call-time-ms=50".to_owned(), "findings = 3".to_owned()]);
        let given = given.expect("are limits");
        assert_eq!((given.call_time_ms, given.findings), (50, 3));
        assert_eq!(limits(&[]).expect("are limits"), Limits::default());
        let error = format!("{:#}", limits(&["time=3".to_owned()]).expect_err("is none"));
        assert!(error.contains("`time`"), "{error}");
    }
}
