//! tar, as POSIX (pax interchange format, IEEE Std 1003.1), GNU and older programs write it.

use crate::gather::Gather;
use crate::guard::{Checked, Guard, broken, sizes, two_names};
use crate::layer::Layer;
use crate::name;
use crate::names::{self, Names};
use crate::pax;

/// Everything comes in blocks of so many bytes.
const BLOCK_BYTES: usize = 512;
/// The longest record of names and sizes before an entry.
const MAX_RECORD_BYTES: u64 = 1 << 20;

/// Fields of a header.
const NAME: std::ops::Range<usize> = 0..100;
const SIZE: std::ops::Range<usize> = 124..136;
const CHECKSUM: std::ops::Range<usize> = 148..156;
const KIND: usize = 156;
const LINK: std::ops::Range<usize> = 157..257;
const MAGIC: std::ops::Range<usize> = 257..262;
const PREFIX: std::ops::Range<usize> = 345..500;
/// A name of fewer characters than this needs no record of its own: the header holds it.
const SHORT_NAME_BYTES: usize = 99;
/// A size up to this needs no record of its own: the header holds it in eleven octal digits.
const MAX_OWN_SIZE: u64 = 0o777_7777_7777;

/// Numeric fields that are not used here: mode, owner, group and modification time. Some programs stop at a header in which
/// they cannot read one of them.
const OTHER_NUMBERS: [std::ops::Range<usize>; 4] = [100..108, 108..116, 116..124, 136..148];

/// Whether an archive begins here to any program: some of them know it by its magic number, some by a checksum, which they
/// read and add up in different ways, and some skip a block of zeros.
pub(crate) fn begins(start: &[u8]) -> bool {
    let (first, second) = start.split_at(start.len().min(BLOCK_BYTES));
    let is_block = |block: &[u8]| {
        block.len() == BLOCK_BYTES
            && (block[MAGIC] == *b"ustar" || checksums(block).contains(&digits(&block[CHECKSUM])))
    };
    let is_empty = first.iter().all(|byte| *byte == 0);
    is_block(first) && !is_empty || is_empty && second.get(..BLOCK_BYTES).is_some_and(is_block)
}

/// Whether this is a header that every program reads alike.
fn is_header(block: &[u8]) -> bool {
    let [sum, _] = checksums(block);
    let mut others = OTHER_NUMBERS.iter();
    block[0] != 0
        && number(&block[CHECKSUM]) == Some(sum)
        && others.all(|field| number(&block[field.clone()]).is_some())
}

/// The sum of all bytes, with spaces for the checksum, of bytes without a sign and of those with one.
fn checksums(block: &[u8]) -> [u64; 2] {
    let (mut plain, mut signed) = (0, 0_i64);
    for (at, byte) in block.iter().enumerate() {
        let byte = if CHECKSUM.contains(&at) { b' ' } else { *byte };
        plain += u64::from(byte);
        signed += i64::from(byte.cast_signed());
    }
    [plain, u64::try_from(signed).unwrap_or(plain)]
}

/// The octal digits in a field, whatever else is there.
fn digits(field: &[u8]) -> u64 {
    let digits = field.iter().filter(|byte| matches!(byte, b'0'..=b'7'));
    digits.fold(0, |number, digit| number * 8 + u64::from(digit - b'0'))
}

enum State {
    Header,
    /// What is said about the next entry, of this kind.
    Record(u8),
    /// So many bytes of a file.
    Data(u64),
    /// What fills up the last block.
    Padding(u64),
    /// Behind one block of zeros, and behind the second.
    Ending,
    Ended,
}

/// An archive that is being read.
pub(crate) struct Tar {
    depth: u32,
    state: State,
    gather: Gather,
    padding: u64,
    names: Names,
    said: Said,
    content: Option<Layer>,
}

/// What records say of the entry behind them, for what its header has no room for. Programs differ in which record they
/// take where there are several, so all of them must say the same.
#[derive(Default)]
struct Said {
    /// Kinds of records that were there. Of two of one kind, some programs read only the last.
    kinds: Vec<u8>,
    name: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    size: Option<u64>,
}

impl Tar {
    pub(crate) fn new(depth: u32) -> Self {
        Self {
            depth,
            state: State::Header,
            gather: Gather::of(BLOCK_BYTES),
            padding: 0,
            names: Names::default(),
            said: Said::default(),
            content: None,
        }
    }

    pub(crate) fn push(&mut self, mut bytes: &[u8], guard: &mut Guard) -> Checked {
        while !bytes.is_empty() {
            self.step(&mut bytes, guard)?;
        }
        Ok(())
    }

    pub(crate) fn end(&mut self) -> Checked {
        // Every program takes one block of zeros for an end.
        let is_over = matches!(self.state, State::Ended | State::Ending) && self.gather.is_empty();
        if is_over {
            return Ok(());
        }
        Err(broken("A tar archive ends too soon"))
    }

    fn step(&mut self, bytes: &mut &[u8], guard: &mut Guard) -> Checked {
        match self.state {
            State::Header | State::Ending => {
                if !self.gather.take(bytes) {
                    return Ok(());
                }
                let block = self.gather.next(BLOCK_BYTES);
                return self.header(&block, guard);
            }
            State::Record(kind) => {
                if self.gather.take(bytes) {
                    let record = self.gather.next(BLOCK_BYTES);
                    self.record(kind, &record, guard)?;
                    self.state = State::Padding(self.padding);
                    self.settle();
                }
            }
            State::Data(left) => {
                let take = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
                let (data, rest) = bytes.split_at(take);
                *bytes = rest;
                if let Some(content) = &mut self.content {
                    content.push(data, guard, self.depth + 1)?;
                }
                self.state = State::Data(left - take as u64);
                if left == take as u64 {
                    if let Some(mut content) = self.content.take() {
                        content.end(guard, self.depth + 1)?;
                    }
                    self.state = State::Padding(self.padding);
                    self.settle();
                }
            }
            State::Padding(left) => {
                let take = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
                *bytes = &bytes[take..];
                self.state = State::Padding(left - take as u64);
                self.settle();
            }
            State::Ended => {
                if bytes.iter().any(|byte| *byte != 0) {
                    return Err(broken("There is something behind the end of a tar archive"));
                }
                *bytes = &[];
            }
        }
        Ok(())
    }

    /// Behind the last byte of padding comes a header.
    fn settle(&mut self) {
        if matches!(self.state, State::Padding(0)) {
            self.state = State::Header;
        }
    }

    fn header(&mut self, block: &[u8], guard: &mut Guard) -> Checked {
        if block.iter().all(|byte| *byte == 0) {
            if !self.said.kinds.is_empty() {
                return Err(broken(
                    "A tar archive says something about an entry that is not there",
                ));
            }
            self.state = match self.state {
                State::Ending => State::Ended,
                _ => State::Ending,
            };
            return Ok(());
        }
        if matches!(self.state, State::Ending) {
            return Err(broken(
                "A tar archive has an entry behind its end, which only some programs see",
            ));
        }
        if !is_header(block) {
            return Err(broken("A tar archive has a header that is none"));
        }
        let kind = block[KIND];
        let said = match number(&block[SIZE]) {
            Some(said) if said > 0 || !is_blank(&block[SIZE]) || kind == b'V' => said,
            _ => return Err(broken("A tar archive has an entry without a size")),
        };
        if matches!(kind, b'L' | b'K' | b'x' | b'X' | b'g') {
            self.announce(kind)?;
            if said > MAX_RECORD_BYTES {
                return Err(broken("A tar archive says too much about an entry"));
            }
            if said == 0 && matches!(kind, b'L' | b'K') {
                return Err(broken("A tar archive has an entry without a name"));
            }
            self.begin(said);
            self.gather = Gather::of(usize::try_from(said).unwrap_or(0));
            self.state = State::Record(kind);
            if said == 0 {
                self.state = State::Header;
                self.gather = Gather::of(BLOCK_BYTES);
            }
            return Ok(());
        }
        let about = std::mem::take(&mut self.said);
        let name = self.name(block, about.name, guard)?;
        let size = match about.size {
            None => said,
            Some(size) if size == said || size > MAX_OWN_SIZE => size,
            Some(_) => return Err(sizes(guard.entries)),
        };
        // In the old format, Python decides by the header alone.
        let is_folder = name::is_folder(&name) || kind == 0 && name::is_folder(&own_name(block));
        match kind {
            b'0' | 0 | b'7' if !is_folder => {}
            // Programs disagree whether data follows an entry of these kinds that has a size.
            0 | b'0'..=b'7' => {
                if matches!(kind, b'1'..=b'4' | b'6') {
                    guard.link()?;
                    self.link(kind, block, about.link.as_deref(), guard)?;
                }
                if size > 0 {
                    return Err(broken(
                        "A tar archive has a folder, a link or a device that is said to have content",
                    ));
                }
            }
            b'S' => return Err(sparse()),
            _ => {
                guard.unread("A tar archive has an entry of a kind that is not read")?;
                self.follow(size);
                return Ok(());
            }
        }
        guard.declared(size)?;
        self.content = Some(Layer::new());
        self.follow(size);
        Ok(())
    }

    /// The name of an entry: what records say of it, or what its header says. Programs that do not know those records
    /// unpack by the header alone.
    fn name(&mut self, block: &[u8], said: Option<Vec<u8>>, guard: &mut Guard) -> Checked<Vec<u8>> {
        let own = own_name(block);
        let name = said.unwrap_or_else(|| own.clone());
        // A link is not a folder, even if its name ends with a slash.
        let is_folder = match block[KIND] {
            b'1'..=b'4' | b'6' => false,
            b'5' => true,
            _ => name::is_folder(&name),
        };
        guard.entry(&name, is_folder, &mut self.names)?;
        if !agree(&own, &name) || !has_one_prefix(block) {
            return Err(two_names(guard.entries));
        }
        for other in [&own[..], until_zero(&block[NAME])] {
            if other != name && !other.is_empty() {
                guard.name(other)?;
            }
        }
        Ok(name)
    }

    /// The target of a link. A hard link is made within the folder that the archive is unpacked in, and what it leads to
    /// must be there, too, and not behind another link. Where a symbolic link leads is for those who allow links.
    fn link(&self, kind: u8, block: &[u8], said: Option<&[u8]>, guard: &Guard) -> Checked {
        let own = until_zero(&block[LINK]);
        let target = said.unwrap_or(own);
        if matches!(kind, b'1' | b'2') && !agree(own, target) {
            return Err(two_names(guard.entries));
        }
        if kind == b'1' {
            guard.name(target)?;
            if self.names.is_behind_a_file(target) {
                return Err(guard.behind_link());
            }
        }
        Ok(())
    }

    /// A record about the next entry, or about all that follow, begins.
    fn announce(&mut self, kind: u8) -> Checked {
        // Solaris has another letter for the same.
        let kind = kind.to_ascii_lowercase();
        let is_between = kind == b'g' && !self.said.kinds.is_empty();
        if is_between || self.said.kinds.contains(&kind) {
            return Err(broken("A tar archive says two things about one entry"));
        }
        if kind != b'g' {
            self.said.kinds.push(kind);
        }
        Ok(())
    }

    /// So many bytes follow.
    fn follow(&mut self, size: u64) {
        self.begin(size);
        self.state = if size == 0 {
            self.content = None;
            State::Header
        } else {
            State::Data(size)
        };
    }

    fn begin(&mut self, size: u64) {
        let over = size % BLOCK_BYTES as u64;
        self.padding = if over == 0 {
            0
        } else {
            BLOCK_BYTES as u64 - over
        };
    }

    /// What is said about the next entry, or about all that follow.
    fn record(&mut self, kind: u8, record: &[u8], guard: &Guard) -> Checked {
        let nth = guard.entries + 1;
        match kind {
            b'L' => say(
                &mut self.said.name,
                until_zero(record).to_vec(),
                two_names(nth),
            ),
            b'K' => say(
                &mut self.said.link,
                until_zero(record).to_vec(),
                two_names(nth),
            ),
            _ => pax::read(record)?
                .into_iter()
                .try_for_each(|(key, value)| self.attribute(kind, key, value, nth)),
        }
    }

    /// One attribute of a pax header: of the next entry (`x`, and `X` of Solaris), or of all that follow (`g`).
    fn attribute(&mut self, kind: u8, key: &[u8], value: &[u8], nth: u64) -> Checked {
        match key {
            b"path" | b"linkpath" | b"size" if kind == b'g' => Err(broken(
                "A tar archive has one name or size for all entries that follow",
            )),
            b"path" => say(&mut self.said.name, value.to_vec(), two_names(nth)),
            b"linkpath" => say(&mut self.said.link, value.to_vec(), two_names(nth)),
            b"size" => {
                let size = pax::number(value)
                    .ok_or_else(|| broken("A tar archive has an entry without a size"))?;
                say(&mut self.said.size, size, sizes(nth))
            }
            b"SCHILY.realsize" => Err(sparse()),
            _ if key.starts_with(b"GNU.sparse.") => Err(sparse()),
            _ => Ok(()),
        }
    }
}

/// Keeps what a record says, unless another one said something else.
fn say<T: PartialEq>(
    place: &mut Option<T>,
    value: T,
    otherwise: portcullis_policy::Refusal,
) -> Checked {
    match place.replace(value) {
        Some(before) if place.as_ref() != Some(&before) => Err(otherwise),
        _ => Ok(()),
    }
}

/// Whether a header can stand before an entry of this name: it has the name itself, unless it has no room for it.
fn agree(own: &[u8], name: &[u8]) -> bool {
    let fits = name.len() < SHORT_NAME_BYTES && name.is_ascii();
    !fits || names::are_same(own, name)
}

fn sparse() -> portcullis_policy::Refusal {
    broken("A tar archive has a sparse file, which is not read as a stream")
}

/// The name in a header, with its prefix where POSIX has one.
fn own_name(block: &[u8]) -> Vec<u8> {
    if block[MAGIC] == *b"ustar" && block[MAGIC.end] == 0 {
        return prefixed(block);
    }
    until_zero(&block[NAME]).to_vec()
}

/// Whether all programs read the same prefix of a name. Other formats than that of POSIX have none; GNU has times in its
/// place, in octal digits, which some programs take for a prefix.
fn has_one_prefix(block: &[u8]) -> bool {
    let prefix = until_zero(&block[PREFIX]);
    let is_posix = block[MAGIC] == *b"ustar" && block[MAGIC.end] == 0;
    let is_gnu = block[MAGIC] == *b"ustar" && block[MAGIC.end..MAGIC.end + 3] == *b"  \0";
    is_posix || prefix.is_empty() || is_gnu && prefix.iter().all(u8::is_ascii_digit)
}

/// The name in a header with its prefix.
fn prefixed(block: &[u8]) -> Vec<u8> {
    let name = until_zero(&block[NAME]);
    match until_zero(&block[PREFIX]) {
        [] => name.to_vec(),
        prefix => [prefix, b"/", name].concat(),
    }
}

fn until_zero(text: &[u8]) -> &[u8] {
    text.split(|byte| *byte == 0).next().unwrap_or_default()
}

/// A number in octal digits, or in binary where its first bit is set. Blank is 0.
fn number(field: &[u8]) -> Option<u64> {
    let (first, rest) = field.split_first()?;
    if first & 0x80 != 0 {
        let begin = u64::from(first & 0x7f);
        return rest.iter().try_fold(begin, |number, byte| {
            Some(number.checked_mul(256)? | u64::from(*byte))
        });
    }
    if *first == 0 && !is_blank(field) {
        return None;
    }
    let text = until_zero(field);
    let end = text
        .iter()
        .rposition(|byte| *byte != b' ')
        .map_or(0, |at| at + 1);
    let digits = text[..end].iter().skip_while(|byte| **byte == b' ');
    digits.copied().try_fold(0u64, |number, byte| match byte {
        b'0'..=b'7' => number.checked_mul(8)?.checked_add(u64::from(byte - b'0')),
        _ => None,
    })
}

fn is_blank(field: &[u8]) -> bool {
    field.iter().all(|byte| matches!(byte, 0 | b' '))
}
