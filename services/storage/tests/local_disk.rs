//! The local disk keeps the contract of every disk, and what is its own: its modes, and no way out of its
//! root.

use std::fs;
use std::io::Read as _;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

use portcullis_storage::contract::Subject;
use portcullis_storage::{Disk, DiskError, DiskId, Known, LocalDisk, Looks, Settings};
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

/// The disk at a folder, as it is known.
fn known(root: &std::path::Path, known: Known) -> Result<Option<DiskId>, DiskError> {
    Ok(LocalDisk::open_known(root, Settings::default(), known)?.1)
}

#[test]
fn a_disk_is_known_again_and_an_empty_folder_is_not_taken_for_it() {
    let (one, other) = (
        tempfile::tempdir().expect("a folder"),
        tempfile::tempdir().expect("a folder"),
    );
    let id = known(one.path(), Known::Nothing)
        .expect("is new")
        .expect("has an id");
    assert_eq!(known(one.path(), Known::As(id)).expect("is it"), Some(id));
    let empty = known(other.path(), Known::As(id));
    assert!(matches!(empty, Err(DiskError::NotMounted)), "{empty:?}");
    let used = known(other.path(), Known::Used);
    assert!(matches!(used, Err(DiskError::NotMounted)), "{used:?}");
    assert_eq!(fs::read_dir(other.path()).expect("is read").count(), 0);
    let another = known(other.path(), Known::Nothing).expect("is new");
    assert_ne!(another, Some(id));
    let swapped = known(other.path(), Known::As(id));
    assert!(
        matches!(swapped, Err(DiskError::AnotherDisk)),
        "{swapped:?}"
    );
}

#[test]
fn a_disk_of_a_version_without_ids_gets_one_where_its_files_are() {
    let root = tempfile::tempdir().expect("a folder");
    LocalDisk::open(root.path()).expect("opens");
    let file = root.path().join(".portcullis/disk");
    // A crash may leave it empty, too.
    for rest in [None, Some("")] {
        fs::remove_file(&file).expect("is there");
        if let Some(rest) = rest {
            fs::write(&file, rest).expect("is written");
        }
        let id = known(root.path(), Known::Used)
            .expect("opens")
            .expect("has an id");
        assert_eq!(
            fs::read_to_string(&file).expect("is read"),
            format!("{id}\n")
        );
    }
}

#[test]
fn a_read_only_disk_gives_what_it_has_and_changes_nothing() {
    let local = fresh();
    let version = kept(&local.disk);
    let path: portcullis_types::DiskPath = "a.csv".parse().expect("is safe");
    local.disk.show(version, &path, &[]).expect("is shown");
    let settings = Settings {
        read_only: true,
        ..Settings::default()
    };
    let opened = LocalDisk::open_known(local.root.path(), settings, Known::Nothing);
    let (disk, _) = opened.expect("opens");
    disk.probe().expect("can be read");
    let mut bytes = String::new();
    let read = disk
        .open_version(version)
        .expect("is there")
        .read_to_string(&mut bytes);
    assert_eq!((read.ok(), &*bytes), (Some(1), "x"));
    for refused in [
        disk.create_stage(UploadId::generate()).map(|_| ()),
        disk.show(version, &path, &[version]),
        disk.hide(&path, &[version]),
        disk.drop_version(version),
    ] {
        assert!(matches!(refused, Err(DiskError::ReadOnly)), "{refused:?}");
    }
    assert!(local.root.path().join("a.csv").exists());
    let nothing_there = tempfile::tempdir().expect("a folder");
    let refused = LocalDisk::open_known(nothing_there.path(), settings, Known::Nothing);
    assert!(matches!(refused, Err(DiskError::Missing)), "{refused:?}");
    assert_eq!(
        fs::read_dir(nothing_there.path()).expect("is read").count(),
        0
    );
}

#[test]
fn files_and_folders_have_the_looks_that_others_need() {
    let root = tempfile::tempdir().expect("a folder");
    let own = fs::metadata(root.path()).expect("is there");
    let looks = Looks {
        file_mode: 0o664,
        folder_mode: 0o2770,
        owner: Some(own.uid()),
        group: Some(own.gid()),
    };
    let settings = Settings {
        looks,
        ..Settings::default()
    };
    let opened = LocalDisk::open_known(root.path(), settings, Known::Nothing);
    let (disk, _) = opened.expect("opens");
    disk.probe().expect("is well");
    let version = kept(&disk);
    disk.show(version, &"a/b.csv".parse().expect("is safe"), &[])
        .expect("is shown");
    for (path, mode) in [("a", 0o2770), ("a/b.csv", 0o664), (".portcullis", 0o700)] {
        let found = fs::metadata(root.path().join(path)).expect("is there");
        assert_eq!(found.permissions().mode() & 0o7777, mode, "{path}");
    }
}
