//! Whether services run, and would take an upload.

use std::net::SocketAddr;

use portcullis_hop::{ApiKey, Build, Found, HopClient, HopSettings, ProblemKind};
use portcullis_server::doctor::{Check, from_here};

const CHECK: &str = "running";

pub(super) async fn examine(listen: SocketAddr, key: Option<ApiKey>) -> Check {
    let Some(key) = key else {
        return Check::skipped(CHECK, "there is no key to ask them with");
    };
    let client = HopClient::new(
        &format!("http://{}", from_here(listen)),
        key,
        HopSettings::default(),
    );
    let found = match client {
        Ok(client) => client.inspect().await.found,
        Err(error) => Found::Nothing(error.to_string()),
    };
    match found {
        Found::Ready(build) if build == Build::this() => {
            Check::ok(CHECK, format!("they listen on {listen} and take uploads"))
        }
        Found::Ready(build) => Check::warning(
            CHECK,
            format!(
                "they listen on {listen} and are {build}, and this program is {}",
                Build::this()
            ),
            "`systemctl restart portcullis-services` after an update",
        ),
        Found::Problem(problem) if problem.kind == ProblemKind::Forbidden => Check::problem(
            CHECK,
            format!(
                "services listen on {listen} and do not take this key: {}",
                problem.detail
            ),
            "they were started with another key: restart them after a change of the key",
        ),
        Found::Problem(problem) => Check::problem(
            CHECK,
            format!(
                "they listen on {listen} and take no uploads: {}",
                problem.detail
            ),
            "mend what the other checks say, then `systemctl restart portcullis-services`",
        ),
        Found::Stranger(_) => Check::problem(
            CHECK,
            format!("something else answers at {listen}"),
            "give one of them another address (`listen` in services.toml)",
        ),
        Found::Nothing(cause) => Check::problem(
            CHECK,
            format!("nobody answers at {listen} ({cause})"),
            "start them (`systemctl start portcullis-services`); if they end again, `journalctl -u portcullis-services` says why",
        ),
    }
}
