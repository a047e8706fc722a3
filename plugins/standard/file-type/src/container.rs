//! What a ZIP archive is for, by the names of the entries that its beginning shows.

use memchr::memmem;

use crate::signature::Foreign;

/// What a ZIP archive is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Container {
    /// Anything that is not one of the others.
    Plain,
    /// An Office Open XML spreadsheet.
    Spreadsheet,
    /// An Office Open XML text.
    Document,
    /// An Office Open XML presentation.
    Presentation,
}

/// What the beginning of a ZIP archive shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shown {
    /// It is this.
    Sure(Container),
    /// Office Open XML, though the entry that would tell which one comes later.
    SomeOffice,
    /// A program in an archive.
    Program(Foreign),
    /// An Office document with macros.
    Macros,
    /// Not a ZIP archive.
    NotZip,
}

impl Shown {
    /// Whether the archive can be the wanted one.
    pub(crate) fn agrees_with(self, wanted: Container) -> bool {
        match self {
            Self::Sure(container) => container == wanted,
            Self::SomeOffice => wanted != Container::Plain,
            Self::Program(_) | Self::Macros | Self::NotZip => false,
        }
    }
}

/// What the archive shows in its first bytes. Entries are found by their signature rather than by walking,
/// because streaming writers leave the lengths out.
pub(crate) fn shown(prefix: &[u8]) -> Shown {
    let empty = prefix.starts_with(b"PK\x05\x06");
    if empty {
        return Shown::Sure(Container::Plain);
    }
    if !prefix.starts_with(LOCAL_HEADER) {
        return Shown::NotZip;
    }
    let names =
        || memmem::find_iter(prefix, LOCAL_HEADER).filter_map(|at| entry_name(&prefix[at..]));
    let any = |test: fn(&[u8]) -> bool| names().any(test);

    if any(|name| name == b"META-INF/MANIFEST.MF") {
        return Shown::Program(JAVA);
    }
    if any(|name| name == b"AndroidManifest.xml" || name == b"classes.dex") {
        return Shown::Program(ANDROID);
    }
    // Only a first entry of these makes an Office document; anyone may pack a folder called `word`.
    let office = names().next().is_some_and(is_office_entry);
    if !office {
        return Shown::Sure(Container::Plain);
    }
    if any(|name| name.ends_with(b"vbaProject.bin")) {
        return Shown::Macros;
    }
    let holds = |folder: &[u8]| names().any(|name| name.starts_with(folder));
    if holds(b"xl/") {
        Shown::Sure(Container::Spreadsheet)
    } else if holds(b"word/") {
        Shown::Sure(Container::Document)
    } else if holds(b"ppt/") {
        Shown::Sure(Container::Presentation)
    } else {
        Shown::SomeOffice
    }
}

const LOCAL_HEADER: &[u8] = b"PK\x03\x04";

const JAVA: Foreign = Foreign {
    name: "a Java program",
    executable: true,
};

const ANDROID: Foreign = Foreign {
    name: "an Android program",
    executable: true,
};

fn is_office_entry(name: &[u8]) -> bool {
    let folders: [&[u8]; 6] = [
        b"_rels/",
        b"docProps/",
        b"customXml/",
        b"xl/",
        b"word/",
        b"ppt/",
    ];
    name == b"[Content_Types].xml" || folders.iter().any(|folder| name.starts_with(folder))
}

/// The name in a local file header (PKWARE APPNOTE, section 4.3.7), if all of it is there.
fn entry_name(header: &[u8]) -> Option<&[u8]> {
    const NAME_LENGTH_AT: usize = 26;
    const NAME_AT: usize = 30;
    let length = header.get(NAME_LENGTH_AT..NAME_LENGTH_AT + 2)?;
    let length = usize::from(u16::from_le_bytes([length[0], length[1]]));
    header.get(NAME_AT..NAME_AT.checked_add(length)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The local headers of stored, empty entries.
    fn archive(names: &[&str]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for name in names {
            bytes.extend_from_slice(LOCAL_HEADER);
            bytes.extend_from_slice(&[0; 22]);
            let length = u16::try_from(name.len()).expect("short");
            bytes.extend_from_slice(&length.to_le_bytes());
            bytes.extend_from_slice(&[0; 2]);
            bytes.extend_from_slice(name.as_bytes());
        }
        bytes
    }

    #[test]
    fn archives_are_told_apart_by_their_entries() {
        let types = "[Content_Types].xml";
        for (names, wanted) in [
            (&["data.csv"] as &[_], Shown::Sure(Container::Plain)),
            (&["word/data.csv", types], Shown::Sure(Container::Document)),
            (&["data.csv", "word/a.xml"], Shown::Sure(Container::Plain)),
            (&[types, "_rels/.rels"], Shown::SomeOffice),
            (
                &[types, "xl/workbook.xml"],
                Shown::Sure(Container::Spreadsheet),
            ),
            (&[types, "ppt/slides"], Shown::Sure(Container::Presentation)),
            (&[types, "word/vbaProject.bin"], Shown::Macros),
            (&["META-INF/MANIFEST.MF"], Shown::Program(JAVA)),
            (&["META-INF/", "META-INF/MANIFEST.MF"], Shown::Program(JAVA)),
            (&["AndroidManifest.xml"], Shown::Program(ANDROID)),
        ] {
            assert_eq!(shown(&archive(names)), wanted, "{names:?}");
        }
        assert_eq!(shown(b"PK\x05\x06"), Shown::Sure(Container::Plain));
        assert_eq!(shown(b"PK"), Shown::NotZip);
    }
}
