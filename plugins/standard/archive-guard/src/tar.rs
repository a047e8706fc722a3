//! tar, as POSIX (pax interchange format, IEEE Std 1003.1), GNU and older programs write it.

use std::collections::BTreeSet;

use crate::gather::Gather;
use crate::guard::{Checked, Guard, broken};
use crate::layer::Layer;

/// Everything comes in blocks of so many bytes.
const BLOCK_BYTES: usize = 512;
/// The longest record of names and sizes before an entry.
const MAX_RECORD_BYTES: u64 = 1 << 20;

/// Fields of a header.
const NAME: std::ops::Range<usize> = 0..100;
const SIZE: std::ops::Range<usize> = 124..136;
const CHECKSUM: std::ops::Range<usize> = 148..156;
const KIND: usize = 156;
const MAGIC: std::ops::Range<usize> = 257..262;
const PREFIX: std::ops::Range<usize> = 345..500;

/// Whether this is the first header of an archive: its checksum is right.
pub(crate) fn is_header(block: &[u8]) -> bool {
    let Some(said) = block
        .get(..BLOCK_BYTES)
        .and_then(|block| number(&block[CHECKSUM]))
    else {
        return false;
    };
    let bytes = block.iter().take(BLOCK_BYTES).enumerate();
    let sum: u64 = bytes
        .map(|(at, byte)| u64::from(if CHECKSUM.contains(&at) { b' ' } else { *byte }))
        .sum();
    said == sum && block[0] != 0
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
    names: BTreeSet<u64>,
    long_name: Option<Vec<u8>>,
    long_size: Option<u64>,
    content: Option<Layer>,
}

impl Tar {
    pub(crate) fn new(depth: u32) -> Self {
        Self {
            depth,
            state: State::Header,
            gather: Gather::of(BLOCK_BYTES),
            padding: 0,
            names: BTreeSet::new(),
            long_name: None,
            long_size: None,
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
        let is_over = matches!(self.state, State::Ended);
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
                    self.record(kind, &record)?;
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
            self.state = match self.state {
                State::Ending => State::Ended,
                _ => State::Ending,
            };
            return Ok(());
        }
        if !is_header(block) {
            return Err(broken("A tar archive has a header that is none"));
        }
        let said = number(&block[SIZE]);
        let Some(said) = said else {
            return Err(broken("A tar archive has an entry without a size"));
        };
        let kind = block[KIND];
        if matches!(kind, b'L' | b'K' | b'x' | b'g') {
            if said > MAX_RECORD_BYTES {
                return Err(broken("A tar archive says too much about an entry"));
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
        let name = self.long_name.take().unwrap_or_else(|| own_name(block));
        let size = self.long_size.take().unwrap_or(said);
        guard.entry(&name, &mut self.names)?;
        match kind {
            // Files, and folders, to which some programs give a size.
            b'0' | 0 | b'7' | b'5' => {}
            // Links and devices have no content, whatever their size says.
            b'1'..=b'4' | b'6' => {
                guard.link()?;
                self.follow(0);
                return Ok(());
            }
            _ => {
                guard.unread("A tar archive has an entry of a kind that is not read")?;
                self.follow(size);
                return Ok(());
            }
        }
        guard.declared(size)?;
        self.content = (kind != b'5').then(Layer::new);
        self.follow(size);
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

    /// What is said about the next entry.
    fn record(&mut self, kind: u8, record: &[u8]) -> Checked {
        match kind {
            b'L' => self.long_name = Some(until_zero(record).to_vec()),
            b'x' => {
                for (key, value) in pax(record)? {
                    match key {
                        b"path" => self.long_name = Some(value.to_vec()),
                        b"size" => {
                            let size = std::str::from_utf8(value).ok();
                            let size = size.and_then(|size| size.parse().ok());
                            let wrong = || broken("A tar archive has an entry without a size");
                            self.long_size = Some(size.ok_or_else(wrong)?);
                        }
                        _ if key.starts_with(b"GNU.sparse.") => {
                            return Err(broken(
                                "A tar archive has a sparse file, which is not read as a stream",
                            ));
                        }
                        _ => {}
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }
}

/// The records of a pax header: `LENGTH KEY=VALUE\n`.
fn pax(mut record: &[u8]) -> Checked<Vec<(&[u8], &[u8])>> {
    let wrong = || broken("A tar archive says something about an entry that cannot be read");
    let mut pairs = Vec::new();
    while !until_zero(record).is_empty() {
        let space = record
            .iter()
            .position(|byte| *byte == b' ')
            .ok_or_else(wrong)?;
        let length = std::str::from_utf8(&record[..space]).ok();
        let length: usize = length
            .and_then(|text| text.parse().ok())
            .ok_or_else(wrong)?;
        let one = record.get(space + 1..length).ok_or_else(wrong)?;
        let one = one.strip_suffix(b"\n").ok_or_else(wrong)?;
        let equals = one
            .iter()
            .position(|byte| *byte == b'=')
            .ok_or_else(wrong)?;
        pairs.push((&one[..equals], &one[equals + 1..]));
        record = &record[length..];
    }
    Ok(pairs)
}

fn own_name(block: &[u8]) -> Vec<u8> {
    let name = until_zero(&block[NAME]);
    let prefix = until_zero(&block[PREFIX]);
    // GNU has other things there.
    if block[MAGIC] == *b"ustar" && block[MAGIC.end] == 0 && !prefix.is_empty() {
        return [prefix, b"/", name].concat();
    }
    name.to_vec()
}

fn until_zero(text: &[u8]) -> &[u8] {
    text.split(|byte| *byte == 0).next().unwrap_or_default()
}

/// A number in octal digits, or in binary where its first bit is set.
fn number(field: &[u8]) -> Option<u64> {
    if field.first()? & 0x80 != 0 {
        let (first, rest) = field.split_first()?;
        let begin = u64::from(first & 0x7f);
        return rest.iter().try_fold(begin, |number, byte| {
            Some(number.checked_mul(256)? | u64::from(*byte))
        });
    }
    let digits = field.iter().skip_while(|byte| **byte == b' ');
    let digits = digits.take_while(|byte| !matches!(byte, b' ' | 0));
    digits.clone().next()?;
    digits.copied().try_fold(0u64, |number, byte| match byte {
        b'0'..=b'7' => number.checked_mul(8)?.checked_add(u64::from(byte - b'0')),
        _ => None,
    })
}
