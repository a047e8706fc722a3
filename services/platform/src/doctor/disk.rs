//! Whether a disk is mounted, can be written to, and has room.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use portcullis_server::doctor::Check;
use portcullis_storage::{Disk, DiskError, Known, LocalDisk};
use portcullis_types::{DiskName, DiskPath};
use rustix::fs::{Access, access};

use crate::catalog::Kept;
use crate::config::{DiskConfig, LocalDiskConfig};

const CHECK: &str = "disk";

/// `kept` is what the catalog says, where there is one.
pub(super) fn examine(
    name: &DiskName,
    DiskConfig::Local(local): &DiskConfig,
    reserve_bytes: u64,
    kept: Option<&Kept>,
) -> Check {
    let root = &local.root;
    let reserve_bytes = local.limits(reserve_bytes).reserve_bytes;
    let shown = format!("`{name}` at {}", root.display());
    if !root.is_dir() {
        return Check::problem(
            CHECK,
            format!("{shown} is not there, or no folder"),
            "mount the NAS there, or set `root` in services.toml",
        );
    }
    let table = fs::read_to_string("/etc/fstab").unwrap_or_default();
    let mounted = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let own = root.join(DiskPath::RESERVED_PREFIX).is_dir();
    if let Some(point) = unmounted(root, &table, &mounted) {
        return Check::problem(
            CHECK,
            format!(
                "{shown} is not mounted: /etc/fstab has {}, and nothing is mounted there",
                point.display()
            ),
            format!(
                "`mount {}`; uploads would fill the disk of this machine",
                point.display()
            ),
        );
    }
    let known = kept.map_or(Known::Nothing, |kept| kept.known(name));
    let files = kept.map(|kept| kept.files_on(name));
    if let Some(files) = files.filter(|files| *files > 0 && !own) {
        return Check::problem(
            CHECK,
            format!(
                "{shown} is not the disk that it was: the catalog has {files} file(s) on it, and it is empty"
            ),
            "mount the NAS there before services start; they would fill the disk of this machine",
        );
    }
    if !own && known == Known::Nothing {
        return first_time(&shown, root);
    }
    if local.settings().read_only {
        return read_only(&shown, name, local, known);
    }
    match probe(local, known) {
        Ok((free_bytes, ms)) if free_bytes > reserve_bytes => Check::ok(
            CHECK,
            format!(
                "{shown} takes files: {} free, a durable file takes {ms} ms",
                shown_bytes(free_bytes)
            ),
        ),
        Ok((free_bytes, _)) => Check::problem(
            CHECK,
            format!(
                "{shown} is full: {} free, of which {} stay free (limits.reserve-bytes)",
                shown_bytes(free_bytes),
                shown_bytes(reserve_bytes)
            ),
            "make room on it, or raise its quota; uploads go on by themselves then",
        ),
        Err(error) => Check::problem(
            CHECK,
            format!("{shown} takes no files: {error}"),
            fix(&error, name, root),
        ),
    }
}

/// Nothing is written to it, whoever asks.
fn read_only(shown: &str, name: &DiskName, local: &LocalDiskConfig, known: Known) -> Check {
    match open(local, known).and_then(|disk| disk.probe()) {
        Ok(()) => Check::ok(
            CHECK,
            format!("{shown} can be read, and is configured to take no files"),
        ),
        Err(error) => Check::problem(
            CHECK,
            format!("{shown} cannot be read: {error}"),
            fix(&error, name, &local.root),
        ),
    }
}

fn open(local: &LocalDiskConfig, known: Known) -> Result<LocalDisk, DiskError> {
    Ok(LocalDisk::open_known(&local.root, local.settings(), known)?.0)
}

/// Services make their own folder on it when they start: only whether they can is looked at.
fn first_time(shown: &str, root: &Path) -> Check {
    if access(root, Access::WRITE_OK).is_ok() {
        return Check::ok(
            CHECK,
            format!("{shown} can be written to; services have not used it yet"),
        );
    }
    Check::problem(
        CHECK,
        format!("{shown} cannot be written to"),
        format!(
            "run the doctor as the user of services; if that one cannot either: `chown portcullis {}`, and see that it is not mounted read-only",
            root.display()
        ),
    )
}

/// Does with a file what is done with an upload, and removes it. Gives the room that is left and how long it took.
fn probe(local: &LocalDiskConfig, known: Known) -> Result<(u64, u128), DiskError> {
    let disk = open(local, known)?;
    let began = Instant::now();
    disk.probe()?;
    let ms = began.elapsed().as_millis();
    Ok((disk.space()?.free_bytes, ms))
}

fn fix(error: &DiskError, name: &DiskName, root: &Path) -> String {
    match error {
        DiskError::NotMounted | DiskError::AnotherDisk => format!(
            "mount the disk that it was; if another one takes its place: `portcullis-services disk adopt {name} --reason TEXT`"
        ),
        DiskError::Full(_) => "make room on it, or raise its quota".to_owned(),
        DiskError::Failed { kind, .. } if *kind == std::io::ErrorKind::ReadOnlyFilesystem => {
            format!(
                "it is mounted read-only: look for why in `dmesg`, then `mount -o remount,rw {}`",
                root.display()
            )
        }
        DiskError::Failed { kind, .. } if *kind == std::io::ErrorKind::PermissionDenied => format!(
            "run the doctor as the user of services; if that one cannot either: `chown -R portcullis {}`",
            root.join(DiskPath::RESERVED_PREFIX).display()
        ),
        _ => "look at the disk and at the log of the machine (`dmesg`)".to_owned(),
    }
}

/// Where something should be mounted that holds the root, and is not.
fn unmounted(root: &Path, fstab: &str, mountinfo: &str) -> Option<PathBuf> {
    let points = fstab
        .lines()
        .map(str::trim)
        .filter(|line| !line.starts_with('#'));
    let points = points
        .filter_map(|line| line.split_whitespace().nth(1))
        .map(unescaped);
    let holding = points.filter(|point| root.starts_with(point) && point != Path::new("/"));
    let nearest = holding.max_by_key(|point| point.components().count())?;
    let mut mounted = mountinfo
        .lines()
        .filter_map(|line| line.split(' ').nth(4))
        .map(unescaped);
    (!mounted.any(|point| point == nearest)).then_some(nearest)
}

/// Both files write a space as `\040` (fstab(5), proc(5)).
fn unescaped(path: &str) -> PathBuf {
    path.replace("\\040", " ").into()
}

/// In units that people read: megabytes below 10 GB.
fn shown_bytes(bytes: u64) -> String {
    if bytes < 10_000_000_000 {
        return format!("{} MB", bytes / 1_000_000);
    }
    format!(
        "{}.{} GB",
        bytes / 1_000_000_000,
        bytes % 1_000_000_000 / 100_000_000
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const FSTAB: &str = "# comment\n/dev/sda1 / ext4 defaults 0 1\nnas:/export /srv/nas nfs hard 0 0\nnas:/b /srv/the\\040other nfs hard 0 0\n";
    const ROOT_ONLY: &str = "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n";

    #[test]
    fn a_disk_whose_mount_is_missing_is_told_by_the_table_of_file_systems() {
        let missing = |root: &str, mounted: &str| unmounted(Path::new(root), FSTAB, mounted);
        assert_eq!(
            missing("/srv/nas/uploads", ROOT_ONLY),
            Some("/srv/nas".into())
        );
        let mounted = format!("{ROOT_ONLY}40 22 0:50 / /srv/nas rw - nfs nas:/export rw\n");
        assert_eq!(missing("/srv/nas/uploads", &mounted), None);
        assert_eq!(
            missing("/srv/the other", &mounted),
            Some("/srv/the other".into())
        );
        assert_eq!(missing("/var/lib/uploads", ROOT_ONLY), None);
    }
}
