use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::digest::common::hazmat::SerializableState;
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

    /// The digest with these 32 bytes.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes of the digest.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// A digest being made of bytes as they pass. Its state can be stored, so that hashing goes on after a
/// restart where it was.
#[derive(Clone, Debug, Default)]
pub struct Sha256Hasher(Sha256);

/// What a stored state begins with: the algorithm and the format of the state. A state with another tag is
/// not known, and the bytes are hashed anew.
const STATE_TAG: &[u8] = b"sha256:sha2-0.11:";

impl Sha256Hasher {
    /// Takes in the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The state after the bytes taken in so far, tagged with its format: 121 bytes. It holds up to the last
    /// 63 bytes of the data.
    pub fn state(&self) -> Vec<u8> {
        [STATE_TAG, &self.0.serialize()].concat()
    }

    /// The hasher whose state this was. Absent when the state is in a format that is not known.
    pub fn from_state(state: &[u8]) -> Option<Self> {
        let state = state.strip_prefix(STATE_TAG)?.try_into().ok()?;
        Sha256::deserialize(state).ok().map(Self)
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

    #[test]
    fn a_state_of_another_format_is_not_known() {
        assert!(Sha256Hasher::from_state(b"").is_none());
        assert!(Sha256Hasher::from_state(&[0; 121]).is_none());
        let state = Sha256Hasher::default().state();
        assert_eq!(state.len(), 121);
        assert!(Sha256Hasher::from_state(&state[..120]).is_none());
    }

    proptest! {
        #[test]
        fn a_digest_survives_its_text_and_any_cut(bytes in any::<Vec<u8>>(), cut in any::<proptest::sample::Index>()) {
            let digest = Sha256Digest::of(&bytes);
            prop_assert_eq!(digest.to_string().parse(), Ok(digest));
            let cut = cut.index(bytes.len() + 1);
            let mut hasher = Sha256Hasher::default();
            hasher.update(&bytes[..cut]);
            let mut hasher = Sha256Hasher::from_state(&hasher.state()).expect("is known");
            hasher.update(&bytes[cut..]);
            prop_assert_eq!(hasher.finish(), digest);
        }
    }
}
