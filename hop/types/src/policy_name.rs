use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::parsed::wraps_text;

/// The name of a policy in its set: kebab-case, 1 to 64 characters, a letter first. It labels spans and
/// metrics, so it comes from the administrator and never from an upload.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PolicyName(Box<str>);

/// The text cannot name a policy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a policy's name is 1 to 64 characters of a-z, 0-9 and `-`, starting with a letter")]
pub struct InvalidPolicyName;

impl PolicyName {
    /// The longest name in bytes.
    pub const MAX_BYTES: usize = 64;
}

impl FromStr for PolicyName {
    type Err = InvalidPolicyName;

    fn from_str(text: &str) -> Result<Self, InvalidPolicyName> {
        if is_kebab_case(text, Self::MAX_BYTES) {
            Ok(Self(text.into()))
        } else {
            Err(InvalidPolicyName)
        }
    }
}

wraps_text!(PolicyName, InvalidPolicyName);

/// Letters in lower case, digits and `-`, a letter first, at least one and at most so many bytes.
pub(crate) fn is_kebab_case(text: &str, most: usize) -> bool {
    let starts_well = text.as_bytes().first().is_some_and(u8::is_ascii_lowercase);
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    starts_well && text.len() <= most && text.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kebab_case_alone_is_a_name() {
        assert!("csv-schema".parse::<PolicyName>().is_ok());
        for text in ["", "-a", "1a", "A", "a_b", "a b", &"a".repeat(65)] {
            assert_eq!(text.parse::<PolicyName>(), Err(InvalidPolicyName), "{text}");
        }
    }
}
