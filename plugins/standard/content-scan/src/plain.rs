//! Converts text to what a reader sees: typographic dashes, spaces and digits become ASCII, and invisible characters are
//! dropped. Each byte keeps its offset in the file.

use std::borrow::Cow;
use std::collections::VecDeque;

use portcullis_text::{Plain as Character, plain};
use wide::u8x16;

/// How a line ends that has no line feed, in a plain text.
pub(crate) const LINE_END: u8 = 0x0b;
/// How many bytes are looked at together for whether they are ASCII.
const BLOCK_BYTES: usize = 64;
const LANE_BYTES: usize = 16;
/// The longest character in UTF-8.
const MAX_CHARACTER_BYTES: usize = 4;

/// A plain text while it comes.
#[derive(Default)]
pub(crate) struct Plain {
    text: Vec<u8>,
    /// How many bytes of plain text, and of the file, were before those in `text`.
    drained: u64,
    read: u64,
    /// From each of these places in the plain text on, the offset in the file is larger by this many bytes.
    shifts: VecDeque<(u64, u64)>,
    /// The beginning of a character that is cut.
    begun: Vec<u8>,
    /// A character that depends on what follows, and where it was.
    pending: Option<(Pending, u64)>,
}

/// What a character may turn out to be. Where two follow each other, the later variant wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Pending {
    /// Nothing within a word or a number, a space between a word and a number.
    Invisible,
    /// A hyphen within a number and at the end of its line, and nothing elsewhere.
    SoftHyphen,
    /// A full stop within a number, and a space elsewhere.
    Dot,
    /// A hyphen within a number, at the end of its line and between spaces, and a space elsewhere.
    Dash,
}

impl Pending {
    /// What it is between these two.
    fn between(self, before: Option<u8>, behind: u8) -> Option<u8> {
        let is_digit = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_digit());
        let is_letter = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_alphabetic());
        let (next, is_line_end) = (
            Some(behind),
            matches!(behind, b'\r' | b'\n' | LINE_END | 0x0c),
        );
        let is_within = is_digit(before) && is_digit(next);
        let divides = is_digit(before) && is_line_end;
        match self {
            Self::SoftHyphen | Self::Dash if is_within || divides => Some(b'-'),
            Self::Dash if before == Some(b' ') && behind == b' ' => Some(b'-'),
            Self::Dot if is_within => Some(b'.'),
            Self::Dash | Self::Dot => Some(b' '),
            Self::SoftHyphen => None,
            Self::Invisible => {
                let is_edge =
                    is_letter(before) && is_digit(next) || is_digit(before) && is_letter(next);
                is_edge.then_some(b' ')
            }
        }
    }
}

impl Plain {
    /// Takes bytes from the front until the plain text has at least so many. How much it takes does not depend on how the
    /// file is cut.
    pub(crate) fn push(&mut self, bytes: &mut &[u8], most: usize) {
        while self.text.len() < most && !bytes.is_empty() {
            if self.begun.is_empty() && self.pending.is_none() {
                let same = unchanged(bytes, most - self.text.len());
                if same > 0 {
                    let (same, rest) = bytes.split_at(same);
                    self.append(same);
                    *bytes = rest;
                    continue;
                }
            }
            if self.begun.is_empty()
                && let Some(char) = first_character(bytes)
            {
                *bytes = &bytes[char.len_utf8()..];
                self.character(char);
                continue;
            }
            let (first, rest) = (bytes[0], &bytes[1..]);
            if !self.begun.is_empty() && !is_continuation(first) {
                self.broken();
                continue;
            }
            *bytes = rest;
            self.begun.push(first);
            match str::from_utf8(&self.begun) {
                Ok(character) => {
                    let char = character.chars().next().unwrap_or_default();
                    self.begun.clear();
                    self.character(char);
                }
                Err(error) if error.error_len().is_some() => self.broken(),
                Err(_) => {}
            }
        }
    }

    /// The file is over.
    pub(crate) fn finish(&mut self) {
        self.broken();
        self.pending = None;
    }

    /// What is there of it.
    pub(crate) fn text(&self) -> &[u8] {
        &self.text
    }

    /// The offset in the file of the byte at this place.
    pub(crate) fn place(&self, at: usize) -> u64 {
        let own = self.drained + at as u64;
        let behind = self.shifts.partition_point(|(from, _)| *from <= own);
        let shift = behind.checked_sub(1).map_or(0, |last| self.shifts[last].1);
        own + shift
    }

    /// Drops the first bytes of it.
    pub(crate) fn drain(&mut self, bytes: usize) {
        self.text.drain(..bytes);
        self.drained += bytes as u64;
        while self
            .shifts
            .get(1)
            .is_some_and(|(from, _)| *from <= self.drained)
        {
            self.shifts.pop_front();
        }
    }

    fn character(&mut self, char: char) {
        let length = char.len_utf8();
        match plain(char) {
            Character::Ascii(byte) => self.one(byte, length),
            Character::LineEnd => self.one(LINE_END, length),
            Character::Dash => self.wait(Pending::Dash, length),
            Character::Dot => self.wait(Pending::Dot, length),
            Character::SoftHyphen => self.wait(Pending::SoftHyphen, length),
            Character::Invisible => self.wait(Pending::Invisible, length),
            Character::Other => {
                let mut bytes = [0; MAX_CHARACTER_BYTES];
                self.append(char.encode_utf8(&mut bytes).as_bytes());
            }
        }
    }

    /// Bytes that are no UTF-8: characters of Windows-1252 where they are dashes and such, and otherwise as they are.
    fn broken(&mut self) {
        for byte in std::mem::take(&mut self.begun) {
            match byte {
                0x96 | 0x97 => self.wait(Pending::Dash, 1),
                0xad => self.wait(Pending::SoftHyphen, 1),
                0x95 | 0xb7 => self.wait(Pending::Dot, 1),
                0xa0 => self.one(b' ', 1),
                byte => self.append(&[byte]),
            }
        }
    }

    /// A character of so many bytes that depends on what follows.
    fn wait(&mut self, pending: Pending, character_bytes: usize) {
        let (before, began) = self.pending.unwrap_or((pending, self.read));
        self.pending = Some((before.max(pending), began));
        self.read += character_bytes as u64;
    }

    /// One byte for a character of so many.
    fn one(&mut self, byte: u8, character_bytes: usize) {
        self.append(&[byte]);
        self.read += character_bytes as u64 - 1;
    }

    fn append(&mut self, bytes: &[u8]) {
        if let (Some((pending, began)), Some(next)) = (self.pending.take(), bytes.first())
            && let Some(byte) = pending.between(self.text.last().copied(), *next)
        {
            let now = std::mem::replace(&mut self.read, began);
            self.add(&[byte]);
            self.read = now;
        }
        self.add(bytes);
    }

    fn add(&mut self, bytes: &[u8]) {
        let own = self.drained + self.text.len() as u64;
        let shift = self.read - own;
        if self.shifts.back().map_or(0, |(_, shift)| *shift) != shift {
            self.shifts.push_back((own, shift));
        }
        self.text.extend_from_slice(bytes);
        self.read += bytes.len() as u64;
    }
}

/// The plain text of a cell.
pub(crate) fn cell(value: &[u8]) -> Cow<'_, [u8]> {
    if value.is_ascii() {
        return Cow::Borrowed(value);
    }
    let mut plain = Plain::default();
    plain.push(&mut &*value, usize::MAX);
    plain.finish();
    Cow::Owned(plain.text)
}

/// How many bytes at the beginning are characters that stay as they are, up to `most` bytes or one character more: ASCII, and
/// letters of scripts in wide use, which their first byte shows (U+00C0 to U+027F, U+0380 to U+04FF, U+4000 to U+9FFF and
/// U+B000 to U+CFFF).
fn unchanged(bytes: &[u8], most: usize) -> usize {
    let mut at = 0;
    while at < most {
        let rest = &bytes[at..];
        if most - at >= BLOCK_BYTES
            && let Some(block) = rest.first_chunk::<BLOCK_BYTES>()
            && is_ascii(block)
        {
            at += BLOCK_BYTES;
            continue;
        }
        at += match rest {
            [0..=0x7f, ..] => 1,
            [0xc3..=0xc9 | 0xce..=0xd3, next, ..] if is_continuation(*next) => 2,
            [0xe4..=0xe9 | 0xeb..=0xec, next, last, ..]
                if is_continuation(*next) && is_continuation(*last) =>
            {
                3
            }
            _ => break,
        };
    }
    at
}

fn is_ascii(block: &[u8; BLOCK_BYTES]) -> bool {
    let (lanes, _) = block.as_chunks::<LANE_BYTES>();
    let all = lanes.iter().map(|lane| u8x16::new(*lane));
    all.fold(u8x16::splat(0), |all, lane| all | lane)
        .to_bitmask()
        == 0
}

/// The character at the beginning, if all of it is there.
fn first_character(bytes: &[u8]) -> Option<char> {
    let length = match bytes.first()? {
        0..=0x7f => 1,
        0xc2..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf4 => 4,
        _ => return None,
    };
    str::from_utf8(bytes.get(..length)?).ok()?.chars().next()
}

fn is_continuation(byte: u8) -> bool {
    byte & 0xc0 == 0x80
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(file: &[u8], cut: usize, most: usize) -> (Vec<u8>, Vec<u64>) {
        let (mut plain, mut text, mut places) = (Plain::default(), Vec::new(), Vec::new());
        let mut empty = |plain: &mut Plain, all: bool| {
            if plain.text().len() >= most || all {
                let bytes = plain.text().len();
                text.extend_from_slice(plain.text());
                places.extend((0..bytes).map(|at| plain.place(at)));
                plain.drain(bytes);
            }
        };
        for mut piece in file.chunks(cut) {
            while !piece.is_empty() {
                plain.push(&mut piece, most);
                empty(&mut plain, false);
            }
        }
        plain.finish();
        empty(&mut plain, true);
        (text, places)
    }

    #[test]
    fn typography_becomes_ascii_and_places_are_kept() {
        for (file, wanted, places) in [
            ("1\u{2011}2", &b"1-2"[..], vec![0, 1, 4]),
            ("1\u{a0}2\u{200b}3", b"1 23", vec![0, 1, 3, 7]),
            ("１２", b"12", vec![0, 3]),
            ("1\u{ad}2", b"1-2", vec![0, 1, 3]),
            ("a\u{ad}b", b"ab", vec![0, 3]),
            ("1\u{ad}b", b"1b", vec![0, 3]),
            ("é1", "é1".as_bytes(), vec![0, 1, 2]),
            ("1\u{2013}2", b"1-2", vec![0, 1, 4]),
            ("1\u{2013}a", b"1 a", vec![0, 1, 4]),
            ("1 \u{2013} 2", b"1 - 2", vec![0, 1, 2, 5, 6]),
            ("1\u{ad}\n2", b"1-\n2", vec![0, 1, 3, 4]),
            ("•1", b" 1", vec![0, 3]),
            ("a\u{200b}1", b"a 1", vec![0, 1, 4]),
            ("1\u{2028}2", b"1\x0b2", vec![0, 1, 4]),
        ] {
            for cut in 1..=file.len() {
                for most in 1..=file.len() {
                    let read = read(file.as_bytes(), cut, most);
                    // These characters depend on the text before them, which `read` drains early when `most` is small.
                    let depends = file.contains(['\u{ad}', '\u{2013}', '\u{200b}', '•']);
                    if most > 3 || !depends {
                        assert_eq!(read, (wanted.to_vec(), places.clone()), "{file:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn bytes_that_are_no_utf_8_are_read_as_windows_1252_has_them() {
        let (text, places) = read(b"123\x9645\xa06789\xe9", 3, 100);
        assert_eq!(text, b"123-45 6789\xe9");
        assert_eq!(places, (0..12).collect::<Vec<_>>());
        let (text, _) = read(b"a\xe2\x80", 1, 100);
        assert_eq!(text, b"a\xe2\x80");
    }
}
