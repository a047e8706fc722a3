//! Servers under measurement: started on free ports of the loopback address, stopped when dropped.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::workspace::Workspace;

/// How long a server may take to listen; the web host compiles its policies before.
const START: Duration = Duration::from_mins(1);
/// The key of administrators of a bench.
pub(crate) const ADMIN_KEY: &str = "bench-key-of-administrators-0123456789";
/// The key between the two servers of a bench.
pub(crate) const KEY: &str = "bench-key-of-two-servers-on-loopback";

/// A server process.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl Server {
    /// Ends it without a word.
    fn kill(&mut self) {
        // It has ended already, or ends now; in both cases there is nothing left to do.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// The most memory that it had so far, in bytes.
    pub(crate) fn most_memory(&self) -> Result<u64> {
        self.memory("status", "VmHWM:")
    }

    /// The resident memory that it has now, in bytes. A page that is mapped at several places counts once.
    pub(crate) fn memory_now(&self) -> Result<u64> {
        self.memory("smaps_rollup", "Pss:")
    }

    fn memory(&self, file: &str, which: &str) -> Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/{file}", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix(which));
        let number = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
        Ok(number.context("the kernel does not say how much memory it has")? << 10)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// What judges an upload, beside its route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Policies {
    /// The kind of the file.
    FileType,
    /// And every byte is counted.
    Counted,
    /// And every cell is held against the definition of its table.
    Table,
    /// And once more in the shadow.
    TableInShadow,
}

/// Where the web host takes its policies from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// From a file.
    File,
    /// From services, which have none yet.
    Services,
}

/// For how much servers are made, and who watches them.
#[derive(Clone, Copy, Default)]
struct Extent {
    /// Uploads at once; absent for what the servers take by themselves.
    uploads: Option<usize>,
    collector: Option<SocketAddr>,
}

/// Both servers with policies of the bench.
pub(crate) struct Pair {
    pub(crate) web: Server,
    pub(crate) services: Server,
    /// Where uploads come to lie.
    pub(crate) disk: PathBuf,
    web_command: Command,
}

impl Pair {
    /// Starts services and then the web host, with everything they keep beneath `folder`.
    pub(crate) fn start(
        workspace: &Workspace,
        folder: &Path,
        policies: Policies,
        source: Source,
    ) -> Result<Self> {
        Self::start_with(workspace, folder, policies, source, Extent::default())
    }

    /// The same, with all telemetry sent to a collector.
    pub(crate) fn start_watched(
        workspace: &Workspace,
        folder: &Path,
        policies: Policies,
        collector: SocketAddr,
    ) -> Result<Self> {
        let extent = Extent {
            collector: Some(collector),
            ..Extent::default()
        };
        Self::start_with(workspace, folder, policies, Source::File, extent)
    }

    /// The same, with room for so many uploads at once.
    pub(crate) fn start_for(
        workspace: &Workspace,
        folder: &Path,
        policies: Policies,
        uploads: usize,
    ) -> Result<Self> {
        let extent = Extent {
            uploads: Some(uploads),
            ..Extent::default()
        };
        Self::start_with(workspace, folder, policies, Source::File, extent)
    }

    fn start_with(
        workspace: &Workspace,
        folder: &Path,
        policies: Policies,
        source: Source,
        extent: Extent,
    ) -> Result<Self> {
        let Extent { uploads, collector } = extent;
        fs::create_dir_all(folder)?;
        let set = folder.join("policies.toml");
        fs::write(&set, policy_set(workspace, policies))?;
        symlink(
            workspace.root.join("policies/definitions"),
            folder.join("definitions"),
        )?;
        let Services {
            server: services,
            disk,
        } = Services::start_with(workspace, folder, &services_limits(uploads), collector)?;
        let config = folder.join("web.toml");
        let from = match source {
            Source::File => "file",
            Source::Services => "services",
        };
        let text = format!(
            "allow-anonymous = true\npolicies.source = '{from}'\n{}",
            web_limits(uploads)
        );
        fs::write(&config, text)?;
        let mut web = Command::new(workspace.release_binary("portcullis-web"));
        web.env("SERVER_ROLE", "web")
            .env("INTERNAL_API_KEY", KEY)
            .env("SERVICES_URL", format!("http://{}", services.address))
            .args(["--listen", "127.0.0.1:0", "--config"])
            .arg(&config)
            .current_dir(folder);
        if source == Source::File {
            web.arg("--policies").arg(&set);
        }
        Ok(Self {
            web: listening(watched(&mut web, collector))?,
            services,
            disk,
            web_command: web,
        })
    }

    /// Ends the web host without a word to it, and starts another one in its place, at another address.
    pub(crate) fn kill_web(&mut self) -> Result<()> {
        self.web.kill();
        self.web = listening(&mut self.web_command)?;
        Ok(())
    }
}

/// What both need for so many uploads at once, beside what they take by themselves.
fn web_limits(uploads: Option<usize>) -> String {
    uploads.map_or_else(String::new, |uploads| {
        let (connections, memory) = (uploads * 2, uploads << 22);
        format!("[limits]\nuploads = {uploads}\nconnections = {connections}\npolicy-memory-bytes = {memory}\n")
    })
}

fn services_limits(uploads: Option<usize>) -> String {
    uploads.map_or_else(String::new, |uploads| {
        format!(
            "[limits]\nconnections = {}\nappends = {uploads}\nopen-uploads-per-sender = {uploads}\n",
            uploads * 2
        )
    })
}

/// Services on their own.
pub(crate) struct Services {
    pub(crate) server: Server,
    /// Where files come to lie.
    pub(crate) disk: PathBuf,
}

impl Services {
    /// Starts them, with everything they keep beneath `folder`, where they may have been before.
    pub(crate) fn start(workspace: &Workspace, folder: &Path) -> Result<Self> {
        Self::start_with(workspace, folder, "", None)
    }

    fn start_with(
        workspace: &Workspace,
        folder: &Path,
        limits: &str,
        collector: Option<SocketAddr>,
    ) -> Result<Self> {
        let disk = folder.join("disk");
        fs::create_dir_all(&disk)?;
        let disks = format!(
            r#"{{"local":{{"type":"local","root":{:?}}}}}"#,
            disk.display().to_string()
        );
        let (key, config) = (folder.join("admin.key"), folder.join("services.toml"));
        fs::write(&key, ADMIN_KEY)?;
        let admin = format!(
            "[[keys]]\nname = 'admin'\nkey-file = '{}'\nscopes = ['admin']\n{limits}",
            key.display()
        );
        fs::write(&config, admin)?;
        let mut services = Command::new(workspace.release_binary("portcullis-services"));
        services
            .env("SERVER_ROLE", "services")
            .env("INTERNAL_API_KEY", KEY)
            .env("STORAGE_CONFIG", disks)
            .args(["--listen", "127.0.0.1:0", "--catalog"])
            .arg(Self::catalog(folder))
            .arg("--config")
            .arg(&config);
        let server = listening(watched(services.current_dir(folder), collector))?;
        Ok(Self { server, disk })
    }

    /// The catalog of those that keep everything beneath `folder`.
    pub(crate) fn catalog(folder: &Path) -> PathBuf {
        folder.join("catalog.sqlite")
    }
}

fn policy_set(workspace: &Workspace, policies: Policies) -> String {
    let policy = |name: &str, component: &Path, more: &str| {
        let component = component.display().to_string();
        format!("[[policy]]\nname = \"{name}\"\ncomponent = {component:?}\n{more}\n")
    };
    let standard = |name: &str, more: &str| {
        let component = workspace
            .root
            .join(format!("policies/components/{name}.wasm"));
        policy(name, &component, more)
    };
    let inspector = match policies {
        Policies::FileType => String::new(),
        Policies::Counted => {
            let guest = workspace.target.join("guests/hostile.wasm");
            policy("count", &guest, "settings = { do = \"count\" }")
        }
        Policies::Table => standard("csv-schema", ""),
        Policies::TableInShadow => {
            let shadow = standard("csv-schema", "mode = \"shadow\"");
            let shadow = shadow.replace("name = \"csv-schema\"", "name = \"shadow\"");
            standard("csv-schema", "") + &shadow
        }
    };
    let route =
        "disks = [\"local\"]\nsettings = { template = \"bench/{filename}\", ignore = [\"table\"] }";
    format!(
        "{}{inspector}{}",
        standard("file-type", "settings = { allow = [\"csv\"] }"),
        standard("route-by-attributes", route)
    )
}

/// Has a server send all telemetry there, or none anywhere.
fn watched(command: &mut Command, collector: Option<SocketAddr>) -> &mut Command {
    match collector {
        Some(collector) => command
            .env("LOG_LEVEL", "info")
            .env("OTEL_METRIC_EXPORT_INTERVAL", "1000")
            .env("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{collector}")),
        None => command
            .env("LOG_LEVEL", "warn")
            .env_remove("OTEL_EXPORTER_OTLP_ENDPOINT"),
    }
}

/// Starts one of our servers and waits for the line that says where it listens.
pub(crate) fn listening(command: &mut Command) -> Result<Server> {
    let name = command.get_program().display().to_string();
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command
        .spawn()
        .with_context(|| format!("{name} cannot be started"))?;
    // Through a pipe: where our own output goes to a file, a web host would have it open for writing.
    let mut stderr = child.stderr.take().context("standard error is piped")?;
    std::thread::spawn(move || std::io::copy(&mut stderr, &mut std::io::stderr()));
    let stdout = child.stdout.take().context("standard output is piped")?;
    let mut server = Server {
        child,
        address: SocketAddr::from(([127, 0, 0, 1], 0)),
    };
    let mut stdout = BufReader::new(stdout);
    let mut line = String::new();
    while stdout.read_line(&mut line)? > 0 {
        // Ours as JSON, others in words.
        let ours = line.split_once("\"server.address\":\"");
        let ours = ours.and_then(|(_, rest)| rest.split('"').next());
        if let Some(address) = ours.or(line.trim_end().strip_prefix("listening on http://")) {
            server.address = address
                .parse()
                .with_context(|| format!("{name} listens on {address}"))?;
            // It goes on writing its log, which somebody has to read.
            std::thread::spawn(move || std::io::copy(&mut stdout, &mut std::io::sink()));
            return Ok(server);
        }
        line.clear();
    }
    bail!("{name} ended before it listened; what it said stands above")
}

/// Starts a server that says nothing, and waits until it takes connections on an address.
pub(crate) fn connectable(command: &mut Command, address: SocketAddr) -> Result<Server> {
    let name = command.get_program().display().to_string();
    let child = command
        .stdin(Stdio::null())
        .spawn()
        .with_context(|| format!("{name} cannot be started"))?;
    let mut server = Server { child, address };
    let started = Instant::now();
    while TcpStream::connect(address).is_err() {
        if let Some(status) = server.child.try_wait()? {
            bail!("{name} ended before it listened ({status}); what it said stands above");
        }
        ensure!(
            started.elapsed() < START,
            "{name} does not listen on {address} after {} s",
            START.as_secs()
        );
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(server)
}

/// An address of the loopback interface that is free now.
pub(crate) fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}
