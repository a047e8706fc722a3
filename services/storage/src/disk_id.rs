use std::fmt;
use std::str::FromStr;

use crate::DiskError;

/// Which disk it is: 128 random bits in a file of its own folder. A folder without it is no disk that was used before,
/// such as the empty folder of a NAS that is not mounted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiskId(u128);

/// What is known of a disk before it is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// Nothing: it may be new, or another catalog's.
    Nothing,
    /// Files were stored on it, and nobody wrote down which disk it was.
    Used,
    /// It is this one.
    As(DiskId),
}

impl DiskId {
    /// A new one.
    pub(crate) fn generate() -> Result<Self, DiskError> {
        let mut bits = [0; 16];
        getrandom::fill(&mut bits).map_err(|_| DiskError::Failed {
            step: crate::Step::OpenDisk,
            kind: std::io::ErrorKind::Other,
        })?;
        Ok(Self(u128::from_be_bytes(bits)))
    }
}

impl FromStr for DiskId {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let is_hex = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let bits = is_hex.then(|| u128::from_str_radix(text, 16).ok());
        bits.flatten().map(Self).ok_or(())
    }
}

impl fmt::Display for DiskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}
