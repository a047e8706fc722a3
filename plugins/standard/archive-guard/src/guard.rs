//! What all archives of an upload may do together, and what breaks a rule.

use portcullis_policy::Refusal;

use crate::name::{self, UnsafeName};
use crate::names::{self, Clash, Names};
use crate::settings::Settings;

/// So much may come out of any archive, however small it is.
const FREE_BYTES: u64 = 1 << 20;

/// The rules, by their names.
pub(crate) mod rule {
    pub(crate) const NAME: &str = "entry-name";
    pub(crate) const DUPLICATE: &str = "duplicate-entry";
    pub(crate) const FORBIDDEN: &str = "forbidden-entry";
    pub(crate) const ENTRIES: &str = "too-many-entries";
    pub(crate) const EXPANSION: &str = "expansion";
    pub(crate) const SIZES: &str = "declared-size";
    pub(crate) const OVERLAP: &str = "overlap";
    pub(crate) const NESTING: &str = "nesting";
    pub(crate) const ENCRYPTED: &str = "encrypted";
    pub(crate) const LINK: &str = "link";
    pub(crate) const BROKEN: &str = "broken";
    pub(crate) const UNREAD: &str = "unread";
    pub(crate) const OF_SYSTEMS: &str = "system-entry";
}

/// What was counted, and what may be.
pub(crate) struct Guard {
    pub(crate) settings: Settings,
    /// Bytes of the upload so far.
    uploaded: u64,
    /// Bytes that came out of all archives.
    pub(crate) expanded: u64,
    /// Entries of all archives.
    pub(crate) entries: u64,
    /// Entries that were not looked into.
    pub(crate) unread: u64,
    /// Entries that a system keeps for itself.
    pub(crate) of_systems: u64,
}

pub(crate) type Checked<T = ()> = Result<T, Refusal>;

impl Guard {
    pub(crate) fn new(settings: Settings) -> Self {
        Self {
            settings,
            uploaded: 0,
            expanded: 0,
            entries: 0,
            unread: 0,
            of_systems: 0,
        }
    }

    /// More of the upload has come.
    pub(crate) fn uploaded(&mut self, bytes: usize) {
        self.uploaded += bytes as u64;
    }

    /// More has come out of an archive.
    pub(crate) fn expanded(&mut self, bytes: usize) -> Checked {
        self.expanded = self.expanded.saturating_add(bytes as u64);
        let Settings {
            max_expanded_bytes: most,
            max_ratio: ratio,
            ..
        } = self.settings;
        if self.expanded > most {
            return Err(refused(
                rule::EXPANSION,
                &format!("It unpacks to more than the {most} bytes that are allowed; divide it."),
            ));
        }
        let fair = self.uploaded.saturating_mul(ratio).max(FREE_BYTES);
        if self.expanded > fair {
            return Err(refused(
                rule::EXPANSION,
                &format!(
                    "It unpacks to more than {ratio} times its size, as archives do that are made to do harm; send its files as they are."
                ),
            ));
        }
        Ok(())
    }

    /// An entry says that it unpacks to so many bytes.
    pub(crate) fn declared(&self, bytes: u64) -> Checked {
        let most = self.settings.max_expanded_bytes;
        if self.expanded.saturating_add(bytes) > most {
            return Err(refused(
                rule::EXPANSION,
                &format!(
                    "It says that it unpacks to more than the {most} bytes that are allowed; divide it."
                ),
            ));
        }
        Ok(())
    }

    /// An archive begins so deep in others.
    pub(crate) fn archive(&self, depth: u32) -> Checked {
        let most = self.settings.max_depth;
        if depth > most {
            let message = match most {
                0 => "There is an archive in it, which is not allowed; unpack that one first."
                    .to_owned(),
                _ => format!(
                    "Archives lie in archives more than {most} deep; unpack the innermost first."
                ),
            };
            return Err(refused(rule::NESTING, &message));
        }
        Ok(())
    }

    /// An entry begins. `names` are those of its archive so far.
    pub(crate) fn entry(&mut self, own: &[u8], is_folder: bool, names: &mut Names) -> Checked {
        self.entries += 1;
        if self.entries > self.settings.max_entries {
            let most = self.settings.max_entries;
            return Err(refused(
                rule::ENTRIES,
                &format!("It has more than the {most} entries that are allowed; divide it."),
            ));
        }
        if name::is_of_system(own) {
            self.of_systems += 1;
        }
        self.name(own)?;
        self.add(own, is_folder, names)
    }

    /// Some programs unpack the entry by this name: it must be safe, too.
    pub(crate) fn name(&self, own: &[u8]) -> Checked {
        let nth = self.entries;
        name::check(own).map_err(|why| {
            let what = match why {
                UnsafeName::Odd => "a name that is empty, too long or has control characters",
                UnsafeName::Absolute => "a name that begins at the root of a disk",
                UnsafeName::LeadsOut => "a name with `..` in it, which leads out of its folder",
            };
            refused(
                rule::NAME,
                &format!("Entry {nth} has {what}; make the archive anew."),
            )
        })?;
        let extension = name::extension(own);
        let mut forbidden = self.settings.forbid_extensions.iter();
        match forbidden.find(|one| extension.as_ref() == Some(*one)) {
            None => Ok(()),
            Some(extension) => Err(refused(
                rule::FORBIDDEN,
                &format!("Entry {nth} is a .{extension} file, which is not allowed; leave it out."),
            )),
        }
    }

    /// The entry has another name beside those that are known of it, which is another spelling of them.
    pub(crate) fn spelling(
        &self,
        known: &[&[u8]],
        other: &[u8],
        is_folder: bool,
        names: &mut Names,
    ) -> Checked {
        self.name(other)?;
        if known.iter().any(|known| names::are_same(known, other)) {
            return Ok(());
        }
        self.add(other, is_folder, names)
    }

    fn add(&self, own: &[u8], is_folder: bool, names: &mut Names) -> Checked {
        let (nth, most) = (self.entries, self.settings.max_entries);
        names.add(own, is_folder, most).map_err(|clash| match clash {
            Clash::Twice => refused(
                rule::DUPLICATE,
                &format!(
                    "Entry {nth} has the name of another one, or one that a file system does not distinguish from it; make the archive anew."
                ),
            ),
            Clash::FileAndFolder => refused(
                rule::DUPLICATE,
                &format!(
                    "Entry {nth} needs a folder where another one is a file, or is a file where another one needs a folder; make the archive anew."
                ),
            ),
            Clash::TooMany => refused(
                rule::ENTRIES,
                &format!("It has more than the {most} folders that are allowed; divide it."),
            ),
        })
    }

    /// Something in it is a link, or a device.
    pub(crate) fn link(&self) -> Checked {
        if self.settings.allow_links {
            return Ok(());
        }
        Err(refused(
            rule::LINK,
            &format!(
                "Entry {} is a link or a device, which is not allowed; put the file itself in its place.",
                self.entries
            ),
        ))
    }

    /// A link leads to something behind another one.
    pub(crate) fn behind_link(&self) -> Refusal {
        refused(
            rule::LINK,
            &format!(
                "Entry {} is a link to something behind another link, which is not allowed; put the file itself in its place.",
                self.entries
            ),
        )
    }

    /// Something in it is encrypted.
    pub(crate) fn encrypted(&mut self) -> Checked {
        self.unread += 1;
        if self.settings.allow_encrypted {
            return Ok(());
        }
        Err(refused(
            rule::ENCRYPTED,
            &format!(
                "Entry {} is encrypted, so that nobody can look into it; make the archive without a password.",
                self.entries
            ),
        ))
    }

    /// Something cannot be looked into; where that is allowed, it is skipped.
    pub(crate) fn unread(&mut self, what: &str) -> Checked {
        self.unread += 1;
        if self.settings.allow_unread {
            return Ok(());
        }
        Err(refused(
            rule::UNREAD,
            &format!(
                "{what}, so that it cannot be looked into; send it as an ordinary zip, gzip or tar file."
            ),
        ))
    }
}

/// Why an archive is refused.
pub(crate) fn refused(rule: &str, message: &str) -> Refusal {
    Refusal::new(rule, format!("The archive is not accepted: {message}"))
}

/// It is not what its format asks for.
pub(crate) fn broken(what: &str) -> Refusal {
    refused(
        rule::BROKEN,
        &format!("{what}; check that it is whole, or make it anew."),
    )
}

/// A size is not what it was said to be.
pub(crate) fn sizes(nth: u64) -> Refusal {
    refused(
        rule::SIZES,
        &format!("Entry {nth} has another size than it says; make the archive anew."),
    )
}

/// Two places say different names of an entry, so that programs unpack it to different files.
pub(crate) fn two_names(nth: u64) -> Refusal {
    refused(
        rule::NAME,
        &format!(
            "Entry {nth} has two names that do not agree, so that programs unpack it to different files; make the archive anew."
        ),
    )
}
