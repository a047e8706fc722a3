//! gzip (RFC 1952): members one after the other, together one file.

use crate::gather::{Gather, u16_at, u32_at};
use crate::guard::{Checked, Guard, broken, sizes};
use crate::inflate::{Inflate, Inflated};
use crate::layer::Layer;
use crate::names::Names;

/// The fixed part of a header, and what stands behind the data.
const HEADER_BYTES: usize = 10;
const TRAILER_BYTES: usize = 8;
/// The longest name or comment.
const MAX_TEXT_BYTES: usize = 64 << 10;

/// Flags of a header, in the order in which what they announce follows.
const FHCRC: u8 = 2;
const FEXTRA: u8 = 4;
const FNAME: u8 = 8;
const FCOMMENT: u8 = 16;

enum State {
    Header,
    ExtraLength,
    Extra,
    Name,
    Comment,
    HeaderCrc,
    Data,
    Trailer,
    /// Behind a member: another one, or zeros to the end.
    Between,
    Padding,
}

/// A gzip file that is being read.
pub(crate) struct Gzip {
    depth: u32,
    state: State,
    gather: Gather,
    flags: u8,
    text: Vec<u8>,
    has_members: bool,
    inflate: Inflate,
    content: Layer,
}

impl Gzip {
    pub(crate) fn new(depth: u32) -> Self {
        Self {
            depth,
            state: State::Header,
            gather: Gather::of(HEADER_BYTES),
            flags: 0,
            text: Vec::new(),
            has_members: false,
            inflate: Inflate::new(),
            content: Layer::new(),
        }
    }

    pub(crate) fn push(&mut self, mut bytes: &[u8], guard: &mut Guard) -> Checked {
        while !bytes.is_empty() {
            self.step(&mut bytes, guard)?;
        }
        Ok(())
    }

    pub(crate) fn end(&mut self, guard: &mut Guard) -> Checked {
        match self.state {
            State::Between | State::Padding => self.content.end(guard, self.depth + 1),
            _ => Err(broken("A gzip file ends too soon")),
        }
    }

    fn step(&mut self, bytes: &mut &[u8], guard: &mut Guard) -> Checked {
        match self.state {
            State::Header => {
                if !self.gather.take(bytes) {
                    return Ok(());
                }
                let header = self.gather.next(0);
                if !header.starts_with(&[0x1f, 0x8b, 8]) || header[3] & 0xe0 != 0 {
                    return Err(broken("A gzip file has a header that is none"));
                }
                self.flags = header[3];
                self.after(0);
            }
            State::ExtraLength => {
                if self.gather.take(bytes) {
                    let length = self.gather.next(0);
                    self.gather = Gather::of(usize::from(u16_at(&length, 0)));
                    self.state = State::Extra;
                }
            }
            State::Extra => {
                if self.gather.take(bytes) {
                    self.after(FEXTRA);
                }
            }
            State::Name => {
                if self.text(bytes)? {
                    let name = std::mem::take(&mut self.text);
                    if self.has_members {
                        guard.name(&name)?;
                    } else {
                        guard.entry(&name, false, &mut Names::default())?;
                    }
                    self.after(FNAME);
                }
            }
            State::Comment => {
                if self.text(bytes)? {
                    self.text.clear();
                    self.after(FCOMMENT);
                }
            }
            State::HeaderCrc => {
                if self.gather.take(bytes) {
                    self.after(FHCRC);
                }
            }
            State::Data => return self.data(bytes, guard),
            State::Trailer => {
                if self.gather.take(bytes) {
                    let trailer = self.gather.next(0);
                    let said = u32_at(&trailer, 4);
                    if u64::from(said) != self.inflate.expanded & 0xffff_ffff {
                        return Err(sizes(guard.entries.max(1)));
                    }
                    self.has_members = true;
                    self.inflate.reset();
                    self.state = State::Between;
                }
            }
            State::Between => {
                if bytes.first() == Some(&0) {
                    // Padding, as on tapes. Programs disagree whether a member may follow it.
                    self.state = State::Padding;
                } else if bytes.first() == Some(&0x1f) {
                    self.gather = Gather::of(HEADER_BYTES);
                    self.state = State::Header;
                } else {
                    return Err(behind_the_end());
                }
            }
            State::Padding => {
                if bytes.iter().any(|byte| *byte != 0) {
                    return Err(behind_the_end());
                }
                *bytes = &[];
            }
        }
        Ok(())
    }

    fn data(&mut self, bytes: &mut &[u8], guard: &mut Guard) -> Checked {
        let (content, depth) = (&mut self.content, self.depth + 1);
        let inflated = self.inflate.push(bytes, |piece| {
            guard.expanded(piece.len())?;
            content.push(piece, guard, depth)
        })?;
        match inflated {
            Inflated::More => {}
            Inflated::Done => {
                self.gather = Gather::of(TRAILER_BYTES);
                self.state = State::Trailer;
            }
            Inflated::Broken => return Err(broken("A gzip file cannot be unpacked")),
        }
        Ok(())
    }

    /// Reads a text that ends with a zero; says whether it has ended.
    fn text(&mut self, bytes: &mut &[u8]) -> Checked<bool> {
        let end = bytes.iter().position(|byte| *byte == 0);
        let (text, rest) = bytes.split_at(end.unwrap_or(bytes.len()));
        self.text.extend_from_slice(text);
        if self.text.len() > MAX_TEXT_BYTES {
            return Err(broken(
                "A gzip file has a name or a comment that is too long",
            ));
        }
        *bytes = rest.get(1..).unwrap_or_default();
        Ok(end.is_some())
    }

    /// Goes on to what the flags say follows that part of the header.
    fn after(&mut self, part: u8) {
        let follows = |next: u8, before: &[u8]| {
            self.flags & next != 0 && (part == 0 || before.contains(&part))
        };
        (self.state, self.gather) = if follows(FEXTRA, &[]) {
            (State::ExtraLength, Gather::of(2))
        } else if follows(FNAME, &[FEXTRA]) {
            (State::Name, Gather::default())
        } else if follows(FCOMMENT, &[FEXTRA, FNAME]) {
            (State::Comment, Gather::default())
        } else if follows(FHCRC, &[FEXTRA, FNAME, FCOMMENT]) {
            (State::HeaderCrc, Gather::of(2))
        } else {
            (State::Data, Gather::default())
        };
    }
}

fn behind_the_end() -> portcullis_policy::Refusal {
    broken("There is something behind the end of a gzip file")
}
