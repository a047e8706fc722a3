use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::parsed::wraps_text;

/// The name of a configured disk: 1 to 64 characters of `a-z`, `0-9`, `_` and `-`, starting with a
/// letter or digit.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DiskName(Box<str>);

/// The text cannot name a disk.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a disk name is 1 to 64 characters of a-z, 0-9, `_` and `-`, starting with a letter or digit"
)]
pub struct InvalidDiskName;

impl DiskName {
    /// The longest name in bytes.
    pub const MAX_BYTES: usize = 64;
}

impl FromStr for DiskName {
    type Err = InvalidDiskName;

    fn from_str(text: &str) -> Result<Self, InvalidDiskName> {
        let allowed =
            |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-';
        let starts_well = text
            .as_bytes()
            .first()
            .is_some_and(u8::is_ascii_alphanumeric);
        let fits = text.len() <= Self::MAX_BYTES;
        if starts_well && fits && text.bytes().all(allowed) {
            Ok(Self(text.into()))
        } else {
            Err(InvalidDiskName)
        }
    }
}

wraps_text!(DiskName, InvalidDiskName);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_names_are_taken_and_tricks_refused() {
        assert!("local".parse::<DiskName>().is_ok());
        assert!("nas-2_b".parse::<DiskName>().is_ok());
        for text in [
            "",
            "-x",
            "..",
            "a/b",
            "Local",
            "näs",
            "a b",
            &"x".repeat(65),
        ] {
            assert_eq!(text.parse::<DiskName>(), Err(InvalidDiskName), "{text}");
        }
    }
}
