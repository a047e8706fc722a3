//! zip (PKWARE APPNOTE 6.3.10), read from its beginning, and then compared with the list at its end.

use crate::entries::{Entries, Entry};
use crate::gather::{Gather, u16_at, u32_at, u64_at};
use crate::guard::{Checked, Guard, broken, sizes};
use crate::inflate::{Inflate, Inflated};
use crate::layer::Layer;
use crate::name;

/// Signatures of records (APPNOTE 4.3).
const LOCAL: u32 = 0x0403_4b50;
const DESCRIPTOR: u32 = 0x0807_4b50;
const LISTED: u32 = 0x0201_4b50;
const EXTRA_DATA: u32 = 0x0806_4b50;
const DIGITAL_SIGNATURE: u32 = 0x0505_4b50;
const END_64: u32 = 0x0606_4b50;
const LOCATOR_64: u32 = 0x0706_4b50;
const END: u32 = 0x0605_4b50;
const SIGNATURE_BYTES: usize = 4;

/// Methods of compression.
const STORED: u16 = 0;
const DEFLATED: u16 = 8;
/// The extra field with sizes of 64 bits, and what stands for them in the fields of 32.
const ZIP64: u16 = 1;
const ELSEWHERE: u64 = 0xffff_ffff;
/// The longest record that is skipped.
const MAX_SKIPPED_BYTES: u64 = 64 << 10;
/// Flags of an entry: its sizes come behind it; it, or the list, is encrypted.
const OPEN: u16 = 8;
const ENCRYPTED: u16 = 0x2041;
/// What hosts write a Unix mode into the list (APPNOTE 4.4.2), and the mode of a symbolic link.
const UNIX_HOSTS: [u16; 2] = [3, 19];
const LINK_MODE: u32 = 0xa000;
const MODE_MASK: u32 = 0xf000;

enum State {
    Signature,
    /// The fixed part of the header before an entry; then its name, of so many bytes, and extra field.
    Local,
    LocalRest(usize),
    Inflating,
    /// So many bytes of an entry that is stored as it is, or that nobody looks into.
    Stored(u64),
    /// Behind an entry: a signature or a checksum, then sizes of 32 bits, then those of 64.
    Descriptor,
    DescriptorSizes(usize),
    /// The fixed part of an entry of the list; then its name and extra field, of so many bytes, and comment.
    Listed,
    ListedRest(usize, usize),
    /// The length of a record that means nothing here; then the record.
    SkipLength(usize),
    Skip,
    End,
    Comment,
    Over,
}

/// An archive that is being read.
pub(crate) struct Zip {
    depth: u32,
    state: State,
    gather: Gather,
    /// The fixed part of the header whose rest is being gathered.
    fixed: Vec<u8>,
    /// Where in the archive the next byte lies.
    offset: u64,
    /// Where the record began that is being read.
    began: u64,
    /// The entry that is being read.
    header: Header,
    inflate: Inflate,
    content: Option<Layer>,
    entries: Entries,
}

/// What the header before an entry says.
#[derive(Clone, Copy, Default)]
struct Header {
    entry: Entry,
    /// Whether its sizes come behind it, and whether they have 64 bits.
    is_open: bool,
    is_long: bool,
    /// Whether nobody looks into it, so that what it unpacks to is not known.
    is_unread: bool,
}

impl Zip {
    pub(crate) fn new(depth: u32) -> Self {
        Self {
            depth,
            state: State::Signature,
            gather: Gather::of(SIGNATURE_BYTES),
            fixed: Vec::new(),
            offset: 0,
            began: 0,
            header: Header::default(),
            inflate: Inflate::new(),
            content: None,
            entries: Entries::default(),
        }
    }

    pub(crate) fn push(&mut self, mut bytes: &[u8], guard: &mut Guard) -> Checked {
        while self.step(&mut bytes, guard)? {}
        Ok(())
    }

    pub(crate) fn end(&mut self) -> Checked {
        match self.state {
            State::Over => Ok(()),
            _ => Err(broken("A zip archive ends too soon")),
        }
    }

    /// Goes on until more bytes are needed; says whether it can go on without.
    fn step(&mut self, bytes: &mut &[u8], guard: &mut Guard) -> Checked<bool> {
        match self.state {
            State::Inflating => return self.inflating(bytes, guard),
            State::Stored(left) => return self.stored(bytes, left, guard),
            State::Over if bytes.is_empty() => return Ok(false),
            State::Over => {
                return Err(broken("There is something behind the end of a zip archive"));
            }
            _ => {}
        }
        let before = bytes.len();
        let is_whole = self.gather.take(bytes);
        self.offset += (before - bytes.len()) as u64;
        if is_whole {
            let record = self.gather.next(0);
            self.record(&record, guard)?;
        }
        Ok(is_whole)
    }

    fn want(&mut self, bytes: usize, state: State) {
        self.state = state;
        self.gather = Gather::of(bytes);
    }

    /// What was gathered whole.
    fn record(&mut self, record: &[u8], guard: &mut Guard) -> Checked {
        let length = |at: usize| usize::from(u16_at(record, at));
        match self.state {
            State::Signature => {
                self.began = self.offset - SIGNATURE_BYTES as u64;
                self.signature(u32_at(record, 0))?;
            }
            State::Local => {
                self.want(length(22) + length(24), State::LocalRest(length(22)));
                self.fixed = record.to_vec();
            }
            State::LocalRest(name) => {
                let fixed = std::mem::take(&mut self.fixed);
                self.local(&fixed, record.split_at(name), guard)?;
            }
            State::Descriptor => {
                // Four bytes are there: the signature, or the checksum, where there is no signature.
                let has_signature = u32_at(record, 0) == DESCRIPTOR;
                let checksum = if has_signature { 4 } else { 0 };
                let sizes = if self.header.is_long { 16 } else { 8 };
                self.want(checksum + sizes, State::DescriptorSizes(checksum));
            }
            State::DescriptorSizes(checksum) => self.descriptor(record, checksum, guard)?,
            State::Listed => {
                let rest = length(24) + length(26) + length(28);
                self.want(rest, State::ListedRest(length(24), length(26)));
                self.fixed = record.to_vec();
            }
            State::ListedRest(name, extra) => {
                let fixed = std::mem::take(&mut self.fixed);
                self.listed(&fixed, &record[..name], &record[name..name + extra], guard)?;
                self.want(SIGNATURE_BYTES, State::Signature);
            }
            State::SkipLength(width) => {
                let length = match width {
                    2 => u64::from(u16_at(record, 0)),
                    4 => u64::from(u32_at(record, 0)),
                    _ => u64_at(record, 0),
                };
                if length > MAX_SKIPPED_BYTES {
                    return Err(broken("A zip archive has a record that is too long"));
                }
                self.want(usize::try_from(length).unwrap_or(0), State::Skip);
            }
            State::Skip => self.want(SIGNATURE_BYTES, State::Signature),
            State::End => {
                self.end_record(record)?;
                self.want(length(16), State::Comment);
            }
            State::Comment => self.state = State::Over,
            State::Inflating | State::Stored(_) | State::Over => {}
        }
        Ok(())
    }

    fn signature(&mut self, signature: u32) -> Checked {
        match signature {
            LOCAL => self.want(26, State::Local),
            LISTED => self.want(42, State::Listed),
            EXTRA_DATA => self.want(4, State::SkipLength(4)),
            DIGITAL_SIGNATURE => self.want(2, State::SkipLength(2)),
            END_64 => self.want(8, State::SkipLength(8)),
            LOCATOR_64 => self.want(16, State::Skip),
            END => self.want(18, State::End),
            _ => return Err(broken("A zip archive has something between its entries")),
        }
        Ok(())
    }

    /// The header before an entry.
    fn local(&mut self, fixed: &[u8], (own, extra): (&[u8], &[u8]), guard: &mut Guard) -> Checked {
        guard.entry(own, &mut self.entries.names)?;
        let (flags, method) = (u16_at(fixed, 2), u16_at(fixed, 4));
        let entry = Entry {
            offset: self.began,
            name: name::hash(own),
            packed: u64::from(u32_at(fixed, 14)),
            expanded: u64::from(u32_at(fixed, 18)),
        };
        let mut header = Header {
            entry,
            is_open: flags & OPEN != 0,
            is_long: false,
            is_unread: false,
        };
        header.is_long = long(
            extra,
            [&mut header.entry.expanded, &mut header.entry.packed, &mut 0],
        );
        if !header.is_open {
            guard.declared(header.entry.expanded)?;
        }
        if flags & ENCRYPTED != 0 {
            guard.encrypted()?;
            header.is_unread = true;
        } else if method != STORED && method != DEFLATED {
            guard.unread("It has an entry that is compressed in a way that is not read")?;
            header.is_unread = true;
        } else if method == STORED
            && !header.is_open
            && header.entry.packed != header.entry.expanded
        {
            return Err(sizes(guard.entries));
        }
        self.header = header;
        self.content = (!header.is_unread).then(Layer::new);
        if method == DEFLATED && !header.is_unread {
            self.inflate.reset();
            self.state = State::Inflating;
            return Ok(());
        }
        if header.is_open && header.entry.packed == 0 {
            return Err(broken(
                "A zip archive has an entry that is stored without its size in front",
            ));
        }
        self.state = State::Stored(header.entry.packed);
        Ok(())
    }

    fn inflating(&mut self, bytes: &mut &[u8], guard: &mut Guard) -> Checked<bool> {
        if bytes.is_empty() {
            return Ok(false);
        }
        let (before, depth) = (bytes.len(), self.depth + 1);
        let content = &mut self.content;
        let inflated = self.inflate.push(bytes, |piece| {
            guard.expanded(piece.len())?;
            match content {
                Some(content) => content.push(piece, guard, depth),
                None => Ok(()),
            }
        })?;
        self.offset += (before - bytes.len()) as u64;
        match inflated {
            Inflated::More => {
                if !self.header.is_open && self.inflate.packed > self.header.entry.packed {
                    return Err(sizes(guard.entries));
                }
                Ok(false)
            }
            Inflated::Broken => Err(broken("A zip archive has an entry that cannot be unpacked")),
            Inflated::Done => {
                let header = &mut self.header;
                let (packed, expanded) = (self.inflate.packed, self.inflate.expanded);
                if !header.is_open
                    && (packed != header.entry.packed || expanded != header.entry.expanded)
                {
                    return Err(sizes(guard.entries));
                }
                (header.entry.packed, header.entry.expanded) = (packed, expanded);
                self.data_over(guard)?;
                Ok(true)
            }
        }
    }

    fn stored(&mut self, bytes: &mut &[u8], left: u64, guard: &mut Guard) -> Checked<bool> {
        let length = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
        let (data, rest) = bytes.split_at(length);
        *bytes = rest;
        self.offset += length as u64;
        if let Some(content) = &mut self.content {
            content.push(data, guard, self.depth + 1)?;
        }
        let left = left - length as u64;
        self.state = State::Stored(left);
        if left > 0 {
            return Ok(false);
        }
        if !self.header.is_unread {
            self.header.entry.expanded = self.header.entry.packed;
        }
        self.data_over(guard)?;
        Ok(true)
    }

    /// The last byte of an entry has come.
    fn data_over(&mut self, guard: &mut Guard) -> Checked {
        if let Some(mut content) = self.content.take() {
            content.end(guard, self.depth + 1)?;
        }
        if self.header.is_open {
            self.want(4, State::Descriptor);
        } else {
            self.entry_over();
        }
        Ok(())
    }

    /// What stands behind an entry that did not say its sizes before.
    fn descriptor(&mut self, record: &[u8], checksum: usize, guard: &mut Guard) -> Checked {
        let sizes_at = &record[checksum..];
        let said = if sizes_at.len() == 16 {
            (u64_at(sizes_at, 0), u64_at(sizes_at, 8))
        } else {
            (
                u64::from(u32_at(sizes_at, 0)),
                u64::from(u32_at(sizes_at, 4)),
            )
        };
        let header = &mut self.header;
        let agrees =
            said.0 == header.entry.packed && (header.is_unread || said.1 == header.entry.expanded);
        if agrees {
            header.entry.expanded = said.1;
            self.entry_over();
            return Ok(());
        }
        if sizes_at.len() == 16 {
            return Err(sizes(guard.entries));
        }
        // Some programs write 64 bits without having said so.
        self.gather = Gather::behind(record, 8);
        Ok(())
    }

    fn entry_over(&mut self) {
        self.entries.add(self.header.entry);
        self.want(SIGNATURE_BYTES, State::Signature);
    }

    /// An entry of the list at the end.
    fn listed(&mut self, fixed: &[u8], own: &[u8], extra: &[u8], guard: &mut Guard) -> Checked {
        let mut listed = Entry {
            offset: u64::from(u32_at(fixed, 38)),
            name: name::hash(own),
            packed: u64::from(u32_at(fixed, 16)),
            expanded: u64::from(u32_at(fixed, 20)),
        };
        long(
            extra,
            [&mut listed.expanded, &mut listed.packed, &mut listed.offset],
        );
        let is_unix = UNIX_HOSTS.contains(&(u16_at(fixed, 0) >> 8));
        if is_unix && (u32_at(fixed, 34) >> 16) & MODE_MASK == LINK_MODE {
            guard.link()?;
        }
        self.entries.list(listed)
    }

    /// The last record.
    fn end_record(&mut self, record: &[u8]) -> Checked {
        let (disk, list_disk) = (u16_at(record, 0), u16_at(record, 2));
        if !matches!((disk, list_disk), (0, 0) | (0xffff, 0xffff)) {
            return Err(broken("A zip archive goes over several files"));
        }
        // The number of 64 bits stands in a record that is skipped: the list itself was counted.
        let count = match u16_at(record, 6) {
            0xffff => None,
            count => Some(u64::from(count)),
        };
        self.entries.end(count)
    }
}

/// Takes the numbers of 64 bits for those that say that they stand there, in the order in which they do; says
/// whether there are any (APPNOTE 4.5.3).
fn long(mut extra: &[u8], fields: [&mut u64; 3]) -> bool {
    while extra.len() >= 4 {
        let (id, length) = (u16_at(extra, 0), usize::from(u16_at(extra, 2)));
        let field = extra.get(4..4 + length).unwrap_or(&extra[4..]);
        if id == ZIP64 {
            let mut at = 0;
            for number in fields {
                if *number == ELSEWHERE {
                    *number = u64_at(field, at);
                    at += 8;
                }
            }
            return true;
        }
        extra = extra.get(4 + length..).unwrap_or_default();
    }
    false
}
