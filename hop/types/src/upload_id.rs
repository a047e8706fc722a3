use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::parsed::conversions_from_text;
use crate::{Clock, Timestamp};

/// The identifier of one upload on both sides: when it was made, 48 bits of milliseconds since 1970, and 80 random bits,
/// written as 32 lower-case hexadecimal characters. It cannot be guessed, and says nothing else about the upload. Ids
/// that are made one after the other stand beside each other in every index (decision 008).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct UploadId([u8; 16]);

/// The text is not an upload id in its one spelling.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an upload id is 32 hexadecimal characters in lower case")]
pub struct InvalidUploadId;

impl UploadId {
    /// A new id that no other upload has.
    ///
    /// # Panics
    /// Where the operating system has no random numbers to give: nothing can be done safely then.
    pub fn generate() -> Self {
        Self::made(Clock::system().now())
    }

    fn made(at: Timestamp) -> Self {
        let mut bits = [0; 16];
        let (time, random) = bits.split_at_mut(6);
        // Of the 64 bits the upper 16 are 0 until the year 10889.
        time.copy_from_slice(&at.as_ms().to_be_bytes()[2..]);
        getrandom::fill(random).expect("the operating system gives random numbers");
        Self(bits)
    }

    /// The id with these bits, for an upload that is to be found again by what it is made of.
    pub fn from_bits(bits: [u8; 16]) -> Self {
        Self(bits)
    }

    /// The 128 bits of the id.
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl FromStr for UploadId {
    type Err = InvalidUploadId;

    fn from_str(text: &str) -> Result<Self, InvalidUploadId> {
        let mut bits = [0; 16];
        hex::decode_to_slice(text, &mut bits).map_err(|_| InvalidUploadId)?;
        // One id has one spelling: it is compared as text in paths, rows and logs.
        let canonical = !text.bytes().any(|b| b.is_ascii_uppercase());
        canonical.then_some(Self(bits)).ok_or(InvalidUploadId)
    }
}

impl fmt::Display for UploadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

conversions_from_text!(UploadId, InvalidUploadId);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn two_ids_are_two() {
        let now = Clock::system().now();
        assert_ne!(UploadId::made(now), UploadId::made(now));
    }

    #[test]
    fn ids_are_in_the_order_of_their_moments() {
        let made = |ms| UploadId::made(Timestamp::from_ms(ms).expect("is a moment"));
        let moments = [0, 1, 255, 256, 1_795_788_168_000, 1_795_788_168_001];
        let ids = moments.map(made);
        assert!(ids.is_sorted(), "{ids:?}");
        assert!(ids.map(|id| id.to_string()).is_sorted());
        assert!(UploadId::generate() > ids[5]);
    }

    #[test]
    fn other_spellings_are_refused() {
        let upper = "0190B7A27C3E70008000000000000000";
        assert!(upper.to_lowercase().parse::<UploadId>().is_ok());
        for text in [
            "",
            "0190",
            "../../etc/passwd",
            upper,
            "0190b7a2-7c3e-7000-8000-000000000000",
        ] {
            assert_eq!(text.parse::<UploadId>(), Err(InvalidUploadId), "{text}");
        }
    }

    proptest! {
        #[test]
        fn an_id_survives_its_text(bits in any::<[u8; 16]>()) {
            let id = UploadId(bits);
            prop_assert_eq!(id.to_string().parse(), Ok(id));
        }

        #[test]
        fn whatever_is_taken_is_written_the_same(text in "[0-9a-fA-F]{30,34}|\\PC{0,40}") {
            if let Ok(id) = text.parse::<UploadId>() {
                prop_assert_eq!(id.to_string(), text);
            }
        }
    }
}
