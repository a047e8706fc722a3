//! The tests that every disk must pass. `disk_contract!(fresh)` makes one test of each, where `fresh()`
//! gives a new [`Subject`].
#![expect(missing_docs, reason = "the names of the tests are sentences")]

use portcullis_types::{DiskPath, Offset, Sha256Digest, UploadId};

use crate::{Checkpoint, Disk, DiskError, EntryKind, SealedStage, Shown};

/// A disk under test, and how its visible side looks from outside.
pub trait Subject: Sync {
    /// The disk.
    fn disk(&self) -> &dyn Disk;
    /// The same disk as a process sees it that starts now.
    fn reopened(&self) -> Box<dyn Disk>;
    /// The bytes that somebody finds at a visible path.
    fn visible(&self, path: &str) -> Option<Vec<u8>>;
    /// Somebody else puts a file there.
    fn intrude(&self, path: &str, bytes: &[u8]);
}

/// Makes a test of every function of [`contract`](crate::contract) that takes a [`Subject`].
#[macro_export]
macro_rules! disk_contract {
    ($fresh:path) => {
        $crate::disk_contract! { @each $fresh:
            a_version_is_shown_whole_at_its_path
            nothing_is_visible_before_it_is_shown
            a_stage_goes_on_from_its_checkpoint_in_another_process
            bytes_behind_the_checkpoint_are_cut_off
            a_stage_that_lost_bytes_is_refused
            a_stage_whose_hash_state_is_unknown_is_hashed_anew
            another_length_or_digest_is_refused
            a_state_lies_beside_its_stage_and_goes_with_it
            every_call_can_be_repeated
            a_newer_version_takes_the_place_of_an_older_one
            what_others_put_there_is_never_replaced_or_removed
            a_file_is_no_folder_and_a_folder_no_file
            a_version_that_is_hidden_stays
            a_discarded_stage_is_gone_and_its_version_is_not
            bytes_that_are_all_there_become_a_version_at_once
            a_stage_is_read_back_between_two_positions
            an_empty_file_is_a_file
            what_is_there_can_be_listed
            what_stands_at_a_path_is_told
            a_small_file_is_unsettled_until_it_is_settled
            a_file_that_was_there_before_becomes_a_version_where_it_stands
            a_version_that_is_gone_is_made_of_its_bytes_alone
            what_nobody_knows_is_set_aside_and_not_removed
            a_disk_says_how_much_room_it_has
            a_disk_that_is_tried_is_as_it_was
            sixty_four_versions_of_one_path_never_mix
        }
    };
    (@each $fresh:path: $($name:ident)*) => {
        $(#[test]
        fn $name() {
            $crate::contract::$name(&$fresh());
        })*
    };
}

fn path(text: &str) -> DiskPath {
    text.parse().expect("is safe")
}

fn sealed(disk: &dyn Disk, id: UploadId, bytes: &[u8]) -> SealedStage {
    let mut stage = disk.create_stage(id).expect("a stage");
    stage.write(bytes).expect("room");
    let length = Offset::new(bytes.len() as u64);
    stage
        .seal(length, Sha256Digest::of(bytes))
        .expect("is what was written")
}

/// A version of its own.
fn kept(disk: &dyn Disk, bytes: &[u8]) -> UploadId {
    let id = UploadId::generate();
    disk.keep(&sealed(disk, id, bytes)).expect("is kept");
    disk.discard_stage(id).expect("is discarded");
    id
}

fn contents(disk: &dyn Disk, version: UploadId) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut file = disk.open_version(version).expect("is there");
    file.read_to_end(&mut bytes).expect("is read");
    bytes
}

pub fn a_version_is_shown_whole_at_its_path(subject: &impl Subject) {
    let version = kept(subject.disk(), b"name,value\n1,2\n");
    let shown = subject
        .disk()
        .show(version, &path("submissions/c1/données.csv"), &[]);
    shown.expect("is shown");
    let visible = subject.visible("submissions/c1/données.csv");
    assert_eq!(visible.as_deref(), Some(&b"name,value\n1,2\n"[..]));
}

pub fn nothing_is_visible_before_it_is_shown(subject: &impl Subject) {
    let id = UploadId::generate();
    let stage = sealed(subject.disk(), id, b"a");
    subject.disk().keep(&stage).expect("is kept");
    subject
        .disk()
        .may_show(&path("in/a.csv"), &[])
        .expect("is free");
    assert_eq!(subject.visible("in/a.csv"), None);
    assert_eq!(contents(subject.disk(), id), b"a");
}

pub fn a_stage_goes_on_from_its_checkpoint_in_another_process(subject: &impl Subject) {
    let id = UploadId::generate();
    let mut stage = subject.disk().create_stage(id).expect("a stage");
    stage.write(b"first ").expect("room");
    let checkpoint = stage.checkpoint().expect("is durable");
    assert_eq!(checkpoint.offset, Offset::new(6));
    drop(stage);

    let disk = subject.reopened();
    let mut stage = disk.resume_stage(id, &checkpoint).expect("is there");
    assert_eq!(stage.offset(), checkpoint.offset);
    stage.write(b"second").expect("room");
    let whole = b"first second";
    let stage = stage.seal(Offset::new(12), Sha256Digest::of(whole));
    disk.keep(&stage.expect("is whole")).expect("is kept");
    assert_eq!(contents(subject.disk(), id), whole);
}

pub fn bytes_behind_the_checkpoint_are_cut_off(subject: &impl Subject) {
    let id = UploadId::generate();
    let mut stage = subject.disk().create_stage(id).expect("a stage");
    stage.write(b"kept").expect("room");
    let checkpoint = stage.checkpoint().expect("is durable");
    stage.write(b"and lost").expect("room");
    drop(stage);
    let stage = subject
        .disk()
        .resume_stage(id, &checkpoint)
        .expect("is there");
    let stage = stage.seal(Offset::new(4), Sha256Digest::of(b"kept"));
    subject
        .disk()
        .keep(&stage.expect("is whole"))
        .expect("is kept");
    assert_eq!(contents(subject.disk(), id), b"kept");
}

pub fn a_stage_that_lost_bytes_is_refused(subject: &impl Subject) {
    let id = UploadId::generate();
    drop(subject.disk().create_stage(id).expect("a stage"));
    let recorded = Checkpoint {
        offset: Offset::new(3),
        hash_state: Vec::new(),
    };
    let error = subject.disk().resume_stage(id, &recorded);
    assert!(matches!(error, Err(DiskError::Shortened { .. })));
    let error = subject
        .disk()
        .resume_stage(UploadId::generate(), &Checkpoint::default());
    assert!(matches!(error, Err(DiskError::Missing)));
}

pub fn a_stage_whose_hash_state_is_unknown_is_hashed_anew(subject: &impl Subject) {
    let id = UploadId::generate();
    let mut stage = subject.disk().create_stage(id).expect("a stage");
    stage.write(b"some bytes").expect("room");
    let mut checkpoint = stage.checkpoint().expect("is durable");
    drop(stage);
    checkpoint.hash_state = b"another-format:".to_vec();
    let stage = subject
        .disk()
        .resume_stage(id, &checkpoint)
        .expect("is there");
    let sealed = stage.seal(Offset::new(10), Sha256Digest::of(b"some bytes"));
    assert!(sealed.is_ok());
}

pub fn another_length_or_digest_is_refused(subject: &impl Subject) {
    for (length, sha256) in [(4, b"abc"), (3, b"abd")] {
        let mut stage = subject
            .disk()
            .create_stage(UploadId::generate())
            .expect("a stage");
        stage.write(b"abc").expect("room");
        let sealed = stage.seal(Offset::new(length), Sha256Digest::of(sha256));
        assert!(matches!(sealed, Err(DiskError::Mismatch)));
    }
}

pub fn a_state_lies_beside_its_stage_and_goes_with_it(subject: &impl Subject) {
    let (id, disk) = (UploadId::generate(), subject.disk());
    assert_eq!(disk.state(id).expect("is asked"), None);
    drop(disk.create_stage(id).expect("a stage"));
    for state in [&b"begun"[..], b"x", b""] {
        disk.keep_state(id, state).expect("room");
        assert_eq!(disk.state(id).expect("is asked").as_deref(), Some(state));
    }
    assert_eq!(disk.stages().expect("is listed"), [id]);
    disk.discard_stage(id).expect("is discarded");
    assert_eq!(disk.state(id).expect("is asked"), None);
}

pub fn every_call_can_be_repeated(subject: &impl Subject) {
    let (id, at) = (UploadId::generate(), path("a/b.csv"));
    let disk = subject.disk();
    drop(disk.create_stage(id).expect("a stage"));
    let stage = sealed(disk, id, b"x");
    for _ in 0..2 {
        disk.keep(&stage).expect("is kept");
    }
    for _ in 0..2 {
        disk.show(id, &at, &[id]).expect("is shown");
    }
    for _ in 0..2 {
        disk.discard_stage(id).expect("is discarded");
    }
    assert_eq!(subject.visible("a/b.csv").as_deref(), Some(&b"x"[..]));
    for _ in 0..2 {
        disk.hide(&at, &[id]).expect("is hidden");
        disk.drop_version(id).expect("is dropped");
    }
    assert_eq!(subject.visible("a/b.csv"), None);
    assert!(matches!(disk.open_version(id), Err(DiskError::Missing)));
}

pub fn a_newer_version_takes_the_place_of_an_older_one(subject: &impl Subject) {
    let disk = subject.disk();
    let (old, new, at) = (kept(disk, b"old"), kept(disk, b"new"), path("a.csv"));
    disk.show(old, &at, &[old]).expect("is shown");
    disk.may_show(&at, &[old]).expect("may be replaced");
    disk.show(new, &at, &[old, new]).expect("is shown");
    disk.show(new, &at, &[old, new]).expect("is shown already");
    assert_eq!(subject.visible("a.csv").as_deref(), Some(&b"new"[..]));
    assert_eq!(contents(disk, old), b"old");
}

pub fn what_others_put_there_is_never_replaced_or_removed(subject: &impl Subject) {
    let disk = subject.disk();
    let (version, at) = (kept(disk, b"ours"), path("in/a.csv"));
    subject.intrude("in/a.csv", b"theirs");
    let refused = disk.may_show(&at, &[version]);
    assert!(matches!(refused, Err(DiskError::Occupied)));
    let refused = disk.show(version, &at, &[version]);
    assert!(matches!(refused, Err(DiskError::Occupied)));
    disk.hide(&at, &[version])
        .expect("there is nothing of ours");
    assert_eq!(subject.visible("in/a.csv").as_deref(), Some(&b"theirs"[..]));
}

pub fn a_file_is_no_folder_and_a_folder_no_file(subject: &impl Subject) {
    let disk = subject.disk();
    let version = kept(disk, b"x");
    disk.show(version, &path("a/b"), &[]).expect("is shown");
    for taken in ["a/b/c", "a"] {
        let refused = disk.may_show(&path(taken), &[version]);
        assert!(matches!(refused, Err(DiskError::Occupied)), "{taken}");
        let refused = disk.show(version, &path(taken), &[version]);
        assert!(matches!(refused, Err(DiskError::Occupied)), "{taken}");
    }
}

pub fn a_version_that_is_hidden_stays(subject: &impl Subject) {
    let disk = subject.disk();
    let (version, at) = (kept(disk, b"x"), path("a/b.csv"));
    disk.show(version, &at, &[]).expect("is shown");
    disk.hide(&at, &[version]).expect("is hidden");
    assert_eq!(subject.visible("a/b.csv"), None);
    assert_eq!(contents(disk, version), b"x");
    disk.show(version, &at, &[version]).expect("is shown again");
    assert!(subject.visible("a/b.csv").is_some());
}

pub fn a_discarded_stage_is_gone_and_its_version_is_not(subject: &impl Subject) {
    let disk = subject.disk();
    let id = UploadId::generate();
    disk.keep(&sealed(disk, id, b"x")).expect("is kept");
    disk.discard_stage(id).expect("is discarded");
    let gone = disk.resume_stage(id, &Checkpoint::default());
    assert!(matches!(gone, Err(DiskError::Missing)));
    assert_eq!(contents(disk, id), b"x");
}

pub fn bytes_that_are_all_there_become_a_version_at_once(subject: &impl Subject) {
    let (disk, id) = (subject.disk(), UploadId::generate());
    for bytes in [&b"first"[..], b"again"] {
        disk.keep_whole(id, bytes).expect("is kept");
        assert_eq!(contents(disk, id), bytes);
        assert_eq!(disk.unsettled().expect("is read"), [id]);
        assert_eq!(disk.stages().expect("is read"), []);
    }
    disk.show(id, &path("in/a.csv"), &[]).expect("is shown");
    for _ in 0..2 {
        disk.settle(id).expect("is settled");
        assert_eq!(disk.unsettled().expect("is read"), []);
    }
    let committed = disk.keep_whole(id, b"another");
    assert!(matches!(committed, Err(DiskError::Occupied)));
    assert_eq!(subject.visible("in/a.csv").as_deref(), Some(&b"again"[..]));
}

pub fn a_stage_is_read_back_between_two_positions(subject: &impl Subject) {
    let id = UploadId::generate();
    let mut stage = subject.disk().create_stage(id).expect("a stage");
    stage.write(b"0123456789").expect("room");
    let (from, until) = (Offset::new(3), Offset::new(7));
    let mut bytes = Vec::new();
    let mut read = subject
        .disk()
        .read_stage(id, from, until)
        .expect("is there");
    read.read_to_end(&mut bytes).expect("is read");
    assert_eq!(bytes, b"3456");
}

pub fn an_empty_file_is_a_file(subject: &impl Subject) {
    let version = kept(subject.disk(), b"");
    let shown = subject.disk().show(version, &path("empty.csv"), &[]);
    shown.expect("is shown");
    assert_eq!(subject.visible("empty.csv"), Some(Vec::new()));
}

pub fn what_is_there_can_be_listed(subject: &impl Subject) {
    let version = kept(subject.disk(), b"x");
    let stage = UploadId::generate();
    drop(subject.disk().create_stage(stage).expect("a stage"));
    assert_eq!(subject.disk().stages().expect("is read"), [stage]);
    assert_eq!(subject.disk().versions().expect("is read"), [version]);
}

pub fn what_stands_at_a_path_is_told(subject: &impl Subject) {
    let disk = subject.disk();
    let (version, at) = (kept(disk, b"x"), path("in/a.csv"));
    let known = [version];
    assert_eq!(disk.shown(&at, &known), Ok(Shown::Nothing));
    disk.show(version, &at, &known).expect("is shown");
    assert_eq!(disk.shown(&at, &known), Ok(Shown::Version(version)));
    assert_eq!(disk.shown(&at, &[]), Ok(Shown::Other));
    subject.intrude("in/b.csv", b"y");
    assert_eq!(disk.shown(&path("in/b.csv"), &known), Ok(Shown::Other));

    let entries = disk.entries(Some(&path("in"))).expect("is a folder");
    let named: Vec<_> = entries.iter().map(|entry| entry.name.as_os_str()).collect();
    assert_eq!(named, ["a.csv", "b.csv"]);
    let EntryKind::File(facts) = &entries[0].kind else {
        panic!("is a file");
    };
    assert_eq!((facts.length, facts.names), (1, 2));
    assert_eq!(
        disk.examine(version).expect("is read").as_ref(),
        Some(facts)
    );
    assert_eq!(
        disk.entries(Some(&path("none"))).map(drop),
        Err(DiskError::Missing)
    );
}

pub fn a_small_file_is_unsettled_until_it_is_settled(subject: &impl Subject) {
    let disk = subject.disk();
    let id = UploadId::generate();
    disk.keep_whole(id, b"first").expect("is kept");
    // Nobody was told, so that another attempt may bring other bytes.
    disk.keep_whole(id, b"second").expect("is kept");
    assert_eq!(contents(disk, id), b"second");
    assert_eq!(subject.reopened().unsettled(), Ok(vec![id]));
    disk.settle(id).expect("is settled");
    assert_eq!(disk.unsettled(), Ok(vec![]));
    assert_eq!(disk.keep_whole(id, b"third"), Err(DiskError::Occupied));
    assert_eq!(disk.unsettled(), Ok(vec![]));
    assert_eq!(contents(disk, id), b"second");
}

pub fn a_file_that_was_there_before_becomes_a_version_where_it_stands(subject: &impl Subject) {
    let disk = subject.disk();
    subject.intrude("old/a.csv", b"from before");
    let (id, at) = (UploadId::generate(), path("old/a.csv"));
    for _ in 0..2 {
        disk.take_in(id, &at).expect("is taken in");
        assert_eq!(contents(disk, id), b"from before");
        assert_eq!(disk.shown(&at, &[id]), Ok(Shown::Version(id)));
    }
    assert_eq!(disk.unsettled(), Ok(vec![id]));
    disk.settle(id).expect("is settled");
    assert_eq!(
        subject.visible("old/a.csv").as_deref(),
        Some(&b"from before"[..])
    );
    let nothing = disk.take_in(UploadId::generate(), &path("old/none.csv"));
    assert!(nothing.is_err());
}

pub fn a_version_that_is_gone_is_made_of_its_bytes_alone(subject: &impl Subject) {
    let disk = subject.disk();
    let (bytes, at) = (b"what was stored", path("in/a.csv"));
    let (length, sha256) = (bytes.len() as u64, Sha256Digest::of(bytes));
    subject.intrude("in/a.csv", b"something else!");
    let id = UploadId::generate();
    assert_eq!(disk.restore(id, &at, length, sha256), Ok(false));
    subject.intrude("in/a.csv", bytes);
    assert_eq!(disk.restore(id, &at, length + 1, sha256), Ok(false));
    assert_eq!(disk.versions(), Ok(vec![]));
    assert_eq!(disk.restore(id, &at, length, sha256), Ok(true));
    assert_eq!(contents(disk, id), bytes);
    assert_eq!(disk.shown(&at, &[id]), Ok(Shown::Version(id)));
}

pub fn what_nobody_knows_is_set_aside_and_not_removed(subject: &impl Subject) {
    let disk = subject.disk();
    let (strange, own) = (kept(disk, b"strange"), kept(disk, b"own"));
    drop(disk.create_stage(strange).expect("a stage"));
    for _ in 0..2 {
        disk.set_aside(strange).expect("is set aside");
        assert_eq!(disk.versions(), Ok(vec![own]));
        assert_eq!(disk.stages(), Ok(vec![]));
    }
    let aside = format!(".portcullis/aside/{strange}");
    assert_eq!(subject.visible(&aside).as_deref(), Some(&b"strange"[..]));
    assert_eq!(subject.visible(&format!("{aside}.stage")), Some(Vec::new()));
}

pub fn a_disk_that_is_tried_is_as_it_was(subject: &impl Subject) {
    let disk = subject.disk();
    let version = kept(disk, b"x");
    disk.probe().expect("is well");
    assert_eq!(disk.versions().expect("are listed"), [version]);
    assert!(disk.stages().expect("are listed").is_empty());
}

pub fn a_disk_says_how_much_room_it_has(subject: &impl Subject) {
    let space = subject.disk().space().expect("is known");
    assert!(0 < space.free_bytes && space.free_bytes <= space.total_bytes);
}

pub fn sixty_four_versions_of_one_path_never_mix(subject: &impl Subject) {
    let bodies: Vec<Vec<u8>> = (0..64u8).map(|i| vec![i; 4096]).collect();
    let ids: Vec<UploadId> = bodies
        .iter()
        .map(|body| kept(subject.disk(), body))
        .collect();
    std::thread::scope(|scope| {
        for id in &ids {
            scope.spawn(|| {
                // The caller orders the versions of one path; the disk must not mix them when it does not.
                let _ = subject.disk().show(*id, &path("race/a.csv"), &ids);
            });
        }
    });
    let visible = subject.visible("race/a.csv").expect("one of them is shown");
    assert!(bodies.contains(&visible), "a mixture is shown");
}
