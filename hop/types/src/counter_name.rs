use std::borrow::Borrow;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::parsed::wraps_text;
use crate::policy_name::is_kebab_case;

/// The name of something that a policy counts: kebab-case, 1 to 40 characters, a letter first. It labels metrics and spans, so it
/// is fixed in the component and said before any upload comes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CounterName(Box<str>);

/// The text cannot name a counter.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a counter's name is 1 to 40 characters of a-z, 0-9 and `-`, starting with a letter")]
pub struct InvalidCounterName;

impl CounterName {
    /// The longest name in bytes.
    pub const MAX_BYTES: usize = 40;
}

impl FromStr for CounterName {
    type Err = InvalidCounterName;

    fn from_str(text: &str) -> Result<Self, InvalidCounterName> {
        if is_kebab_case(text, Self::MAX_BYTES) {
            Ok(Self(text.into()))
        } else {
            Err(InvalidCounterName)
        }
    }
}

wraps_text!(CounterName, InvalidCounterName);

/// Names are compared as their texts are.
impl Borrow<str> for CounterName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kebab_case_alone_is_a_name() {
        assert!("rows-read".parse::<CounterName>().is_ok());
        for text in ["", "-a", "A", "Jane Doe", "a_b", &"a".repeat(41)] {
            assert_eq!(
                text.parse::<CounterName>(),
                Err(InvalidCounterName),
                "{text}"
            );
        }
    }
}
