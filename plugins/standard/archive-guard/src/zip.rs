//! zip (PKWARE APPNOTE 6.3.10), read from its beginning, and then compared with the list at its end.

use std::ops::Range;

use portcullis_policy::Refusal;

use crate::entries::{Entries, Entry};
use crate::extra::{self, Extra};
use crate::gather::{Gather, u16_at, u32_at, u64_at};
use crate::guard::{Checked, Guard, broken, refused, rule, sizes, two_names};
use crate::inflate::{Inflate, Inflated};
use crate::layer::Layer;
use crate::{name, names};

/// Signatures of records (APPNOTE 4.3).
const LOCAL: u32 = 0x0403_4b50;
const DESCRIPTOR: u32 = 0x0807_4b50;
const LISTED: u32 = 0x0201_4b50;
const END_64: u32 = 0x0606_4b50;
const LOCATOR_64: u32 = 0x0706_4b50;
const END: u32 = 0x0605_4b50;
const SIGNATURE_BYTES: usize = 4;

/// Methods of compression.
const STORED: u16 = 0;
const DEFLATED: u16 = 8;
/// The last record of 64 bits, in its first version: what follows its length.
const END_64_BYTES: usize = 44;
/// The record that says where that one is. Programs look for it in front of the last record, whatever is there.
const LOCATOR_64_BYTES: usize = 20;
/// So many zeros may be behind the end, as where an archive was written in blocks.
const MAX_PADDING_BYTES: u64 = 64 << 10;
/// Flags of an entry: its sizes come behind it; it, or the list, is encrypted; it is a change to another file; its name is
/// UTF-8.
const OPEN: u16 = 8;
const ENCRYPTED: u16 = 0x2041;
const PATCH: u16 = 0x20;
const UTF8: u16 = 0x800;
/// The value of a 16-bit or 32-bit field of the last record whose number is in the 64-bit record (APPNOTE 4.4.1.4).
const ELSEWHERE_16: u64 = 0xffff;
const ELSEWHERE_32: u64 = 0xffff_ffff;

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
    /// The length of the last record of 64 bits; then the record; then the record that says where it is.
    End64Length,
    End64,
    Locator64,
    End,
    Comment,
    /// Behind the end, and so many zeros.
    Over(u64),
}

/// Which records may follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Entries,
    List,
    /// The last record of 64 bits was read; only the one that says where it is can follow.
    End64,
    /// Only the last record can follow.
    Locator64,
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
    is_folder: bool,
    inflate: Inflate,
    content: Option<Layer>,
    entries: Entries,
    stage: Stage,
    /// Where the list at the end begins and ends.
    list: Range<u64>,
    /// The bytes of records that were read last.
    tail: [u8; LOCATOR_64_BYTES],
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
    /// The sizes in front of the entry, which should be zero where the real ones follow it.
    told: [u64; 2],
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
            is_folder: false,
            inflate: Inflate::new(),
            content: None,
            entries: Entries::default(),
            stage: Stage::Entries,
            list: 0..0,
            tail: [0; LOCATOR_64_BYTES],
        }
    }

    pub(crate) fn push(&mut self, mut bytes: &[u8], guard: &mut Guard) -> Checked {
        while self.step(&mut bytes, guard)? {}
        Ok(())
    }

    pub(crate) fn end(&mut self) -> Checked {
        match self.state {
            State::Over(_) => Ok(()),
            _ => Err(broken("A zip archive ends too soon")),
        }
    }

    /// Goes on until more bytes are needed; says whether it can go on without.
    fn step(&mut self, bytes: &mut &[u8], guard: &mut Guard) -> Checked<bool> {
        match self.state {
            State::Inflating => return self.inflating(bytes, guard),
            State::Stored(left) => return self.stored(bytes, left, guard),
            State::Over(zeros) => return self.behind(bytes, zeros),
            _ => {}
        }
        let before = bytes.len();
        let is_whole = self.gather.take(bytes);
        self.offset += (before - bytes.len()) as u64;
        if is_whole {
            let record = self.gather.next(0);
            self.record(&record, guard)?;
            self.remember(&record);
        }
        Ok(is_whole)
    }

    /// What is behind the end: nothing, or what fills up the last block.
    fn behind(&mut self, bytes: &mut &[u8], zeros: u64) -> Checked<bool> {
        let zeros = zeros + bytes.len() as u64;
        if zeros > MAX_PADDING_BYTES || bytes.iter().any(|byte| *byte != 0) {
            return Err(broken("There is something behind the end of a zip archive"));
        }
        *bytes = &[];
        self.state = State::Over(zeros);
        Ok(false)
    }

    /// Keeps the last bytes of what was read.
    fn remember(&mut self, record: &[u8]) {
        let new = &record[record.len().saturating_sub(LOCATOR_64_BYTES)..];
        self.tail.rotate_left(new.len());
        self.tail[LOCATOR_64_BYTES - new.len()..].copy_from_slice(new);
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
            State::End64Length => {
                if u64_at(record, 0) != END_64_BYTES as u64 {
                    return Err(broken("A zip archive has an end that cannot be read"));
                }
                self.want(END_64_BYTES, State::End64);
            }
            State::End64 => {
                self.end_64(record)?;
                self.want(SIGNATURE_BYTES, State::Signature);
            }
            State::Locator64 => {
                if u64_at(record, 4) != self.list.end {
                    return Err(two_lists());
                }
                self.want(SIGNATURE_BYTES, State::Signature);
            }
            State::End => {
                self.end_record(record)?;
                self.fixed = record.to_vec();
                self.want(length(16), State::Comment);
            }
            State::Comment => {
                // Programs look for the end from behind, and would find another one first.
                let end = [&self.fixed, record].concat();
                if end
                    .windows(SIGNATURE_BYTES)
                    .any(|four| u32_at(four, 0) == END)
                {
                    return Err(two_lists());
                }
                self.state = State::Over(0);
            }
            State::Inflating | State::Stored(_) | State::Over(_) => {}
        }
        Ok(())
    }

    /// A record begins. Entries, their list and its ends come in this order and in one piece, so that the list that was
    /// read here is the one that programs find from the end.
    fn signature(&mut self, signature: u32) -> Checked {
        match (signature, self.stage) {
            (LOCAL, Stage::Entries) => self.want(26, State::Local),
            (LISTED, Stage::Entries) => {
                self.stage = Stage::List;
                self.list.start = self.began;
                self.want(42, State::Listed);
            }
            (LISTED, Stage::List) => self.want(42, State::Listed),
            (END_64, Stage::Entries | Stage::List) => {
                self.end_list();
                self.stage = Stage::End64;
                self.want(8, State::End64Length);
            }
            (LOCATOR_64, Stage::End64) => {
                self.stage = Stage::Locator64;
                self.want(LOCATOR_64_BYTES - SIGNATURE_BYTES, State::Locator64);
            }
            (END, Stage::Entries | Stage::List | Stage::Locator64) => {
                if self.stage != Stage::Locator64 {
                    self.end_list();
                    if u32_at(&self.tail, 0) == LOCATOR_64 {
                        return Err(two_lists());
                    }
                }
                self.want(18, State::End);
            }
            (LOCAL | LISTED | END_64 | LOCATOR_64 | END, _) => return Err(two_lists()),
            _ => return Err(broken("A zip archive has something between its entries")),
        }
        Ok(())
    }

    fn end_list(&mut self) {
        if self.stage == Stage::Entries {
            self.list.start = self.began;
        }
        self.list.end = self.began;
    }

    /// The header before an entry.
    fn local(&mut self, fixed: &[u8], (own, extra): (&[u8], &[u8]), guard: &mut Guard) -> Checked {
        let (flags, method) = (u16_at(fixed, 2), u16_at(fixed, 4));
        let extra = Extra::read(extra)?;
        self.named(own, flags, &extra, guard)?;
        let mut header = Header {
            entry: Entry {
                offset: self.began,
                name: names::exact(own),
                unicode: extra.unicode_path.map(names::exact),
                method,
                flags: telling(flags, own),
                packed: u64::from(u32_at(fixed, 14)),
                expanded: u64::from(u32_at(fixed, 18)),
            },
            is_open: flags & OPEN != 0,
            is_long: false,
            is_unread: false,
            told: [0; 2],
        };
        let entry = &mut header.entry;
        header.is_long = extra.lengthen([&mut entry.expanded, &mut entry.packed, &mut 0])?;
        header.told = [entry.packed, entry.expanded];
        if !header.is_open {
            guard.declared(entry.expanded)?;
        }
        if flags & ENCRYPTED != 0 {
            guard.encrypted()?;
            header.is_unread = true;
        } else if method != STORED && method != DEFLATED || flags & PATCH != 0 {
            guard.unread("It has an entry that is compressed in a way that is not read")?;
            header.is_unread = true;
        } else if method == STORED && entry.packed != entry.expanded && !header.is_open {
            return Err(sizes(guard.entries));
        }
        self.header = header;
        self.is_folder = name::is_folder(own);
        self.content = (!header.is_unread).then(Layer::new);
        if method == DEFLATED && !header.is_unread {
            self.inflate.reset();
            self.state = State::Inflating;
            return Ok(());
        }
        // Without its size in front, programs disagree where a stored file ends, unless it is empty.
        let packed = header.entry.packed;
        if header.is_open && (packed > 0) != header.is_unread {
            return Err(open_ended());
        }
        self.state = State::Stored(packed);
        Ok(())
    }

    /// The names in the header before an entry.
    fn named(&mut self, own: &[u8], flags: u16, extra: &Extra<'_>, guard: &mut Guard) -> Checked {
        let is_folder = name::is_folder(own);
        guard.entry(own, is_folder, &mut self.entries.names)?;
        if flags & UTF8 != 0 && str::from_utf8(own).is_err() {
            return Err(broken(
                "A zip archive has a name that is said to be UTF-8 and is not",
            ));
        }
        if flags & UTF8 == 0 && !own.is_ascii() {
            let shown = name::in_code_page_437(own);
            guard.spelling(&[own], shown.as_bytes(), is_folder, &mut self.entries.names)?;
        }
        if let Some(unicode) = extra.unicode_path {
            self.unicode_name(own, unicode, guard.entries, guard)?;
        }
        if extra.has_other_name {
            guard.unread("It has an entry with a second name in a form that is not read")?;
        }
        if extra.is_link {
            guard.link()?;
        }
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
                // Programs that read a stream may believe what is said in front of it.
                let told = header.told.into_iter().zip([packed, expanded]);
                let differs = |(told, actual)| told != 0 && told != actual;
                if header.is_open && told.into_iter().any(differs) {
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
        if self.is_folder && self.header.entry.expanded > 0 {
            return Err(folder_with_content());
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
        if header.entry.method == STORED && !header.is_unread {
            return Err(open_ended());
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
        let extra = Extra::read(extra)?;
        let flags = u16_at(fixed, 4);
        let mut listed = Entry {
            offset: u64::from(u32_at(fixed, 38)),
            name: names::exact(own),
            unicode: extra.unicode_path.map(names::exact),
            method: u16_at(fixed, 6),
            flags: telling(flags, own),
            packed: u64::from(u32_at(fixed, 16)),
            expanded: u64::from(u32_at(fixed, 20)),
        };
        extra.lengthen([&mut listed.expanded, &mut listed.packed, &mut listed.offset])?;
        let attributes = u32_at(fixed, 34);
        if extra.is_link || extra::is_link(attributes) {
            guard.link()?;
        }
        if extra::is_folder(attributes) && listed.expanded > 0 {
            return Err(folder_with_content());
        }
        if !matches!(u16_at(fixed, 30), 0 | 0xffff) {
            return Err(several_files());
        }
        if let Some(unicode) = extra.unicode_path
            && !self.entries.knows_unicode(listed.offset)
        {
            let nth = self.entries.listed() + 1;
            self.unicode_name(own, unicode, nth, guard)?;
        }
        self.entries.list(listed)
    }

    /// A second name of an entry, in Unicode. Info-ZIP and libarchive unpack it by this one, others by the first.
    fn unicode_name(&mut self, own: &[u8], unicode: &[u8], nth: u64, guard: &Guard) -> Checked {
        if !extra::are_spellings(own, unicode) {
            return Err(two_names(nth));
        }
        let shown = name::in_code_page_437(own);
        let known = [own, shown.as_bytes()];
        let is_folder = name::is_folder(own);
        guard.spelling(&known, unicode, is_folder, &mut self.entries.names)
    }

    /// The last record of 64 bits.
    fn end_64(&self, record: &[u8]) -> Checked {
        let disks = (u32_at(record, 4), u32_at(record, 8));
        let counts = (u64_at(record, 12), u64_at(record, 20));
        if disks != (0, 0) || counts.0 != counts.1 {
            return Err(several_files());
        }
        self.entries.end(Some(counts.1))?;
        self.is_list(u64_at(record, 28), u64_at(record, 36))
    }

    /// The last record.
    fn end_record(&self, record: &[u8]) -> Checked {
        // What is in the record of 64 bits was compared there.
        let has_64 = self.stage == Stage::Locator64;
        let own = |number: u64, elsewhere: u64| (!has_64 || number != elsewhere).then_some(number);
        let short = |at: usize| own(u64::from(u16_at(record, at)), ELSEWHERE_16);
        let long = |at: usize| own(u64::from(u32_at(record, at)), ELSEWHERE_32);
        if short(0).unwrap_or(0) != 0 || short(2).unwrap_or(0) != 0 || short(4) != short(6) {
            return Err(several_files());
        }
        self.entries.end(short(6))?;
        let bytes = self.list.end - self.list.start;
        // Info-ZIP refers to a record of 64 bits here that it does not write; programs find the list by its length then.
        let began = Some(u64::from(u32_at(record, 12))).filter(|began| *began != ELSEWHERE_32);
        self.is_list(long(8).unwrap_or(bytes), began.unwrap_or(self.list.start))
    }

    /// Whether a record at the end means the list that was read. Programs that unpack find the list by that record.
    fn is_list(&self, bytes: u64, began: u64) -> Checked {
        if began == self.list.start && bytes == self.list.end - self.list.start {
            return Ok(());
        }
        Err(two_lists())
    }
}

/// Programs would find another list of entries than the one that follows them.
fn two_lists() -> Refusal {
    refused(
        rule::OVERLAP,
        "Programs would find another list of entries than the one behind them; make it anew.",
    )
}

fn several_files() -> Refusal {
    broken("A zip archive goes over several files")
}

fn open_ended() -> Refusal {
    broken("A zip archive has an entry that is stored without its size in front")
}

fn folder_with_content() -> Refusal {
    broken("An archive has a folder that is said to have content")
}

/// Those flags that must be the same in the list: what is encrypted, and in which encoding the name is.
fn telling(flags: u16, own: &[u8]) -> u16 {
    let encoding = if own.is_ascii() { 0 } else { UTF8 };
    flags & (ENCRYPTED | PATCH | encoding)
}
