use serde::{Deserialize, Serialize};

/// Who does something: on every call over the hop and on every row of the catalog.
///
/// Subject and groups are 1 to 128 characters without control characters; groups are sorted and distinct.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Unchecked")]
pub struct Principal {
    subject: Box<str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    groups: Vec<Box<str>>,
}

/// Why something cannot be a principal.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPrincipal {
    /// The subject is empty, too long or has a control character.
    #[error("a subject is 1 to {max} bytes without control characters", max = Principal::MAX_NAME_BYTES)]
    Subject,
    /// A group is empty, too long or has a control character.
    #[error("a group is 1 to {max} bytes without control characters", max = Principal::MAX_NAME_BYTES)]
    Group,
    /// Over [`Principal::MAX_GROUPS`].
    #[error("a principal has at most {max} groups", max = Principal::MAX_GROUPS)]
    TooManyGroups,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Unchecked {
    subject: String,
    #[serde(default)]
    groups: Vec<String>,
}

impl Principal {
    /// The longest subject or group in bytes of UTF-8.
    pub const MAX_NAME_BYTES: usize = 128;
    /// The most groups.
    pub const MAX_GROUPS: usize = 64;
    /// The subject of an upload without a token, where that is allowed. No token can have it: its name
    /// begins with a character that subjects of tokens do not have.
    const ANONYMOUS: &str = "(anonymous)";

    /// A person or program by name, with the groups it belongs to.
    pub fn new<G: AsRef<str>>(
        subject: &str,
        groups: impl IntoIterator<Item = G>,
    ) -> Result<Self, InvalidPrincipal> {
        if !is_name(subject) || subject.starts_with('(') && subject != Self::ANONYMOUS {
            return Err(InvalidPrincipal::Subject);
        }
        let mut own = Vec::new();
        for group in groups {
            let group = group.as_ref();
            if !is_name(group) {
                return Err(InvalidPrincipal::Group);
            }
            if own.len() == Self::MAX_GROUPS {
                return Err(InvalidPrincipal::TooManyGroups);
            }
            own.push(Box::from(group));
        }
        own.sort_unstable();
        own.dedup();
        Ok(Self {
            subject: subject.into(),
            groups: own,
        })
    }

    /// Nobody in particular.
    pub fn anonymous() -> Self {
        Self {
            subject: Self::ANONYMOUS.into(),
            groups: Vec::new(),
        }
    }

    /// Whether this is nobody in particular.
    pub fn is_anonymous(&self) -> bool {
        *self.subject == *Self::ANONYMOUS
    }

    /// The stable name of the account or token.
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// The groups it belongs to, sorted, each once.
    pub fn groups(&self) -> impl Iterator<Item = &str> {
        self.groups.iter().map(AsRef::as_ref)
    }
}

fn is_name(text: &str) -> bool {
    (1..=Principal::MAX_NAME_BYTES).contains(&text.len()) && !text.chars().any(char::is_control)
}

impl TryFrom<Unchecked> for Principal {
    type Error = InvalidPrincipal;

    fn try_from(Unchecked { subject, groups }: Unchecked) -> Result<Self, InvalidPrincipal> {
        Self::new(&subject, groups)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn nobody_can_take_the_name_of_nobody() {
        assert!(Principal::anonymous().is_anonymous());
        let own: Principal = Principal::new("site-7", ["b", "a", "b"]).expect("is valid");
        assert!(!own.is_anonymous());
        assert_eq!(own.groups().collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(
            Principal::new("(root)", [""; 0]),
            Err(InvalidPrincipal::Subject)
        );
    }

    #[test]
    fn names_are_bounded_and_printable() {
        for subject in ["", "a\nb", &"x".repeat(129)] {
            assert_eq!(
                Principal::new(subject, [""; 0]),
                Err(InvalidPrincipal::Subject)
            );
        }
        assert_eq!(Principal::new("a", [""]), Err(InvalidPrincipal::Group));
        let many = (0..65).map(|i| format!("g{i}"));
        assert_eq!(
            Principal::new("a", many),
            Err(InvalidPrincipal::TooManyGroups)
        );
    }

    proptest! {
        #[test]
        fn json_makes_no_principal_that_the_constructor_would_not(
            subject in "\\PC{0,130}|(\\(anonymous\\))",
            groups in proptest::collection::vec("\\PC{0,4}", 0..4),
        ) {
            let json = serde_json::json!({ "subject": subject, "groups": groups });
            let read = serde_json::from_value::<Principal>(json).ok();
            prop_assert_eq!(&read, &Principal::new(&subject, &groups).ok());
            if let Some(principal) = read {
                let json = serde_json::to_value(&principal).expect("is JSON");
                prop_assert_eq!(serde_json::from_value::<Principal>(json).ok(), Some(principal));
            }
        }
    }
}
