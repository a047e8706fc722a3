use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::parsed::conversions_from_text;

/// The SHA-256 digest (FIPS 180-4) of some bytes, written as 64 lower-case hexadecimal characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Sha256Digest([u8; 32]);

/// The text is not a SHA-256 digest.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a SHA-256 digest is 64 hexadecimal characters")]
pub struct InvalidDigest;

impl Sha256Digest {
    /// The digest of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// The 32 bytes of the digest.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// A digest being made of bytes as they pass.
#[derive(Clone, Debug, Default)]
pub struct Sha256Hasher(Sha256);

impl Sha256Hasher {
    /// Takes in the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The digest of the bytes taken in so far.
    pub fn digest(&self) -> Sha256Digest {
        self.clone().finish()
    }

    /// The digest of all bytes taken in.
    pub fn finish(self) -> Sha256Digest {
        Sha256Digest(self.0.finalize().into())
    }
}

impl FromStr for Sha256Digest {
    type Err = InvalidDigest;

    fn from_str(text: &str) -> Result<Self, InvalidDigest> {
        let mut digest = [0; 32];
        hex::decode_to_slice(text, &mut digest).map_err(|_| InvalidDigest)?;
        Ok(Self(digest))
    }
}

conversions_from_text!(Sha256Digest, InvalidDigest);

impl fmt::Display for Sha256Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    // FIPS 180-4's example: the digest of "abc".
    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    #[test]
    fn pieces_hash_like_the_whole() {
        let mut hasher = Sha256Hasher::default();
        hasher.update(b"a");
        hasher.update(b"bc");
        assert_eq!(hasher.finish(), Sha256Digest::of(b"abc"));
        assert_eq!(Sha256Digest::of(b"abc").to_string(), ABC);
    }

    #[test]
    fn text_of_another_length_or_alphabet_is_refused() {
        assert_eq!(ABC.parse(), Ok(Sha256Digest::of(b"abc")));
        for text in ["", "ba78", &ABC.replace('b', "g")] {
            assert_eq!(text.parse::<Sha256Digest>(), Err(InvalidDigest));
        }
    }

    proptest! {
        #[test]
        fn a_digest_survives_its_text_and_any_cut(bytes in any::<Vec<u8>>(), cut in any::<proptest::sample::Index>()) {
            let digest = Sha256Digest::of(&bytes);
            prop_assert_eq!(digest.to_string().parse(), Ok(digest));
            let cut = cut.index(bytes.len() + 1);
            let mut hasher = Sha256Hasher::default();
            hasher.update(&bytes[..cut]);
            hasher.update(&bytes[cut..]);
            prop_assert_eq!(hasher.finish(), digest);
        }
    }
}
