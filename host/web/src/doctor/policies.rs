//! Which policies judge, and whether those that are to judge can.

use portcullis_engine::{Engine, SetFiles};
use portcullis_server::doctor::Check;
use serde_json::Value;

use super::Own;
use crate::config::{Config, PolicySource};

const CHECK: &str = "policies";

/// What the running web host says; if there is none, whether it could start with its policies.
pub(super) async fn examine(config: Config, own: &Own) -> Check {
    match own {
        Own::Ready(ready) => in_force(ready),
        Own::NotReady(_) => Check::skipped(CHECK, "the web host takes no uploads, see above"),
        Own::Stranger | Own::Away => would_load(config).await,
    }
}

fn in_force(ready: &Value) -> Check {
    let digest = ready["revision"].as_str().unwrap_or("?");
    let policies = &ready["details"]["policies"];
    let number = policies["number"].as_u64();
    let number = number.map_or(String::new(), |number| format!(" (number {number})"));
    let runs = format!("revision {digest}{number} judges");
    if policies.is_null() {
        return Check::warning(
            CHECK,
            format!(
                "{runs}; whether the last change was taken the web host tells only to those with its key"
            ),
            "give the doctor the key of the web host",
        );
    }
    if let Some(error) = policies["error"].as_str() {
        return Check::problem(
            CHECK,
            format!("{runs}, and the last change was refused: {error}"),
            "mend the policies, or go back with `portcullis policy rollback`; until then the revision before stays in force",
        );
    }
    let failing = policies["failing"].as_array().into_iter().flatten();
    let open: Vec<&str> = failing
        .filter(|policy| policy["is-open"] == true)
        .filter_map(|policy| policy["policy"].as_str())
        .collect();
    if !open.is_empty() {
        return Check::warning(
            CHECK,
            format!(
                "{runs}; not asked at the moment because they kept failing: {}",
                open.join(", ")
            ),
            "its log says how they failed (`journalctl -u portcullis-web`)",
        );
    }
    Check::ok(CHECK, runs)
}

async fn would_load(config: Config) -> Check {
    let PolicySource::File(set) = config.policies else {
        return Check::skipped(CHECK, "they come from services once the web host runs");
    };
    let engine = match Engine::start_trusting(config.engine, config.trust) {
        Ok(engine) => engine,
        Err(error) => {
            let fix = "see that the machine has memory for limits.policy-memory-bytes";
            return Check::problem(CHECK, error.to_string(), fix);
        }
    };
    match engine.prepare(SetFiles::beside(&set)).await {
        Ok(prepared) => Check::ok(
            CHECK,
            format!(
                "{} can be used (revision {}); it judges once the web host runs",
                set.display(),
                prepared.revision.digest()
            ),
        ),
        Err(error) => Check::problem(
            CHECK,
            error.to_string(),
            "mend it: the web host does not start without policies (docs/policies.md)",
        ),
    }
}
