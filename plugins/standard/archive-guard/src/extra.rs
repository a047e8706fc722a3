//! The extra fields of a zip entry (APPNOTE 4.5 and 4.6) that change what its name, size or kind is to some program.

use unicode_normalization::UnicodeNormalization;

use crate::gather::{u16_at, u32_at, u64_at};
use crate::guard::{Checked, broken};

/// Sizes of 64 bits (APPNOTE 4.5.3).
const ZIP64: u16 = 1;
/// A second name in UTF-8 (APPNOTE 4.6.9): one byte of version, four of a checksum, then the name.
const UNICODE_PATH: u16 = 0x7075;
const UNICODE_PATH_AT: usize = 5;
/// What the list says of an entry, written in front of it, too (libarchive).
const LIST_FIELDS: u16 = 0x6c78;
/// Fields that hold a second name in a form that is not read here: of `ZipIt` for Macintosh and of Xceed.
const OTHER_NAMES: [u16; 2] = [0x2605, 0x554e];
/// The value of a 32-bit field whose 64-bit number is in [`ZIP64`].
const ELSEWHERE: u64 = 0xffff_ffff;

/// What is known from the extra fields of one header.
#[derive(Default)]
pub(crate) struct Extra<'a> {
    long: Option<&'a [u8]>,
    /// A second name.
    pub(crate) unicode_path: Option<&'a [u8]>,
    /// Whether there is a second name that is not read.
    pub(crate) has_other_name: bool,
    /// Whether attributes in these fields are those of a link or a device.
    pub(crate) is_link: bool,
}

impl<'a> Extra<'a> {
    /// Reads all fields of a header.
    ///
    /// # Errors
    ///
    /// A field that matters appears twice, or the fields do not end where they should. Programs read such fields differently.
    pub(crate) fn read(mut fields: &'a [u8]) -> Checked<Self> {
        let mut extra = Self::default();
        while fields.len() >= 4 {
            let (id, length) = (u16_at(fields, 0), usize::from(u16_at(fields, 2)));
            let field = fields.get(4..4 + length).ok_or_else(cut_off)?;
            match id {
                ZIP64 => once(&mut extra.long, field)?,
                UNICODE_PATH => {
                    let name = field.get(UNICODE_PATH_AT..).unwrap_or_default();
                    once(&mut extra.unicode_path, name)?;
                }
                LIST_FIELDS => extra.is_link |= attributes(field).is_some_and(is_link),
                id if OTHER_NAMES.contains(&id) => extra.has_other_name = true,
                _ => {}
            }
            fields = &fields[4 + length..];
        }
        // Some programs fill up with zeros.
        if fields.iter().any(|byte| *byte != 0) {
            return Err(cut_off());
        }
        Ok(extra)
    }

    /// Takes the numbers of 64 bits for those that say that they are here, in the order in which they are; says
    /// whether there are any.
    ///
    /// # Errors
    ///
    /// One of them is not there.
    pub(crate) fn lengthen(&self, numbers: [&mut u64; 3]) -> Checked<bool> {
        let Some(long) = self.long else {
            return Ok(false);
        };
        let mut at = 0;
        for number in numbers {
            if *number == ELSEWHERE {
                if long.len() < at + 8 {
                    return Err(cut_off());
                }
                *number = u64_at(long, at);
                at += 8;
            }
        }
        Ok(true)
    }
}

/// What the upper half of an entry's attributes is to programs on Unix, whatever host is said to have made it: the mode of
/// a file. A pipe is a file that was read from one.
const MODE_MASK: u32 = 0xf000;
const FILE_MODES: [u32; 4] = [0, 0x1000, 0x4000, 0x8000];
const FOLDER_MODE: u32 = 0x4000;
/// The lower half is what DOS has for a folder (APPNOTE 4.4.15).
const DOS_FOLDER: u32 = 0x10;

/// Whether attributes are those of a link or a device.
pub(crate) fn is_link(attributes: u32) -> bool {
    !FILE_MODES.contains(&((attributes >> 16) & MODE_MASK))
}

/// Whether attributes are those of a folder to some program.
pub(crate) fn is_folder(attributes: u32) -> bool {
    (attributes >> 16) & MODE_MASK == FOLDER_MODE || attributes & DOS_FOLDER != 0
}

fn cut_off() -> portcullis_policy::Refusal {
    broken("A zip archive has an extra field that is cut off")
}

fn once<'a>(place: &mut Option<&'a [u8]>, field: &'a [u8]) -> Checked {
    match place.replace(field) {
        None => Ok(()),
        Some(_) => Err(broken("A zip archive has an extra field twice")),
    }
}

/// The external attributes in [`LIST_FIELDS`]: behind a bitmap of seven bits to a byte, the version that made it (bit
/// 1, 2 bytes) and internal attributes (bit 2, 2 bytes), where bit 4 says that they are there.
fn attributes(field: &[u8]) -> Option<u32> {
    let bitmap = *field.first()?;
    let last = field.iter().position(|byte| byte & 0x80 == 0)?;
    let before = [1, 2].iter().filter(|bit| bitmap & **bit != 0).count() * 2;
    let at = last + 1 + before;
    (bitmap & 4 != 0 && field.len() >= at + 4).then(|| u32_at(field, at))
}

/// Whether a UTF-8 name and the name in a header are spellings of the same name. The encoding of the header is unknown, so
/// only ASCII characters are compared. Other characters may be any bytes, or `?`, `_` or `#U` and four digits where the
/// encoding lacks them.
pub(crate) fn are_spellings(header: &[u8], unicode: &[u8]) -> bool {
    let Ok(unicode) = str::from_utf8(unicode) else {
        return false;
    };
    if str::from_utf8(header).is_ok_and(|header| header.nfc().eq(unicode.nfc())) {
        return true;
    }
    let (mut rest, mut chars) = (header, unicode.nfc().peekable());
    while let Some(char) = chars.next() {
        if char.is_ascii() {
            match rest.split_first() {
                Some((byte, behind)) if char == char::from(*byte) => rest = behind,
                _ => return false,
            }
            continue;
        }
        let mut run = 1;
        while chars.next_if(|next| !next.is_ascii()).is_some() {
            run += 1;
        }
        let length = spelled(rest, run);
        if length == 0 {
            return false;
        }
        rest = &rest[length..];
    }
    rest.is_empty()
}

/// How many bytes at the beginning spell so many characters that are not ASCII.
fn spelled(text: &[u8], mut characters: usize) -> usize {
    let mut at = 0;
    while characters > 0 && at < text.len() {
        let rest = &text[at..];
        // The bytes per character are unknown, so the whole run counts.
        let high = rest.iter().take_while(|byte| !byte.is_ascii()).count();
        let escape = |letter, digits: usize| {
            rest.starts_with(&[b'#', letter])
                && rest.len() >= 2 + digits
                && rest[2..2 + digits].iter().all(u8::is_ascii_hexdigit)
        };
        let (length, spelled) = match rest[0] {
            _ if high > 0 => (high, high),
            b'?' | b'_' => (1, 1),
            _ if escape(b'U', 4) => (6, 1),
            _ if escape(b'L', 6) => (8, 1),
            _ => break,
        };
        at += length;
        characters = characters.saturating_sub(spelled);
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_in_unicode_is_compared_with_its_spelling_in_the_header() {
        for (header, unicode, wanted) in [
            (&b"ok.csv"[..], "ok.csv", true),
            (b"gr\x94\xe1e.csv", "größe.csv", true),
            ("größe.csv".as_bytes(), "gro\u{308}ße.csv", true),
            (b"gr??e.csv", "größe.csv", true),
            (b"gr#U00f6#U00dfe.csv", "größe.csv", true),
            (b"\x82_b.csv", "é_b.csv", true),
            (b"_\x81_b.csv", "中ü_b.csv", true),
            (b"ok.csv", "../../evil.sh", false),
            (b"gr\x94\xe1e.csv", "größe.sh", false),
            (b"\x94.csv", "ö", false),
            (b".csv", "ö.csv", false),
            (b"", "ok.csv", false),
            (b"ok.csv", "", false),
            (b"a_b.csv", "ab.csv", false),
        ] {
            assert_eq!(
                are_spellings(header, unicode.as_bytes()),
                wanted,
                "{unicode}"
            );
        }
        assert!(!are_spellings(b"a\xff", b"a\xff"));
    }

    #[test]
    fn fields_are_read_where_they_are_and_once() {
        let field = |id: u16, content: &[u8]| {
            let length = u16::try_from(content.len()).expect("is short");
            [&id.to_le_bytes(), &length.to_le_bytes(), content].concat()
        };
        let path = field(UNICODE_PATH, b"\x01\0\0\0\0name");
        let fields = [field(0x5455, b"\x03abcd"), path.clone()].concat();
        let extra = Extra::read(&fields).expect("is read");
        assert_eq!(extra.unicode_path, Some(&b"name"[..]));
        assert!(Extra::read(&[path.clone(), path.clone()].concat()).is_err());
        assert!(Extra::read(&path[..path.len() - 1]).is_err());
        let own = field(LIST_FIELDS, &[0x85, 0, 30, 3, 0, 0, 0xff, 0xa1]);
        let own = Extra::read(&own).expect("is read");
        assert!(own.is_link);
        let both = [
            field(LIST_FIELDS, &[4, 0, 0, 0xff, 0xa1]),
            field(LIST_FIELDS, &[0]),
        ]
        .concat();
        assert!(Extra::read(&both).expect("is read").is_link);
        assert!(Extra::read(&[0, 0, 0]).is_ok());
        assert!(Extra::read(&[1, 0, 0]).is_err());
        let short = field(ZIP64, &[0; 8]);
        let short = Extra::read(&short).expect("is read");
        let (mut one, mut other) = (ELSEWHERE, ELSEWHERE);
        assert!(short.lengthen([&mut one, &mut other, &mut 0]).is_err());
        let named = field(0x554e, b"");
        assert!(Extra::read(&named).expect("is read").has_other_name);
    }
}
