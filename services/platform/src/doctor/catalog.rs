//! Whether the catalog can be used, and what it tells of disks, policies and the clock.

use std::path::Path;
use std::time::Duration;

use portcullis_server::doctor::Check;
use portcullis_types::Clock;
use rustix::fs::{Access, access};

use crate::catalog::{CatalogError, Kept};

const CHECK: &str = "catalog";
/// How far ahead of the clock a row may be before the clock must be wrong.
const AHEAD: Duration = Duration::from_mins(1);
/// What file systems over a network call themselves (statfs(2)): NFS, SMB, CIFS, Ceph, 9p.
const NETWORK: [u64; 6] = [
    0x6969,
    0x517b,
    0xff53_4d42,
    0xfe53_4d42,
    0x00c3_6400,
    0x0102_1997,
];

/// What was seen.
pub(super) struct Seen {
    pub(super) check: Check,
    pub(super) clock: Check,
    pub(super) policies: Check,
    /// What the catalog holds, if it can be read.
    pub(super) kept: Option<Kept>,
}

pub(super) fn look(path: &Path) -> Seen {
    if !path.exists() {
        return Seen::nothing(not_yet(path), "the catalog is not made yet");
    }
    if access(path, Access::READ_OK).is_err() {
        let why = "the catalog cannot be read by this user";
        return Seen::nothing(not_ours(path, "read"), why);
    }
    match Kept::read(path) {
        Ok(kept) => Seen {
            check: usable(path),
            clock: clock(&kept),
            policies: policies(&kept),
            kept: Some(kept),
        },
        Err(error) => Seen::nothing(broken(path, &error), "the catalog cannot be read"),
    }
}

impl Seen {
    fn nothing(check: Check, why: &str) -> Self {
        Self {
            check,
            clock: Check::skipped("clock", why),
            policies: Check::skipped("policies", why),
            kept: None,
        }
    }
}

fn not_ours(path: &Path, what: &str) -> Check {
    let folder = path.parent().unwrap_or(Path::new("/"));
    Check::problem(
        CHECK,
        format!("this user cannot {what} {}", path.display()),
        format!(
            "run the doctor as the user of services; if that one cannot either: `chown -R portcullis {}`",
            folder.display()
        ),
    )
}

fn not_yet(path: &Path) -> Check {
    let folder = path.parent().unwrap_or(Path::new("/"));
    if access(folder, Access::WRITE_OK).is_err() {
        return Check::problem(
            CHECK,
            format!(
                "there is no catalog, and none can be made in {}",
                folder.display()
            ),
            format!(
                "make the folder, for the user of services alone: `install -d -o portcullis -m 0700 {}`",
                folder.display()
            ),
        );
    }
    Check::ok(
        CHECK,
        format!(
            "services make it at {} when they start for the first time",
            path.display()
        ),
    )
}

fn usable(path: &Path) -> Check {
    let shown = path.display();
    let folder = path.parent().unwrap_or(Path::new("/"));
    if [path, folder]
        .into_iter()
        .any(|path| access(path, Access::WRITE_OK).is_err())
    {
        return not_ours(path, "write to");
    }
    let on_network =
        rustix::fs::statfs(path).is_ok_and(|of| NETWORK.contains(&of.f_type.cast_unsigned()));
    if on_network {
        return Check::problem(
            CHECK,
            format!(
                "{shown} lies on a network file system, where its locks and its log are not safe"
            ),
            "stop services, move the file with its `-wal` to a local disk, and set `catalog` in services.toml",
        );
    }
    Check::ok(CHECK, format!("{shown} can be read and written"))
}

fn broken(path: &Path, error: &CatalogError) -> Check {
    let fix = match error {
        CatalogError::TooNew { .. } => {
            "go back to the newer version of services, or restore the catalog from before the update (docs/operating.md)"
        }
        _ => "stop services and restore the catalog from a backup (docs/operating.md)",
    };
    Check::problem(CHECK, format!("{}: {error}", path.display()), fix)
}

/// A row that was written in the future: the clock was ahead then, or is behind now.
fn clock(kept: &Kept) -> Check {
    let now = Clock::system().now();
    match kept.newest {
        Some(newest) if newest.since(now) > AHEAD => Check::problem(
            "clock",
            format!(
                "the newest row of the audit was written at {newest}, and it is {now} here: this clock is {} s behind, or was ahead",
                newest.since(now).as_secs()
            ),
            "let the machine take its time from a source (`timedatectl set-ntp true`, or chrony)",
        ),
        _ => Check::ok(
            "clock",
            format!("it is {now}, after everything in the audit"),
        ),
    }
}

fn policies(kept: &Kept) -> Check {
    let found = match kept.active {
        Some((number, digest)) => {
            format!("revision {digest} (number {number}) is active for web hosts that follow")
        }
        None => "no revision is kept; web hosts read their policies from files".to_owned(),
    };
    Check::ok("policies", found)
}

#[cfg(test)]
mod tests {
    use portcullis_server::doctor::Outcome;

    use super::*;
    use crate::catalog::{Action, Actor, AuditEntry, Catalog};

    #[test]
    fn an_audit_from_the_future_says_that_the_clock_is_wrong() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("catalog.sqlite");
        let (catalog, thread) = Catalog::open(&path).expect("opens");
        let now = Clock::system().now();
        for (hours, outcome) in [(0, Outcome::Ok), (2, Outcome::Problem)] {
            let at = now.plus(Duration::from_hours(hours));
            let entry = AuditEntry::new(at, Action::Read, Actor::itself("somebody"));
            catalog
                .run_blocking(move |rows| entry.write(rows))
                .expect("is written");
            // Whether services run or not.
            let seen = look(&path);
            assert_eq!(seen.check.outcome, Outcome::Ok, "{:?}", seen.check);
            assert_eq!(seen.clock.outcome, outcome, "{:?}", seen.clock);
        }
        drop(catalog);
        thread.join();
    }
}
