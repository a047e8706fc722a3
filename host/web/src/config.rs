//! The web host's configuration: a TOML file for what a site decides, the environment for what differs
//! between machines. The environment wins.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use portcullis_engine::EngineSettings;
use portcullis_hop::{ApiKey, HopSettings};
use portcullis_server::{
    ConfigError, Environment, Limits, Resolved, Role, Scrape, Source, internal_keys, trust,
};
use portcullis_types::{PublicKey, Trust};
use serde::Deserialize;

use crate::client_address::USUAL_PROXIES;
use crate::cors::Origin;
use crate::page::PageSettings;

/// Where the file lies unless the command line says otherwise; it need not be there.
pub const DEFAULT_FILE: &str = "/etc/portcullis/web.toml";
const DEFAULT_POLICIES: &str = "/etc/portcullis/policies/policies.toml";
const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8000);

/// All that the web host is told.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where it listens.
    pub listen: SocketAddr,
    /// Where Prometheus reads what is counted, if anywhere.
    pub metrics_listen: Option<SocketAddr>,
    /// Where policies come from.
    pub policies: PolicySource,
    /// Whose components may run.
    pub trust: Trust,
    /// The address of services.
    pub services_url: String,
    /// The key that it shows to services.
    pub api_key: ApiKey,
    /// Whether uploads without a token are taken.
    pub allow_anonymous: bool,
    /// Proxies that are believed when they say whom an upload comes from.
    pub trusted_proxies: Vec<IpAddr>,
    /// Pages of other sites that may upload.
    pub cors_origins: Vec<Origin>,
    /// Whether parts of uploads are taken side by side.
    pub concatenation: bool,
    /// Time limits of the hop.
    pub hop: HopSettings,
    /// What the listener takes at once.
    pub limits: Limits,
    /// What uploads may take.
    pub uploads: UploadLimits,
    /// What policies may take.
    pub engine: EngineSettings,
    /// What the page shows.
    pub page: PageSettings,
    /// Where each value comes from.
    pub resolved: Resolved,
}

/// Where policies come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PolicySource {
    /// From this file on this machine.
    File(PathBuf),
    /// From services, which keep every revision.
    Services,
}

/// What uploads may take.
#[derive(Clone, Copy, Debug)]
pub struct UploadLimits {
    /// Uploads under way at once.
    pub at_once: usize,
    /// The largest upload in bytes.
    pub bytes: u64,
    /// How long a client may pause within a body.
    pub idle: Duration,
    /// How much a client has to send in a second, in bytes; 0 for whatever it can.
    pub least_bytes_per_second: u64,
    /// Over how long that is averaged. Only the time counts in which the client is waited for.
    pub rate_window: Duration,
    /// How long an upload waits for its next byte.
    pub expiry: Duration,
    /// How many uploads one sender may begin in a minute; absent for any number.
    pub created_per_minute: Option<u32>,
}

/// What the command line says.
#[derive(Clone, Debug, Default)]
pub struct Flags {
    /// The TOML file.
    pub config: Option<PathBuf>,
    /// Where to listen.
    pub listen: Option<SocketAddr>,
    /// The policy set.
    pub policies: Option<PathBuf>,
}

/// The TOML file; every key has a default.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
struct File {
    listen: Option<SocketAddr>,
    metrics_listen: Option<SocketAddr>,
    policies: PoliciesFile,
    services_url: Option<String>,
    allow_anonymous: Option<bool>,
    trusted_proxies: Option<Vec<IpAddr>>,
    cors_origins: Option<Vec<Origin>>,
    concatenation: Option<bool>,
    limits: LimitsFile,
    hop: HopFile,
    page: PageSettings,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
struct PoliciesFile {
    source: Option<SourceWord>,
    file: Option<PathBuf>,
    require_signature: Option<bool>,
    trusted_keys: Vec<PublicKey>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum SourceWord {
    File,
    Services,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
struct LimitsFile {
    uploads: Option<u64>,
    upload_bytes: Option<u64>,
    connections: Option<u64>,
    header_seconds: Option<u64>,
    idle_seconds: Option<u64>,
    least_bytes_per_second: Option<u64>,
    rate_window_seconds: Option<u64>,
    expiry_hours: Option<u64>,
    uploads_per_minute: Option<u64>,
    drain_seconds: Option<u64>,
    policy_threads: Option<u64>,
    policy_memory_bytes: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
#[expect(clippy::struct_field_names, reason = "each key says its unit")]
struct HopFile {
    connect_seconds: Option<u64>,
    call_seconds: Option<u64>,
    commit_seconds: Option<u64>,
    stall_seconds: Option<u64>,
}

impl Config {
    /// The file, over it the environment, over that the command line.
    pub fn load(flags: Flags, environment: Environment<'_>) -> Result<Self, ConfigError> {
        Role::of(Role::Web, environment)?;
        let mut resolved = Resolved::default();
        let role = Source::Variable("SERVER_ROLE");
        resolved.note("role", "web".to_owned(), role);
        let file: File = resolved.read_file(flags.config.as_deref(), DEFAULT_FILE)?;
        let listen = [
            (flags.listen, Source::Flag("--listen")),
            (file.listen, Source::File),
        ];
        let listen = resolved.pick("listen", listen, || DEFAULT_LISTEN);
        let services_url = services_url(file.services_url, environment, &mut resolved)?;
        let api_key = api_key(environment, &mut resolved)?;
        let anonymous = [(file.allow_anonymous, Source::File)];
        let (limits, uploads, engine) = limits(&file.limits, &mut resolved);
        let PoliciesFile {
            source,
            file: policy_file,
            require_signature,
            trusted_keys,
        } = file.policies;
        let trust = trust(require_signature, trusted_keys, &mut resolved)?;
        let trusted_proxies = list(
            "trusted-proxies",
            file.trusted_proxies,
            &USUAL_PROXIES,
            &mut resolved,
        );
        let cors_origins = list("cors-origins", file.cors_origins, &[], &mut resolved);
        Ok(Self {
            listen,
            metrics_listen: Scrape::listen(file.metrics_listen, &mut resolved),
            policies: policies(flags.policies, source, policy_file, &mut resolved),
            trust,
            services_url,
            api_key,
            allow_anonymous: resolved.pick("allow-anonymous", anonymous, || false),
            trusted_proxies,
            cors_origins,
            concatenation: resolved.pick(
                "concatenation",
                [(file.concatenation, Source::File)],
                || false,
            ),
            hop: hop(&file.hop, &mut resolved),
            limits,
            uploads,
            engine,
            page: file.page,
            resolved,
        })
    }
}

/// A list of the file, or what it is without it.
fn list<T: Clone + std::fmt::Display>(
    key: &str,
    file: Option<Vec<T>>,
    default: &[T],
    resolved: &mut Resolved,
) -> Vec<T> {
    let source = file.as_ref().map_or(Source::Default, |_| Source::File);
    let values = file.unwrap_or_else(|| default.to_vec());
    let shown: Vec<String> = values.iter().map(ToString::to_string).collect();
    resolved.note(key, shown.join(", "), source);
    values
}

/// A file that the command line names is where they come from.
fn policies(
    flag: Option<PathBuf>,
    source: Option<SourceWord>,
    file: Option<PathBuf>,
    resolved: &mut Resolved,
) -> PolicySource {
    let named = flag.is_some().then_some(SourceWord::File);
    let given = [(named, Source::Flag("--policies")), (source, Source::File)];
    match resolved.pick("policies.source", given, || SourceWord::File) {
        SourceWord::Services => PolicySource::Services,
        SourceWord::File => {
            let given = [(flag, Source::Flag("--policies")), (file, Source::File)];
            PolicySource::File(resolved.pick_path("policies.file", given, DEFAULT_POLICIES))
        }
    }
}

impl std::fmt::Display for SourceWord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::File => "file",
            Self::Services => "services",
        })
    }
}

fn services_url(
    file: Option<String>,
    environment: Environment<'_>,
    resolved: &mut Resolved,
) -> Result<String, ConfigError> {
    let variable = environment("SERVICES_URL");
    if variable.is_none() && file.is_none() {
        return Err(ConfigError::Missing {
            name: "SERVICES_URL",
            advice: "set it to the address of services, such as http://10.0.0.5:8001",
        });
    }
    let given = [
        (variable, Source::Variable("SERVICES_URL")),
        (file, Source::File),
    ];
    Ok(resolved.pick("services-url", given, String::new))
}

/// The first of the keys is the one that is sent.
fn api_key(environment: Environment<'_>, resolved: &mut Resolved) -> Result<ApiKey, ConfigError> {
    let keys = internal_keys(environment, resolved)?;
    keys.into_iter().next().ok_or(ConfigError::Missing {
        name: "INTERNAL_API_KEY",
        advice: "set it, or INTERNAL_API_KEY_FILE, to the key that services accept",
    })
}

fn limits(file: &LimitsFile, resolved: &mut Resolved) -> (Limits, UploadLimits, EngineSettings) {
    let mut pick = |key: &str, value: Option<u64>, default: u64| {
        let key = format!("limits.{key}");
        resolved.pick(&key, [(value, Source::File)], || default)
    };
    let count = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
    let limits = Limits {
        connections: count(pick("connections", file.connections, 1024)),
        header: Duration::from_secs(pick("header-seconds", file.header_seconds, 15)),
        drain: Duration::from_secs(pick("drain-seconds", file.drain_seconds, 30)),
    };
    let uploads = UploadLimits {
        at_once: count(pick("uploads", file.uploads, 128)),
        bytes: pick("upload-bytes", file.upload_bytes, 1 << 40),
        idle: Duration::from_secs(pick("idle-seconds", file.idle_seconds, 60)),
        least_bytes_per_second: pick("least-bytes-per-second", file.least_bytes_per_second, 100),
        rate_window: Duration::from_secs(
            pick("rate-window-seconds", file.rate_window_seconds, 30).max(1),
        ),
        expiry: Duration::from_hours(
            pick("expiry-hours", file.expiry_hours, 24).clamp(1, 24 * 365),
        ),
        created_per_minute: match pick("uploads-per-minute", file.uploads_per_minute, 0) {
            0 => None,
            most => Some(u32::try_from(most).unwrap_or(u32::MAX)),
        },
    };
    let defaults = EngineSettings::default();
    let (threads, memory) = (defaults.threads as u64, defaults.guest_bytes as u64);
    let engine = EngineSettings {
        uploads: uploads.at_once,
        max_instances: max_instances(uploads.at_once, defaults.max_instances),
        threads: count(pick("policy-threads", file.policy_threads, threads)),
        guest_bytes: count(pick(
            "policy-memory-bytes",
            file.policy_memory_bytes,
            memory,
        )),
        ..defaults
    };
    (limits, uploads, engine)
}

/// Room for eight policies with an instance for each of so many uploads, as far as the address space of a process goes: an
/// instance takes 4 GiB of its 128 TiB.
fn max_instances(uploads: usize, least: u32) -> u32 {
    const MOST: u32 = 16_384;
    let wanted = u32::try_from(uploads.saturating_mul(8)).unwrap_or(MOST);
    wanted.clamp(least, MOST)
}

fn hop(file: &HopFile, resolved: &mut Resolved) -> HopSettings {
    let defaults = HopSettings::default();
    let mut pick = |key: &str, value: Option<u64>, default: Duration| {
        let key = format!("hop.{key}");
        let seconds = resolved.pick(&key, [(value, Source::File)], || default.as_secs());
        Duration::from_secs(seconds)
    };
    HopSettings {
        connect_timeout: pick(
            "connect-seconds",
            file.connect_seconds,
            defaults.connect_timeout,
        ),
        call_timeout: pick("call-seconds", file.call_seconds, defaults.call_timeout),
        commit_timeout: pick(
            "commit-seconds",
            file.commit_seconds,
            defaults.commit_timeout,
        ),
        stall_timeout: pick("stall-seconds", file.stall_seconds, defaults.stall_timeout),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    const KEY: &str = "0123456789abcdef0123456789abcdef";

    fn load(variables: &[(&str, &str)]) -> Result<Config, String> {
        let environment = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        Config::load(Flags::default(), &environment).map_err(|error| error.to_string())
    }

    #[test]
    fn role_address_and_key_are_enough() {
        let variables = [
            ("SERVER_ROLE", "web"),
            ("SERVICES_URL", "http://127.0.0.1:1"),
            ("INTERNAL_API_KEY", KEY),
        ];
        let config = load(&variables).expect("is enough");
        assert_eq!(config.listen, DEFAULT_LISTEN);
        assert!(!config.allow_anonymous);
        let shown = config.resolved.to_string();
        assert!(shown.contains("services-url = http://127.0.0.1:1  # SERVICES_URL"));
        assert!(!shown.contains(KEY), "{shown}");
    }

    #[test]
    fn what_is_missing_or_wrong_is_said_in_one_sentence() {
        let (role, key) = (("SERVER_ROLE", "web"), ("INTERNAL_API_KEY", KEY));
        let url = ("SERVICES_URL", "http://127.0.0.1:1");
        for (variables, says) in [
            (vec![url, key], "SERVER_ROLE is not set"),
            (
                vec![("SERVER_ROLE", "services"), url, key],
                "start portcullis-services instead",
            ),
            (vec![role, key], "SERVICES_URL is not set"),
            (vec![role, url], "INTERNAL_API_KEY is not set"),
            (vec![role, url, ("INTERNAL_API_KEY", "short")], "16 to 512"),
        ] {
            let error = load(&variables).expect_err(says);
            assert!(error.contains(says) && !error.contains('\n'), "{error}");
        }
    }

    #[test]
    fn there_are_instances_for_all_uploads_that_may_be_under_way() {
        let instances = |uploads| {
            let file = LimitsFile {
                uploads,
                ..LimitsFile::default()
            };
            let (_, _, engine) = limits(&file, &mut Resolved::default());
            engine.max_instances
        };
        assert_eq!(instances(None), EngineSettings::default().max_instances);
        assert_eq!(instances(Some(2_000)), 16_000);
        // More than these have no room in the address space of a process.
        assert_eq!(instances(Some(1_000_000)), 16_384);
    }

    #[test]
    fn the_commented_example_is_a_valid_file() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/web.example.toml");
        let _: File = portcullis_server::read_toml(&path).expect("parses");
    }
}
