//! The fixtures of a project, as `policy test` runs them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use portcullis_engine::{Candidate, Expected, FIXTURE_FILES, FixtureError, SetFiles};
use portcullis_types::{PolicyManifest, Sha256Digest, Sha256Hasher};

use crate::policy::expected::to_toml;

/// One case of a project.
pub(crate) struct Fixture {
    /// What the policy is shown, and what is expected of it.
    pub(crate) case: portcullis_engine::Fixture,
    /// The folder of all cases.
    root: PathBuf,
}

/// Finds all cases beneath a folder, by name, and reads them.
///
/// # Errors
///
/// There is none; one of them cannot be read; two of them contradict each other.
pub(crate) fn find(root: &Path) -> Result<Vec<Fixture>> {
    let shown = root.display();
    if !root.is_dir() {
        bail!("the fixtures in {shown} cannot be read: there is no such folder");
    }
    let mut files = SetFiles::beside(&root.join(PolicyManifest::SET));
    let cases = match portcullis_engine::Fixture::find(&mut files, "") {
        Ok(cases) => cases,
        Err(FixtureError::None) => {
            bail!("there is no fixture in {shown}: a fixture is a folder with {FIXTURE_FILES}")
        }
        Err(FixtureError::Folder(why)) => bail!("the fixtures in {shown} cannot be used: {why}"),
        Err(error @ FixtureError::Unusable { .. }) => return Err(error.into()),
    };
    let fixture = |case| Fixture {
        case,
        root: root.to_owned(),
    };
    let fixtures: Vec<Fixture> = cases.into_iter().map(fixture).collect();
    agree(&fixtures)?;
    Ok(fixtures)
}

impl Fixture {
    /// The policy as this case wants it.
    pub(crate) fn candidate(&self, component: &Path) -> Candidate {
        let (case, mut candidate) = (&self.case, Candidate::new(component));
        candidate.settings = case.settings.clone().unwrap_or_default();
        candidate.limits = case.limits.unwrap_or_default();
        let resources = case.resources.as_deref().unwrap_or("resources");
        candidate.resources = self.root.join(resources);
        if !case.request.disks.is_empty() {
            candidate.disks.clone_from(&case.request.disks);
        }
        candidate
    }

    /// Writes what the policy says as what is expected.
    pub(crate) fn bless(&self, expected: &Expected) -> Result<()> {
        let path = self.root.join(&self.case.name).join("expected.toml");
        fs::write(&path, to_toml(expected)?)
            .with_context(|| format!("{} cannot be written", path.display()))
    }

    /// One digest of everything that the policy is shown.
    fn input(&self) -> Result<Sha256Digest> {
        let case = &self.case;
        let mut hasher = Sha256Hasher::default();
        hasher.update(toml::to_string(&case.request)?.as_bytes());
        let settings = case.settings.clone().unwrap_or_default();
        hasher.update(settings.to_string().as_bytes());
        hasher.update(format!("{:?}{:?}", case.limits, case.resources).as_bytes());
        hasher.update(&case.body);
        Ok(hasher.finish())
    }
}

/// The same upload under the same settings can have one answer only.
fn agree(fixtures: &[Fixture]) -> Result<()> {
    let mut known: BTreeMap<[u8; 32], &Fixture> = BTreeMap::new();
    for fixture in fixtures {
        let Some(other) = known.insert(*fixture.input()?.as_bytes(), fixture) else {
            continue;
        };
        let both = fixture.case.expected.as_ref();
        let both = both.zip(other.case.expected.as_ref());
        if both.is_some_and(|(one, other)| one != other) {
            bail!(
                "the fixtures `{}` and `{}` contradict each other: the upload and the settings are the same, and what is expected is not; change or remove one of them",
                other.case.name,
                fixture.case.name
            );
        }
    }
    Ok(())
}
