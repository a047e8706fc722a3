//! What is wrong with a server and what to do about it, as `doctor` says it on either one.

mod arguments;
mod collector;
mod key;
mod variables;

use std::fmt;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use portcullis_hop::Build;
use serde::Serialize;

pub use arguments::Arguments;
pub use collector::collector;
pub use key::{KeyFound, key};
pub use variables::unit_file;

use crate::{Environment, Role};

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// As it should be.
    Ok,
    /// It works, and may not for long, or not as safely as it could.
    Warning,
    /// It does not work.
    Problem,
    /// It could not be looked at, because of another problem.
    Skipped,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What: a word that stays the same for ever.
    pub check: &'static str,
    /// How it ended.
    pub outcome: Outcome,
    /// What was found, and where it is wrong, why.
    pub found: String,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
}

impl Check {
    /// All is well.
    pub fn ok(check: &'static str, found: impl Into<String>) -> Self {
        Self {
            check,
            outcome: Outcome::Ok,
            found: found.into(),
            fix: None,
        }
    }

    /// Something may become a problem.
    pub fn warning(check: &'static str, found: impl Into<String>, fix: impl Into<String>) -> Self {
        Self {
            outcome: Outcome::Warning,
            fix: Some(fix.into()),
            ..Self::ok(check, found)
        }
    }

    /// Something is one.
    pub fn problem(check: &'static str, found: impl Into<String>, fix: impl Into<String>) -> Self {
        Self {
            outcome: Outcome::Problem,
            ..Self::warning(check, found, fix)
        }
    }

    /// Something else has to be mended first.
    pub fn skipped(check: &'static str, because: impl Into<String>) -> Self {
        Self {
            outcome: Outcome::Skipped,
            ..Self::ok(check, because)
        }
    }
}

/// All that was looked at on a server.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Which: `web` or `services`.
    pub server: &'static str,
    /// What its program is.
    pub build: Build,
    /// Whether no check is a problem.
    pub healthy: bool,
    /// In the order in which one would look for a fault.
    pub checks: Vec<Check>,
}

impl Report {
    /// The report of a server.
    pub fn new(role: Role, checks: Vec<Check>) -> Self {
        Self {
            server: role.word(),
            build: Build::this(),
            healthy: !checks.iter().any(|it| it.outcome == Outcome::Problem),
            checks,
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "portcullis-{} {}", self.server, self.build)?;
        for Check {
            check,
            outcome,
            found,
            fix,
        } in &self.checks
        {
            let word = match outcome {
                Outcome::Ok => "ok",
                Outcome::Warning => "warning",
                Outcome::Problem => "PROBLEM",
                Outcome::Skipped => "skipped",
            };
            writeln!(f, "{word:8} {check:14} {found}")?;
            if let Some(fix) = fix {
                writeln!(f, "{:23} -> {fix}", "")?;
            }
        }
        let count = |outcome| {
            self.checks
                .iter()
                .filter(|it| it.outcome == outcome)
                .count()
        };
        let (problems, warnings) = (count(Outcome::Problem), count(Outcome::Warning));
        writeln!(f, "{problems} problem(s), {warnings} warning(s)")
    }
}

/// Whether `SERVER_ROLE` names this server.
pub fn role(role: Role, environment: Environment<'_>) -> Check {
    match Role::of(role, environment) {
        Ok(_) => Check::ok("role", format!("SERVER_ROLE is `{}`", role.word())),
        Err(error) => {
            let file = unit_file(role);
            let fix = format!("set SERVER_ROLE={} in {}", role.word(), file.display());
            Check::problem("role", error.to_string(), fix)
        }
    }
}

/// Where a server on this machine is reached that may listen on all addresses.
pub fn from_here(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_healthy_without_problems_and_shows_what_to_do() {
        let warning = Check::warning("key", "it is short", "make a longer one");
        let report = Report::new(Role::Web, vec![Check::ok("role", "is set"), warning]);
        assert!(report.healthy);
        let shown = report.to_string();
        assert!(
            shown.contains("warning  key            it is short\n"),
            "{shown}"
        );
        assert!(shown.contains("-> make a longer one\n"), "{shown}");
        assert!(shown.ends_with("0 problem(s), 1 warning(s)\n"), "{shown}");
        let problem = Check::problem("disk", "it is full", "make room");
        let report = Report::new(Role::Services, vec![problem]);
        assert!(!report.healthy);
        let json = serde_json::to_value(&report).expect("serialises");
        assert_eq!(json["checks"][0]["outcome"], "problem");
    }
}
