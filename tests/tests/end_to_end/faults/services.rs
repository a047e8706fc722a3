//! Services on their own, on a disk and with a catalog of the test's choosing.

use std::path::{Path, PathBuf};
use std::process::Output;

use anyhow::{Context, Result, ensure};
use portcullis_hop::{ApiKey, HopClient, HopSettings};
use portcullis_tests::gateway::{ADMIN_KEY, Answer, Disk, KEY, Server, binary, start_with};
use portcullis_types::Sha256Digest;
use reqwest::Method;
use serde_json::{Value, json};

pub(super) struct Services {
    pub(super) server: Server,
    pub(super) hop: HopClient,
    http: reqwest::Client,
    root: PathBuf,
    catalog: PathBuf,
    folder: PathBuf,
}

impl Services {
    /// Starts them with a disk at `root`, the catalog in the folder `catalog`, and everything else in `folder`.
    pub(super) async fn start(root: &Path, catalog: &Path, folder: &Path) -> Result<Self> {
        std::fs::create_dir_all(root)?;
        let (key, config) = (folder.join("admin.key"), folder.join("services.toml"));
        std::fs::write(&key, ADMIN_KEY)?;
        let text = format!(
            "[[keys]]\nname = 'admin'\nkey-file = '{}'\nscopes = ['admin']\n[limits]\nreserve-bytes = 0\n",
            key.display()
        );
        std::fs::write(&config, text)?;
        let catalog = catalog.join("catalog.sqlite");
        let crash_at = folder.join("crash-at").display().to_string();
        let disks = disks(root);
        let environment = [
            ("SERVER_ROLE", "services"),
            ("INTERNAL_API_KEY", KEY),
            ("STORAGE_CONFIG", disks.as_str()),
            ("PORTCULLIS_CRASH_AT", crash_at.as_str()),
        ];
        let (config, at) = (config.display().to_string(), catalog.display().to_string());
        let arguments = ["--config", config.as_str(), "--catalog", at.as_str()];
        let server = start_with("portcullis-services", &environment, &arguments).await?;
        let address = format!("http://{}", server.address());
        Ok(Self {
            server,
            hop: HopClient::new(&address, ApiKey::parse(KEY)?, HopSettings::default())?,
            http: portcullis_tests::http_client()?,
            root: root.to_owned(),
            catalog,
            folder: folder.to_owned(),
        })
    }

    /// Calls of the hop wait for so long.
    pub(super) fn patience(&mut self, settings: HopSettings) -> Result<()> {
        let address = format!("http://{}", self.server.address());
        self.hop = HopClient::new(&address, ApiKey::parse(KEY)?, settings)?;
        Ok(())
    }

    /// They end at this point from now on; at none without one.
    pub(super) fn crash_at(&self, point: Option<&str>) -> Result<()> {
        Ok(std::fs::write(
            self.folder.join("crash-at"),
            point.unwrap_or_default(),
        )?)
    }

    pub(super) fn disk(&self) -> Disk {
        Disk::new(self.root.clone())
    }

    /// What somebody finds at a visible path.
    pub(super) fn shown(&self, path: &str) -> Result<Option<Vec<u8>>> {
        match std::fs::read(self.root.join(path)) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The digests of the versions that lie on the disk, sorted.
    pub(super) fn versions(&self) -> Result<Vec<String>> {
        let digest = |entry: std::io::Result<std::fs::DirEntry>| -> Result<String> {
            Ok(Sha256Digest::of(&std::fs::read(entry?.path())?).to_string())
        };
        let folder = self.root.join(".portcullis/versions");
        let mut digests = std::fs::read_dir(folder)?
            .map(digest)
            .collect::<Result<Vec<_>>>()?;
        digests.sort();
        Ok(digests)
    }

    /// Whatever lies in one of the disk's own folders.
    pub(super) fn own(&self, folder: &str) -> Result<Vec<String>> {
        let name = |entry: std::io::Result<std::fs::DirEntry>| -> Result<String> {
            Ok(entry?.file_name().to_string_lossy().into_owned())
        };
        std::fs::read_dir(self.root.join(".portcullis").join(folder))?
            .map(name)
            .collect()
    }

    pub(super) async fn listed(&self, how: &str) -> Result<Vec<Value>> {
        let target = format!("/internal/storage/list?{how}");
        let list = Answer::of(self.request(Method::GET, &target, KEY))
            .await?
            .json()?;
        list["files"].as_array().cloned().context("no list")
    }

    /// The bytes of a file, as the file API gives them.
    pub(super) async fn read(&self, path: &str) -> Result<Vec<u8>> {
        let target = format!("/internal/storage/download?path={path}");
        let answer = self.request(Method::GET, &target, KEY).send().await?;
        Ok(answer.error_for_status()?.bytes().await?.to_vec())
    }

    /// What another machine keeps of the audit.
    pub(super) async fn audit_checkpoint(&self) -> Result<String> {
        let request = self.request(Method::GET, "/internal/audit/checkpoint", ADMIN_KEY);
        Ok(request.send().await?.error_for_status()?.text().await?)
    }

    pub(super) async fn quarantined(&self) -> Result<Vec<Value>> {
        let request = self.request(Method::GET, "/internal/quarantine", ADMIN_KEY);
        let list = Answer::of(request).await?.json()?;
        list["files"].as_array().cloned().context("no list")
    }

    /// Posts JSON as an administrator. What was done before already is as good.
    pub(super) async fn post(&self, target: &str, key: &str, body: Value) -> Result<()> {
        let request = self.request(Method::POST, target, key);
        let answer = request.body(body.to_string()).send().await?;
        let status = answer.status().as_u16();
        ensure!(matches!(status, 200 | 404 | 409), "{target}: {status}");
        Ok(())
    }

    fn request(&self, method: Method, target: &str, key: &str) -> reqwest::RequestBuilder {
        let url = format!("http://{}{target}", self.server.address());
        self.http.request(method, url).header("x-api-key", key)
    }

    /// Runs a command of `portcullis-services` on their catalog and disk.
    pub(super) fn command(&self, command: &str, arguments: &[&str]) -> Result<Output> {
        let mut process = std::process::Command::new(binary("portcullis-services"));
        process
            .env("STORAGE_CONFIG", disks(&self.root))
            .arg(command)
            .args(arguments)
            .arg("--catalog")
            .arg(&self.catalog);
        Ok(process.output()?)
    }
}

fn disks(root: &Path) -> String {
    json!({ "local": { "type": "local", "root": root } }).to_string()
}
