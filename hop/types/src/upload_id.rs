use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::parsed::conversions_from_text;

/// The identifier of one upload on both sides: 128 random bits, written as 32 lower-case hexadecimal
/// characters. It cannot be guessed and says nothing about the upload.
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
        let mut bits = [0; 16];
        getrandom::fill(&mut bits).expect("the operating system gives random numbers");
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
        assert_ne!(UploadId::generate(), UploadId::generate());
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
