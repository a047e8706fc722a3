//! Resources: files of the policy set's folder that a policy asks for by pattern, read once and served from
//! memory.

use std::collections::BTreeMap;
use std::io;

use bytes::Bytes;
use portcullis_types::{Sha256Digest, Sha256Hasher};

use crate::set_files::{FileError, SetFiles, join};

/// The most bytes of one resource, and of all of one policy.
const MAX_FILE_BYTES: u64 = 16 << 20;
const MAX_BYTES: u64 = 64 << 20;
/// The most resources of one policy.
const MAX_FILES: usize = 1_000;

/// Why resources cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ResourceError {
    /// A pattern that cannot be used.
    #[error("the pattern `{0}` leads out of the policy set's folder or has an empty part")]
    Pattern(String),
    /// A file or folder cannot be read.
    #[error("{name} cannot be read: {why}")]
    Unreadable {
        /// Which, beneath the set's folder.
        name: String,
        /// How it failed.
        why: io::ErrorKind,
    },
    /// More than one policy may have.
    #[error("the pattern `{0}` matches more than 1,000 files, 16 MiB in one or 64 MiB in all")]
    TooMuch(String),
}

/// The resources of one policy, by their paths beneath the folder.
#[derive(Debug, Default)]
pub(crate) struct Resources(BTreeMap<String, Bytes>);

impl Resources {
    /// Reads every file beneath a folder of a set that one of the patterns covers; "" is that of the set. Blocks.
    pub(crate) fn read(
        files: &mut SetFiles,
        root: &str,
        patterns: &[String],
    ) -> Result<Self, ResourceError> {
        let mut resources = Self::default();
        for pattern in patterns {
            let parts: Vec<&str> = pattern.split('/').collect();
            if parts.iter().any(|part| matches!(*part, "" | "." | "..")) {
                return Err(ResourceError::Pattern(pattern.clone()));
            }
            resources.collect(files, root, &mut String::new(), &parts, pattern)?;
        }
        Ok(resources)
    }

    /// The content of a resource.
    pub(crate) fn get(&self, name: &str) -> Option<&[u8]> {
        self.0.get(name).map(|content| &content[..])
    }

    /// One digest of all names and contents.
    pub(crate) fn digest(&self) -> Sha256Digest {
        let mut hasher = Sha256Hasher::default();
        for (name, content) in &self.0 {
            hasher.update(Sha256Digest::of(name.as_bytes()).as_bytes());
            hasher.update(Sha256Digest::of(content).as_bytes());
        }
        hasher.finish()
    }

    fn collect(
        &mut self,
        files: &mut SetFiles,
        root: &str,
        folder: &mut String,
        parts: &[&str],
        pattern: &str,
    ) -> Result<(), ResourceError> {
        let Some((part, rest)) = parts.split_first() else {
            return Ok(());
        };
        for (entry, is_folder) in entries(files, &join(root, folder), part, rest.is_empty())? {
            if entry.starts_with('.') || !covers(part.as_bytes(), entry.as_bytes()) {
                continue;
            }
            let before = folder.len();
            if before > 0 {
                folder.push('/');
            }
            folder.push_str(&entry);
            match (rest.is_empty(), is_folder) {
                (false, true) => self.collect(files, root, folder, rest, pattern)?,
                (true, false) => self.add(files, root, folder, pattern)?,
                _ => {}
            }
            folder.truncate(before);
        }
        Ok(())
    }

    fn add(
        &mut self,
        files: &mut SetFiles,
        root: &str,
        name: &str,
        pattern: &str,
    ) -> Result<(), ResourceError> {
        let content = match files.get(&join(root, name), MAX_FILE_BYTES) {
            Ok(content) => content,
            // A name without a star, for which there is no file or a folder.
            Err(FileError::Unreadable(error))
                if matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::IsADirectory
                ) =>
            {
                return Ok(());
            }
            Err(FileError::Unreadable(error)) => return Err(unreadable(name, &error)),
            Err(FileError::TooLarge(_)) => {
                return Err(ResourceError::TooMuch(pattern.to_owned()));
            }
        };
        let before: u64 = self.0.values().map(|known| known.len() as u64).sum();
        if before + content.len() as u64 > MAX_BYTES || self.0.len() == MAX_FILES {
            return Err(ResourceError::TooMuch(pattern.to_owned()));
        }
        self.0.insert(name.to_owned(), content);
        Ok(())
    }
}

/// What may match in a folder. Where there is only one name that can, the folder is not listed.
fn entries(
    files: &SetFiles,
    folder: &str,
    part: &str,
    is_last: bool,
) -> Result<Vec<(String, bool)>, ResourceError> {
    if part.contains('*') {
        let entries = files.entries(folder);
        return entries.map_err(|error| unreadable(folder, &error));
    }
    Ok(vec![(part.to_owned(), !is_last)])
}

fn unreadable(name: &str, error: &io::Error) -> ResourceError {
    ResourceError::Unreadable {
        name: name.to_owned(),
        why: error.kind(),
    }
}

/// Whether a part of a pattern covers a name: `*` stands for any number of characters.
fn covers(pattern: &[u8], name: &[u8]) -> bool {
    match pattern.split_first() {
        None => name.is_empty(),
        Some((b'*', rest)) => (0..=name.len()).any(|skipped| covers(rest, &name[skipped..])),
        Some((byte, rest)) => name.first() == Some(byte) && covers(rest, &name[1..]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_pattern_covers_is_read_and_nothing_else_on_a_disk_or_in_memory() {
        let folder = tempfile::tempdir().expect("a folder");
        let definitions = folder.path().join("definitions");
        std::fs::create_dir(&definitions).expect("is made");
        let mut held = BTreeMap::new();
        for name in ["patient.json", "census.json", "notes.txt", ".hidden.json"] {
            std::fs::write(definitions.join(name), name).expect("is written");
            held.insert(format!("definitions/{name}"), Bytes::from(name));
        }
        let set = folder.path().join("policies.toml");
        for files in [SetFiles::beside(&set), SetFiles::held(held)] {
            let read =
                |pattern: &str| Resources::read(&mut files.clone(), "", &[pattern.to_owned()]);
            let resources = read("definitions/*.json").expect("is read");
            let names: Vec<&String> = resources.0.keys().collect();
            assert_eq!(
                names,
                ["definitions/census.json", "definitions/patient.json"]
            );
            let patient = resources.get("definitions/patient.json");
            assert_eq!(patient, Some(&b"patient.json"[..]));
            assert_eq!(read("nowhere/*").expect("is read").0.len(), 0);
            for pattern in ["../*", "/etc/*", "a//b", ""] {
                assert!(
                    matches!(read(pattern), Err(ResourceError::Pattern(_))),
                    "{pattern}"
                );
            }
        }
    }

    #[test]
    fn a_star_is_any_number_of_characters() {
        for (pattern, name, covered) in [
            ("*", "", true),
            ("a*c", "abbc", true),
            ("a*c", "ac", true),
            ("a*c", "ab", false),
            ("*_*.json", "a_b.json", true),
            ("a", "ab", false),
        ] {
            assert_eq!(
                covers(pattern.as_bytes(), name.as_bytes()),
                covered,
                "{pattern} {name}"
            );
        }
    }
}
