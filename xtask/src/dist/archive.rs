//! An archive whose bytes depend on nothing but its files: no owner, no machine, one time for all.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use anyhow::{Context, Result};
use flate2::{Compression, GzBuilder};

/// A file of an archive.
pub(crate) struct Entry {
    /// Where it lies in the archive, with forward slashes.
    pub(crate) name: String,
    pub(crate) content: Vec<u8>,
    /// Whether it is to be run.
    pub(crate) executable: bool,
}

/// Writes a gzipped tar archive (POSIX.1-2001 ustar) with these files in the order of their names, beneath one folder.
pub(crate) fn write(
    path: &Path,
    folder: &str,
    mut entries: Vec<Entry>,
    time: u64,
    compression: Compression,
) -> Result<()> {
    entries.sort_by(|one, other| one.name.cmp(&other.name));
    let file = File::create(path).with_context(|| format!("{} cannot be made", path.display()))?;
    // No name and no time in the header of gzip.
    let zipped = GzBuilder::new().write(BufWriter::new(file), compression);
    let mut archive = tar::Builder::new(zipped);
    for Entry {
        name,
        content,
        executable,
    } in &entries
    {
        let mut header = tar::Header::new_ustar();
        header.set_size(content.len() as u64);
        header.set_mode(if *executable { 0o755 } else { 0o644 });
        header.set_mtime(time);
        header.set_uid(0);
        header.set_gid(0);
        let name = format!("{folder}/{name}");
        archive
            .append_data(&mut header, &name, content.as_slice())
            .with_context(|| format!("{name} cannot be put into {}", path.display()))?;
    }
    let mut file = archive.into_inner()?.finish()?;
    file.flush()?;
    file.into_inner()?.sync_all()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archive_depends_on_its_files_alone_and_not_on_their_order() {
        let folder = tempfile::tempdir().expect("a folder");
        let entry = |name: &str| Entry {
            name: name.to_owned(),
            content: name.repeat(1000).into_bytes(),
            executable: name == "bin/b",
        };
        let written = |name: &str, entries| {
            let path = folder.path().join(name);
            let best = Compression::best();
            write(&path, "release", entries, 1_700_000_000, best).expect("is written");
            std::fs::read(path).expect("is there")
        };
        let one = written("one", vec![entry("a"), entry("bin/b")]);
        let other = written("other", vec![entry("bin/b"), entry("a")]);
        assert_eq!(one, other);
        let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(one.as_slice()));
        let modes: Vec<(String, u32)> = archive
            .entries()
            .expect("is an archive")
            .map(|entry| {
                let entry = entry.expect("is an entry");
                let name = entry.path().expect("has a name").display().to_string();
                (name, entry.header().mode().expect("has a mode"))
            })
            .collect();
        let wanted = [("release/a", 0o644), ("release/bin/b", 0o755)];
        assert_eq!(modes, wanted.map(|(name, mode)| (name.to_owned(), mode)));
    }
}
