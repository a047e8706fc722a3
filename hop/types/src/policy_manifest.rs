use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Sha256Digest, Sha256Hasher};

/// The files that a revision of the policies consists of, each by its name in the set and its digest. Together
/// they are the code, the settings and the resources of all policies.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyManifest {
    /// What decides about uploads: the set itself, components, resources.
    pub files: BTreeMap<String, Sha256Digest>,
    /// What only says whether a revision may serve: the cases that its policies must pass.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub fixtures: BTreeMap<String, Sha256Digest>,
}

/// Why a manifest is not one that can be sent to another machine.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidManifest {
    /// The set itself is missing.
    #[error("it has no `policies.toml`")]
    NoSet,
    /// A name that leads out of the set's folder.
    #[error(
        "the file `{0}` does not lie in the folder of the policy set, so it cannot be sent with it; move it there and name it from there"
    )]
    Outside(String),
    /// More files than a revision may have.
    #[error("it has {0} files; at most {max} are possible", max = PolicyManifest::MAX_FILES)]
    TooMany(usize),
}

impl PolicyManifest {
    /// The name of the set itself.
    pub const SET: &'static str = "policies.toml";
    /// What the name of a component's signature ends with, behind the name of the component.
    pub const SIGNATURE_SUFFIX: &'static str = ".sig";
    /// The most files of one revision, fixtures included.
    pub const MAX_FILES: usize = 20_000;
    /// The longest name in bytes.
    pub const MAX_NAME_BYTES: usize = 1024;

    /// The digest of all that decides about uploads. Two revisions with the same digest judge alike.
    pub fn digest(&self) -> Sha256Digest {
        let mut hasher = Sha256Hasher::default();
        for (name, digest) in &self.files {
            hasher.update(Sha256Digest::of(name.as_bytes()).as_bytes());
            hasher.update(digest.as_bytes());
        }
        hasher.finish()
    }

    /// Every file, fixtures included.
    pub fn all(&self) -> impl Iterator<Item = (&String, Sha256Digest)> {
        let all = self.files.iter().chain(&self.fixtures);
        all.map(|(name, digest)| (name, *digest))
    }

    /// Whether it can be sent to another machine and laid down there: it has a set, and every name is a path
    /// beneath its folder.
    ///
    /// # Errors
    /// Which name is not.
    pub fn check(&self) -> Result<(), InvalidManifest> {
        let count = self.files.len() + self.fixtures.len();
        if count > Self::MAX_FILES {
            return Err(InvalidManifest::TooMany(count));
        }
        if !self.files.contains_key(Self::SET) {
            return Err(InvalidManifest::NoSet);
        }
        match self.all().find(|(name, _)| !is_beneath(name)) {
            Some((name, _)) => Err(InvalidManifest::Outside(name.clone())),
            None => Ok(()),
        }
    }
}

/// Whether a name is a plain relative path.
fn is_beneath(name: &str) -> bool {
    let is_plain = |part: &str| !matches!(part, "" | "." | "..");
    name.len() <= PolicyManifest::MAX_NAME_BYTES
        && !name.contains(|c: char| c == '\\' || c.is_control())
        && name.split('/').all(is_plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(files: &[(&str, &str)]) -> PolicyManifest {
        let files = files.iter().map(|(name, content)| {
            let digest = Sha256Digest::of(content.as_bytes());
            ((*name).to_owned(), digest)
        });
        PolicyManifest {
            files: files.collect(),
            fixtures: BTreeMap::new(),
        }
    }

    #[test]
    fn names_and_contents_count_and_fixtures_do_not() {
        let one = manifest(&[("policies.toml", "a"), ("b", "c")]);
        let mut same = one.clone();
        same.fixtures
            .insert("f/body".to_owned(), Sha256Digest::of(b""));
        assert_eq!(one.digest(), same.digest());
        for other in [
            manifest(&[("policies.toml", "a"), ("b", "d")]),
            manifest(&[("policies.toml", "a"), ("c", "c")]),
            manifest(&[("policies.toml", "a")]),
        ] {
            assert_ne!(one.digest(), other.digest());
        }
    }

    #[test]
    fn what_leads_out_of_the_folder_is_not_sent() {
        assert_eq!(manifest(&[("a", "")]).check(), Err(InvalidManifest::NoSet));
        for name in ["/etc/passwd", "../up", "a//b", "a/./b", "a\\b", "a\0b", ""] {
            let outside = manifest(&[("policies.toml", ""), (name, "")]).check();
            assert_eq!(outside, Err(InvalidManifest::Outside(name.to_owned())));
        }
        let good = manifest(&[("policies.toml", ""), ("components/a.wasm", "")]);
        assert_eq!(good.check(), Ok(()));
    }
}
