//! `portcullis-web doctor`: whether this web host can do its work, and what to do where it cannot.

mod kept;
mod policies;
mod proxy;
mod services;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use portcullis_hop::{ApiKey, wire};
use portcullis_server::doctor::{Check, Report, collector, from_here, key, role};
use portcullis_server::{Environment, Role};
use serde_json::Value;

use crate::config::{Config, Flags};

/// How long the web host itself may take to answer: it asks services before it does.
const ANSWER: Duration = Duration::from_secs(20);

/// Looks at everything, in the order in which one would look for a fault.
pub async fn examine(flags: Flags, environment: Environment<'_>) -> Report {
    let mut checks = vec![role(Role::Web, environment)];
    let key = key(environment);
    let has_key = key.key.is_some();
    checks.push(key.check);
    // Their own checks have told what is wrong with these two.
    let lookup = |name: &str| match name {
        "SERVER_ROLE" => Some("web".to_owned()),
        "INTERNAL_API_KEY" if !has_key => Some("no-key-so-none-fits".to_owned()),
        _ => environment(name),
    };
    match Config::load(flags, &lookup) {
        Ok(config) => {
            checks.push(Check::ok("configuration", "every value can be used"));
            checks.extend(services::examine(&config, has_key).await);
            checks.push(proxy::examine(config.listen.port()));
            let own = ask(config.listen, &config.api_key).await;
            checks.push(running(config.listen, &own));
            checks.push(policies::examine(config, &own).await);
        }
        Err(error) => {
            let fix = "mend it, then `portcullis-web --check-config` shows what is in force";
            checks.push(Check::problem("configuration", error.to_string(), fix));
        }
    }
    checks.push(collector().await);
    checks.push(kept::examine());
    Report::new(Role::Web, checks)
}

/// The folders of all processes of this machine (proc(5)).
fn processes() -> impl Iterator<Item = PathBuf> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let is_process = |name: &str| name.bytes().all(|byte| byte.is_ascii_digit());
    entries
        .filter(move |entry| entry.file_name().to_str().is_some_and(is_process))
        .map(|entry| entry.path())
}

/// What the running web host says of itself.
enum Own {
    /// It would take an upload; with details, if it takes our key for its own.
    Ready(Value),
    /// It would not, for this reason.
    NotReady(String),
    /// Something else answers.
    Stranger,
    /// Nobody answers.
    Away,
}

async fn ask(listen: SocketAddr, key: &ApiKey) -> Own {
    let client = reqwest::Client::builder()
        .no_proxy()
        .tls_certs_only([])
        .timeout(ANSWER)
        .build();
    let Ok(client) = client else {
        return Own::Away;
    };
    let url = format!("http://{}/readyz", from_here(listen));
    let request = client.get(url).header(wire::API_KEY, key.expose());
    let Ok(answer) = request.send().await else {
        return Own::Away;
    };
    let is_success = answer.status().is_success();
    let body = answer.bytes().await.unwrap_or_default();
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let text = |member: &str| body[member].as_str().map(str::to_owned);
    match (is_success, text("status"), text("detail")) {
        (true, Some(status), _) if status == "ready" => Own::Ready(body),
        (false, _, Some(detail)) => Own::NotReady(detail),
        _ => Own::Stranger,
    }
}

fn running(listen: SocketAddr, own: &Own) -> Check {
    match own {
        Own::Ready(_) => Check::ok(
            "running",
            format!("it listens on {listen} and takes uploads"),
        ),
        Own::NotReady(detail) => Check::problem(
            "running",
            format!("it listens on {listen} and takes no uploads: {detail}"),
            "mend what the other checks say; its log says more (`journalctl -u portcullis-web`)",
        ),
        Own::Stranger => Check::problem(
            "running",
            format!("something else answers at {listen}"),
            "give one of them another address (`listen` in web.toml)",
        ),
        Own::Away => Check::problem(
            "running",
            format!("no web host answers at {listen}"),
            "start it (`systemctl start portcullis-web`); if it ends again, `journalctl -u portcullis-web` says why",
        ),
    }
}
