//! One policy by itself, under the checks and limits of production and without a set around it: what tools for
//! authors are made of.

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use portcullis_types::{DiskName, PolicyManifest, PolicyName, Trust};

use crate::clock::Ticker;
use crate::component::{self, shape::Shape};
use crate::engine::Sandbox;
use crate::error::PolicyLoadError;
use crate::matching::Matching;
use crate::mode::{Mode, Percent};
use crate::policy_set::{OnFailure, PolicyEntry};
use crate::revision::{self, Policy};
use crate::set_files::SetFiles;
use crate::trial::{self, Attempt, Trial};
use crate::{EngineError, EngineSettings, Limits, PolicyFailure, PolicyKind};

/// A policy to be tried.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// The file with the component.
    pub component: PathBuf,
    /// Its settings, as a policy set has them.
    pub settings: toml::Table,
    /// What its instances may use.
    pub limits: Limits,
    /// The folder that its resources are in.
    pub resources: PathBuf,
    /// The disks that it may name, if it is a routing policy.
    pub disks: Vec<DiskName>,
}

impl Candidate {
    /// With no settings, the usual limits, resources beside the component and the disk `local`.
    pub fn new(component: &Path) -> Self {
        Self {
            component: component.to_owned(),
            settings: toml::Table::new(),
            limits: Limits::default(),
            resources: component.parent().unwrap_or(Path::new(".")).to_owned(),
            disks: "local".parse().into_iter().collect(),
        }
    }
}

/// Where policies are tried. Everything that is done here is done on the thread that asks for it.
pub struct Workbench {
    sandbox: Sandbox,
    // Last: guests stop being timed after everything else is gone.
    _ticker: Ticker,
}

impl Workbench {
    /// Starts it, with the sandbox of production.
    ///
    /// # Errors
    ///
    /// There is no room for the sandbox on this machine.
    pub fn start() -> Result<Self, EngineError> {
        let (sandbox, ticker) = Sandbox::start(EngineSettings::default(), Trust::default())?;
        Ok(Self {
            sandbox,
            _ticker: ticker,
        })
    }

    /// What the file of a component shows before it is compiled.
    ///
    /// # Errors
    ///
    /// It cannot be read, is too large or is a core module.
    pub fn shape(component: &Path) -> Result<Shape, PolicyLoadError> {
        let name = component.to_string_lossy();
        Shape::read(&component::read(&mut files(Path::new("")), &name)?)
    }

    /// Loads a policy as a web host would: reads, counts, compiles and links it, asks what it is, reads its
    /// resources, and hands over its settings. Blocks for as long as compiling takes.
    ///
    /// # Errors
    ///
    /// What would keep a web host from loading it.
    pub async fn load(&self, candidate: &Candidate) -> Result<Arc<Policy>, PolicyLoadError> {
        ready(self.compile(candidate)?, candidate).await
    }

    /// Compiles a policy and asks what it is, without its settings: to be shown, and not to be tried.
    ///
    /// # Errors
    ///
    /// What would keep a web host from getting as far.
    pub async fn describe(&self, candidate: &Candidate) -> Result<Policy, PolicyLoadError> {
        revision::describe_policy(self.compile(candidate)?).await
    }

    fn compile(&self, candidate: &Candidate) -> Result<Policy, PolicyLoadError> {
        let entry = PolicyEntry {
            name: name_of(&candidate.component),
            component: candidate.component.to_string_lossy().into_owned(),
            digest: None,
            mode: Mode::Enforce,
            percent: Percent::default(),
            on_failure: OnFailure::Reject,
            matching: Matching::default(),
            settings: candidate.settings.clone(),
            limits: candidate.limits,
            may_quote: true,
            fixtures: None,
            disks: Vec::new(),
        };
        revision::compile_policy(&self.sandbox, &mut files(Path::new("")), entry, &[])
    }

    /// The same component with other settings, limits, resources or disks; it is not compiled again.
    ///
    /// # Errors
    ///
    /// As [`load`](Self::load).
    pub async fn reload(
        &self,
        policy: &Policy,
        candidate: &Candidate,
    ) -> Result<Arc<Policy>, PolicyLoadError> {
        let most_memory = self.sandbox.settings.max_memory_bytes;
        candidate.limits.check(most_memory)?;
        ready(
            policy.with(&candidate.settings, candidate.limits)?,
            candidate,
        )
        .await
    }

    /// Lets the policy judge one upload, whose body is read as far as the policy wants to see it.
    ///
    /// # Errors
    ///
    /// The body cannot be read.
    pub fn attempt<'a>(
        &'a self,
        policy: &'a Arc<Policy>,
        attempt: &'a Attempt<'_>,
        body: &'a mut (dyn Read + Send),
    ) -> Pin<Box<dyn Future<Output = io::Result<Trial>> + 'a>> {
        // An `async fn` would be compiled where it is called from, without the optimisation that this crate has
        // in development too.
        Box::pin(trial::run(policy, attempt, body))
    }

    /// How long it takes to make an instance, hand over its settings and drop it, by the clock on the wall.
    ///
    /// # Errors
    ///
    /// It fails.
    pub async fn time_instance(&self, policy: &Arc<Policy>) -> Result<Duration, PolicyFailure> {
        let began = Instant::now();
        revision::configure_once(policy).await?;
        Ok(began.elapsed())
    }
}

/// Gives a policy its disks, asks it what it is, and hands over its settings.
async fn ready(mut policy: Policy, candidate: &Candidate) -> Result<Arc<Policy>, PolicyLoadError> {
    if policy.kind() == PolicyKind::Routing {
        policy.disks.clone_from(&candidate.disks);
    }
    let policy = revision::check_policy(policy, &mut files(&candidate.resources)).await?;
    Ok(Arc::new(policy))
}

/// The files in a folder.
fn files(folder: &Path) -> SetFiles {
    SetFiles::beside(&folder.join(PolicyManifest::SET))
}

/// What errors call the policy before it has said its own name: that of its file.
fn name_of(component: &Path) -> PolicyName {
    let stem = component.file_stem().unwrap_or_default().to_string_lossy();
    let stem = stem.to_lowercase().replace('_', "-");
    let fallback = || "policy".parse().expect("is a name");
    stem.parse().unwrap_or_else(|_| fallback())
}
