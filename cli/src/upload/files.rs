//! What is to be sent.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};

/// A file to be sent.
#[derive(Clone, Debug)]
pub(crate) struct LocalFile {
    pub(crate) path: PathBuf,
    /// Its name and the folders above it, from the folder on that was named, with `/` between them.
    pub(crate) relative: String,
    /// In bytes.
    pub(crate) length: u64,
    modified_ms: u128,
}

impl LocalFile {
    /// Its name.
    pub(crate) fn name(&self) -> &str {
        self.relative.rsplit('/').next().unwrap_or_default()
    }

    /// Where it lies in the folder that was named, if one was.
    pub(crate) fn in_folder(&self) -> Option<&str> {
        self.relative
            .contains('/')
            .then_some(self.relative.as_str())
    }

    /// What people see of it.
    pub(crate) fn shown(&self) -> String {
        self.relative.escape_debug().to_string()
    }

    /// What makes it the same file in another run.
    pub(crate) fn identity(&self) -> String {
        format!(
            "{}\0{}\0{}",
            self.path.display(),
            self.length,
            self.modified_ms
        )
    }
}

/// All files that are named, and those of folders that are, in the order of their names. Links are not followed within a
/// folder.
pub(crate) fn all(paths: &[PathBuf]) -> Result<Vec<LocalFile>> {
    let mut files = Vec::new();
    for path in paths {
        let absolute =
            fs::canonicalize(path).with_context(|| format!("{} cannot be read", path.display()))?;
        let name = absolute
            .file_name()
            .map(|name| text(name.as_ref()))
            .transpose()?;
        let name = name.unwrap_or_default();
        if absolute.is_dir() {
            beneath(&absolute, &name, &mut files)?;
        } else {
            files.push(file(absolute, name)?);
        }
    }
    Ok(files)
}

fn beneath(folder: &Path, relative: &str, files: &mut Vec<LocalFile>) -> Result<()> {
    let unread = || format!("the folder {} cannot be read", folder.display());
    let mut entries: Vec<_> = fs::read_dir(folder)
        .with_context(unread)?
        .collect::<Result<_, _>>()
        .with_context(unread)?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let relative = format!("{relative}/{}", text(entry.file_name().as_ref())?);
        let kind = entry.file_type().with_context(unread)?;
        if kind.is_dir() {
            beneath(&entry.path(), &relative, files)?;
        } else if kind.is_file() {
            files.push(file(entry.path(), relative)?);
        }
    }
    Ok(())
}

fn file(path: PathBuf, relative: String) -> Result<LocalFile> {
    let about =
        fs::metadata(&path).with_context(|| format!("{} cannot be read", path.display()))?;
    if !about.is_file() {
        bail!("{} is neither a file nor a folder", path.display());
    }
    let modified = about.modified().unwrap_or(SystemTime::UNIX_EPOCH);
    let modified = modified.duration_since(UNIX_EPOCH).unwrap_or_default();
    Ok(LocalFile {
        length: about.len(),
        modified_ms: modified.as_millis(),
        path,
        relative,
    })
}

fn text(name: &Path) -> Result<String> {
    let text = name.to_str().map(str::to_owned);
    text.with_context(|| format!("the name {} is not UTF-8; rename it", name.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_sent_with_its_structure_and_a_file_by_itself() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |path: &str| folder.path().join(path);
        fs::create_dir_all(at("scans/2024")).expect("is made");
        for path in ["scans/b.csv", "scans/2024/a.csv", "alone.csv"] {
            fs::write(at(path), path).expect("is written");
        }
        std::os::unix::fs::symlink(at("alone.csv"), at("scans/link.csv")).expect("is made");
        let files = all(&[at("scans"), at("alone.csv")]).expect("are there");
        let relative: Vec<&str> = files.iter().map(|file| file.relative.as_str()).collect();
        assert_eq!(relative, ["scans/2024/a.csv", "scans/b.csv", "alone.csv"]);
        assert_eq!(files[0].name(), "a.csv");
        assert_eq!(files[2].in_folder(), None);
        assert!(all(&[at("missing")]).is_err());
    }
}
