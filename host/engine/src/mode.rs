//! How much a policy has to say: about every upload or a share of them, and whether it decides.

use portcullis_types::{PolicyName, Sha256Hasher, UploadId};
use serde::Deserialize;

/// Whether a policy decides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// It does.
    #[default]
    Enforce,
    /// It judges the same uploads, and what it would have said is written down.
    Shadow,
}

/// A share of all uploads in percent, 1 to 100.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "u8")]
pub(crate) struct Percent(u8);

/// Not from 1 to 100.
#[derive(Debug, thiserror::Error)]
#[error("a share is 1 to 100 percent, and not {0}")]
pub(crate) struct InvalidPercent(u8);

impl Default for Percent {
    fn default() -> Self {
        Self(100)
    }
}

impl TryFrom<u8> for Percent {
    type Error = InvalidPercent;

    fn try_from(percent: u8) -> Result<Self, InvalidPercent> {
        if (1..=100).contains(&percent) {
            Ok(Self(percent))
        } else {
            Err(InvalidPercent(percent))
        }
    }
}

impl Percent {
    /// Whether it is everything.
    pub(crate) fn is_all(self) -> bool {
        self.0 == 100
    }

    /// Whether an upload belongs to the share of a policy: always the same for the same upload, and growing with the
    /// share, so that who belonged to 10 percent belongs to 20 percent as well.
    pub(crate) fn includes(self, policy: &PolicyName, upload: UploadId) -> bool {
        if self.is_all() {
            return true;
        }
        let mut hasher = Sha256Hasher::default();
        hasher.update(policy.as_str().as_bytes());
        hasher.update(b"/");
        hasher.update(upload.to_string().as_bytes());
        let digest = hasher.finish();
        let [a, b, c, d, ..] = *digest.as_bytes();
        u32::from_be_bytes([a, b, c, d]) % 100 < u32::from(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_the_same_for_an_upload_grows_and_has_about_its_size() {
        let policy: PolicyName = "size-limit".parse().expect("is a name");
        let share = |percent| Percent::try_from(percent).expect("is a share");
        let uploads: Vec<_> = (0..4_000).map(|_| UploadId::generate()).collect();
        let mut count = 0;
        for upload in uploads {
            let belongs = share(10).includes(&policy, upload);
            assert_eq!(belongs, share(10).includes(&policy, upload));
            assert!(!belongs || share(20).includes(&policy, upload));
            assert!(share(100).includes(&policy, upload));
            count += u32::from(belongs);
        }
        assert!((250..550).contains(&count), "{count} of 4,000");
        assert!(Percent::try_from(0).is_err() && Percent::try_from(101).is_err());
    }
}
