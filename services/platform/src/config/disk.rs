//! A disk as it is configured.

use std::path::PathBuf;

use portcullis_storage::{Looks, Settings};
use serde::Deserialize;

use crate::quota::{CohortQuota, Quota};

/// A disk as it is configured.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum DiskConfig {
    /// A folder, on a local or network file system.
    Local(LocalDiskConfig),
}

/// A folder as a disk.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct LocalDiskConfig {
    /// The folder; it must be there.
    pub root: PathBuf,
    /// Files are read, and none is stored or deleted.
    #[serde(default)]
    read_only: bool,
    /// Bytes that stay free on it, where they are others than `limits.reserve-bytes`.
    reserve_bytes: Option<u64>,
    /// How many bytes may lie on it.
    quota_bytes: Option<u64>,
    /// How many of each cohort.
    cohort_quota: Option<CohortQuota>,
    /// The mode of files that others may read. Usual: 0600.
    file_mode: Option<FileMode>,
    /// The mode of their folders. Usual: 0755.
    folder_mode: Option<FolderMode>,
    /// To which user they belong.
    owner: Option<User>,
    /// To which group.
    group: Option<Group>,
}

impl DiskConfig {
    /// A folder with the usual settings.
    pub fn local(root: PathBuf) -> Self {
        Self::Local(LocalDiskConfig {
            root,
            ..LocalDiskConfig::default()
        })
    }
}

impl LocalDiskConfig {
    /// What storage is told.
    pub fn settings(&self) -> Settings {
        let usual = Looks::default();
        Settings {
            read_only: self.read_only,
            looks: Looks {
                file_mode: self.file_mode.map_or(usual.file_mode, |mode| mode.0),
                folder_mode: self.folder_mode.map_or(usual.folder_mode, |mode| mode.0),
                owner: self.owner.map(|owner| owner.0),
                group: self.group.map(|group| group.0),
            },
        }
    }

    /// How much may lie on it, and what stays free.
    pub fn limits(&self, reserve_bytes: u64) -> DiskLimits {
        DiskLimits {
            read_only: self.read_only,
            reserve_bytes: self.reserve_bytes.unwrap_or(reserve_bytes),
            quota: Quota {
                bytes: self.quota_bytes,
                cohorts: self.cohort_quota.clone(),
            },
        }
    }
}

/// What a disk takes.
#[derive(Clone, Debug, Default)]
pub struct DiskLimits {
    /// Nothing.
    pub read_only: bool,
    /// Bytes that stay free on it.
    pub reserve_bytes: u64,
    /// How much may lie on it.
    pub quota: Quota,
}

/// A mode that lets services read and write, as three or four octal digits.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "String")]
struct FileMode(u32);

/// A mode that lets services into a folder; it may pass the group on (setgid).
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "String")]
struct FolderMode(u32);

impl TryFrom<String> for FileMode {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        mode(&text, 0o600, 0o666).map(Self)
    }
}

impl TryFrom<String> for FolderMode {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        mode(&text, 0o700, 0o2777).map(Self)
    }
}

fn mode(text: &str, needed: u32, possible: u32) -> Result<u32, String> {
    let is_octal = (3..=4).contains(&text.len());
    let mode = is_octal
        .then(|| u32::from_str_radix(text, 8).ok())
        .flatten();
    let mode = mode.filter(|mode| mode & needed == needed && mode & !possible == 0);
    mode.ok_or_else(|| {
        format!("a mode is three or four octal digits, has {needed:04o}, and nothing that {possible:04o} has not")
    })
}

/// A user, by number or by a name of `/etc/passwd`.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "Account")]
struct User(u32);

/// A group, by number or by a name of `/etc/group`.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "Account")]
struct Group(u32);

#[derive(Deserialize)]
#[serde(untagged)]
enum Account {
    Number(u32),
    Name(String),
}

impl TryFrom<Account> for User {
    type Error = String;

    fn try_from(account: Account) -> Result<Self, String> {
        number(account, "/etc/passwd").map(Self)
    }
}

impl TryFrom<Account> for Group {
    type Error = String;

    fn try_from(account: Account) -> Result<Self, String> {
        number(account, "/etc/group").map(Self)
    }
}

/// Both files have the name first and the number third (passwd(5), group(5)).
fn number(account: Account, file: &str) -> Result<u32, String> {
    let name = match account {
        Account::Number(number) => return Ok(number),
        Account::Name(name) => name,
    };
    let table = std::fs::read_to_string(file).unwrap_or_default();
    let found = table.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next() == Some(&name)).then(|| fields.nth(1)?.parse().ok())?
    });
    found.ok_or_else(|| format!("there is no `{name}` in {file}; use its number"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<LocalDiskConfig, String> {
        let config: DiskConfig = serde_json::from_str(json).map_err(|error| error.to_string())?;
        let DiskConfig::Local(local) = config;
        Ok(local)
    }

    #[test]
    fn a_disk_says_who_sees_its_files_and_how_much_it_takes() {
        let disk = read(
            r#"{"type": "local", "root": "/srv/nas", "file-mode": "0640", "folder-mode": "2750",
                "owner": 1000, "group": "root", "quota-bytes": 10, "reserve-bytes": 5,
                "cohort-quota": {"bytes": 3, "each": {"c1": 4}}}"#,
        );
        let disk = disk.expect("is one");
        let looks = disk.settings().looks;
        assert_eq!((looks.file_mode, looks.folder_mode), (0o640, 0o2750));
        assert_eq!((looks.owner, looks.group), (Some(1000), Some(0)));
        let limits = disk.limits(1);
        assert_eq!((limits.reserve_bytes, limits.quota.bytes), (5, Some(10)));
        assert_eq!(limits.quota.cohorts.map(|quota| quota.bytes), Some(3));
    }

    #[test]
    fn what_cannot_be_is_said() {
        for (setting, says) in [
            (r#""file-mode": "0755""#, "has 0600, and nothing that 0666"),
            (r#""file-mode": "0440""#, "three or four octal digits"),
            (r#""file-mode": "rw""#, "three or four octal digits"),
            (
                r#""group": "nobody-has-this""#,
                "in /etc/group; use its number",
            ),
            (r#""raed-only": true"#, "unknown field `raed-only`"),
            (r#""cohort-quota": {}"#, "missing field `bytes`"),
        ] {
            let json = format!(r#"{{"type": "local", "root": "/", {setting}}}"#);
            let error = read(&json).expect_err(says);
            assert!(error.contains(says), "{error}");
        }
    }
}
