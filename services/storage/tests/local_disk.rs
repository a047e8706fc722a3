//! The local disk keeps the contract of every disk, and what is its own: its modes, and no way out of its
//! root.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use portcullis_storage::contract::Subject;
use portcullis_storage::{Disk, DiskError, LocalDisk};
use portcullis_types::{Offset, Sha256Digest, UploadId};

struct Local {
    disk: LocalDisk,
    root: tempfile::TempDir,
}

fn fresh() -> Local {
    let root = tempfile::tempdir().expect("a folder");
    let disk = LocalDisk::open(root.path()).expect("opens");
    Local { disk, root }
}

impl Subject for Local {
    fn disk(&self) -> &dyn Disk {
        &self.disk
    }

    fn reopened(&self) -> Box<dyn Disk> {
        Box::new(LocalDisk::open(self.root.path()).expect("opens"))
    }

    fn visible(&self, path: &str) -> Option<Vec<u8>> {
        fs::read(self.root.path().join(path)).ok()
    }

    fn intrude(&self, path: &str, bytes: &[u8]) {
        let path = self.root.path().join(path);
        fs::create_dir_all(path.parent().expect("has one")).expect("is made");
        fs::write(path, bytes).expect("is written");
    }
}

portcullis_storage::disk_contract!(fresh);

fn kept(disk: &LocalDisk) -> UploadId {
    let id = UploadId::generate();
    let mut stage = disk.create_stage(id).expect("a stage");
    stage.write(b"x").expect("room");
    let stage = stage.seal(Offset::new(1), Sha256Digest::of(b"x"));
    disk.keep(&stage.expect("is whole")).expect("is kept");
    id
}

#[test]
fn a_symbolic_link_is_never_followed_out_of_the_disk() {
    let (local, outside) = (fresh(), tempfile::tempdir().expect("a folder"));
    symlink(outside.path(), local.root.path().join("way")).expect("is made");
    let version = kept(&local.disk);
    let path = "way/out.csv".parse().expect("is safe as a text");
    for refused in [
        local.disk.may_show(&path, &[]),
        local.disk.show(version, &path, &[]),
    ] {
        assert!(matches!(refused, Err(DiskError::Symlink)), "{refused:?}");
    }
    assert_eq!(fs::read_dir(outside.path()).expect("is read").count(), 0);
}

#[test]
fn a_symbolic_link_at_the_path_itself_is_never_replaced() {
    let (local, outside) = (fresh(), tempfile::tempdir().expect("a folder"));
    let victim = outside.path().join("victim");
    fs::write(&victim, "untouched").expect("is written");
    symlink(&victim, local.root.path().join("a.csv")).expect("is made");
    let version = kept(&local.disk);
    let refused = local
        .disk
        .show(version, &"a.csv".parse().expect("is safe"), &[version]);
    assert!(matches!(refused, Err(DiskError::Occupied)), "{refused:?}");
    assert_eq!(fs::read(victim).expect("is read"), b"untouched");
}

#[test]
fn stages_and_versions_are_for_services_alone() {
    let local = fresh();
    let version = kept(&local.disk).to_string();
    let own = local.root.path().join(".portcullis");
    for (path, mode) in [
        (own.clone(), 0o700),
        (own.join("versions"), 0o700),
        (own.join("versions").join(&version), 0o600),
        (own.join("stages").join(&version), 0o600),
    ] {
        let found = fs::metadata(&path).expect("is there").permissions().mode();
        assert_eq!(found & 0o777, mode, "{}", path.display());
    }
}

#[test]
fn a_root_that_is_not_there_is_refused_and_not_made() {
    let root = tempfile::tempdir().expect("a folder");
    let missing = root.path().join("missing");
    assert!(matches!(LocalDisk::open(&missing), Err(DiskError::Missing)));
    assert!(!missing.exists());
}
