use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::parsed::wraps_text;

/// The name of an attribute: 1 to 64 characters of `a-z`, `A-Z`, `0-9`, `_`, `-` and `.`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AttributeName(Box<str>);

/// What an uploader says about an upload, such as `cohort = c1`: untrusted text of bounded length, each
/// name once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "BTreeMap<String, String>")]
pub struct Attributes(BTreeMap<AttributeName, Box<str>>);

/// Why something cannot be an attribute. The messages name the field, never its value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAttribute {
    /// The name is empty, too long or has other characters.
    #[error("the name of a field must be 1 to 64 characters of a-z, A-Z, 0-9, `_`, `-` and `.`")]
    Name,
    /// The value is too long.
    #[error("the value of `{0}` is over {max} bytes; shorten it", max = Attributes::MAX_VALUE_BYTES)]
    ValueTooLong(AttributeName),
    /// The value has a control character.
    #[error("the value of `{0}` has a control character; remove it")]
    ControlCharacter(AttributeName),
    /// The name has come before.
    #[error("`{0}` was sent twice; send it once")]
    Repeated(AttributeName),
    /// More than [`Attributes::MAX`].
    #[error("there are over {max} fields; send fewer", max = Attributes::MAX)]
    TooMany,
}

impl AttributeName {
    /// The longest name in bytes.
    pub const MAX_BYTES: usize = 64;
}

impl FromStr for AttributeName {
    type Err = InvalidAttribute;

    fn from_str(text: &str) -> Result<Self, InvalidAttribute> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.');
        let fits = (1..=Self::MAX_BYTES).contains(&text.len());
        if fits && text.bytes().all(allowed) {
            Ok(Self(text.into()))
        } else {
            Err(InvalidAttribute::Name)
        }
    }
}

wraps_text!(AttributeName, InvalidAttribute);

/// A name is looked up by its text: it is ordered and compared as that.
impl Borrow<str> for AttributeName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl Attributes {
    /// The most attributes of one upload.
    pub const MAX: usize = 64;
    /// The longest value in bytes of UTF-8.
    pub const MAX_VALUE_BYTES: usize = 1024;

    /// Adds one.
    pub fn insert(&mut self, name: &str, value: &str) -> Result<(), InvalidAttribute> {
        let name: AttributeName = name.parse()?;
        if value.len() > Self::MAX_VALUE_BYTES {
            return Err(InvalidAttribute::ValueTooLong(name));
        }
        if value.chars().any(char::is_control) {
            return Err(InvalidAttribute::ControlCharacter(name));
        }
        if self.0.contains_key(&name) {
            return Err(InvalidAttribute::Repeated(name));
        }
        if self.0.len() == Self::MAX {
            return Err(InvalidAttribute::TooMany);
        }
        self.0.insert(name, value.into());
        Ok(())
    }

    /// The value of an attribute.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(AsRef::as_ref)
    }

    /// All of them, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_ref()))
    }
}

impl TryFrom<BTreeMap<String, String>> for Attributes {
    type Error = InvalidAttribute;

    fn try_from(pairs: BTreeMap<String, String>) -> Result<Self, InvalidAttribute> {
        let mut attributes = Self::default();
        for (name, value) in &pairs {
            attributes.insert(name, value)?;
        }
        Ok(attributes)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn each_fault_is_named_and_no_value_is_repeated() {
        let mut attributes = Attributes::default();
        assert_eq!(attributes.insert("cohort", "c1"), Ok(()));
        for (name, value, says) in [
            ("cohort", "secret", "`cohort` was sent twice"),
            ("", "secret", "the name of a field"),
            ("a b", "secret", "the name of a field"),
            ("a", "secret\0", "the value of `a` has a control character"),
            (
                "a",
                &"secret".repeat(200),
                "the value of `a` is over 1024 bytes",
            ),
        ] {
            let error = attributes.insert(name, value).expect_err("is refused");
            let error = error.to_string();
            assert!(
                error.starts_with(says) && !error.contains("secret"),
                "{error}"
            );
        }
        assert_eq!(attributes.get("cohort"), Some("c1"));
    }

    #[test]
    fn their_number_is_bounded() {
        let mut attributes = Attributes::default();
        for i in 0..Attributes::MAX {
            attributes.insert(&format!("a{i}"), "").expect("fits");
        }
        assert_eq!(
            attributes.insert("more", ""),
            Err(InvalidAttribute::TooMany)
        );
    }

    proptest! {
        #[test]
        fn whatever_is_taken_survives_its_json(pairs in proptest::collection::vec(("[a-z. ]{0,3}", "\\PC{0,8}|\\n"), 0..6)) {
            let mut attributes = Attributes::default();
            for (name, value) in &pairs {
                if attributes.insert(name, value).is_ok() {
                    prop_assert_eq!(attributes.get(name), Some(value.as_str()));
                }
            }
            let json = serde_json::to_string(&attributes).expect("is JSON");
            prop_assert_eq!(serde_json::from_str::<Attributes>(&json).ok(), Some(attributes));
        }
    }
}
