//! Policy sets and uploads of tests.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use portcullis_engine::{
    Admission, End, Engine, EngineSettings, Inspection, Passed, Refused, Upload,
};
use portcullis_types::{Attributes, Principal, Sha256Digest, Timestamp, UploadId};

/// A policy set in a folder of its own, with a router behind the policies under test.
pub(crate) struct Set {
    folder: tempfile::TempDir,
}

impl Set {
    pub(crate) fn new(policies: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let set = Self { folder };
        set.write(policies);
        set
    }

    pub(crate) fn write(&self, policies: &str) {
        let router = format!(
            "[[policy]]\nname = 'route'\ncomponent = '{}'\ndisks = ['local']\nsettings = {{ template = 'in/{{filename}}', ignore = ['deed', 'innocent'] }}\n",
            component("route-by-attributes").display()
        );
        std::fs::write(
            self.path(),
            format!("allow-empty = true\n{policies}\n{router}"),
        )
        .expect("a file");
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("policies.toml")
    }
}

pub(crate) fn component(name: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let standard = root.join(format!("policies/components/{name}.wasm"));
    let test = std::env::current_exe().expect("a test has a path");
    // target/<profile>/deps/<test>
    let target = test
        .ancestors()
        .nth(3)
        .expect("is built into a target folder");
    let guest = target.join(format!("guests/{name}.wasm"));
    let found = [standard, guest].into_iter().find(|path| path.exists());
    let found =
        found.unwrap_or_else(|| panic!("{name}.wasm is not built; run `cargo xtask policies`"));
    found.canonicalize().expect("exists")
}

/// The hostile policy with these settings and further keys.
pub(crate) fn hostile(name: &str, settings: &str, more: &str) -> String {
    let component = component("hostile");
    format!(
        "[[policy]]\nname = '{name}'\ncomponent = '{}'\nsettings = {settings}\n{more}\n",
        component.display()
    )
}

pub(crate) async fn engine(set: &Set) -> Engine {
    let engine = Engine::start(EngineSettings {
        uploads: 8,
        max_instances: 64,
        ..EngineSettings::default()
    })
    .expect("starts");
    engine.load(&set.path()).await.expect("loads");
    engine
}

pub(crate) fn upload(filename: &str) -> Upload {
    Upload {
        id: UploadId::generate(),
        filename: filename.to_owned(),
        folder: None,
        media_type: None,
        length: None,
        attributes: Attributes::default(),
        principal: Principal::anonymous(),
        received_at: Timestamp::from_ms(1_700_000_000_123).expect("is a time"),
    }
}

pub(crate) fn end(bytes: &[u8]) -> End {
    End {
        length: bytes.len() as u64,
        sha256: Sha256Digest::of(bytes),
    }
}

pub(crate) async fn admitted(engine: &Engine) -> Box<Inspection> {
    match engine.admit(&upload("a.csv"), None).await {
        Admission::Inspect(inspection) => inspection,
        Admission::Refused(refused) => panic!("refused: {:?}", refused.cause),
    }
}

/// One upload of these bytes to its end.
pub(crate) async fn judge(engine: &Engine, bytes: &[u8]) -> Result<Passed, Box<Refused>> {
    judge_upload(engine, &upload("a.csv"), bytes).await
}

pub(crate) async fn judge_upload(
    engine: &Engine,
    upload: &Upload,
    bytes: &[u8],
) -> Result<Passed, Box<Refused>> {
    let mut inspection = match engine.admit(upload, None).await {
        Admission::Inspect(inspection) => inspection,
        Admission::Refused(refused) => return Err(refused),
    };
    for chunk in bytes.chunks(100_000) {
        if let Err(cause) = inspection.chunk(Bytes::copy_from_slice(chunk)).await {
            return Err(inspection.refuse(cause).await);
        }
    }
    inspection.finish(end(bytes)).await
}
