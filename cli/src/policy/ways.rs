//! The ways in which a case is run: the bytes are the same, and only where they are cut and whether the upload
//! pauses there differs. A policy must say the same each time.

use portcullis_engine::Cuts;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// How many times a body is cut at random places.
const RANDOM: u64 = 8;
/// The most places at which it is cut then.
const MAX_RANDOM_CUTS: usize = 64;
/// The most bytes that come one by one; of a longer body those at both ends do.
const MAX_SINGLE_BYTES: usize = 32 << 10;
/// The most pauses of one upload: each needs an instance.
const MAX_PAUSES: usize = 512;

/// One of them.
pub(crate) struct Way {
    pub(crate) name: String,
    pub(crate) cuts: Cuts,
    pub(crate) pauses: bool,
}

/// All ways for a body of so many bytes; the first one is whole.
pub(crate) fn all(length: usize, seed: u64) -> Vec<Way> {
    let mut ways = vec![Way {
        name: "whole".to_owned(),
        cuts: Cuts::LONGEST,
        pauses: false,
    }];
    if length < 2 {
        return ways;
    }
    ways.push(Way {
        name: if length <= MAX_SINGLE_BYTES {
            "byte by byte".to_owned()
        } else {
            format!("byte by byte, {} KiB at each end", MAX_SINGLE_BYTES / 2048)
        },
        cuts: single_bytes(length, MAX_SINGLE_BYTES),
        pauses: false,
    });
    for seed in seed..seed.saturating_add(RANDOM) {
        ways.push(Way {
            name: format!("cut at random, seed {seed}"),
            cuts: random(length, MAX_RANDOM_CUTS, seed),
            pauses: false,
        });
    }
    let (name, cuts) = if length <= MAX_PAUSES {
        ("paused after each byte".to_owned(), Cuts::Every(1))
    } else {
        let cuts = random(length, MAX_PAUSES, seed);
        (format!("paused at {MAX_PAUSES} places, seed {seed}"), cuts)
    };
    ways.push(Way {
        name,
        cuts,
        pauses: true,
    });
    ways
}

/// Cuts around every byte, or around so many at both ends together.
fn single_bytes(length: usize, most: usize) -> Cuts {
    if length <= most {
        return Cuts::Every(1);
    }
    let (start, end) = (most / 2, length - most / 2);
    let offsets = (0..start).chain(end..length);
    Cuts::At(offsets.map(|offset| offset as u64).collect())
}

fn random(length: usize, most: usize, seed: u64) -> Cuts {
    let mut dice = StdRng::seed_from_u64(seed);
    let count = dice.random_range(1..=most);
    let cuts = (0..count).map(|_| dice.random_range(0..length) as u64);
    let mut cuts: Vec<_> = cuts.collect();
    cuts.sort_unstable();
    cuts.dedup();
    Cuts::At(cuts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_cuts_the_same_places_again() {
        assert_eq!(random(1_000, 64, 7), random(1_000, 64, 7));
        assert_ne!(random(1_000, 64, 7), random(1_000, 64, 8));
    }

    #[test]
    fn long_bodies_are_cut_finely_at_both_ends_only() {
        assert_eq!(single_bytes(5, 8), Cuts::Every(1));
        let ends = Cuts::At(vec![0, 1, 18, 19]);
        assert_eq!(single_bytes(20, 4), ends);
    }

    #[test]
    fn a_body_that_cannot_be_cut_is_run_once() {
        assert_eq!(all(1, 0).len(), 1);
        let names: Vec<_> = all(100, 3).into_iter().map(|way| way.name).collect();
        assert_eq!(names.len(), 11);
        assert_eq!(names[2], "cut at random, seed 3");
    }
}
