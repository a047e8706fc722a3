//! Fixtures: a folder for each case, with the upload and what a policy must say to it.
//!
//! ```text
//! fixtures/
//!   settings.toml, resources/        for all cases that have none of their own
//!   a-long-line-is-refused/
//!     request.toml                   the headers; without it an upload without a name
//!     body, body.csv                 the bytes; without it none
//!     settings.toml, settings.json   without it those for all
//!     limits.toml                    without it the usual ones
//!     resources/                     without it those for all
//!     expected.toml                  written by `policy test --bless`
//! ```

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use portcullis_engine::{Candidate, Limits};
use portcullis_types::{Sha256Digest, Sha256Hasher};
use serde::de::DeserializeOwned;

use crate::policy::expected::Expected;
use crate::policy::request::Request;
use crate::policy::settings;

/// What a case may consist of.
const FILES: &str = "request.toml, body, body.*, settings.toml, settings.json, limits.toml, resources/ and expected.toml";
/// What the expectation is written to.
const EXPECTED: &str = "expected.toml";
/// How deep cases may lie in folders.
const MAX_DEPTH: usize = 8;
/// The largest body.
const MAX_BODY_BYTES: u64 = 64 << 20;

/// One case.
pub(crate) struct Fixture {
    /// Its folder beneath that of all fixtures.
    pub(crate) name: String,
    folder: PathBuf,
    pub(crate) request: Request,
    pub(crate) body: Vec<u8>,
    pub(crate) settings: toml::Table,
    pub(crate) limits: Limits,
    /// The folder that its resources are in.
    pub(crate) resources: PathBuf,
    /// Absent until it has been blessed.
    pub(crate) expected: Option<Expected>,
}

/// Finds all cases beneath a folder, by name, and reads them.
///
/// # Errors
///
/// There is none; one of them cannot be read; two of them contradict each other.
pub(crate) fn find(root: &Path) -> Result<Vec<Fixture>> {
    let mut folders = Vec::new();
    collect(root, 0, &mut folders)
        .with_context(|| format!("the fixtures in {} cannot be read", root.display()))?;
    folders.sort();
    ensure!(
        !folders.is_empty(),
        "there is no fixture in {}: a fixture is a folder with {FILES}",
        root.display()
    );
    let fixtures = folders.iter().map(|folder| Fixture::read(root, folder));
    let fixtures: Vec<Fixture> = fixtures.collect::<Result<_>>()?;
    agree(&fixtures)?;
    Ok(fixtures)
}

/// Every folder that holds a case.
fn collect(folder: &Path, depth: usize, found: &mut Vec<PathBuf>) -> Result<()> {
    ensure!(depth < MAX_DEPTH, "{} lies too deep", folder.display());
    let (mut folders, mut is_case) = (Vec::new(), false);
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.file_type()?.is_dir() {
            if name != "resources" {
                folders.push(entry.path());
            }
        } else {
            is_case |= matches!(name.as_str(), "request.toml" | EXPECTED) || is_body(&name);
        }
    }
    if is_case && depth > 0 {
        found.push(folder.to_owned());
    }
    folders
        .iter()
        .try_for_each(|folder| collect(folder, depth + 1, found))
}

fn is_body(name: &str) -> bool {
    name == "body" || name.starts_with("body.")
}

impl Fixture {
    fn read(root: &Path, folder: &Path) -> Result<Self> {
        let name = folder
            .strip_prefix(root)
            .unwrap_or(folder)
            .display()
            .to_string();
        let read = Self::parse(root, folder, name.clone());
        read.with_context(|| format!("the fixture `{name}` cannot be used"))
    }

    fn parse(root: &Path, folder: &Path, name: String) -> Result<Self> {
        let mut bodies = Vec::new();
        for entry in fs::read_dir(folder)? {
            let file = entry?.file_name().to_string_lossy().into_owned();
            match file.as_str() {
                "request.toml" | "settings.toml" | "settings.json" | "limits.toml"
                | "resources" | EXPECTED => {}
                _ if is_body(&file) => bodies.push(file),
                // Those of other cases, and what editors leave.
                _ if folder.join(&file).is_dir() || file.starts_with('.') => {}
                _ => bail!("`{file}` is none of {FILES}"),
            }
        }
        bodies.sort();
        let body = match bodies.as_slice() {
            [] => Vec::new(),
            [body] => read_body(&folder.join(body))?,
            [one, other, ..] => bail!("it has two bodies, `{one}` and `{other}`; keep one"),
        };
        let resources = folder.join("resources");
        let shared = root.join("resources");
        Ok(Self {
            name,
            folder: folder.to_owned(),
            request: table(&folder.join("request.toml"))?.unwrap_or_default(),
            body,
            settings: match settings_in(folder)? {
                Some(settings) => settings,
                None => settings_in(root)?.unwrap_or_default(),
            },
            limits: table(&folder.join("limits.toml"))?.unwrap_or_default(),
            resources: if resources.is_dir() {
                resources
            } else {
                shared
            },
            expected: table(&folder.join(EXPECTED))?,
        })
    }

    /// The policy as this case wants it.
    pub(crate) fn candidate(&self, component: &Path) -> Candidate {
        let mut candidate = Candidate::new(component);
        candidate.settings.clone_from(&self.settings);
        candidate.limits = self.limits;
        candidate.resources.clone_from(&self.resources);
        if !self.request.disks.is_empty() {
            candidate.disks.clone_from(&self.request.disks);
        }
        candidate
    }

    /// Writes what the policy says as what is expected.
    pub(crate) fn bless(&self, expected: &Expected) -> Result<()> {
        let path = self.folder.join(EXPECTED);
        fs::write(&path, expected.to_toml()?)
            .with_context(|| format!("{} cannot be written", path.display()))
    }

    /// One digest of everything that the policy is shown.
    fn input(&self) -> Result<Sha256Digest> {
        let mut hasher = Sha256Hasher::default();
        hasher.update(toml::to_string(&self.request)?.as_bytes());
        hasher.update(self.settings.to_string().as_bytes());
        hasher.update(format!("{:?}", self.limits).as_bytes());
        hasher.update(self.resources.display().to_string().as_bytes());
        hasher.update(&self.body);
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
        let both = fixture.expected.as_ref().zip(other.expected.as_ref());
        if both.is_some_and(|(one, other)| one != other) {
            bail!(
                "the fixtures `{}` and `{}` contradict each other: the upload and the settings are the same, and what is expected is not; change or remove one of them",
                other.name,
                fixture.name
            );
        }
    }
    Ok(())
}

fn read_body(path: &Path) -> Result<Vec<u8>> {
    let size = fs::metadata(path)?.len();
    ensure!(
        size <= MAX_BODY_BYTES,
        "its body has {size} bytes; at most {MAX_BODY_BYTES} are possible"
    );
    fs::read(path).with_context(|| format!("{} cannot be read", path.display()))
}

fn settings_in(folder: &Path) -> Result<Option<toml::Table>> {
    let (toml, json) = (folder.join("settings.toml"), folder.join("settings.json"));
    match (toml.exists(), json.exists()) {
        (true, true) => bail!("it has settings.toml and settings.json; keep one"),
        (true, false) => settings::read(&toml).map(Some),
        (false, true) => settings::read(&json).map(Some),
        (false, false) => Ok(None),
    }
}

/// What a TOML file says, if there is one.
fn table<T: DeserializeOwned>(path: &Path) -> Result<Option<T>> {
    if !path.exists() {
        return Ok(None);
    }
    let name = path
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let text = fs::read_to_string(path).with_context(|| format!("{name} cannot be read"))?;
    match toml::from_str(&text) {
        Ok(value) => Ok(Some(value)),
        Err(error) => {
            let before = error.span().and_then(|span| text.get(..span.start));
            let line = before.map_or(1, |before| before.matches('\n').count() + 1);
            bail!(
                "{name}, line {line}: {}",
                error.message().replace('\n', " ")
            )
        }
    }
}
