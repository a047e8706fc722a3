//! Archives with random damage: whatever comes, there is a verdict, and it does not depend on how it was cut.

use std::fs;
use std::path::Path;

use portcullis_archive_guard::ArchiveGuard;
use portcullis_policy::testing::{self, Outcome};
use proptest::prelude::*;

/// The bodies of all fixtures.
fn archives() -> Vec<Vec<u8>> {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    let cases = fs::read_dir(fixtures).expect("there are fixtures");
    let files =
        cases.flat_map(|case| fs::read_dir(case.expect("is there").path()).expect("is a case"));
    let files = files.map(|file| file.expect("is there").path());
    let bodies = files.filter(|path| {
        path.file_stem()
            .is_some_and(|stem| stem.to_string_lossy().starts_with("body"))
    });
    let mut bodies: Vec<_> = bodies
        .map(|path| fs::read(path).expect("is read"))
        .collect();
    bodies.sort();
    assert!(bodies.len() > 20, "{} bodies", bodies.len());
    bodies
}

#[derive(Clone, Debug)]
enum Damage {
    Set(prop::sample::Index, u8),
    Cut(prop::sample::Index),
    Repeat(prop::sample::Index, prop::sample::Index),
}

fn damage() -> impl Strategy<Value = Damage> {
    let index = any::<prop::sample::Index>;
    prop_oneof![
        6 => (index(), any::<u8>()).prop_map(|(at, byte)| Damage::Set(at, byte)),
        1 => index().prop_map(Damage::Cut),
        1 => (index(), index()).prop_map(|(from, to)| Damage::Repeat(from, to)),
    ]
}

fn damaged(mut body: Vec<u8>, damages: &[Damage]) -> Vec<u8> {
    for damage in damages {
        if body.is_empty() {
            break;
        }
        match damage {
            Damage::Set(at, byte) => {
                let at = at.index(body.len());
                body[at] = *byte;
            }
            Damage::Cut(at) => body.truncate(at.index(body.len())),
            Damage::Repeat(from, to) => {
                let (from, to) = (from.index(body.len()), to.index(body.len()));
                let piece = body[from.min(to)..from.max(to)].to_vec();
                body.extend(piece);
            }
        }
    }
    body
}

fn judge(body: &[u8], chunk_bytes: usize) -> Outcome {
    let mut policy: ArchiveGuard = testing::configure("{}").expect("needs no settings");
    let upload = testing::upload("archive");
    testing::run_in_chunks(&mut policy, &upload, body, chunk_bytes).expect("can be judged")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn damage_has_a_verdict_however_it_is_cut(
        which: prop::sample::Index,
        damages in prop::collection::vec(damage(), 0..6),
        chunk_bytes in 1usize..5_000,
    ) {
        let archives = archives();
        let body = damaged(which.get(&archives).clone(), &damages);
        prop_assert_eq!(judge(&body, 65_536), judge(&body, chunk_bytes));
    }
}
