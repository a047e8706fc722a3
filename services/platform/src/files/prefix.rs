use std::fmt;
use std::str::FromStr;

use portcullis_types::{DiskPath, InvalidDiskPath};

/// Which files a call of the file API means: the one at a path and all beneath the folder of that name, or all
/// of a disk. `reports` and `reports/` are the same, and neither means `reports-2/a.csv`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prefix(Option<DiskPath>);

impl Prefix {
    /// The path, unless it means all of a disk.
    pub fn path(&self) -> Option<&DiskPath> {
        self.0.as_ref()
    }

    /// Between which two texts the paths beneath the folder sort: from the first, the second not included.
    pub(crate) fn beneath(&self) -> (String, Option<String>) {
        match &self.0 {
            None => (String::new(), None),
            // `0` is what comes next after `/`.
            Some(path) => (format!("{path}/"), Some(format!("{path}0"))),
        }
    }
}

impl From<DiskPath> for Prefix {
    fn from(path: DiskPath) -> Self {
        Self(Some(path))
    }
}

impl FromStr for Prefix {
    type Err = InvalidDiskPath;

    fn from_str(text: &str) -> Result<Self, InvalidDiskPath> {
        let folder = text.strip_suffix('/').unwrap_or(text);
        let all = folder.is_empty() && text.len() <= 1;
        Ok(Self(if all { None } else { Some(folder.parse()?) }))
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .as_ref()
            .map_or(Ok(()), |path| f.write_str(path.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_meant_with_and_without_its_slash_and_no_sibling() {
        for text in ["a/b", "a/b/"] {
            let prefix: Prefix = text.parse().expect("is one");
            let (from, until) = prefix.beneath();
            let means =
                |path: &str| *path >= *from && until.as_deref().is_none_or(|end| path < end);
            assert!(means("a/b/c") && means("a/b/c/d.csv") && means("a/b/\u{10ffff}"));
            assert!(!means("a/b") && !means("a/b-2") && !means("a/b.csv") && !means("a/c"));
        }
    }

    #[test]
    fn nothing_means_everything_and_no_prefix_leads_out_of_the_disk() {
        for text in ["", "/"] {
            let prefix: Prefix = text.parse().expect("is one");
            assert_eq!(prefix.path(), None);
        }
        for text in ["..", "../", "/etc", "a//", "//", ".portcullis/versions"] {
            assert!(text.parse::<Prefix>().is_err(), "{text}");
        }
    }
}
