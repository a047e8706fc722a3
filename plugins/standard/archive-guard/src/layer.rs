//! Something that may be an archive: the upload, or what lies in one of its archives.

use crate::gather::Gather;
use crate::guard::{Checked, Guard};
use crate::gzip::Gzip;
use crate::tar::{self, Tar};
use crate::zip::Zip;

/// How much of a file says what it is: two blocks of a tar archive.
const START_BYTES: usize = 1024;

/// Archives that are not read, and how they begin.
const UNREAD: [(&str, &[u8]); 23] = [
    ("a 7z archive", b"7z\xbc\xaf\x27\x1c"),
    ("a RAR archive", b"Rar!\x1a\x07"),
    ("an xz archive", b"\xfd7zXZ\0"),
    ("a bzip2 archive", b"BZh"),
    ("a Zstandard archive", b"\x28\xb5\x2f\xfd"),
    ("an LZ4 archive", b"\x04\x22\x4d\x18"),
    ("a cabinet", b"MSCF"),
    ("an lzip archive", b"LZIP"),
    ("an ar archive", b"!<arch>\n"),
    ("a compressed file", b"\x1f\x9d"),
    ("an lzma archive", b"\x5d\0\0"),
    ("an lzop archive", b"\x89LZO\0"),
    ("an lrzip archive", b"LRZI"),
    ("a cpio archive", b"070701"),
    ("a cpio archive", b"070702"),
    ("a cpio archive", b"070707"),
    ("a cpio archive", b"\xc7\x71"),
    ("a cpio archive", b"\x71\xc7"),
    ("a xar archive", b"xar!\0"),
    ("an RPM package", b"\xed\xab\xee\xdb"),
    ("a StuffIt archive", b"SIT!"),
    ("a StuffIt archive", b"StuffIt "),
    ("a WARC archive", b"WARC/"),
];
/// A zip archive that goes over several files begins so.
const SPANNED_ZIP: &[u8] = b"PK\x07\x08";

/// A file that is being read.
pub(crate) enum Layer {
    /// Too little of it is there to say what it is.
    Start(Gather),
    Zip(Box<Zip>),
    Gzip(Box<Gzip>),
    Tar(Box<Tar>),
    /// No archive.
    Plain,
}

impl Layer {
    pub(crate) fn new() -> Self {
        Self::Start(Gather::of(START_BYTES))
    }

    /// Whether it is known to be none of the archives that are read.
    pub(crate) fn is_plain(&self) -> bool {
        matches!(self, Self::Plain)
    }

    /// The next bytes of it, `depth` archives deep.
    pub(crate) fn push(&mut self, mut bytes: &[u8], guard: &mut Guard, depth: u32) -> Checked {
        if let Self::Start(start) = self {
            if !start.take(&mut bytes) {
                return Ok(());
            }
            let start = start.next(0);
            self.begin(&start, guard, depth)?;
        }
        self.read(bytes, guard)
    }

    /// Its end.
    pub(crate) fn end(&mut self, guard: &mut Guard, depth: u32) -> Checked {
        if let Self::Start(start) = self {
            let start = start.next(0);
            self.begin(&start, guard, depth)?;
        }
        match self {
            Self::Zip(zip) => zip.end(),
            Self::Gzip(gzip) => gzip.end(guard),
            Self::Tar(tar) => tar.end(),
            Self::Start(_) | Self::Plain => Ok(()),
        }
    }

    /// Finds out what it is, and reads what was needed for that.
    fn begin(&mut self, start: &[u8], guard: &mut Guard, depth: u32) -> Checked {
        *self = if start.starts_with(b"PK\x03\x04") || start.starts_with(b"PK\x05\x06") {
            Self::Zip(Box::new(Zip::new(depth)))
        } else if start.starts_with(&[0x1f, 0x8b]) {
            Self::Gzip(Box::new(Gzip::new(depth)))
        } else if tar::begins(start) {
            Self::Tar(Box::new(Tar::new(depth)))
        } else {
            Self::Plain
        };
        if self.is_plain() {
            let mut unread = UNREAD.iter();
            if let Some((what, _)) = unread.find(|(_, magic)| start.starts_with(magic)) {
                guard.unread(&format!("It is or holds {what}"))?;
            } else if is_skippable(start) {
                guard.unread("It is or holds a Zstandard archive")?;
            } else if start.starts_with(SPANNED_ZIP) {
                guard.unread("It is or holds a zip archive in several files")?;
            }
            return Ok(());
        }
        guard.archive(depth)?;
        self.read(start, guard)
    }

    fn read(&mut self, bytes: &[u8], guard: &mut Guard) -> Checked {
        match self {
            Self::Zip(zip) => zip.push(bytes, guard),
            Self::Gzip(gzip) => gzip.push(bytes, guard),
            Self::Tar(tar) => tar.push(bytes, guard),
            Self::Start(_) | Self::Plain => Ok(()),
        }
    }
}

/// Whether a Zstandard frame begins here that programs skip, in front of others (RFC 8878, section 3.1.2).
fn is_skippable(start: &[u8]) -> bool {
    matches!(start, [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..])
}
