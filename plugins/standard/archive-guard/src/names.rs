//! The names in one archive. No two of them may be the same file.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::hash::{BuildHasher, Hasher};

use foldhash::fast::FixedState;

use crate::name;

/// What has a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    File,
    /// A folder that is an entry of its own.
    Folder,
    /// A folder that entries have in their names.
    Parent,
}

/// Why a name cannot be added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Clash {
    /// Another entry has it.
    Twice,
    /// It is a file to one entry and a folder to another.
    FileAndFolder,
    /// There are more folders than allowed.
    TooMany,
}

/// All names so far, as 64-bit hashes. A collision refuses the archive; only an archive made for that has one.
#[derive(Default)]
pub(crate) struct Names {
    known: BTreeMap<u64, Kind>,
    parents: u64,
}

impl Names {
    /// Adds the name of an entry and of its folders. An archive may have at most `most` folders.
    pub(crate) fn add(&mut self, own: &[u8], is_folder: bool, most: u64) -> Result<(), Clash> {
        let mut numbers = numbers(own);
        // The folder itself, `.`, has no parts.
        let last = numbers.pop().unwrap_or_default();
        for parent in numbers {
            match self.known.entry(parent) {
                Entry::Occupied(known) if *known.get() == Kind::File => {
                    return Err(Clash::FileAndFolder);
                }
                Entry::Occupied(_) => {}
                Entry::Vacant(free) => {
                    free.insert(Kind::Parent);
                    self.parents += 1;
                }
            }
        }
        if self.parents > most {
            return Err(Clash::TooMany);
        }
        let kind = if is_folder { Kind::Folder } else { Kind::File };
        match (self.known.insert(last, kind), kind) {
            // A folder that is listed twice is one folder.
            (None, _) | (Some(Kind::Parent | Kind::Folder), Kind::Folder) => Ok(()),
            (Some(known), _) if known == kind => Err(Clash::Twice),
            (Some(_), _) => Err(Clash::FileAndFolder),
        }
    }

    /// Whether a name lies behind one that is a file, such as a link.
    pub(crate) fn is_behind_a_file(&self, name: &[u8]) -> bool {
        let mut numbers = numbers(name);
        numbers.pop();
        let mut folders = numbers.iter();
        folders.any(|folder| self.known.get(folder) == Some(&Kind::File))
    }
}

/// The numbers of all folders of a name, and of itself, as file systems fold it.
fn numbers(own: &[u8]) -> Vec<u64> {
    let mut hasher = FixedState::default().build_hasher();
    let parts = name::folded_parts(own).map(|part| {
        hasher.write(part.as_bytes());
        hasher.write_u8(b'/');
        hasher.finish()
    });
    parts.collect()
}

/// Whether two names are the same, as file systems fold them.
pub(crate) fn are_same(one: &[u8], other: &[u8]) -> bool {
    one == other || name::folded_parts(one).eq(name::folded_parts(other))
}

/// The number of a name as it is written.
pub(crate) fn exact(name: &[u8]) -> u64 {
    FixedState::default().hash_one(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add_all(names: &[&str]) -> Result<(), Clash> {
        let mut known = Names::default();
        names
            .iter()
            .try_for_each(|own| known.add(own.as_bytes(), name::is_folder(own.as_bytes()), 3))
    }

    #[test]
    fn no_two_entries_are_the_same_file() {
        for (names, wanted) in [
            (&["a", "b", "d/a", "d/b", "d/"][..], Ok(())),
            (&["d/", "d/a"], Ok(())),
            (&["./", "./a", "./d/a"], Ok(())),
            (&["a", "A"], Err(Clash::Twice)),
            (&["a", "./a"], Err(Clash::Twice)),
            (&["d/a", "d//a"], Err(Clash::Twice)),
            (&["d/a", "D\\A."], Err(Clash::Twice)),
            (&["d/", "d/", "D/"], Ok(())),
            (&["d", "d/a"], Err(Clash::FileAndFolder)),
            (&["d/a", "D"], Err(Clash::FileAndFolder)),
            (&["d", "d/"], Err(Clash::FileAndFolder)),
            (&["a/b/c/x"], Ok(())),
            (&["a/b/c/d/x"], Err(Clash::TooMany)),
        ] {
            assert_eq!(add_all(names), wanted, "{names:?}");
        }
    }
}
