//! The configuration of services: a TOML file for what a site decides, the environment for what differs
//! between machines. The environment wins.

mod disk;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use portcullis_hop::ApiKey;
use portcullis_server::{
    ConfigError, Environment, Limits, Resolved, Role, Scrape, Source, internal_keys, trust,
};
use portcullis_types::{DiskName, PublicKey, Trust};
use serde::Deserialize;

pub use self::disk::{DiskConfig, DiskLimits, LocalDiskConfig};
use crate::keys::{Key, Keys, Scope};
use crate::uploads::UploadLimits;

/// Where the file lies unless the command line says otherwise; it need not be there.
pub const DEFAULT_FILE: &str = "/etc/portcullis/services.toml";
const DEFAULT_CATALOG: &str = "/var/lib/portcullis/catalog.sqlite";
const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8001);

/// All that services are told.
#[derive(Debug)]
pub struct Config {
    /// What they are.
    pub role: Role,
    /// Where they listen.
    pub listen: SocketAddr,
    /// Where Prometheus reads what is counted, if anywhere.
    pub metrics_listen: Option<SocketAddr>,
    /// Where the catalog lies: on a local disk, never on the NAS.
    pub catalog: PathBuf,
    /// The disks by name; at least one. None in the role `testing`, which makes its own.
    pub disks: BTreeMap<DiskName, DiskConfig>,
    /// The one that callers of the file API mean who name none. Absent: the first by name.
    pub default_disk: Option<DiskName>,
    /// The keys that are accepted; at least one.
    pub keys: Keys,
    /// Whose components are kept.
    pub trust: Trust,
    /// What the listener takes at once.
    pub limits: Limits,
    /// What uploads may take.
    pub uploads: UploadLimits,
    /// Where each value comes from.
    pub resolved: Resolved,
}

/// What the command line says.
#[derive(Clone, Debug, Default)]
pub struct Flags {
    /// The TOML file.
    pub config: Option<PathBuf>,
    /// Where to listen.
    pub listen: Option<SocketAddr>,
    /// Where the catalog lies.
    pub catalog: Option<PathBuf>,
}

/// The TOML file; every key has a default.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
struct File {
    listen: Option<SocketAddr>,
    metrics_listen: Option<SocketAddr>,
    catalog: Option<PathBuf>,
    default_disk: Option<DiskName>,
    disks: BTreeMap<DiskName, DiskConfig>,
    keys: Vec<KeyConfig>,
    policies: PoliciesFile,
    limits: LimitsFile,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
struct PoliciesFile {
    require_signature: Option<bool>,
    trusted_keys: Vec<PublicKey>,
}

/// A key with scopes of its own. The key itself stands in a file that only services may read.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct KeyConfig {
    name: String,
    #[serde(rename = "key-file")]
    file: PathBuf,
    scopes: Vec<Scope>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
struct LimitsFile {
    connections: Option<u64>,
    header_seconds: Option<u64>,
    drain_seconds: Option<u64>,
    appends: Option<u64>,
    stall_seconds: Option<u64>,
    checkpoint_bytes: Option<u64>,
    checkpoint_ms: Option<u64>,
    reserve_bytes: Option<u64>,
    open_uploads_per_sender: Option<u64>,
}

impl Config {
    /// The file, over it the environment, over that the command line.
    pub fn load(flags: Flags, environment: Environment<'_>) -> Result<Self, ConfigError> {
        let role = Role::of(Role::Services, environment)?;
        let mut resolved = Resolved::default();
        resolved.note(
            "role",
            format!("{role:?}").to_lowercase(),
            Source::Variable("SERVER_ROLE"),
        );
        let file: File = resolved.read_file(flags.config.as_deref(), DEFAULT_FILE)?;
        let listen = resolved.pick(
            "listen",
            [
                (flags.listen, Source::Flag("--listen")),
                (file.listen, Source::File),
            ],
            || DEFAULT_LISTEN,
        );
        if role == Role::Testing && !listen.ip().is_loopback() {
            let why = "in the role `testing` only a loopback address is possible";
            return Err(ConfigError::value("listen", why));
        }
        let disks = disks(role, file.disks, environment, &mut resolved)?;
        let default_disk = default_disk(file.default_disk, &disks, environment, &mut resolved)?;
        let keys = keys(file.keys, environment, &mut resolved)?;
        let (limits, uploads) = limits(&file.limits, &mut resolved);
        let PoliciesFile {
            require_signature,
            trusted_keys,
        } = file.policies;
        let trust = trust(require_signature, trusted_keys, &mut resolved)?;
        Ok(Self {
            metrics_listen: Scrape::listen(file.metrics_listen, &mut resolved),
            role,
            listen,
            catalog: catalog(flags.catalog, file.catalog, &mut resolved),
            disks,
            default_disk,
            keys,
            trust,
            limits,
            uploads,
            resolved,
        })
    }

    /// Where the catalog lies and which disks there are, for commands that work on both.
    pub fn storage_of(
        flags: &Flags,
        environment: Environment<'_>,
    ) -> Result<(PathBuf, BTreeMap<DiskName, DiskConfig>), ConfigError> {
        let mut resolved = Resolved::default();
        let file: File = resolved.read_file(flags.config.as_deref(), DEFAULT_FILE)?;
        let disks = disks(Role::Services, file.disks, environment, &mut resolved)?;
        let catalog = catalog(flags.catalog.clone(), file.catalog, &mut resolved);
        Ok((catalog, disks))
    }

    /// Where the catalog lies, for commands that need nothing else.
    pub fn catalog_of(flags: &Flags) -> Result<PathBuf, ConfigError> {
        let mut resolved = Resolved::default();
        let file: File = resolved.read_file(flags.config.as_deref(), DEFAULT_FILE)?;
        Ok(catalog(flags.catalog.clone(), file.catalog, &mut resolved))
    }
}

fn catalog(flag: Option<PathBuf>, file: Option<PathBuf>, resolved: &mut Resolved) -> PathBuf {
    let given = [(flag, Source::Flag("--catalog")), (file, Source::File)];
    resolved.pick_path("catalog", given, DEFAULT_CATALOG)
}

fn disks(
    role: Role,
    file: BTreeMap<DiskName, DiskConfig>,
    environment: Environment<'_>,
    resolved: &mut Resolved,
) -> Result<BTreeMap<DiskName, DiskConfig>, ConfigError> {
    let (disks, source) = match environment("STORAGE_CONFIG") {
        Some(json) => {
            let disks = serde_json::from_str(&json).map_err(|error| {
                let why = format!(
                    "{error}; it is a JSON object such as {{\"local\": {{\"type\": \"local\", \"root\": \"/srv/nas\"}}}}"
                );
                ConfigError::value("STORAGE_CONFIG", why)
            })?;
            (disks, Source::Variable("STORAGE_CONFIG"))
        }
        None => (file, Source::File),
    };
    if disks.is_empty() && role != Role::Testing {
        return Err(ConfigError::Missing {
            name: "disks",
            advice: "name at least one disk, as `[disks.local]` with `type = \"local\"` and `root` in the file, or in STORAGE_CONFIG",
        });
    }
    for (name, DiskConfig::Local(local)) in &disks {
        resolved.note(
            &format!("disks.{name}"),
            local.root.display().to_string(),
            source.clone(),
        );
    }
    Ok(disks)
}

/// Which disk is meant by those who name none. The first by name would be another one as soon as a disk is added whose
/// name sorts before it, so that an operator can say which.
fn default_disk(
    file: Option<DiskName>,
    disks: &BTreeMap<DiskName, DiskConfig>,
    environment: Environment<'_>,
    resolved: &mut Resolved,
) -> Result<Option<DiskName>, ConfigError> {
    const VARIABLE: &str = "STORAGE_DEFAULT_DISK";
    let given = match environment(VARIABLE) {
        Some(name) => {
            let name = name.parse::<DiskName>();
            let name = name.map_err(|error| ConfigError::value(VARIABLE, error.to_string()))?;
            Some((name, Source::Variable(VARIABLE)))
        }
        None => file.map(|name| (name, Source::File)),
    };
    let Some((name, source)) = given else {
        if let Some(first) = disks.keys().next() {
            resolved.note("default-disk", first.to_string(), Source::Default);
        }
        return Ok(None);
    };
    if !disks.contains_key(&name) {
        let why = format!("there is no disk `{name}`; name one of `disks`");
        return Err(ConfigError::value("default-disk", why));
    }
    resolved.note("default-disk", name.to_string(), source);
    Ok(Some(name))
}

fn keys(
    files: Vec<KeyConfig>,
    environment: Environment<'_>,
    resolved: &mut Resolved,
) -> Result<Keys, ConfigError> {
    let mut keys = Vec::new();
    for key in internal_keys(environment, resolved)? {
        // As the documented system has it: one key for everything but administration.
        keys.push(Key::new(
            "internal",
            &key,
            vec![Scope::Stages, Scope::Files],
        ));
    }
    for KeyConfig { name, file, scopes } in files {
        let failed = |why: String| ConfigError::value(format!("keys.{name}.key-file"), why);
        let text = std::fs::read_to_string(&file).map_err(|error| {
            failed(format!(
                "{} cannot be read: {}",
                file.display(),
                error.kind()
            ))
        })?;
        let key = ApiKey::parse(&text).map_err(|error| failed(error.to_string()))?;
        let words: Vec<&str> = scopes.iter().map(|scope| scope.as_str()).collect();
        resolved.note(
            &format!("keys.{name}"),
            format!("masked, {}", words.join(", ")),
            Source::File,
        );
        keys.push(Key::new(&name, &key, scopes));
    }
    if keys.is_empty() {
        return Err(ConfigError::Missing {
            name: "INTERNAL_API_KEY",
            advice: "set it, or INTERNAL_API_KEY_FILE, to the key that the web host shows; make one with `openssl rand -hex 32`",
        });
    }
    Ok(Keys::new(keys))
}

fn limits(file: &LimitsFile, resolved: &mut Resolved) -> (Limits, UploadLimits) {
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
    let usual = UploadLimits::default();
    let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    let stall = pick("stall-seconds", file.stall_seconds, usual.stall.as_secs());
    let checkpoint_ms = ms(usual.checkpoint_time);
    let checkpoint_ms = pick("checkpoint-ms", file.checkpoint_ms, checkpoint_ms);
    let uploads = UploadLimits {
        appends: count(pick("appends", file.appends, usual.appends as u64)),
        stall: Duration::from_secs(stall),
        checkpoint_bytes: pick(
            "checkpoint-bytes",
            file.checkpoint_bytes,
            usual.checkpoint_bytes,
        ),
        checkpoint_time: Duration::from_millis(checkpoint_ms),
        reserve_bytes: pick("reserve-bytes", file.reserve_bytes, usual.reserve_bytes),
        open_per_sender: u32::try_from(pick(
            "open-uploads-per-sender",
            file.open_uploads_per_sender,
            u64::from(usual.open_per_sender),
        ))
        .unwrap_or(u32::MAX),
    };
    (limits, uploads)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    const KEY: &str = "0123456789abcdef0123456789abcdef";
    const DISKS: &str = r#"{"local": {"type": "local", "root": "/srv/nas"}}"#;

    fn load(variables: &[(&str, &str)]) -> Result<Config, String> {
        let environment = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        let flags = Flags {
            config: Some(example()),
            ..Flags::default()
        };
        Config::load(flags, &environment).map_err(|error| error.to_string())
    }

    fn example() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/services.example.toml")
    }

    #[test]
    fn role_disks_and_key_are_enough_and_the_commented_example_is_a_valid_file() {
        let config = load(&[
            ("SERVER_ROLE", "services"),
            ("STORAGE_CONFIG", DISKS),
            ("INTERNAL_API_KEY", KEY),
        ]);
        let shown = config.expect("is enough").resolved.to_string();
        assert!(
            shown.contains("disks.local = /srv/nas  # STORAGE_CONFIG"),
            "{shown}"
        );
        assert!(shown.contains("default-disk = local  # default"), "{shown}");
        assert!(!shown.contains(KEY), "{shown}");
    }

    #[test]
    fn what_is_missing_or_wrong_is_said_in_one_sentence() {
        let (role, key) = (("SERVER_ROLE", "services"), ("INTERNAL_API_KEY", KEY));
        for (variables, says) in [
            (vec![key], "SERVER_ROLE is not set"),
            (
                vec![("SERVER_ROLE", "web"), key],
                "start portcullis-web instead",
            ),
            (
                vec![role, ("STORAGE_CONFIG", DISKS)],
                "INTERNAL_API_KEY is not set",
            ),
            (
                vec![role, key, ("STORAGE_CONFIG", "{}")],
                "disks is not set",
            ),
            (
                vec![
                    role,
                    key,
                    ("STORAGE_CONFIG", DISKS),
                    ("STORAGE_DEFAULT_DISK", "nas"),
                ],
                "there is no disk `nas`",
            ),
            (
                vec![role, key, ("STORAGE_CONFIG", "{")],
                "STORAGE_CONFIG cannot be used",
            ),
            (
                vec![
                    role,
                    key,
                    ("STORAGE_CONFIG", r#"{"local": {"type": "tape"}}"#),
                ],
                "unknown variant `tape`",
            ),
            (
                vec![
                    role,
                    key,
                    (
                        "STORAGE_CONFIG",
                        r#"{"Lo cal": {"type": "local", "root": "/"}}"#,
                    ),
                ],
                "a disk name is",
            ),
        ] {
            let error = load(&variables).expect_err(says);
            assert!(error.contains(says) && !error.contains('\n'), "{error}");
        }
    }
}
