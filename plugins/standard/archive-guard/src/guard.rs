//! What all archives of an upload may do together, and what breaks a rule.

use std::collections::BTreeSet;

use portcullis_policy::Refusal;

use crate::name::{self, UnsafeName};
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
    pub(crate) fn entry(&mut self, own: &[u8], names: &mut BTreeSet<u64>) -> Checked {
        self.entries += 1;
        if self.entries > self.settings.max_entries {
            let most = self.settings.max_entries;
            return Err(refused(
                rule::ENTRIES,
                &format!("It has more than the {most} entries that are allowed; divide it."),
            ));
        }
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
        if !names.insert(name::hash(own)) {
            return Err(refused(
                rule::DUPLICATE,
                &format!("Entry {nth} has the name of another one; make the archive anew."),
            ));
        }
        let extension = name::extension(own);
        let forbidden = extension.and_then(|extension| {
            let mut forbidden = self.settings.forbid_extensions.iter();
            forbidden.find(|one| one.as_bytes() == extension).cloned()
        });
        match forbidden {
            None => Ok(()),
            Some(extension) => Err(refused(
                rule::FORBIDDEN,
                &format!("Entry {nth} is a .{extension} file, which is not allowed; leave it out."),
            )),
        }
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
