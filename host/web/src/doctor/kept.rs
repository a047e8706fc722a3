//! Whether something of an upload rests on this machine because of the web host.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use portcullis_server::doctor::Check;

use super::processes;

const CHECK: &str = "nothing-kept";
/// What the program is called.
const PROGRAM: &str = "portcullis-web";
/// Where programs put files for a while.
const TEMPORARY: [&str; 3] = ["/tmp", "/var/tmp", "/dev/shm"];
/// Where systemd keeps the memory of programs that crashed.
const CORES: &str = "/var/lib/systemd/coredump";
/// How deep and how far it is looked.
const DEPTH: usize = 4;
const MOST_FILES: usize = 100_000;

/// Looks for files that should not be there. Names are not told: they may be those of patients.
pub(super) fn examine() -> Check {
    let hosts = hosts();
    let found = open_files(&hosts)
        .or_else(|| temporary_files(&hosts))
        .or_else(core_files);
    found.unwrap_or_else(|| Check::ok(CHECK, "no file of an upload was found"))
}

/// What web hosts have open for writing.
fn open_files(hosts: &[Host]) -> Option<Check> {
    hosts.iter().find_map(|host| {
        let id = host.id;
        match host.writes() {
            Ok(0) => None,
            // It ended meanwhile.
            Err(_) if !host.is_running() => None,
            Ok(count) => Some(Check::problem(
                CHECK,
                format!("the web host (process {id}) has {count} file(s) open for writing"),
                "no web host writes files: see how it was started, and where its output goes (to the journal, not to a file)",
            )),
            Err(_) => Some(Check::warning(
                CHECK,
                format!("which files the web host (process {id}) has open cannot be seen"),
                "run the doctor as root",
            )),
        }
    })
}

/// What belongs to their user where programs put files for a while.
fn temporary_files(hosts: &[Host]) -> Option<Check> {
    let owners = hosts.iter().map(|host| host.user);
    let owners: Vec<u32> = owners.filter(|user| is_of_a_service(*user)).collect();
    let own = |_: &Path, metadata: &fs::Metadata| owners.contains(&metadata.uid());
    let set = std::env::var_os("TMPDIR").map(PathBuf::from);
    let mut folders = TEMPORARY.map(PathBuf::from).into_iter().chain(set);
    folders.find_map(|folder| {
        let count = count(&folder, &own)?;
        Some(Check::problem(
            CHECK,
            format!(
                "{count} file(s) of the web host lie in {}",
                folder.display()
            ),
            "look at them, remove them, and tell us: the web host makes none",
        ))
    })
}

/// What is left of web hosts that crashed.
fn core_files() -> Option<Check> {
    let own = |path: &Path, _: &fs::Metadata| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with(&format!("core.{PROGRAM}"))
    };
    let count = count(Path::new(CORES), &own)?;
    Some(Check::problem(
        CHECK,
        format!("{count} core file(s) of the web host lie in {CORES}; they may hold data"),
        "remove them, and set LimitCORE=0 as the unit that ships does",
    ))
}

/// A running web host.
struct Host {
    id: u32,
    user: u32,
    folder: PathBuf,
}

/// All that run on this machine, but for those in containers, whose files are their own.
fn hosts() -> Vec<Host> {
    let own = std::process::id();
    processes()
        .filter_map(|folder| {
            let id: u32 = folder.file_name()?.to_str()?.parse().ok()?;
            let name = fs::read_to_string(folder.join("comm")).ok()?;
            let user = fs::metadata(&folder).ok()?.uid();
            let is_ours = name.trim() == PROGRAM && id != own && !is_contained(&folder);
            is_ours.then_some(Host { id, user, folder })
        })
        .collect()
}

/// Whether a process has another id within some container (`NSpid` in `proc_pid_status(5)`).
fn is_contained(process: &Path) -> bool {
    let status = fs::read_to_string(process.join("status")).unwrap_or_default();
    let ids = status.lines().find_map(|line| line.strip_prefix("NSpid:"));
    ids.is_some_and(|ids| ids.split_whitespace().count() > 1)
}

impl Host {
    /// Whether it has not ended (proc(5): a dead process that was not waited for has the state `Z`).
    fn is_running(&self) -> bool {
        let status = fs::read_to_string(self.folder.join("status")).unwrap_or_default();
        let state = status.lines().find_map(|line| line.strip_prefix("State:"));
        state.is_some_and(|state| !state.trim_start().starts_with('Z'))
    }

    /// How many files it has open for writing.
    fn writes(&self) -> std::io::Result<usize> {
        let descriptors = fs::read_dir(self.folder.join("fd"))?.flatten();
        let written = descriptors.filter(|entry| {
            let is_file = fs::metadata(entry.path()).is_ok_and(|metadata| metadata.is_file());
            // What policies begin with lies in memory that looks like a file (memfd_create(2)).
            let target = fs::read_link(entry.path()).unwrap_or_default();
            let is_memory = target.to_string_lossy().starts_with("/memfd:");
            is_file && !is_memory && self.is_open_for_writing(&entry.file_name().to_string_lossy())
        });
        Ok(written.count())
    }

    /// proc(5): the flags of `open`, in octal; the last two bits say for what.
    fn is_open_for_writing(&self, descriptor: &str) -> bool {
        let info = fs::read_to_string(self.folder.join("fdinfo").join(descriptor));
        let info = info.unwrap_or_default();
        let flags = info.lines().find_map(|line| line.strip_prefix("flags:"));
        let flags = flags.and_then(|flags| u32::from_str_radix(flags.trim(), 8).ok());
        flags.is_some_and(|flags| flags & 0o3 != 0)
    }
}

/// Whether a user exists for a service, so that whatever it has comes from that; people have other files too.
/// (The ranges of systemd: <https://systemd.io/UIDS-GIDS/>.)
fn is_of_a_service(user: u32) -> bool {
    (1..1000).contains(&user) || (60_000..=65_535).contains(&user)
}

/// How many files of a kind lie in a folder and beneath it. Absent when there is none.
fn count(folder: &Path, wanted: &dyn Fn(&Path, &fs::Metadata) -> bool) -> Option<usize> {
    let mut next = vec![(folder.to_owned(), 0)];
    let (mut seen, mut found) = (0, 0);
    while let Some((folder, depth)) = next.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            seen += 1;
            if seen > MOST_FILES {
                break;
            }
            // The entry itself, not what a link leads to.
            let Ok(metadata) = entry.metadata() else {
                continue;
            };
            let path = entry.path();
            if metadata.is_dir() && depth < DEPTH {
                next.push((path, depth + 1));
            } else if metadata.is_file() && wanted(&path, &metadata) {
                found += 1;
            }
        }
    }
    (found > 0).then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_counted_where_they_lie_and_links_are_not_followed() {
        let folder = tempfile::tempdir().expect("a folder");
        let elsewhere = tempfile::tempdir().expect("a folder");
        fs::write(elsewhere.path().join("body"), "row").expect("is written");
        let all = |folder: &Path| count(folder, &|_, _| true);
        assert_eq!(all(folder.path()), None);
        std::os::unix::fs::symlink(elsewhere.path(), folder.path().join("link")).expect("a link");
        assert_eq!(all(folder.path()), None);
        let deep = folder.path().join("3/00");
        fs::create_dir_all(&deep).expect("is made");
        fs::write(deep.join("0000000003"), "row").expect("is written");
        assert_eq!(all(folder.path()), Some(1));
        assert_eq!(count(folder.path(), &|_, of| of.uid() == u32::MAX), None);
        assert_eq!(all(&folder.path().join("away")), None);
    }

    #[test]
    fn a_web_host_that_ended_meanwhile_has_nothing_open() {
        let folder = tempfile::tempdir().expect("a folder");
        let host = || Host {
            id: 1,
            user: 0,
            folder: folder.path().to_owned(),
        };
        assert!(open_files(&[host()]).is_none(), "it is gone");
        let status = |state: &str| {
            fs::write(
                folder.path().join("status"),
                format!("Name:\tx\nState:\t{state}\n"),
            )
        };
        status("Z (zombie)").expect("is written");
        assert!(open_files(&[host()]).is_none(), "it is dead");
        status("S (sleeping)").expect("is written");
        assert!(open_files(&[host()]).is_some(), "it may not be looked at");
    }

    #[test]
    fn accounts_of_people_and_root_are_not_those_of_a_service() {
        for (user, service) in [(0, false), (998, true), (1000, false), (61_184, true)] {
            assert_eq!(is_of_a_service(user), service, "{user}");
        }
    }
}
