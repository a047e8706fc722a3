//! Whether services can be reached, take this key, speak the same hop and have the same time.

use portcullis_hop::{Build, Found, HopClient, HopVersion, Inspection, ProblemKind};
use portcullis_server::doctor::Check;

use crate::config::Config;

/// How far the clocks may be apart: an HTTP date is exact to a second, and an answer takes a moment.
const NEAR_SECONDS: u64 = 5;
/// From when on it does harm: uploads expire, and the audit and traces tell another order.
const FAR_SECONDS: u64 = 60;

pub(super) async fn examine(config: &Config, has_key: bool) -> Vec<Check> {
    let address = &config.services_url;
    let client = match HopClient::new(address, config.api_key.clone(), config.hop) {
        Ok(client) => client,
        Err(error) => {
            let fix = "set SERVICES_URL to where services listen";
            return vec![Check::problem("services", error.to_string(), fix)];
        }
    };
    let Inspection {
        found,
        clock_ahead_seconds,
    } = client.inspect().await;
    let mut checks = vec![reached(address, &found)];
    if has_key {
        checks.push(accepted(&found));
    } else {
        checks.push(Check::skipped("key-accepted", "there is no key to show"));
    }
    checks.push(version(&found));
    checks.push(match clock_ahead_seconds {
        Some(ahead) => clock(ahead),
        None => Check::skipped("clock", "services did not say what time it is there"),
    });
    checks
}

fn reached(address: &str, found: &Found) -> Check {
    match found {
        Found::Nothing(cause) => Check::problem(
            "services",
            format!("nobody answers at {address} ({cause})"),
            "see that portcullis-services runs there and listens on that address (`listen` in services.toml), and that no firewall stands between",
        ),
        Found::Stranger(status) => Check::problem(
            "services",
            format!("what answers at {address} with status {status} is no services of Portcullis"),
            "set SERVICES_URL to where portcullis-services listens",
        ),
        Found::Problem(problem) => match problem.kind {
            // They are there; the next checks say what is wrong.
            ProblemKind::Unauthenticated | ProblemKind::Forbidden | ProblemKind::VersionSkew => {
                Check::ok("services", format!("they answer at {address}"))
            }
            _ => Check::problem(
                "services",
                format!(
                    "they answer at {address} and take no uploads: {}",
                    problem.detail
                ),
                "run `portcullis doctor` there",
            ),
        },
        Found::Ready(_) => Check::ok(
            "services",
            format!("they answer at {address} and take uploads"),
        ),
    }
}

fn accepted(found: &Found) -> Check {
    match found {
        Found::Nothing(_) | Found::Stranger(_) => {
            Check::skipped("key-accepted", "there is nobody to show it to")
        }
        Found::Problem(problem) if problem.kind == ProblemKind::Forbidden => Check::problem(
            "key-accepted",
            format!("services do not take this key: {}", problem.detail),
            "bring the same key to both servers (/etc/portcullis/internal-api-key) and restart both",
        ),
        Found::Problem(_) | Found::Ready(_) => Check::ok("key-accepted", "services take this key"),
    }
}

fn version(found: &Found) -> Check {
    match found {
        Found::Ready(build) => Check::ok(
            "version",
            format!("services are {build}, and this is {}", Build::this()),
        ),
        Found::Problem(problem) if problem.kind == ProblemKind::VersionSkew => Check::problem(
            "version",
            format!(
                "services do not understand version {} of the hop, which this web host speaks: {}",
                HopVersion::CURRENT,
                problem.detail
            ),
            "update services first, then web hosts",
        ),
        _ => Check::skipped("version", "services did not say which version they are"),
    }
}

fn clock(ahead: i64) -> Check {
    let apart = ahead.unsigned_abs();
    let direction = if ahead < 0 { "behind" } else { "ahead of" };
    let fix =
        "let both machines take their time from one source (`timedatectl set-ntp true`, or chrony)";
    let found = format!("the clock of services is {apart} s {direction} this one");
    if apart <= NEAR_SECONDS {
        Check::ok("clock", "both servers have the same time")
    } else if apart <= FAR_SECONDS {
        Check::warning("clock", found, fix)
    } else {
        Check::problem("clock", found, fix)
    }
}
