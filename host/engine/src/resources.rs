//! Resources: files of the policy set's folder that a policy asks for by pattern, read once and served from
//! memory.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use portcullis_types::{Sha256Digest, Sha256Hasher};

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
    #[error("{path} cannot be read: {why}", path = path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// How it failed.
        why: std::io::ErrorKind,
    },
    /// More than one policy may have.
    #[error("the pattern `{0}` matches more than 1,000 files, 16 MiB in one or 64 MiB in all")]
    TooMuch(String),
}

/// The resources of one policy, by their paths beneath the folder.
#[derive(Debug, Default)]
pub(crate) struct Resources(BTreeMap<String, Vec<u8>>);

impl Resources {
    /// Reads every file beneath `folder` that one of the patterns covers. Blocks.
    pub(crate) fn read(folder: &Path, patterns: &[String]) -> Result<Self, ResourceError> {
        let mut resources = Self::default();
        for pattern in patterns {
            let parts: Vec<&str> = pattern.split('/').collect();
            if parts.iter().any(|part| matches!(*part, "" | "." | "..")) {
                return Err(ResourceError::Pattern(pattern.clone()));
            }
            resources.collect(folder, &mut String::new(), &parts, pattern)?;
        }
        Ok(resources)
    }

    /// The content of a resource.
    pub(crate) fn get(&self, name: &str) -> Option<&[u8]> {
        self.0.get(name).map(Vec::as_slice)
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
        folder: &Path,
        name: &mut String,
        parts: &[&str],
        pattern: &str,
    ) -> Result<(), ResourceError> {
        let Some((part, rest)) = parts.split_first() else {
            return Ok(());
        };
        for entry in entries(folder)? {
            if entry.starts_with('.') || !covers(part.as_bytes(), entry.as_bytes()) {
                continue;
            }
            let (path, before) = (folder.join(&entry), name.len());
            if before > 0 {
                name.push('/');
            }
            name.push_str(&entry);
            if !rest.is_empty() {
                self.collect(&path, name, rest, pattern)?;
            } else if path.is_file() {
                self.add(&path, name, pattern)?;
            }
            name.truncate(before);
        }
        Ok(())
    }

    fn add(&mut self, path: &Path, name: &str, pattern: &str) -> Result<(), ResourceError> {
        let unreadable = |error: std::io::Error| unreadable(path, &error);
        let size = std::fs::metadata(path).map_err(unreadable)?.len();
        let before: usize = self.0.values().map(Vec::len).sum();
        let all = size.saturating_add(before as u64);
        if size > MAX_FILE_BYTES || all > MAX_BYTES || self.0.len() == MAX_FILES {
            return Err(ResourceError::TooMuch(pattern.to_owned()));
        }
        let content = std::fs::read(path).map_err(unreadable)?;
        self.0.insert(name.to_owned(), content);
        Ok(())
    }
}

/// The names in a folder; none when there is no such folder.
fn entries(folder: &Path) -> Result<Vec<String>, ResourceError> {
    let unreadable = |error: std::io::Error| unreadable(folder, &error);
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        // A name that is no UTF-8 cannot be asked for.
        names.extend(entry.map_err(unreadable)?.file_name().into_string().ok());
    }
    names.sort();
    Ok(names)
}

fn unreadable(path: &Path, error: &std::io::Error) -> ResourceError {
    ResourceError::Unreadable {
        path: path.to_owned(),
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
    fn what_a_pattern_covers_is_read_and_nothing_else() {
        let folder = tempfile::tempdir().expect("a folder");
        let definitions = folder.path().join("definitions");
        std::fs::create_dir(&definitions).expect("is made");
        for name in ["patient.json", "census.json", "notes.txt", ".hidden.json"] {
            std::fs::write(definitions.join(name), name).expect("is written");
        }
        let read = |pattern: &str| Resources::read(folder.path(), &[pattern.to_owned()]);
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
        let digest = resources.digest();
        std::fs::write(definitions.join("patient.json"), "changed").expect("is written");
        assert_ne!(
            read("definitions/*.json").expect("is read").digest(),
            digest
        );
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
