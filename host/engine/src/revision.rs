//! A policy set as it serves: parsed, compiled, checked, and never changed afterwards.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::Path;
use std::sync::Arc;

use portcullis_types::{
    Attributes, CounterName, DiskName, PolicyManifest, PolicyName, PublicKey, Sha256Digest,
    Sha256Hasher, Timestamp, Trust,
};

use crate::breaker::{Breaker, Breakers};
use crate::budget::Budget;
use crate::component::shape::Shape;
use crate::component::{self, CheckedComponent};
use crate::contract::v0_1::{RoutingPolicy, ValidationPolicy};
use crate::engine::Sandbox;
use crate::error::PolicyLoadError;
use crate::guest::Occasion;
use crate::instance::{Failed, Instance, Kind};
use crate::loader::Progress;
use crate::matching::Matching;
use crate::mode::{Mode, Percent};
use crate::policy_set::{self, MAX_POLICIES, OnFailure, PolicyEntry, PolicySet};
use crate::rehearsal::rehearse;
use crate::resources::Resources;
use crate::set_files::{FileError, SetFiles};
use crate::{
    BreakerStatus, CannotJudge, FailureCause, Limits, LoadError, PolicyFailure, Upload, settings,
};

/// The largest policy set in bytes.
const MAX_SET_BYTES: u64 = 1 << 20;
/// The largest signature in bytes.
const MAX_SIGNATURE_BYTES: u64 = 4 << 10;

/// One immutable policy set. An upload is judged under exactly one, whatever is loaded meanwhile.
pub struct Revision {
    digest: Sha256Digest,
    manifest: PolicyManifest,
    policies: Vec<Arc<Policy>>,
}

/// A set whose components are compiled and not yet asked what they are.
pub(crate) struct Draft {
    files: SetFiles,
    policies: Vec<Policy>,
}

/// One policy of a revision.
#[derive(Clone)]
pub struct Policy {
    pub(crate) name: PolicyName,
    pub(crate) description: Description,
    pub(crate) component: CheckedComponent,
    pub(crate) mode: Mode,
    pub(crate) percent: Percent,
    pub(crate) on_failure: OnFailure,
    pub(crate) may_quote: bool,
    pub(crate) matching: Matching,
    pub(crate) settings: Arc<str>,
    pub(crate) limits: Limits,
    pub(crate) disks: Vec<DiskName>,
    pub(crate) resources: Arc<Resources>,
    /// The memory of all guests.
    pub(crate) budget: Arc<Budget>,
    /// One digest of all that decides how it judges; set once it has been checked.
    pub(crate) identity: Sha256Digest,
    /// Whether it is asked at all; that of whatever judges alike, once it has been checked.
    pub(crate) breaker: Arc<Breaker>,
    breakers: Arc<Breakers>,
    /// Who vouches for its component.
    signed_by: Option<PublicKey>,
    /// The linear memory in bytes that an instance has once it is configured.
    least_bytes: usize,
    /// Its component, as the set names it.
    source: String,
    /// The folder with the cases that it must pass, as the set names it.
    fixtures: Option<String>,
}

/// What a policy decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PolicyKind {
    /// Whether an upload may pass.
    Validation,
    /// Where it goes.
    Routing,
}

/// What a component says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Description {
    /// The policy's own name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// What it checks or decides.
    pub summary: String,
    /// The settings that it takes, as a JSON Schema.
    pub settings_schema: String,
    /// What it checks: the id and the sentence of each rule.
    pub rules: Vec<(String, String)>,
    /// The attributes of uploads that it uses.
    pub attributes: Vec<DescribedAttribute>,
    /// The patterns of the resources that it may read.
    pub resources: Vec<String>,
    /// The counters that it may count.
    pub counters: BTreeSet<CounterName>,
}

/// An attribute that a policy uses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DescribedAttribute {
    /// Its name.
    pub name: String,
    /// What a form calls it.
    pub label: String,
    /// Whether an upload needs it.
    pub required: bool,
    /// The values that it may have; empty when any will do.
    pub choices: Vec<String>,
}

impl Revision {
    /// The digest of code, settings and resources together: that of the manifest.
    pub fn digest(&self) -> Sha256Digest {
        self.digest
    }

    /// The files that it was made of.
    pub fn manifest(&self) -> &PolicyManifest {
        &self.manifest
    }

    /// The policies in the order in which uploads meet them.
    pub fn policies(&self) -> &[Arc<Policy>] {
        &self.policies
    }

    /// The policies without which no upload goes on: those that decide.
    pub(crate) fn deciding(&self) -> impl Iterator<Item = &Arc<Policy>> {
        let policies = self.policies.iter();
        policies.filter(|policy| policy.mode == Mode::Enforce)
    }

    /// The linear memory in bytes that one upload needs at least.
    pub(crate) fn least_bytes(&self) -> usize {
        self.deciding().map(|policy| policy.least_bytes).sum()
    }

    /// The validation policies of one mode that are asked about an upload, in order.
    pub(crate) fn validation_for<'a>(
        &'a self,
        mode: Mode,
        upload: &'a Upload,
    ) -> impl Iterator<Item = &'a Arc<Policy>> {
        self.policies.iter().filter(move |policy| {
            policy.kind() == PolicyKind::Validation
                && policy.mode == mode
                && policy.matching.applies_to(&upload.attributes)
                && policy.percent.includes(&policy.name, upload.id)
        })
    }

    /// The policies that decide here about an upload and that another revision does not have as they are.
    pub(crate) fn changed_for<'a>(
        &'a self,
        other: &'a Self,
        upload: &'a Upload,
    ) -> impl Iterator<Item = &'a Arc<Policy>> {
        let changed = self.validation_for(Mode::Enforce, upload);
        changed.filter(|policy| {
            let mut others = other.deciding();
            !others.any(|it| (&it.name, it.identity) == (&policy.name, policy.identity))
        })
    }

    /// The first routing policy that is responsible for an upload with these attributes.
    pub(crate) fn routing_for(&self, attributes: &Attributes) -> Option<&Arc<Policy>> {
        self.policies.iter().find(|policy| {
            policy.kind() == PolicyKind::Routing && policy.matching.applies_to(attributes)
        })
    }
}

impl Policy {
    /// Its name in the set.
    pub fn name(&self) -> &PolicyName {
        &self.name
    }

    /// What it decides.
    pub fn kind(&self) -> PolicyKind {
        self.component.kind()
    }

    /// What the component says of itself.
    pub fn description(&self) -> &Description {
        &self.description
    }

    /// Who vouches for its component, among those whose signatures count.
    pub fn signed_by(&self) -> Option<PublicKey> {
        self.signed_by
    }

    /// Whether it is asked now, and how often it was not.
    pub fn breaker(&self) -> BreakerStatus {
        self.breaker.status()
    }

    /// The digest of the component.
    pub fn digest(&self) -> Sha256Digest {
        self.component.digest
    }

    /// The size of the component in bytes.
    pub fn component_bytes(&self) -> u64 {
        self.component.size_bytes
    }

    /// What its instances may use.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Over code, settings, limits, resources, and which uploads it is asked about.
    fn identify(&self) -> Sha256Digest {
        let mut hasher = Sha256Hasher::default();
        hasher.update(self.component.digest.as_bytes());
        hasher.update(self.resources.digest().as_bytes());
        let rest = format!(
            "{:?}",
            (
                &self.settings,
                self.limits,
                &self.matching,
                self.percent,
                self.on_failure
            )
        );
        hasher.update(rest.as_bytes());
        hasher.finish()
    }

    /// The same component with other settings and limits, not yet asked about them, and without disks.
    pub(crate) fn with(
        &self,
        settings: &toml::Table,
        limits: Limits,
    ) -> Result<Self, PolicyLoadError> {
        Ok(Self {
            description: Description::default(),
            settings: settings::to_json(settings)?.to_string().into(),
            limits,
            disks: Vec::new(),
            resources: Arc::default(),
            least_bytes: 0,
            fixtures: None,
            ..self.clone()
        })
    }
}

/// Reads and compiles a set. Components that a known revision has are not compiled again.
///
/// Blocks for as long as compiling takes.
pub(crate) fn compile(
    sandbox: &Sandbox,
    mut files: SetFiles,
    known: &[Arc<Revision>],
    progress: &Progress,
) -> Result<Draft, LoadError> {
    let path = files.set_path();
    let text = read(&mut files, &path)?;
    let set: PolicySet = toml::from_str(&text).map_err(|error| invalid(&path, &text, &error))?;
    let wrong = |reason: String| LoadError::Set {
        path: path.clone(),
        reason,
    };
    if set.policies.len() > MAX_POLICIES {
        let count = set.policies.len();
        return Err(wrong(format!(
            "it has {count} policies; at most {MAX_POLICIES} are possible"
        )));
    }
    let mut names = HashSet::new();
    if let Some(twice) = set.policies.iter().find(|entry| !names.insert(&entry.name)) {
        return Err(wrong(format!(
            "two policies are named `{}`; give each a name of its own",
            twice.name
        )));
    }
    let mut policies = Vec::new();
    for entry in set.policies {
        let (name, component) = (entry.name.clone(), entry.component.clone());
        progress.at(&name);
        let compiled = compile_policy(sandbox, &mut files, entry, known);
        let checked = compiled.and_then(|policy| check_kind(&policy).map(|()| policy));
        policies.push(checked.map_err(|cause| LoadError::Policy {
            policy: name,
            component: component.into(),
            cause: cause.into(),
        })?);
    }
    if !policies
        .iter()
        .any(|policy| policy.kind() == PolicyKind::Routing)
    {
        return Err(wrong(
            "no policy says where uploads go; add a routing policy such as route-by-attributes"
                .to_owned(),
        ));
    }
    if !set.allow_empty
        && !policies
            .iter()
            .any(|policy| policy.kind() == PolicyKind::Validation && policy.mode == Mode::Enforce)
    {
        return Err(wrong(
            "it has no policy that could refuse an upload (one in `mode = \"shadow\"` cannot); add one, or say `allow-empty = true` at its top if every upload is to be taken as it is".to_owned(),
        ));
    }
    Ok(Draft { files, policies })
}

/// A syntax error or an unknown key, with its place.
fn invalid(path: &Path, text: &str, error: &toml::de::Error) -> LoadError {
    let (line, column) = policy_set::place(text, error);
    LoadError::Invalid {
        path: path.to_owned(),
        line,
        column,
        why: error.message().replace('\n', " "),
    }
}

fn read(files: &mut SetFiles, path: &Path) -> Result<String, LoadError> {
    let unreadable = |cause| LoadError::Unreadable {
        path: path.to_owned(),
        cause,
    };
    let bytes = files.set(MAX_SET_BYTES).map_err(|error| {
        unreadable(match error {
            FileError::TooLarge(_) => {
                std::io::Error::other("it is over 1 MiB, too large for a policy set")
            }
            FileError::Unreadable(error) => error,
        })
    })?;
    let text = std::str::from_utf8(&bytes).map(str::to_owned);
    text.map_err(|_| unreadable(std::io::Error::other("it is not UTF-8 text")))
}

/// Compiles the policy of an entry of a set. It has not been asked anything yet.
pub(crate) fn compile_policy(
    sandbox: &Sandbox,
    files: &mut SetFiles,
    entry: PolicyEntry,
    known: &[Arc<Revision>],
) -> Result<Policy, PolicyLoadError> {
    let settings = &sandbox.settings;
    let most_memory = settings.max_memory_bytes.min(settings.guest_bytes);
    entry.limits.check(most_memory)?;
    let bytes = component::read(files, &entry.component)?;
    let shape = Shape::read(&bytes)?;
    let signed_by = vouched_for(&entry, shape.digest, files, &sandbox.trust)?;
    if let Some(problem) = shape.problems(&entry.limits).into_iter().next() {
        return Err(problem);
    }
    let mut known = known.iter().flat_map(|revision| revision.policies());
    let component = match known.find(|policy| policy.digest() == shape.digest) {
        Some(policy) => policy.component.clone(),
        None => component::compile(&sandbox.wasmtime, &sandbox.linker, &bytes, &shape)?,
    };
    let settings = settings::to_json(&entry.settings)?;
    Ok(Policy {
        name: entry.name,
        description: Description::default(),
        component,
        mode: entry.mode,
        percent: entry.percent,
        on_failure: entry.on_failure,
        may_quote: entry.may_quote,
        matching: entry.matching,
        settings: settings.to_string().into(),
        limits: entry.limits,
        disks: entry.disks,
        budget: Arc::clone(&sandbox.budget),
        identity: Sha256Digest::of(&[]),
        breaker: sandbox.breakers.of(Sha256Digest::of(&[])),
        breakers: Arc::clone(&sandbox.breakers),
        signed_by,
        least_bytes: 0,
        resources: Arc::default(),
        source: entry.component,
        fixtures: entry.fixtures,
    })
}

/// Whether a component is the one that the set wants, and one that may run. Gives who vouches for it.
fn vouched_for(
    entry: &PolicyEntry,
    found: Sha256Digest,
    files: &mut SetFiles,
    trust: &Trust,
) -> Result<Option<PublicKey>, PolicyLoadError> {
    if let Some(wanted) = entry.digest.filter(|wanted| *wanted != found) {
        return Err(PolicyLoadError::Pinned { wanted, found });
    }
    // Looked at whether or not it counts here: what a revision consists of must not depend on who reads it.
    let signature = format!("{}{}", entry.component, PolicyManifest::SIGNATURE_SUFFIX);
    let signature = files.get(&signature, MAX_SIGNATURE_BYTES).ok();
    let text = signature.as_deref().map(String::from_utf8_lossy);
    trust
        .check(found, text.as_deref())
        .map_err(|why| PolicyLoadError::Untrusted { digest: found, why })
}

fn check_kind(policy: &Policy) -> Result<(), PolicyLoadError> {
    let wrong = match policy.kind() {
        PolicyKind::Validation if !policy.disks.is_empty() => {
            "it is a validation policy, so `disks` means nothing; remove it"
        }
        PolicyKind::Routing if policy.disks.is_empty() => {
            "it is a routing policy, so it needs `disks`, the disks that it may name"
        }
        PolicyKind::Routing if policy.on_failure == OnFailure::Accept => {
            "it is a routing policy, without whose answer no upload can go on; remove `on-failure`"
        }
        PolicyKind::Routing if policy.mode == Mode::Shadow || !policy.percent.is_all() => {
            "it is a routing policy, without whose answer no upload can go on; remove `mode` and `percent`"
        }
        _ => return Ok(()),
    };
    Err(PolicyLoadError::Kind(wrong))
}

impl Draft {
    /// Asks every component what it is, reads what it asks for, asks whether it takes its settings, and lets it judge
    /// the cases of its set, on instances of their own.
    pub(crate) async fn check(
        mut self,
        sandbox: &Sandbox,
        progress: &Progress,
    ) -> Result<(Revision, SetFiles), LoadError> {
        let mut policies = Vec::new();
        for policy in self.policies {
            let (name, component) = (policy.name.clone(), policy.source.clone());
            progress.at(&name);
            let checked = check_policy(policy, &mut self.files).await;
            let policy = checked.map_err(|cause| LoadError::Policy {
                policy: name,
                component: component.into(),
                cause: cause.into(),
            })?;
            policies.push(Arc::new(policy));
        }
        let files = self.files.digests_without(&BTreeMap::new());
        let most_memory = sandbox.settings.max_memory_bytes;
        for policy in &policies {
            let Some(folder) = &policy.fixtures else {
                continue;
            };
            progress.at(&policy.name);
            let passed = rehearse(policy, &mut self.files, folder, most_memory).await;
            passed.map_err(|cause| LoadError::Policy {
                policy: policy.name.clone(),
                component: policy.source.clone().into(),
                cause: cause.into(),
            })?;
        }
        let fixtures = self.files.digests_without(&files);
        let manifest = PolicyManifest { files, fixtures };
        let revision = Revision {
            digest: manifest.digest(),
            manifest,
            policies,
        };
        Ok((revision, self.files))
    }
}

/// Asks a policy what it is, on an instance of its own.
pub(crate) async fn describe_policy(policy: Policy) -> Result<Policy, PolicyLoadError> {
    let shared = Arc::new(policy);
    let description = match shared.kind() {
        PolicyKind::Validation => describe::<ValidationPolicy>(&shared).await,
        PolicyKind::Routing => describe::<RoutingPolicy>(&shared).await,
    };
    let description = description.map_err(|failure| PolicyLoadError::Failed(failure.into()))?;
    let mut policy = Arc::into_inner(shared).expect("the instance that shared it is gone");
    policy.description = description;
    Ok(policy)
}

/// Asks a policy what it is, reads what it asks for, and asks whether it takes its settings.
pub(crate) async fn check_policy(
    policy: Policy,
    files: &mut SetFiles,
) -> Result<Policy, PolicyLoadError> {
    let mut policy = describe_policy(policy).await?;
    policy.resources = Arc::new(Resources::read(files, "", &policy.description.resources)?);

    let shared = Arc::new(policy);
    let least_bytes = configure_once(&shared)
        .await
        .map_err(|failure| match failure.cause {
            FailureCause::Declared(CannotJudge::BadSettings, reason) => PolicyLoadError::Refused {
                digest: failure.digest,
                reason,
            },
            _ => PolicyLoadError::Failed(failure.into()),
        })?;
    let mut policy = Arc::into_inner(shared).expect("the instance that shared it is gone");
    policy.least_bytes = least_bytes;
    policy.identity = policy.identify();
    policy.breaker = policy.breakers.of(policy.identity);
    Ok(policy)
}

/// Nothing is uploaded when a component is only asked what it is.
fn no_upload() -> Occasion {
    Occasion {
        upload: None,
        received_at: Timestamp::from_ms(0).expect("1970 can be written"),
        in_shadow: false,
    }
}

async fn describe<E: Kind>(policy: &Arc<Policy>) -> Result<Description, PolicyFailure> {
    let started = Instance::<E>::start(policy, no_upload()).await;
    started
        .map_err(|Failed { failure, .. }| failure)?
        .describe()
        .await
}

/// Asks a policy whether it takes its settings, on an instance of its own. Gives the linear memory that the
/// instance has then, in bytes.
pub(crate) async fn configure_once(policy: &Arc<Policy>) -> Result<usize, PolicyFailure> {
    match policy.kind() {
        PolicyKind::Validation => configure::<ValidationPolicy>(policy).await,
        PolicyKind::Routing => configure::<RoutingPolicy>(policy).await,
    }
}

async fn configure<E: Kind>(policy: &Arc<Policy>) -> Result<usize, PolicyFailure> {
    let started = Instance::<E>::start(policy, no_upload()).await;
    let mut instance = started.map_err(|Failed { failure, .. }| failure)?;
    instance.configure().await?;
    Ok(instance.memory_bytes())
}
