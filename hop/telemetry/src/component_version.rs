/// The version that a component gives itself, as telemetry may show it: `major.minor.patch` in numbers. A
/// pre-release is not shown, because it is free text of whoever built the component.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ComponentVersion(Box<str>);

/// What stands for a version that is none.
const OTHER: &str = "other";

impl ComponentVersion {
    /// The numbers of the version, or `other` when it does not begin with three.
    pub fn new(version: &str) -> Self {
        let core = version.split(['-', '+']).next().unwrap_or_default();
        let is_number =
            |part: &&str| (1..=6).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
        let whole = core.split('.').count() == 3 && core.split('.').filter(is_number).count() == 3;
        Self(if whole { core.into() } else { OTHER.into() })
    }

    /// The word.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_version_only_its_numbers_are_shown() {
        assert_eq!(ComponentVersion::new("1.22.3").as_str(), "1.22.3");
        assert_eq!(ComponentVersion::new("1.2.3-jane-doe").as_str(), "1.2.3");
        for text in ["", "1.2", "1.2.x", "1.2.3.4", "jane"] {
            assert_eq!(ComponentVersion::new(text).as_str(), "other", "{text}");
        }
    }
}
