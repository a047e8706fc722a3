//! Which build this is, and which hop it speaks: what two servers compare before they work together.

use std::fmt;
use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

/// The version of all programs of this build.
const PROGRAM: &str = env!("CARGO_PKG_VERSION");
/// The commit that `cargo xtask dist` built.
const COMMIT: Option<&str> = option_env!("PORTCULLIS_COMMIT");

/// A version of the hop: raised with every change that the other side has to know of.
///
/// Services take calls of every version from [`OLDEST`](Self::OLDEST) to their own, so that they are updated before
/// the web hosts, one after the other, without an interruption.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct HopVersion(u16);

impl HopVersion {
    /// What this build speaks.
    pub const CURRENT: Self = Self(3);
    /// The oldest that services of this build understand.
    pub const OLDEST: Self = Self(1);

    /// The version in a header; absent when it is none.
    pub fn parse(text: &str) -> Option<Self> {
        text.parse().ok().map(Self)
    }

    /// As a number.
    pub fn number(self) -> u16 {
        self.0
    }

    /// Whether services of this build understand it.
    pub fn is_understood(self) -> bool {
        (Self::OLDEST..=Self::CURRENT).contains(&self)
    }
}

impl fmt::Display for HopVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What a server says of its build.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Build {
    /// The version of the program.
    pub program: String,
    /// The commit that it was built from; absent in a development build.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// The hop that it speaks.
    pub hop: HopVersion,
}

impl Build {
    /// This one.
    pub fn this() -> Self {
        Self {
            program: PROGRAM.to_owned(),
            commit: COMMIT.map(str::to_owned),
            hop: HopVersion::CURRENT,
        }
    }
}

impl fmt::Display for Build {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            program,
            commit,
            hop,
        } = self;
        match commit {
            Some(commit) => write!(f, "{program} (commit {commit}, hop {hop})"),
            None => write!(f, "{program} (development build, hop {hop})"),
        }
    }
}

/// What a program says for `--version` after its name. `contract` is the version of the policy contract, for those
/// that run policies.
pub fn version_line(contract: Option<&str>) -> &'static str {
    static LINE: OnceLock<String> = OnceLock::new();
    LINE.get_or_init(|| {
        let this = Build::this().to_string();
        match (contract, this.strip_suffix(')')) {
            (Some(contract), Some(open)) => format!("{open}, policy contract {contract})"),
            _ => this,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_build_is_read_back_and_one_of_another_hop_is_told() {
        let json = serde_json::to_string(&Build::this()).expect("serialises");
        let read: Build = serde_json::from_str(&json).expect("parses");
        assert_eq!(read, Build::this());
        assert!(read.hop.is_understood());
        let newer = HopVersion::parse("999").expect("is a version");
        assert!(!newer.is_understood());
        assert_eq!(HopVersion::parse("one"), None);
        assert!(version_line(Some("0.1")).contains("hop 3, policy contract 0.1)"));
    }
}
