//! `portcullis dev`: the two real servers on loopback, a key between them, disks in a folder, and the trace
//! of each upload, in the terminal and in a browser.

pub(crate) mod server;
mod smoke;
mod tree;
mod viewer;

use std::fmt::Write as _;
use std::fs;
use std::io::IsTerminal;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use portcullis_hop::ApiKey;
use portcullis_telemetry::collector::{Collector, spans};
use tokio::signal::unix::{SignalKind, signal};

use self::server::{Launch, Server};
use self::tree::Trees;
use self::viewer::Viewer;

/// The disks that services get.
const DISKS: [&str; 2] = ["local", "workspace"];
/// The file with the key for administrators.
const ADMIN_KEY: &str = "admin.key";
/// How often it is looked for traces that are complete.
const LOOK: Duration = Duration::from_millis(200);

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Where the web host listens; 0 for any free port.
    #[arg(long, default_value_t = 8000)]
    web_port: u16,
    /// Where services listen; 0 for any free port.
    #[arg(long, default_value_t = 8001)]
    services_port: u16,
    /// Where traces are looked at in a browser; 0 for any free port. `cargo xtask dev` builds what shows them.
    #[arg(long, default_value_t = 8002)]
    traces_port: u16,
    /// Where the web host shows what it counts, for `portcullis top` and Prometheus; 0 for any free port.
    #[arg(long, default_value_t = 9464)]
    web_metrics_port: u16,
    /// Where services show what they count; 0 for any free port.
    #[arg(long, default_value_t = 9465)]
    services_metrics_port: u16,
    /// The key between the two. A random one unless set.
    #[arg(long)]
    api_key: Option<String>,
    /// The folder for disks and catalog; made if it is not there.
    #[arg(long, default_value = "portcullis-dev")]
    storage: PathBuf,
    /// The folder with `policies.toml`, which is read again whenever it changes.
    #[arg(long, default_value = "policies")]
    policies: PathBuf,
    /// Take the policies from services, as `portcullis policy apply` sends them there.
    #[arg(long, conflicts_with = "run_tests")]
    policies_from_services: bool,
    /// Send a good and a bad file, look whether each ends as it should, and end with the result.
    #[arg(long)]
    run_tests: bool,
    /// The trace viewer is being built: start it once it is there.
    #[arg(long, hide = true)]
    viewer_follows: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let runtime = tokio::runtime::Runtime::new().context("no runtime")?;
    runtime.block_on(start(arguments))
}

/// Both servers and what belongs to them.
struct Pair {
    web: Server,
    services: Server,
    viewer: Viewer,
    collector: Collector,
    key: ApiKey,
    storage: PathBuf,
}

async fn start(arguments: &Arguments) -> Result<ExitCode> {
    // Before anything is started: a Ctrl-C from now on ends what was.
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for Ctrl-C")?;
    let mut stopped = std::pin::pin!(async {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    });
    let pair = tokio::select! {
        pair = Pair::start(arguments) => pair?,
        () = &mut stopped => return Ok(ExitCode::SUCCESS),
    };
    pair.introduce();
    let Pair {
        mut web,
        mut services,
        mut viewer,
        collector,
        key,
        storage,
    } = pair;
    let outcome = if arguments.run_tests {
        smoke::test(&web, &services, &key, &storage).await
    } else {
        tokio::select! {
            () = &mut stopped => Ok(()),
            failed = show_traces(&collector, &mut viewer) => Err(failed),
            ended = web.ended() => Err(ended),
            ended = services.ended() => Err(ended),
        }
    };
    // The web host first: what it still has under way needs services.
    web.stop().await?;
    services.stop().await?;
    viewer.stop().await?;
    outcome?;
    Ok(ExitCode::SUCCESS)
}

impl Pair {
    async fn start(arguments: &Arguments) -> Result<Self> {
        let set = arguments.policies.join("policies.toml");
        let set = (!arguments.policies_from_services).then_some(set);
        if let Some(set) = set.as_ref().filter(|set| !set.is_file()) {
            bail!(
                "there is no {}; name the folder with --policies, and build the policies with `cargo xtask policies`",
                set.display()
            );
        }
        let key = match &arguments.api_key {
            Some(key) => ApiKey::parse(key).context("--api-key")?,
            None => random_key()?,
        };
        let viewer = Viewer::start(arguments.traces_port, arguments.viewer_follows).await?;
        let storage = prepare(arguments, &viewer)?;
        let collector = Collector::start().await.context("no port for traces")?;
        let services = services(&storage, &key, &collector, arguments.services_port)?;
        let services = services.start().await?;
        let web = web(
            &storage,
            &key,
            &collector,
            &services,
            set.as_deref(),
            arguments.web_port,
        )?;
        let web = web.start().await?;
        Ok(Self {
            web,
            services,
            viewer,
            collector,
            key,
            storage,
        })
    }

    /// Says where everything is.
    fn introduce(&self) {
        let (web, services) = (self.web.address(), self.services.address());
        let files = self.storage.join("local");
        println!();
        println!("  upload page    http://{web}/");
        println!("  web host       http://{web}/uploads");
        println!("  services       http://{services}/internal/storage/");
        println!("  traces         {}", self.viewer.introduction());
        if let (Some(web), Some(services)) = (self.web.metrics(), self.services.metrics()) {
            println!("  live           portcullis top --web {web} --services {services}");
        }
        println!("  API key        {}", self.key.expose());
        println!(
            "  admin's key    {}",
            self.storage.join(ADMIN_KEY).display()
        );
        println!("  files          {}", files.display());
        println!(
            "  catalog        {}",
            self.storage.join("catalog.sqlite").display()
        );
        println!();
        println!("  try            curl -F cohort=c1 -F table=patient -F protocol_year=2024 \\");
        println!("                      -F file=@tests/samples/patient.csv http://{web}/uploads");
        println!("  stop           Ctrl-C");
        println!();
    }
}

/// The folder, with one for each disk, the configuration of both servers and a key for administrators.
fn prepare(arguments: &Arguments, viewer: &Viewer) -> Result<PathBuf> {
    let storage = &arguments.storage;
    let cannot = |path: &Path| format!("{} cannot be made", path.display());
    for disk in DISKS {
        let root = storage.join(disk);
        fs::create_dir_all(&root).with_context(|| cannot(&root))?;
    }
    let storage = storage.canonicalize()?;
    let source = if arguments.policies_from_services {
        "services"
    } else {
        "file"
    };
    let head = |metrics_port: u16| {
        let metrics = SocketAddr::from((Ipv4Addr::LOCALHOST, metrics_port));
        format!("# Written by `portcullis dev` at each start.\nmetrics-listen = \"{metrics}\"\n")
    };
    let mut web = head(arguments.web_metrics_port);
    let _ = writeln!(
        web,
        "allow-anonymous = true\npolicies.source = \"{source}\""
    );
    if let Some(url) = viewer.trace_url() {
        let _ = writeln!(web, "page.trace-url = \"{url}\"");
    }
    let key = storage.join(ADMIN_KEY);
    let services = format!(
        "{}[[keys]]\nname = \"admin\"\nkey-file = '{}'\nscopes = [\"admin\"]\n",
        head(arguments.services_metrics_port),
        key.display()
    );
    for (file, text) in [
        ("web.toml", web),
        ("services.toml", services),
        (ADMIN_KEY, random_key()?.expose().to_owned()),
    ] {
        let path = storage.join(file);
        fs::write(&path, text).with_context(|| cannot(&path))?;
    }
    Ok(storage)
}

fn services(storage: &Path, key: &ApiKey, collector: &Collector, port: u16) -> Result<Launch> {
    let disk = |name: &str| {
        let disk = serde_json::json!({ "type": "local", "root": storage.join(name) });
        (name.to_owned(), disk)
    };
    let disks: serde_json::Map<_, _> = DISKS.map(disk).into_iter().collect();
    Ok(Launch::new("portcullis-services", "services", port)?
        .env("SERVER_ROLE", "services")
        .env("INTERNAL_API_KEY", key.expose())
        .env(
            "STORAGE_CONFIG",
            &serde_json::Value::Object(disks).to_string(),
        )
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.endpoint())
        .argument("--config", &storage.join("services.toml"))
        .argument("--catalog", &storage.join("catalog.sqlite")))
}

fn web(
    storage: &Path,
    key: &ApiKey,
    collector: &Collector,
    services: &Server,
    policies: Option<&Path>,
    port: u16,
) -> Result<Launch> {
    let launch = Launch::new("portcullis-web", "web", port)?
        .env("SERVER_ROLE", "web")
        .env("INTERNAL_API_KEY", key.expose())
        .env("SERVICES_URL", &format!("http://{}", services.address()))
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.endpoint())
        .argument("--config", &storage.join("web.toml"));
    Ok(match policies {
        Some(policies) => launch.argument("--policies", policies),
        None => launch,
    })
}

fn random_key() -> Result<ApiKey> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).context("no random numbers for a key")?;
    Ok(ApiKey::parse(&hex::encode(bytes))?)
}

/// Prints the tree of each upload's spans once it is complete, and hands everything on to the viewer until that fails.
async fn show_traces(collector: &Collector, viewer: &mut Viewer) -> anyhow::Error {
    let mut trees = Trees::new(std::io::stdout().is_terminal());
    loop {
        tokio::time::sleep(LOOK).await;
        let sent = collector.drain();
        for tree in trees.take_in(spans(&sent)) {
            println!("{tree}");
        }
        match viewer.show(sent).await {
            Ok(None) => {}
            Ok(Some(page)) => println!("traces are shown at {page} from now on"),
            Err(error) => return error,
        }
    }
}
