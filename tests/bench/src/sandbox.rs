//! Engines with policy sets for measuring.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Result, bail};
use portcullis_engine::{Admission, End, Engine, EngineSettings, Inspection, Upload};
use portcullis_types::{Attributes, Principal, Sha256Digest, Timestamp, UploadId};

/// Where components lie.
pub(crate) struct Sandbox {
    components: PathBuf,
    guests: PathBuf,
    folder: tempfile::TempDir,
}

impl Sandbox {
    pub(crate) fn new(components: &Path, guests: &Path) -> Result<Self> {
        let (components, guests) = (components.canonicalize()?, guests.canonicalize()?);
        let folder = tempfile::tempdir()?;
        std::os::unix::fs::symlink(
            components.join("../definitions").canonicalize()?,
            folder.path().join("definitions"),
        )?;
        Ok(Self {
            components,
            guests,
            folder,
        })
    }

    /// A component of those that ship.
    pub(crate) fn component(&self, name: &str) -> PathBuf {
        self.components.join(format!("{name}.wasm"))
    }

    /// The folder of the set, and the set in it.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn set(&self) -> PathBuf {
        self.folder.path().join("policies.toml")
    }

    /// A folder for resources, with a schema `visit` in it.
    pub(crate) fn with_schema(&self, schema: &str) -> Result<PathBuf> {
        let folder = self.folder.path().join("schemas");
        std::fs::create_dir_all(&folder)?;
        std::fs::write(folder.join("visit.json"), schema)?;
        Ok(self.folder.path().to_owned())
    }

    /// A policy of those that ship, as the set has it.
    pub(crate) fn standard(&self, name: &str) -> String {
        let component = self.component(name);
        format!(
            "[[policy]]\nname = '{name}'\ncomponent = '{}'\n",
            component.display()
        )
    }

    /// The policy of the tests that does as it is told.
    pub(crate) fn told(&self, name: &str, deed: &str, more: &str) -> String {
        let component = self.guests.join("hostile.wasm");
        format!(
            "[[policy]]\nname = '{name}'\ncomponent = '{}'\nsettings = {{ {deed} }}\n{more}\n",
            component.display()
        )
    }

    /// The component of that policy.
    pub(crate) fn told_component(&self) -> PathBuf {
        self.guests.join("hostile.wasm")
    }

    /// An engine with these policies, and a router behind them that takes every upload.
    pub(crate) async fn engine(&self, policies: &str) -> Result<Arc<Engine>> {
        let router = format!(
            "{}disks = ['local']\nsettings = {{ template = 'in/{{filename}}', ignore = ['table', 'hostile'] }}\n",
            self.standard("route-by-attributes")
        );
        let path = self.folder.path().join("policies.toml");
        std::fs::write(&path, format!("allow-empty = true\n{policies}\n{router}"))?;
        let engine = Engine::start(EngineSettings::default())?;
        engine.load(&path).await?;
        Ok(Arc::new(engine))
    }
}

/// The headers of an upload with these attributes.
pub(crate) fn upload(attributes: &[(&str, &str)]) -> Result<Upload> {
    let mut all = Attributes::default();
    for (name, value) in attributes {
        all.insert(name, value)?;
    }
    Ok(Upload {
        id: UploadId::generate(),
        filename: "bench.csv".to_owned(),
        folder: None,
        media_type: None,
        length: None,
        attributes: all,
        principal: Principal::anonymous(),
        received_at: Timestamp::from_ms(0)?,
    })
}

/// An upload that may come.
pub(crate) async fn admitted(engine: &Engine, upload: &Upload) -> Result<Box<Inspection>> {
    match engine.admit(upload, None).await {
        Admission::Inspect(inspection) => Ok(inspection),
        Admission::Refused(refused) => bail!("the upload is refused: {:?}", refused.cause),
    }
}

/// The end of an upload of so many bytes.
pub(crate) fn end(length: usize) -> End {
    End {
        length: length as u64,
        sha256: Sha256Digest::of(b""),
    }
}
