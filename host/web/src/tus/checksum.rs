//! Checksums of the body of one request (tus 1.0, extensions `checksum` and `checksum-trailer`).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use portcullis_hop::Problem;
use sha1::{Digest as _, Sha1};
use sha2::{Digest as _, Sha256, Sha384, Sha512};

use super::header::{self, bad};
use crate::linger::Trailers;

/// The names of those that we know, as the header lists them.
pub(crate) const ALGORITHMS: &str = "sha1,sha256,sha384,sha512";

/// The checksum that a body is to have, and the body so far.
pub(crate) struct Checksum {
    hashers: Vec<Hasher>,
    expected: Expected,
}

/// What it is to be.
enum Expected {
    /// It was told before the body.
    Told(Claim),
    /// It comes behind the body, and until then it is not known which one it will be.
    Behind(Trailers),
}

/// An algorithm and the checksum that a body has by it.
struct Claim {
    algorithm: Algorithm,
    sum: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Algorithm {
    Sha1,
    Sha256,
    Sha384,
    Sha512,
}

enum Hasher {
    Sha1(Sha1),
    Sha256(Sha256),
    Sha384(Sha384),
    Sha512(Sha512),
}

impl Checksum {
    /// What stands in the header: the name of an algorithm, and the checksum in base64.
    pub(crate) fn parse(text: &str) -> Result<Self, Problem> {
        let claim = Claim::parse(text)?;
        Ok(Self {
            hashers: vec![claim.algorithm.hasher()],
            expected: Expected::Told(claim),
        })
    }

    /// One that comes behind the body.
    pub(crate) fn behind(trailers: Trailers) -> Self {
        Self {
            hashers: Algorithm::ALL.map(Algorithm::hasher).into(),
            expected: Expected::Behind(trailers),
        }
    }

    /// Takes the next bytes in.
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        for hasher in &mut self.hashers {
            match hasher {
                Hasher::Sha1(hasher) => hasher.update(bytes),
                Hasher::Sha256(hasher) => hasher.update(bytes),
                Hasher::Sha384(hasher) => hasher.update(bytes),
                Hasher::Sha512(hasher) => hasher.update(bytes),
            }
        }
    }

    /// Whether all bytes together have it. The body has come to its end.
    pub(crate) fn agrees(self) -> Result<bool, Problem> {
        let claim = match self.expected {
            Expected::Told(claim) => claim,
            Expected::Behind(trailers) => {
                let claim = trailers.get().map(header::checksum_text).transpose()?;
                let text = claim.flatten().ok_or_else(|| {
                    bad("The request announces `Upload-Checksum` behind its bytes, and none came, so none of them is kept; send them again with it.")
                })?;
                Claim::parse(text)?
            }
        };
        let found = self.hashers.into_iter().find_map(|hasher| match hasher {
            Hasher::Sha1(hasher) if claim.algorithm == Algorithm::Sha1 => {
                Some(hasher.finalize().to_vec())
            }
            Hasher::Sha256(hasher) if claim.algorithm == Algorithm::Sha256 => {
                Some(hasher.finalize().to_vec())
            }
            Hasher::Sha384(hasher) if claim.algorithm == Algorithm::Sha384 => {
                Some(hasher.finalize().to_vec())
            }
            Hasher::Sha512(hasher) if claim.algorithm == Algorithm::Sha512 => {
                Some(hasher.finalize().to_vec())
            }
            _ => None,
        });
        Ok(found.is_some_and(|found| found == claim.sum))
    }
}

impl Claim {
    fn parse(text: &str) -> Result<Self, Problem> {
        let (name, encoded) = text.split_once(' ').unwrap_or((text, ""));
        let algorithm = Algorithm::of(name).ok_or_else(|| {
            bad(&format!(
                "The algorithm of `Upload-Checksum` is not known here; use one of {ALGORITHMS}."
            ))
        })?;
        let sum = STANDARD.decode(encoded.trim()).ok();
        let sum = sum.filter(|sum| sum.len() == algorithm.size());
        let sum = sum.ok_or_else(|| {
            bad("`Upload-Checksum` is not a checksum of its algorithm in base64; send it as `sha256 n4bQ...`.")
        })?;
        Ok(Self { algorithm, sum })
    }
}

impl Algorithm {
    const ALL: [Self; 4] = [Self::Sha1, Self::Sha256, Self::Sha384, Self::Sha512];

    fn of(name: &str) -> Option<Self> {
        let mut names = ALGORITHMS.split(',').zip(Self::ALL);
        names.find_map(|(known, algorithm)| known.eq_ignore_ascii_case(name).then_some(algorithm))
    }

    fn hasher(self) -> Hasher {
        match self {
            Self::Sha1 => Hasher::Sha1(Sha1::new()),
            Self::Sha256 => Hasher::Sha256(Sha256::new()),
            Self::Sha384 => Hasher::Sha384(Sha384::new()),
            Self::Sha512 => Hasher::Sha512(Sha512::new()),
        }
    }

    /// The length of a checksum in bytes.
    fn size(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// "hello world": the protocol's example of SHA-1, and the same of the others (FIPS 180-4).
    const EXAMPLES: [&str; 4] = [
        "sha1 Kq5sNclPz7QV2+lfQIuc6R7oRu0=",
        "sha256 uU0nuZNNPgilLlLX2n2r+sSE7+N6U4DukIj3rOLvzek=",
        "sha384 /b2OdaZ/KfcBpOBAOF4uI5hjA+oQI5IRr5B/y7g1eLPkF8txzmRu/QgZ3YwIjeG9",
        "sha512 MJ7MSJwS1utMxA9QyQLytNDtd+5RGnx6m808qG1M2G+YndNbxf9JlnDaNCVbRbDP2DDoH2Bdz33FVC6TrpzXbw==",
    ];

    #[test]
    fn each_algorithm_knows_its_bytes_from_others_however_they_are_cut() {
        let names: Vec<&str> = ALGORITHMS.split(',').collect();
        assert_eq!(names.len(), EXAMPLES.len());
        for (name, example) in names.into_iter().zip(EXAMPLES) {
            assert!(example.starts_with(&format!("{name} ")));
            let of = |pieces: &[&[u8]]| {
                let mut checksum = Checksum::parse(example).expect("is one");
                for piece in pieces {
                    checksum.update(piece);
                }
                checksum.agrees().expect("was told")
            };
            let whole = of(&[b"hello world"]) && of(&[b"hello", b"", b" world"]);
            assert!(whole && !of(&[b"hello worlt"]) && !of(&[]), "{name}");
        }
    }

    #[test]
    fn the_case_of_an_algorithm_does_not_matter() {
        for example in EXAMPLES {
            let (name, sum) = example.split_once(' ').expect("has a space");
            let written = format!("{}  {sum}", name.to_uppercase());
            let mut checksum = Checksum::parse(&written).expect("is one");
            checksum.update(b"hello world");
            assert!(checksum.agrees().expect("was told"), "{written}");
        }
    }

    #[test]
    fn what_is_no_checksum_is_refused() {
        for text in [
            "",
            "sha1",
            "sha1 ",
            "sha1 !",
            "crc32 AAAAAA==",
            "sha256 Kq5sNclPz7QV2+lfQIuc6R7oRu0=",
        ] {
            assert!(Checksum::parse(text).is_err(), "{text}");
        }
    }
}
