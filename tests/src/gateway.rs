//! The real pair of servers, as an operator would start them: two processes, a key, a disk and a policy
//! set, all in a folder of their own and on free ports of the loopback address.

mod answer;
mod disk;
mod form;
mod policies;
mod proxy;
mod server;
mod tus;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use reqwest::RequestBuilder;

pub use answer::Answer;
pub use disk::{Disk, sha256};
pub use form::{Contents, Form};
pub use policies::{Policies, component, guest, set_folder};
pub use proxy::{Behaviour, Proxy, Switch};
pub use server::{Server, binary, check_config, refuses_to_start, start, start_with};
pub use tus::{TusUpload, tus_metadata};

/// The key between the two servers.
pub const KEY: &str = "a-key-for-tests-0123456789abcdef";
/// The key for what administrators do on services.
pub const ADMIN_KEY: &str = "an-admin-key-for-tests-0123456789";
/// How long any one request of a test may take.
const REQUEST: Duration = Duration::from_mins(5);

/// Both servers, until it is dropped.
pub struct TestGateway {
    /// The public side.
    pub web: Server,
    /// The protected side.
    pub services: Server,
    client: reqwest::Client,
    // Last: the servers end before their folder goes.
    folder: tempfile::TempDir,
}

/// Services alone, until it is dropped.
pub struct Services {
    server: Server,
    folder: tempfile::TempDir,
}

impl Services {
    /// Starts them with their usual disks.
    pub async fn start() -> Result<Self> {
        let folder = folder()?;
        let server = Setup::default().services(folder.path()).start().await?;
        Ok(Self { server, folder })
    }

    /// Where they listen.
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// A disk, as somebody with access to the NAS sees it.
    pub fn disk(&self, name: &str) -> Disk {
        Disk::new(self.folder.path().join(name))
    }
}

fn folder() -> Result<tempfile::TempDir> {
    let mut folder = tempfile::Builder::new();
    Ok(folder.prefix("portcullis-test-").tempdir()?)
}

/// What differs from the usual pair.
#[derive(Default)]
pub struct Setup {
    policies: Policies,
    web_config: String,
    services_config: String,
    collector: Option<String>,
    proxy: Option<Behaviour>,
    web_key: Option<String>,
    tokens_only: bool,
    follows_services: bool,
    environment: Vec<(&'static str, String)>,
}

impl Setup {
    /// Other policies than the usual ones.
    #[must_use]
    pub fn policies(mut self, policies: Policies) -> Self {
        self.policies = policies;
        self
    }

    /// The web host's configuration file.
    #[must_use]
    pub fn web_config(mut self, toml: &str) -> Self {
        toml.clone_into(&mut self.web_config);
        self
    }

    /// The configuration file of services, beside the administrator's key.
    #[must_use]
    pub fn services_config(mut self, toml: &str) -> Self {
        toml.clone_into(&mut self.services_config);
        self
    }

    /// Where both send their traces.
    #[must_use]
    pub fn collector(mut self, endpoint: String) -> Self {
        self.collector = Some(endpoint);
        self
    }

    /// A proxy between the two that behaves badly.
    #[must_use]
    pub fn through(mut self, behaviour: Behaviour) -> Self {
        self.proxy = Some(behaviour);
        self
    }

    /// A key of the web host that services do not know.
    #[must_use]
    pub fn web_key(mut self, key: &str) -> Self {
        self.web_key = Some(key.to_owned());
        self
    }

    /// A web host whose policies come from services.
    #[must_use]
    pub fn policies_from_services(mut self) -> Self {
        self.follows_services = true;
        self
    }

    /// No upload without a token.
    #[must_use]
    pub fn tokens_only(mut self) -> Self {
        self.tokens_only = true;
        self
    }

    /// A variable of both servers.
    #[must_use]
    pub fn env(mut self, name: &'static str, value: &str) -> Self {
        self.environment.push((name, value.to_owned()));
        self
    }

    /// Starts services and then the web host.
    pub async fn start(self) -> Result<TestGateway> {
        let folder = folder()?;
        let services = self.services(folder.path()).start().await?;
        let services_address = match self.proxy {
            Some(behaviour) => Proxy::start(services.address(), behaviour).await?,
            None => services.address(),
        };
        let web = self.web(folder.path(), services_address)?.start().await?;
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .tls_certs_only([])
            .timeout(REQUEST)
            .build()?;
        Ok(TestGateway {
            web,
            services,
            client,
            folder,
        })
    }

    fn services(&self, folder: &Path) -> server::Launch {
        let disk = |name: &str| {
            let root = folder.join(name);
            std::fs::create_dir_all(&root).expect("a folder for the disk");
            (
                name.to_owned(),
                serde_json::json!({ "type": "local", "root": root }),
            )
        };
        let disks: serde_json::Map<_, _> = DISKS.map(disk).into_iter().collect();
        let (key, config) = (folder.join("admin.key"), folder.join("services.toml"));
        std::fs::write(&key, ADMIN_KEY).expect("is written");
        let keys = format!(
            "[[keys]]\nname = 'admin'\nkey-file = '{}'\nscopes = ['admin']\n",
            key.display()
        );
        let text = format!("{}\n{keys}", self.services_config);
        std::fs::write(&config, text).expect("is written");
        server::Launch::new("portcullis-services")
            .argument("--config")
            .argument(config)
            .env("SERVER_ROLE", "services")
            .env("INTERNAL_API_KEY", KEY)
            .env(
                "STORAGE_CONFIG",
                serde_json::Value::Object(disks).to_string(),
            )
            .envs(
                self.collector
                    .iter()
                    .map(|endpoint| ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.clone())),
            )
            .envs(self.environment.clone())
            .argument("--catalog")
            .argument(folder.join("catalog.sqlite"))
            .folder(folder)
    }

    fn web(&self, folder: &Path, services: SocketAddr) -> Result<server::Launch> {
        let config = folder.join("web.toml");
        let anonymous = if self.tokens_only {
            ""
        } else {
            "allow-anonymous = true\n"
        };
        let source = if self.follows_services {
            "policies.source = 'services'\n"
        } else {
            ""
        };
        let text = format!("{anonymous}{source}{}", self.web_config);
        std::fs::write(&config, text).with_context(|| config.display().to_string())?;
        let launch = server::Launch::new("portcullis-web")
            .env("SERVER_ROLE", "web")
            .env("INTERNAL_API_KEY", self.web_key.as_deref().unwrap_or(KEY))
            .env("SERVICES_URL", format!("http://{services}"))
            .envs(
                self.collector
                    .iter()
                    .map(|endpoint| ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.clone())),
            )
            .envs(self.environment.clone())
            .argument("--config")
            .argument(config)
            .folder(folder);
        if self.follows_services {
            return Ok(launch);
        }
        let policies = self.policies.place(folder)?;
        Ok(launch.argument("--policies").argument(policies))
    }
}

/// The disks that services have.
const DISKS: [&str; 2] = ["local", "workspace"];

impl TestGateway {
    /// The usual pair, whatever stands in a table.
    pub async fn start() -> Result<Self> {
        Setup::default().start().await
    }

    /// Sends a form to the web host.
    pub async fn upload(&self, form: Form) -> Result<Answer> {
        Answer::of(self.upload_request(form)).await
    }

    /// A form to be sent to the web host.
    pub fn upload_request(&self, form: Form) -> RequestBuilder {
        let (content_type, body) = form.into_body();
        let request = self.web_request(reqwest::Method::POST, "/uploads");
        request.header("content-type", content_type).body(body)
    }

    /// Sends a file as the body of a request; `query` holds its attributes.
    pub async fn upload_raw(
        &self,
        query: &str,
        filename: &str,
        contents: impl Into<Contents>,
    ) -> Result<Answer> {
        let disposition = format!("attachment; filename=\"{filename}\"");
        let request = self.web_request(reqwest::Method::POST, &format!("/uploads?{query}"));
        let request = request
            .header("content-disposition", disposition)
            .header("content-type", "text/csv");
        Answer::of(request.body(contents.into().into_body())).await
    }

    /// A request to the web host.
    pub fn web_request(&self, method: reqwest::Method, target: &str) -> RequestBuilder {
        self.client
            .request(method, format!("http://{}{target}", self.web.address()))
    }

    /// A request to services, without a key.
    pub fn services_request(&self, method: reqwest::Method, target: &str) -> RequestBuilder {
        self.client.request(
            method,
            format!("http://{}{target}", self.services.address()),
        )
    }

    /// What services know of an upload, by the id in an answer.
    pub async fn record(&self, id: &serde_json::Value) -> Result<serde_json::Value> {
        let id = id.as_str().context("the answer has no id")?;
        let request = self
            .services_request(reqwest::Method::GET, &format!("/internal/uploads/{id}"))
            .header("x-api-key", KEY);
        Answer::of(request).await?.json()
    }

    /// A disk of services, as somebody with access to the NAS sees it.
    pub fn disk(&self, name: &str) -> Disk {
        Disk::new(self.folder.path().join(name))
    }

    /// Runs `portcullis-services token` on the catalog of services, and gives what it printed.
    pub fn token(&self, arguments: &[&str]) -> Result<String> {
        let output = self.on_services("token", arguments)?;
        let said = String::from_utf8_lossy(&output.stderr);
        anyhow::ensure!(output.status.success(), "token {arguments:?}: {said}");
        Ok(String::from_utf8(output.stdout)?.trim().to_owned())
    }

    /// Runs a command of `portcullis-services` beside the running ones, on their catalog and disks.
    pub fn on_services(&self, command: &str, arguments: &[&str]) -> Result<std::process::Output> {
        let root = |name: &str| self.folder.path().join(name);
        let disks = DISKS.map(|name| {
            let disk = serde_json::json!({ "type": "local", "root": root(name) });
            (name.to_owned(), disk)
        });
        let disks: serde_json::Map<_, _> = disks.into_iter().collect();
        let mut process = std::process::Command::new(binary("portcullis-services"));
        process
            .env(
                "STORAGE_CONFIG",
                serde_json::Value::Object(disks).to_string(),
            )
            .arg(command)
            .args(arguments)
            .arg("--catalog")
            .arg(root("catalog.sqlite"));
        Ok(process.output()?)
    }

    /// Replaces the policy set of the web host, as an editor does: by renaming a new file into place.
    pub fn write_policies(&self, policies: &Policies) -> Result<()> {
        let (new, set) = ("policies.toml.new", "policies.toml");
        std::fs::write(self.folder.path().join(new), policies.text()?)?;
        std::fs::rename(self.folder.path().join(new), self.folder.path().join(set))?;
        Ok(())
    }

    /// What the web host says of itself, to somebody who has the key, once it has room for one more upload.
    pub async fn ready(&self) -> Result<serde_json::Value> {
        loop {
            let request = self.web_request(reqwest::Method::GET, "/readyz");
            let ready = Answer::of(request.header("x-api-key", KEY)).await?.json()?;
            if ready["type"] != "urn:portcullis:problem:overloaded" {
                return Ok(ready);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until the web host says something of itself.
    pub async fn until_ready(
        &self,
        what: &str,
        says: impl Fn(&serde_json::Value) -> bool,
    ) -> Result<serde_json::Value> {
        let wait = async {
            loop {
                let ready = self.ready().await?;
                if says(&ready) {
                    return Ok(ready);
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let waited = tokio::time::timeout(crate::LIMIT, wait).await;
        waited.with_context(|| what.to_owned())?
    }

    /// Another web host of the same services, with the same configuration.
    pub async fn another_web(&self) -> Result<Server> {
        self.another_web_through(self.services.address()).await
    }

    /// Another web host of the same services, with the usual policies from a file.
    pub async fn another_web_with_own_policies(&self) -> Result<Server> {
        let folder = self.folder.path().join("another");
        std::fs::create_dir_all(&folder)?;
        let web = Setup::default();
        web.web(&folder, self.services.address())?.start().await
    }

    /// The same, which reaches services at another address.
    pub async fn another_web_through(&self, services: SocketAddr) -> Result<Server> {
        let web = Setup::default().policies_from_services();
        let folder = self.folder.path().join("another");
        std::fs::create_dir_all(&folder)?;
        web.web(&folder, services)?.start().await
    }

    /// Runs `portcullis policy`, as an administrator of the services of this pair.
    pub fn policy(&self, arguments: &[&str]) -> Result<std::process::Output> {
        self.command(&[&["policy"], arguments].concat())
    }

    /// Runs `portcullis`, likewise.
    pub fn command(&self, arguments: &[&str]) -> Result<std::process::Output> {
        Ok(self.prepared(arguments).output()?)
    }

    /// `portcullis policy`, to be started.
    pub fn policy_command(&self, arguments: &[&str]) -> std::process::Command {
        self.prepared(&[&["policy"], arguments].concat())
    }

    fn prepared(&self, arguments: &[&str]) -> std::process::Command {
        let mut process = std::process::Command::new(binary("portcullis"));
        process
            .args(arguments)
            .env(
                "SERVICES_URL",
                format!("http://{}", self.services.address()),
            )
            .env("PORTCULLIS_ADMIN_KEY", ADMIN_KEY)
            .env("USER", "tester");
        process
    }

    /// The folder in which both servers keep what they keep.
    pub fn folder(&self) -> PathBuf {
        self.folder.path().to_owned()
    }
}
