//! Checksums of the body of one request (tus 1.0, extension `checksum`).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use portcullis_hop::Problem;
use sha1::{Digest as _, Sha1};
use sha2::{Digest as _, Sha256, Sha384, Sha512};

use super::header::bad;

/// The names of those that we know, as the header lists them.
pub(crate) const ALGORITHMS: &str = "sha1,sha256,sha384,sha512";

/// The checksum that a body is to have, and the body so far.
#[derive(Clone, Debug)]
pub(crate) struct Checksum {
    hasher: Hasher,
    expected: Vec<u8>,
}

#[derive(Clone, Debug)]
enum Hasher {
    Sha1(Sha1),
    Sha256(Sha256),
    Sha384(Sha384),
    Sha512(Sha512),
}

impl Checksum {
    /// What stands in the header: the name of an algorithm, and the checksum in base64.
    pub(crate) fn parse(text: &str) -> Result<Self, Problem> {
        let (name, encoded) = text.split_once(' ').unwrap_or((text, ""));
        let hasher = Hasher::of(name).ok_or_else(|| {
            bad(&format!(
                "The algorithm of `Upload-Checksum` is not known here; use one of {ALGORITHMS}."
            ))
        })?;
        let expected = STANDARD.decode(encoded.trim()).ok();
        let expected = expected.filter(|bytes| bytes.len() == hasher.size());
        let expected = expected.ok_or_else(|| {
            bad("`Upload-Checksum` is not a checksum of its algorithm in base64; send it as `sha256 n4bQ...`.")
        })?;
        Ok(Self { hasher, expected })
    }

    /// Takes the next bytes in.
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        match &mut self.hasher {
            Hasher::Sha1(hasher) => hasher.update(bytes),
            Hasher::Sha256(hasher) => hasher.update(bytes),
            Hasher::Sha384(hasher) => hasher.update(bytes),
            Hasher::Sha512(hasher) => hasher.update(bytes),
        }
    }

    /// Whether all bytes together have it.
    pub(crate) fn agrees(self) -> bool {
        let found = match self.hasher {
            Hasher::Sha1(hasher) => hasher.finalize().to_vec(),
            Hasher::Sha256(hasher) => hasher.finalize().to_vec(),
            Hasher::Sha384(hasher) => hasher.finalize().to_vec(),
            Hasher::Sha512(hasher) => hasher.finalize().to_vec(),
        };
        found == self.expected
    }
}

impl Hasher {
    fn of(name: &str) -> Option<Self> {
        Some(match name {
            "sha1" => Self::Sha1(Sha1::new()),
            "sha256" => Self::Sha256(Sha256::new()),
            "sha384" => Self::Sha384(Sha384::new()),
            "sha512" => Self::Sha512(Sha512::new()),
            _ => return None,
        })
    }

    /// The length of a checksum in bytes.
    fn size(&self) -> usize {
        match self {
            Self::Sha1(_) => 20,
            Self::Sha256(_) => 32,
            Self::Sha384(_) => 48,
            Self::Sha512(_) => 64,
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
                checksum.agrees()
            };
            assert!(
                of(&[b"hello world"]) && of(&[b"hello", b"", b" world"]),
                "{name}"
            );
            assert!(!of(&[b"hello worlt"]) && !of(&[]), "{name}");
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
